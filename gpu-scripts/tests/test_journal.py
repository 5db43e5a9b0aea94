"""The journal: what survives an interruption, what is never believed, and who may hold it."""

import os
import time
import zlib
from pathlib import Path

import pytest

from dumont_worker.box import PrivateDir
from dumont_worker.create_messages import Chunk, Span, StoredPack
from dumont_worker.entry import Entry, Stat
from dumont_worker.errors import WorkerError
from dumont_worker.journal import Journal, open_journal

RUN = "20261123T140200Z-k3f7qz"
LATER = "20261123T150000Z-a2b3c4"
HOUR = 3600 * 10**9
NOW = 1_800_000_000 * 10**9

PACK = StoredPack(
    0,
    f"packs/{RUN}/3-0-0",
    1000,
    "crc32",
    "OuWuBA==",
    (Chunk(b"r" * 32, 4096, 0, 56, 500, b"f" * 32, "planes2", "zstd"),),
)
SPANS = [Span(0, b"r" * 32, 5, 7)]
CONTENT = b"c" * 32


def entry(path: bytes = b"dir/a\xff", changed: int = NOW - HOUR) -> Entry:
    stat = Stat(changed, 11, 12, 13)
    return Entry("file", 0, path, 0o644, 0, 0, b"root", None, changed, size=7, stat=stat)


@pytest.fixture
def path(tmp_path: Path) -> bytes:
    return os.fsencode(tmp_path / "journal")


def written(path: bytes) -> None:
    """A run that was interrupted after one pack and one file."""
    journal = Journal(path)
    journal.load(None)
    journal.start(RUN, NOW)
    journal.add_pack(PACK)
    journal.add_file(entry(), CONTENT, SPANS)
    journal.close()


def loaded(path: bytes, parent: str | None = None) -> Journal:
    journal = Journal(path)
    journal.load(parent)
    return journal


def test_packs_and_files_are_there_again(path: bytes) -> None:
    written(path)
    journal = loaded(path)
    assert journal.packs == [PACK]
    assert journal.find(entry()) == (CONTENT, SPANS)
    journal.close()


def test_two_runs_add_up(path: bytes) -> None:
    written(path)
    journal = loaded(path)
    journal.start(LATER, NOW + HOUR)
    journal.add_pack(PACK._replace(key=f"packs/{LATER}/0-0-0"))
    journal.add_file(entry(b"b"), CONTENT, SPANS)
    journal.close()
    journal = loaded(path)
    assert [pack.key.split("/")[1] for pack in journal.packs] == [RUN, LATER]
    assert [pack.pack for pack in journal.packs] == [0, 1]
    assert {chunk.pack for chunk in journal.packs[1].chunks} == {1}
    assert journal.find(entry()) is not None
    assert journal.find(entry(b"b")) is not None
    journal.close()


@pytest.mark.parametrize(
    "other",
    [
        entry()._replace(size=8),
        entry()._replace(mtime=NOW - HOUR + 1),
        entry()._replace(stat=Stat(NOW - HOUR + 1, 11, 12, 13)),
        entry()._replace(stat=Stat(NOW - HOUR, 99, 12, 13)),
        entry()._replace(root=1),
        entry()._replace(path=b"dir/other"),
    ],
)
def test_a_file_that_is_not_the_same_is_not_known(path: bytes, other: Entry) -> None:
    written(path)
    journal = loaded(path)
    assert journal.find(other) is None
    journal.close()


def test_a_file_that_was_not_quiet_is_read_again(path: bytes) -> None:
    journal = loaded(path)
    journal.start(RUN, NOW)
    fresh = entry(changed=NOW - 59 * 10**9)
    journal.add_file(fresh, CONTENT, SPANS)
    journal.close()
    journal = loaded(path)
    assert journal.find(fresh) is None
    journal.close()


@pytest.mark.parametrize("lost", range(1, 40, 3))
def test_a_torn_tail_costs_its_line_only(path: bytes, lost: int) -> None:
    written(path)
    os.truncate(path, os.path.getsize(path) - lost)
    journal = loaded(path)
    assert journal.packs == [PACK]
    assert journal.find(entry()) is None
    journal.start(LATER, NOW + HOUR)
    journal.add_file(entry(), CONTENT, SPANS)
    journal.close()
    journal = loaded(path)
    assert journal.find(entry()) == (CONTENT, SPANS)
    journal.close()


def test_nothing_behind_a_damaged_line_is_believed(path: bytes) -> None:
    written(path)
    with open(path, "r+b") as file:
        data = bytearray(file.read())
        data[data.index(b"crc32")] ^= 1
        file.seek(0)
        file.write(data)
    journal = loaded(path)
    assert journal.packs == []
    assert journal.find(entry()) is None
    journal.close()


RUN_LINE = b'{"run":"20261123T140200Z-k3f7qz","scannedAt":"5"}'


@pytest.mark.parametrize(
    "lines",
    [
        [b"{"],
        [b"[" * 100_000],
        [b"\xff"],
        [b'{"key":"packs/a/0-0-0","length":5,"pin":["crc32","OuWuBA=="],"chunks":[]}'],
        [RUN_LINE, b'{"key":"packs/a/0-0-0","length":-5,"pin":["crc32","OuWuBA=="],"chunks":[]}'],
        [RUN_LINE, b'{"key":7,"length":5,"pin":["crc32","OuWuBA=="],"chunks":[]}'],
        [RUN_LINE, b'{"file":[0,"a"]}'],
        [RUN_LINE, b'{"file":[0,"a"],"stat":[1e999,"5","5","1","2","3"]}'],
        [RUN_LINE, b'{"file":[[],"a"]}'],
        [b'{"file":[0,"a"]}'],
    ],
)
def test_a_whole_line_that_lies_is_not_believed_either(path: bytes, lines: list[bytes]) -> None:
    with open(path, "wb") as file:
        file.writelines(b"%08x %s\n" % (zlib.crc32(line), line) for line in lines)
    journal = loaded(path)
    assert journal.packs == []
    assert journal.find(entry(b"a")) is None
    journal.close()


@pytest.mark.parametrize(
    ("parent", "kept"),
    [(None, True), ("20261122T140200Z-k3f7qz", True), (RUN, False), (LATER, False)],
)
def test_a_committed_snapshot_ends_its_journal(path: bytes, parent: str | None, kept: bool) -> None:
    written(path)
    journal = loaded(path, parent)
    assert bool(journal.packs) is kept
    assert (journal.find(entry()) is not None) is kept
    journal.close()


def test_only_one_run_holds_a_journal(tmp_path: Path) -> None:
    private = PrivateDir(os.fsencode(tmp_path))
    held = open_journal(private, "r" * 32, "l" * 32, [b"/a"])
    with pytest.raises(WorkerError) as failure:
        open_journal(private, "r" * 32, "l" * 32, [b"/a"])
    assert failure.value.code == "LOCKED"
    other = open_journal(private, "r" * 32, "l" * 32, [b"/a", b"/b"])
    other.close()
    held.close()
    open_journal(private, "r" * 32, "l" * 32, [b"/a"]).close()


def test_journals_left_for_two_weeks_are_removed(tmp_path: Path) -> None:
    private = PrivateDir(os.fsencode(tmp_path))
    held = open_journal(private, "r" * 32, "l" * 32, [b"/held"])
    open_journal(private, "r" * 32, "l" * 32, [b"/old"]).close()
    open_journal(private, "r" * 32, "l" * 32, [b"/fresh"]).close()
    journals = sorted((tmp_path / "journal").iterdir(), key=lambda path: path.stat().st_mtime_ns)
    ago = time.time() - 15 * 24 * 3600
    for journal in journals[:2]:
        os.utime(journal, (ago, ago))
    open_journal(private, "r" * 32, "l" * 32, [b"/new"]).close()
    left = set((tmp_path / "journal").iterdir())
    assert journals[0] in left, "held by a run"
    assert journals[1] not in left
    assert journals[2] in left
    held.close()


def test_a_journal_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (tmp_path / "journal").symlink_to(victim)
    with pytest.raises(OSError, match="symbolic link"):
        Journal(os.fsencode(tmp_path / "journal"))
    assert victim.read_text() == "mine"
