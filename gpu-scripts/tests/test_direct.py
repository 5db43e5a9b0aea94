import errno
import os
from pathlib import Path

import pytest

from dumont_worker import direct
from dumont_worker.direct import BLOCK, LEAST, DirectWriter, is_cached, takes_direct
from dumont_worker.entry import CHUNK_MAX

MIB = 1 << 20


def write_one(
    folder: Path, offset: int, at: int = 0, length: int = LEAST + 4321, room_at: int | None = None
) -> None:
    """Write a stretch of a chunk that lies in the writer's room, and look at the file."""
    writer = DirectWriter()
    chunk = writer.room(at + length, offset - at if room_at is None else room_at)
    raw = os.urandom(at + length)
    chunk[:] = raw
    check_written(folder / "file", writer, chunk, raw[at:], offset)


def check_written(
    path: Path, writer: DirectWriter, chunk: memoryview, end: bytes, offset: int
) -> None:
    """Write the end of a chunk behind other bytes, and look at the file."""
    path.write_bytes(b"x" * offset)
    with path.open("r+b") as file:
        writer.write(file.fileno(), chunk, len(chunk) - len(end), len(end), offset)
    assert path.read_bytes() == b"x" * offset + end


@pytest.mark.parametrize("offset", [0, 8, BLOCK - 8, BLOCK, BLOCK + 8, 3, 5 * BLOCK + 1234])
@pytest.mark.parametrize("at", [0, 24, BLOCK + 7])
def test_writes_at_any_offset_from_any_place_in_a_chunk(
    tmp_path: Path, offset: int, at: int
) -> None:
    write_one(tmp_path, offset, at)


def test_writes_a_chunk_that_was_decoded_for_another_offset(tmp_path: Path) -> None:
    write_one(tmp_path, offset=16, room_at=BLOCK + 40)


def test_writes_little_as_well(tmp_path: Path) -> None:
    write_one(tmp_path, offset=16, length=5)


def test_writes_the_largest_chunk_at_the_worst_offset(tmp_path: Path) -> None:
    write_one(tmp_path, offset=BLOCK - 8, length=CHUNK_MAX)


@pytest.mark.parametrize("offset", [0, 1, BLOCK - 1])
def test_writes_a_chunk_that_lies_elsewhere(tmp_path: Path, offset: int) -> None:
    raw = os.urandom(CHUNK_MAX)
    check_written(tmp_path / "file", DirectWriter(), memoryview(raw), raw, offset)


def test_leaves_what_stands_around_a_stretch(tmp_path: Path) -> None:
    path = tmp_path / "file"
    before = os.urandom(3 * LEAST)
    path.write_bytes(before)
    raw = os.urandom(LEAST)
    with path.open("r+b") as file:
        DirectWriter().write(file.fileno(), memoryview(raw), 0, len(raw), 1000)
    assert path.read_bytes() == before[:1000] + raw + before[1000 + len(raw) :]


def test_writes_through_the_cache_where_direct_writes_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.pwrite

    def refuse(fd: int, data: memoryview, offset: int) -> int:
        if direct.fcntl.fcntl(fd, direct.fcntl.F_GETFL) & os.O_DIRECT:
            raise OSError(errno.EINVAL, "no")
        return real(fd, data, offset)

    monkeypatch.setattr(os, "pwrite", refuse)
    write_one(tmp_path, offset=40)


def test_goes_on_through_the_cache_after_a_short_direct_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, data, at: real(fd, data[: 2 * BLOCK], at))
    write_one(tmp_path, offset=40)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_tells_that_the_disk_did_not_take_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def fail(*_: object) -> int:
        raise OSError(number, "no")

    monkeypatch.setattr(os, "pwrite", fail)
    with pytest.raises(OSError, match="no"):
        write_one(tmp_path, offset=0)


def test_leaves_the_file_as_it_was_opened(tmp_path: Path) -> None:
    with (tmp_path / "file").open("w+b") as file:
        flags = direct.fcntl.fcntl(file, direct.fcntl.F_GETFL)
        DirectWriter().write(file.fileno(), memoryview(bytes(LEAST)), 0, LEAST, 0)
        assert direct.fcntl.fcntl(file, direct.fcntl.F_GETFL) == flags


def test_does_not_trust_a_file_system_it_does_not_know() -> None:
    with open("/proc/self/status", "rb") as file:
        assert not takes_direct(file.fileno())


def test_does_not_trust_a_c_library_without_fstatfs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(direct, "_fstatfs", lambda: None)
    with (tmp_path / "file").open("w+b") as file:
        assert not takes_direct(file.fileno())
    write_one(tmp_path, offset=0)


@pytest.mark.parametrize("length", [9 * BLOCK + 1, 5 * MIB, 64 * MIB, 200 * MIB + 1])
def test_what_was_read_lies_in_memory_and_what_was_not_does_not(
    tmp_path: Path, length: int
) -> None:
    with (tmp_path / "file").open("w+b", buffering=0) as file:
        file.truncate(length)
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)
        assert not is_cached(file.fileno(), 0, length)
        # What is read of a hole lies in the cache as well.
        file.read(length // 3)
        assert not is_cached(file.fileno(), 0, length)
        file.read(length // 3)
        assert is_cached(file.fileno(), 0, length)


def test_a_look_at_a_tebibyte_is_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = direct._library()
    asked: list[int] = []

    class Watched:
        mmap, munmap = library.mmap, library.munmap

        def mincore(self, place: int, length: int, seen: object) -> int:
            asked.append(length)
            return int(library.mincore(place, length, seen))

    monkeypatch.setattr(direct, "_library", Watched)
    with (tmp_path / "file").open("w+b") as file:
        file.truncate(1 << 40)
        assert not is_cached(file.fileno(), 0, 1 << 40)
    assert sum(asked) <= 64 * MIB
