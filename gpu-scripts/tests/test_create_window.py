"""From scan to index.

Order, hard links whose first member is lost, files that change, answers that come late.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dumont_worker.chunk_table import ChunkTable
from dumont_worker.create_messages import (
    Bundle,
    Chunk,
    SmallDone,
    Span,
    Stretch,
    StretchDone,
)
from dumont_worker.create_source import Helpers, UnitSource, expected
from dumont_worker.create_window import Slot, Window
from dumont_worker.entry import Entry
from dumont_worker.index import IndexReader, IndexWriter
from dumont_worker.native import blake3
from dumont_worker.roots import resolve_roots
from dumont_worker.rules import Rules
from dumont_worker.scan import Scan

SNAPSHOT = "20261123T140200Z-k3f7qz"
MIB = 1 << 20


class Listener:
    def __init__(self) -> None:
        self.told: list[tuple[str, bytes]] = []

    def warn(self, code: str, path: bytes, message: str) -> None:
        self.told.append((code, os.path.basename(path)))

    def note(self, code: str, path: bytes) -> None:
        pass


class Line:
    """The coordinator's pipeline with the test in the engines' place."""

    def __init__(self, root: Path, parent: Any = None) -> None:
        self.listener = Listener()
        self.segments: list[bytes] = []
        self.writer = IndexWriter(SNAPSHOT, 0, lambda _, data: self.segments.append(data))
        self.table = ChunkTable(self.writer, parent)
        self.window = Window(self.table, self.writer)
        roots = resolve_roots([os.fsencode(root)])
        scan = Scan(roots, Rules(), self.listener)
        self.on_admit = lambda: None
        helpers = Helpers(lambda _: bool(self.on_admit()), scan.starts_group, self.listener.warn)
        self.source = UnitSource(iter(scan), roots, self.window, helpers)

    def units(self) -> Iterator[Bundle | Stretch]:
        while (unit := self.source.next()) is not None:
            yield unit

    def write(self) -> None:
        for slot in self.window.write_ready():
            if not slot.ready:
                self.source.read(slot)

    def answer(self, unit: Bundle | Stretch, **fates: Any) -> None:
        """Answers a unit as an engine would; `fates` by file name."""
        if isinstance(unit, Bundle):
            for file in unit.files:
                fate = fates.get(file.path.decode(), "ok")
                raw_hash = self.stored(file.path, file.expect.size)
                spans = (Span(0, raw_hash, 0, file.expect.size),)
                done = SmallDone(file.slot, fate, file.expect, blake3(file.path), spans, "why")
                self.source.finish_small(done)
        else:
            self.source.finish_stretch(self.stretch_done(unit, fates.get("fate", "ok")))

    def stretch_done(self, unit: Stretch, fate: Any) -> StretchDone:
        span = unit.span
        raw_hash = self.stored(b"%d-%d" % (unit.unit, span.start), span.end - span.start)
        spans = (Span(span.start, raw_hash, 0, span.end - span.start),)
        blocks = b"b" * 32 * -(-(span.end - span.start) // MIB)
        whole = b"w" * 32 if span.whole else b""
        first = span.start // MIB
        return StretchDone(
            unit.unit, unit.slot, unit.generation, fate, first, blocks, spans, (), whole, "why"
        )

    def stored(self, name: bytes, length: int) -> bytes:
        raw_hash = blake3(name)
        chunk = Chunk(raw_hash, min(length, 4 * MIB), 0, 0, 57, b"f" * 32, "none", "none")
        self.table.locate("own", 0, [chunk])
        return raw_hash

    def index(self) -> dict[bytes, Entry]:
        self.writer.close()
        lines = [line for line in IndexReader(self.segments, SNAPSHOT) if isinstance(line, Entry)]
        return {entry.path: entry for entry in lines}


def test_entries_are_written_in_path_order_whatever_comes_first(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(2 * MIB))
    (tmp_path / "b").write_bytes(b"b")
    line = Line(tmp_path)
    large, small = line.units()
    line.answer(small)
    line.write()
    assert len(line.window) == 2
    line.answer(large)
    line.write()
    assert len(line.window) == 0
    assert list(line.index()) == [b"", b"a", b"b"]


def test_an_entry_waits_for_a_chunk_that_another_unit_stores(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a")
    line = Line(tmp_path)
    (unit,) = line.units()
    assert isinstance(unit, Bundle)
    late = blake3(b"late")
    assert line.table.claim(late)
    assert not line.table.claim(late)
    file = unit.files[0]
    done = SmallDone(file.slot, "ok", file.expect, blake3(b"a"), (Span(0, late, 0, 1),), "")
    line.source.finish_small(done)
    line.write()
    assert len(line.window) == 1
    line.stored(b"late", 1)
    line.write()
    assert len(line.window) == 0


def test_a_link_whose_first_member_is_lost_becomes_the_first(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"linked")
    for name in ("b", "c"):
        os.link(tmp_path / "a", tmp_path / name)
    line = Line(tmp_path)
    (unit,) = line.units()
    line.answer(unit, a="vanished")
    line.write()
    assert line.source.is_eager
    (again,) = line.units()
    assert isinstance(again, Bundle)
    assert [file.path for file in again.files] == [b"b"]
    line.answer(again)
    line.write()
    index = line.index()
    assert list(index) == [b"", b"b", b"c"]
    assert index[b"b"].link is None
    assert index[b"c"].link == (0, b"b")
    assert line.listener.told == [("vanished", b"a")]


def test_a_large_file_is_read_three_times_at_most(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(2 * MIB))
    line = Line(tmp_path)
    leniency = []
    for _ in range(2):
        (unit,) = line.units()
        assert isinstance(unit, Stretch)
        leniency.append(unit.lenient)
        line.answer(unit, fate="changed")
    (unit,) = line.units()
    assert isinstance(unit, Stretch)
    assert [*leniency, unit.lenient] == [False, False, True]
    line.answer(unit, fate="torn")
    line.write()
    assert line.index()[b"a"].torn
    assert line.listener.told == [("torn", b"a")]


def test_a_file_that_changed_is_described_as_it_was_read(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(bytes(2 * MIB))
    line = Line(tmp_path)
    (unit,) = line.units()
    path.write_bytes(bytes(3 * MIB))
    line.answer(unit, fate="changed")
    (again,) = line.units()
    assert isinstance(again, Stretch)
    assert (again.expect.size, again.span.end) == (3 * MIB, 3 * MIB)
    line.answer(again)
    line.write()
    assert line.index()[b"a"].size == 3 * MIB
    assert line.source.seen[1] == 3 * MIB


def test_answers_for_a_file_that_is_lost_already_are_ignored(tmp_path: Path) -> None:
    with (tmp_path / "a").open("wb") as file:
        for _ in range(65):
            file.write(os.urandom(4 * MIB))
    (tmp_path / "b").write_bytes(b"b")
    line = Line(tmp_path)
    first, second, small = line.units()
    assert isinstance(second, Stretch)
    line.answer(first, fate="vanished")
    line.answer(small)
    line.write()
    assert len(line.window) == 0
    line.answer(second)
    assert list(line.index()) == [b"", b"b"]
    assert line.source.wasted > 0


def test_answers_of_an_earlier_attempt_are_ignored(tmp_path: Path) -> None:
    with (tmp_path / "a").open("wb") as file:
        for _ in range(65):
            file.write(os.urandom(4 * MIB))
    line = Line(tmp_path)
    first, second = line.units()
    line.answer(first, fate="changed")
    third, fourth = line.units()
    line.answer(second)
    line.answer(third)
    line.write()
    assert len(line.window) == 1
    line.answer(fourth)
    line.write()
    assert len(line.window) == 0


def test_a_file_that_is_gone_when_its_turn_comes_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(2 * MIB))
    line = Line(tmp_path)
    line.on_admit = (tmp_path / "a").unlink
    assert list(line.units()) == []
    line.write()
    assert list(line.index()) == [b""]
    assert line.listener.told == [("vanished", b"a")]


def test_the_window_is_bounded_and_what_fills_it_is_handed_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dumont_worker.create_source.WINDOW_MOST", 10)
    for number in range(30):
        (tmp_path / f"f{number:02}").write_bytes(b"x")
    line = Line(tmp_path)
    turns = 0
    while not (line.source.exhausted and not len(line.window)):
        units = list(line.units())
        assert len(line.window) <= 10
        for unit in units:
            line.answer(unit)
        line.write()
        turns += 1
        assert turns < 20
    assert len(line.index()) == 31


def test_every_slot_expects_its_own_stat(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a")
    found = os.stat(tmp_path / "a")
    line = Line(tmp_path)
    (unit,) = line.units()
    assert isinstance(unit, Bundle)
    slot: Slot = line.window[unit.files[0].slot]
    assert expected(slot.entry)[:3] == (found.st_dev, found.st_ino, 1)
