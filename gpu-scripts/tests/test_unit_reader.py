"""Reading files that change, shrink, grow and vanish under the reader's hands; holes.

Edges of blocks.
"""

import os
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from dumont_worker import cut
from dumont_worker.base_reader import Bases
from dumont_worker.content_hash import small_hash
from dumont_worker.create_messages import (
    Bundle,
    BundleDone,
    FileStat,
    SmallDone,
    SmallFile,
    Span,
    Stretch,
    StretchDone,
)
from dumont_worker.create_source import expected
from dumont_worker.create_window import Slot, with_stat
from dumont_worker.cut import Piece, Unit
from dumont_worker.direct import BLOCK as PAGE
from dumont_worker.direct import is_cached, takes_direct
from dumont_worker.entry import CHUNK_MAX, Entry, Stat
from dumont_worker.file_state import fstat
from dumont_worker.native import blake3
from dumont_worker.unit_reader import UnitReader

MIB = 1 << 20


class Desk:
    """Knows what it is told to know."""

    def __init__(self) -> None:
        self.contents: dict[bytes, tuple[Span, ...]] = {}
        self.asked = 0

    def known(self, contents: list[tuple[int, bytes]]) -> list[tuple[Span, ...] | None]:
        self.asked += 1
        return [self.contents.get(content) for _, content in contents]


class Bench:
    """A reader whose chunks are kept, and that can be disturbed at every chunk."""

    def __init__(self, root: Path) -> None:
        self.root = os.fsencode(root)
        self.desk = Desk()
        self.stored: dict[bytes, bytes] = {}
        self.widths: list[int | None] = []
        self.disturb: Callable[[], object] = lambda: None
        self.reader = UnitReader(self.desk, self._store)  # type: ignore[arg-type]

    def _store(self, data: memoryview, width: int | None, _bases: Bases | None = None) -> bytes:
        self.disturb()
        self.widths.append(width)
        self.stored[blake3(data)] = bytes(data)
        return blake3(data)

    def stat(self, name: str) -> FileStat:
        fd = os.open(os.path.join(self.root, name.encode()), os.O_RDONLY)
        try:
            return fstat(fd)
        finally:
            os.close(fd)

    def small(self, *names: str) -> list[SmallDone]:
        files = [
            SmallFile(slot, self.root, name.encode(), self.stat(name))
            for slot, name in enumerate(names)
        ]
        return self.bundle(*files)

    def bundle(self, *files: SmallFile) -> list[SmallDone]:
        done = self.reader.read(Bundle(1, files))
        assert isinstance(done, BundleDone)
        return list(done.files)

    def stretch(self, name: str, unit: Unit, lenient: bool = False, **fields: Any) -> StretchDone:
        expect = fields.get("expect") or self.stat(name)
        stretch = Stretch(1, 0, 0, self.root, name.encode(), expect, unit, lenient)
        done = self.reader.read(stretch)
        assert isinstance(done, StretchDone)
        return done

    def content(self, size: int, spans: tuple[Span, ...]) -> bytes:
        content = bytearray(size)
        for span in spans:
            data = self.stored[span.hash][span.at : span.at + span.length]
            content[span.offset : span.offset + span.length] = data
        return bytes(content)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def whole(size: int, *ranges: tuple[int, int]) -> Unit:
    return Unit(0, size, None, True, ranges or ((0, size),))


def test_small_files_share_a_chunk_in_their_order(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"first")
    (tmp_path / "b").write_bytes(b"second")
    one, two = bench.small("a", "b")
    assert list(bench.stored.values()) == [b"firstsecond"]
    assert [(s.at, s.length) for s in (*one.spans, *two.spans)] == [(0, 5), (5, 6)]
    assert (one.fate, one.hash) == ("ok", small_hash(b"first"))


def test_equal_files_of_a_bundle_are_stored_once(bench: Bench, tmp_path: Path) -> None:
    for name in "abc":
        (tmp_path / name).write_bytes(b"same")
    done = bench.small("a", "b", "c")
    assert list(bench.stored.values()) == [b"same"]
    assert len({file.spans for file in done}) == 1


def test_known_files_are_not_stored(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"known")
    (tmp_path / "b").write_bytes(b"fresh")
    spans = (Span(0, b"h" * 32, 7, 5),)
    bench.desk.contents[small_hash(b"known")] = spans
    known, fresh = bench.small("a", "b")
    assert known.spans == spans
    assert list(bench.stored.values()) == [b"fresh"]
    assert bench.content(5, fresh.spans) == b"fresh"
    assert bench.reader.uncounted == 5


def test_files_that_grew_fill_several_chunks(bench: Bench, tmp_path: Path) -> None:
    names = [f"f{number}" for number in range(7)]
    for number, name in enumerate(names):
        (tmp_path / name).write_bytes(bytes([number]) * MIB)
    done = bench.small(*names)
    assert max(map(len, bench.stored.values())) <= CHUNK_MAX
    for number, file in enumerate(done):
        assert bench.content(MIB, file.spans) == bytes([number]) * MIB


def test_a_small_file_that_became_empty_has_no_extent(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"gone")
    file = SmallFile(0, bench.root, b"a", bench.stat("a"))
    (tmp_path / "a").write_bytes(b"")
    (done,) = bench.bundle(file)
    assert (done.fate, done.found.size, done.spans, done.hash) == ("ok", 0, (), blake3(b""))


def test_a_small_file_that_grew_large_goes_back(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"small")
    file = SmallFile(0, bench.root, b"a", bench.stat("a"))
    (tmp_path / "a").write_bytes(bytes(MIB + 1))
    (done,) = bench.bundle(file)
    assert (done.fate, done.found.size) == ("changed", MIB + 1)


def test_a_vanished_file_does_not_harm_its_bundle(bench: Bench, tmp_path: Path) -> None:
    for name in "abc":
        (tmp_path / name).write_bytes(name.encode())
    files = [
        SmallFile(slot, bench.root, name.encode(), bench.stat(name))
        for slot, name in enumerate("abc")
    ]
    (tmp_path / "b").unlink()
    fates = {done.slot: done.fate for done in bench.bundle(*files)}
    assert fates == {0: "ok", 1: "vanished", 2: "ok"}


@pytest.mark.parametrize("kind", ["directory", "link", "fifo", "link above"])
def test_a_file_that_turned_into_something_else_is_gone(
    bench: Bench, tmp_path: Path, kind: str
) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "a").write_bytes(b"a")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "a").write_bytes(b"secret")
    file = SmallFile(0, bench.root, b"d/a", bench.stat("d/a"))
    (tmp_path / "d" / "a").unlink()
    if kind == "directory":
        (tmp_path / "d" / "a").mkdir()
    elif kind == "link":
        (tmp_path / "d" / "a").symlink_to("../other/a")
    elif kind == "fifo":
        os.mkfifo(tmp_path / "d" / "a")
    else:
        (tmp_path / "d").rmdir()
        (tmp_path / "d").symlink_to("other")
    (done,) = bench.bundle(file)
    assert done.fate == "vanished"
    assert bench.stored == {}


def test_a_replaced_file_is_read_as_it_is_now(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    file = SmallFile(0, bench.root, b"a", bench.stat("a"))
    (tmp_path / "new").write_bytes(b"newer")
    (tmp_path / "new").rename(tmp_path / "a")
    (done,) = bench.bundle(file)
    assert (done.fate, done.found) == ("ok", bench.stat("a"))
    assert bench.content(5, done.spans) == b"newer"


def test_an_unreadable_file_is_named_as_such(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_bytes(b"a")
    stat = bench.stat("a")

    def broken(*_: object) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "preadv", broken)
    (done,) = bench.bundle(SmallFile(0, bench.root, b"a", stat))
    assert (done.fate, done.error) == ("unreadable", "Input/output error")


def test_a_small_file_that_never_stands_still_is_torn(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"0")
    reads = 0
    real = os.preadv

    def reading(fd: int, buffers: Any, offset: int) -> int:
        nonlocal reads
        reads += offset == 0
        count = real(fd, buffers, offset)
        path.write_bytes(b"0" * (reads + 1))
        return count

    monkeypatch.setattr(os, "preadv", reading)
    (done,) = bench.small("a")
    assert (done.fate, reads, done.found.size) == ("torn", 3, 3)
    assert bench.content(3, done.spans) == b"000"
    assert done.hash == small_hash(b"000")


def test_a_large_file_is_cut_by_its_content(bench: Bench, tmp_path: Path) -> None:
    data = os.urandom(21 * MIB + 17)
    (tmp_path / "a").write_bytes(data)
    done = bench.stretch("a", whole(len(data)))
    assert done.fate == "ok"
    assert bench.content(len(data), done.spans) == data
    assert done.hash == small_hash(data)
    # The same cuts as if the whole file had been cut at once: windows leave no trace.
    assert [span.length for span in done.spans] == cut.cut_buffer(data)


@pytest.mark.parametrize("edges", [(5 * MIB,), (MIB - 1, MIB + 1), (100, 200, 4 * MIB), (7 * MIB,)])
def test_block_hashes_of_all_units_make_the_content_hash(
    bench: Bench, tmp_path: Path, edges: tuple[int, ...]
) -> None:
    data = os.urandom(7 * MIB + 123)
    (tmp_path / "a").write_bytes(data)
    bounds = [0, *edges, len(data)]
    slot = Slot(0, with_stat(_entry(), bench.stat("a")))
    for start, end in pairwise(bounds):
        pieces = tuple(
            Piece(at, min(CHUNK_MAX, end - at), 2) for at in range(start, end, CHUNK_MAX)
        )
        done = bench.stretch("a", Unit(start, end, pieces, False, ((start, end),)))
        assert done.fate == "ok"
        slot.take_blocks(done.first, done.blocks)
        slot.spans += done.spans
    assert slot.hash_from_blocks() == small_hash(data)
    assert bench.content(len(data), tuple(slot.spans)) == data
    assert set(bench.widths) == {2}


def _entry() -> Entry:
    stat = Stat(0, 0, 0, 0)
    return Entry("file", 0, b"a", 0o644, 0, 0, None, None, 0, size=0, stat=stat)


@pytest.mark.parametrize(
    "ranges",
    [
        [(3 * MIB + 5, 3 * MIB + 9)],
        [(0, 10), (9 * MIB, 9 * MIB + 10)],
        [(MIB - 3, MIB + 3), (MIB + 10, MIB + 20), (5 * MIB, 6 * MIB)],
        [(10 * MIB, 10 * MIB + 77)],
        [],
    ],
)
def test_holes_are_passed_over_and_hashed_as_zeros(
    bench: Bench, tmp_path: Path, ranges: list[tuple[int, int]]
) -> None:
    size = 10 * MIB + 77
    data = bytearray(size)
    for start, end in ranges:
        data[start:end] = os.urandom(end - start)
    (tmp_path / "a").write_bytes(data)
    unit = Unit(0, size, None, True, tuple(ranges))
    done = bench.stretch("a", unit)
    assert done.hash == small_hash(data)
    assert bench.content(size, done.spans) == data
    assert sum(span.length for span in done.spans) == sum(end - start for start, end in ranges)


def test_a_hole_of_a_tebibyte_costs_nothing(bench: Bench, tmp_path: Path) -> None:
    with (tmp_path / "a").open("wb") as file:
        file.truncate(1 << 40)
    done = bench.stretch("a", Unit(0, 1 << 40, None, True, ()))
    assert (done.fate, done.spans) == ("ok", ())
    assert len(done.hash) == 32


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


@pytest.mark.parametrize("how", ["grow", "shrink", "rewrite", "replace"])
def test_a_large_file_that_changes_is_reported(bench: Bench, tmp_path: Path, how: str) -> None:
    path = tmp_path / "a"
    path.write_bytes(os.urandom(9 * MIB))

    def disturb() -> None:
        if how == "grow":
            grow(path)
        elif how == "shrink":
            os.truncate(path, MIB)
        elif how == "rewrite":
            with path.open("r+b") as file:
                file.write(b"x")
        else:
            bench.disturb = lambda: None

    bench.disturb = disturb
    expect = bench.stat("a")
    if how == "replace":
        (tmp_path / "b").write_bytes(path.read_bytes())
        (tmp_path / "b").rename(path)
    done = bench.stretch("a", whole(9 * MIB), expect=expect)
    assert done.fate == "changed"
    # What was counted as read is taken back.
    assert bench.reader.uncounted <= 0


def test_the_last_attempt_stores_what_it_finds(bench: Bench, tmp_path: Path) -> None:
    path = tmp_path / "a"
    data = os.urandom(9 * MIB)
    path.write_bytes(data)
    expect = bench.stat("a")
    os.truncate(path, 5 * MIB)
    done = bench.stretch("a", whole(9 * MIB), lenient=True, expect=expect)
    assert done.fate == "torn"
    stored = bench.content(9 * MIB, done.spans)
    assert stored == data[: 5 * MIB] + bytes(4 * MIB)
    assert done.hash == small_hash(stored)


def test_the_last_attempt_of_a_file_that_stood_still_is_good(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(os.urandom(2 * MIB))
    assert bench.stretch("a", whole(2 * MIB), lenient=True).fate == "ok"


def test_a_large_file_that_vanished_is_reported(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(2 * MIB))
    expect = bench.stat("a")
    (tmp_path / "a").unlink()
    done = bench.stretch("a", whole(2 * MIB), expect=expect)
    assert (done.fate, done.spans) == ("vanished", ())


def test_an_entry_expects_what_the_scan_saw() -> None:
    entry = with_stat(_entry(), FileStat(1, 2, 3, 4, 5, 0o600, 7, 8))
    assert expected(entry)[:5] == (1, 2, 3, 4, 5)


def forget(path: Path) -> bool:
    """Takes a file out of the page cache; whether it is read past it then."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        return takes_direct(file.fileno()) and not is_cached(file.fileno(), 0, path.stat().st_size)


def uncached(path: Path, content: bytes) -> bytes:
    path.write_bytes(content)
    if not forget(path):
        pytest.skip("no direct reads here")
    return content


@pytest.mark.parametrize("size", [3 * PAGE, 3 * MIB + 1, 8 * MIB, 21 * MIB + 12_345])
def test_reads_what_is_in_no_cache_as_it_is(bench: Bench, tmp_path: Path, size: int) -> None:
    content = uncached(tmp_path / "file", os.urandom(size))
    done = bench.stretch("file", whole(size))
    assert done.hash == small_hash(content)
    assert bench.content(size, done.spans) == content
    assert not is_cached_file(tmp_path / "file")


def is_cached_file(path: Path) -> bool:
    with path.open("rb") as file:
        return is_cached(file.fileno(), 0, path.stat().st_size)


def test_cuts_alike_whether_or_not_it_is_in_the_cache(bench: Bench, tmp_path: Path) -> None:
    size = 30 * MIB + 777
    uncached(tmp_path / "file", os.urandom(size))
    direct = bench.stretch("file", whole(size))
    (tmp_path / "file").read_bytes()
    assert is_cached_file(tmp_path / "file")
    assert bench.stretch("file", whole(size)).spans == direct.spans


@pytest.mark.parametrize("start", [0, 8, 13, PAGE, PAGE + 8, 5 * MIB + 16])
def test_reads_pieces_at_any_offset(bench: Bench, tmp_path: Path, start: int) -> None:
    lengths = [5, CHUNK_MAX, PAGE, 3, CHUNK_MAX - 1, 2 * PAGE + 8, MIB]
    size = start + sum(lengths)
    content = uncached(tmp_path / "file", os.urandom(size))
    edges = [start]
    for length in lengths:
        edges.append(edges[-1] + length)
    pieces = tuple(Piece(at, end - at, 4) for at, end in pairwise(edges))
    done = bench.stretch("file", Unit(start, size, pieces, start == 0, ((start, size),)))
    assert bench.content(size, done.spans)[start:] == content[start:]


def test_notices_a_file_cut_short_that_is_in_no_cache(bench: Bench, tmp_path: Path) -> None:
    path = tmp_path / "file"
    uncached(path, os.urandom(20 * MIB))

    def shorten() -> None:
        os.truncate(path, 9 * MIB + 5)

    bench.disturb = shorten
    assert bench.stretch("file", whole(20 * MIB)).fate == "changed"
    done = bench.stretch("file", whole(20 * MIB), lenient=True)
    assert done.fate == "torn"


def test_takes_holes_of_what_is_in_no_cache(bench: Bench, tmp_path: Path) -> None:
    path = tmp_path / "file"
    with path.open("wb") as file:
        file.write(os.urandom(3 * MIB))
        file.seek(9 * MIB + PAGE)
        file.write(os.urandom(2 * MIB + 9))
    size = path.stat().st_size
    if not forget(path):
        pytest.skip("no direct reads here")
    ranges = ((0, 3 * MIB), (9 * MIB + PAGE, size))
    done = bench.stretch("file", whole(size, *ranges))
    assert bench.content(size, done.spans) == path.read_bytes()
    assert done.hash == small_hash(path.read_bytes())


def test_memory_that_nobody_can_look_up_counts_as_cached(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    try:
        assert is_cached(reader, 0, PAGE)
    finally:
        os.close(reader)
        os.close(writer)
