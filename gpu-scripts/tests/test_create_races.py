"""What happens to the workspace between scan and reading."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dumont_worker.base_reader import Bases
from dumont_worker.chunk_table import ChunkTable
from dumont_worker.create_messages import BundleDone, Chunk, Span, StretchDone
from dumont_worker.create_source import Helpers, UnitSource
from dumont_worker.create_window import Window
from dumont_worker.entry import Entry
from dumont_worker.index import IndexReader, IndexWriter
from dumont_worker.native import blake3
from dumont_worker.roots import resolve_roots
from dumont_worker.rules import Rules
from dumont_worker.scan import Scan
from dumont_worker.unit_reader import UnitReader

SNAPSHOT = "20261123T140200Z-k3f7qz"
SMALL, LARGE = 1000, (1 << 20) + 5


class Ignorant:
    """The coordinator, as an engine sees it: no content is known yet."""

    def known(self, contents: list[tuple[int, bytes]]) -> list[None]:
        return [None for _ in contents]


class Create:
    """A create in one thread, which a test can hold up between scan and reading."""

    def __init__(self, root: Path) -> None:
        self.told: list[tuple[str, bytes]] = []
        self.chunks: dict[bytes, bytes] = {}
        self.segments: list[bytes] = []
        self.writer = IndexWriter(SNAPSHOT, 0, lambda _, data: self.segments.append(data))
        self.table = ChunkTable(self.writer, None)
        self.window = Window(self.table, self.writer)
        roots = resolve_roots([os.fsencode(root)])
        scan = Scan(roots, Rules(), self)
        helpers = Helpers(lambda _: False, scan.starts_group, self.warn)
        self.source = UnitSource(iter(scan), roots, self.window, helpers)
        desk: Any = Ignorant()
        self.reader = UnitReader(desk, self.store)

    def warn(self, code: str, path: bytes, message: str) -> None:
        self.told.append((code, os.path.basename(path)))

    def note(self, code: str, path: bytes) -> None:
        pass

    def store(self, data: memoryview, width: int | None, _bases: Bases | None = None) -> bytes:
        raw_hash = blake3(data)
        self.chunks[raw_hash] = bytes(data)
        chunk = Chunk(raw_hash, len(data), 0, 0, len(data) + 56, b"f" * 32, "none", "none")
        self.table.locate("own", 0, [chunk])
        return raw_hash

    def run(self, before_reading: Callable[[], None]) -> dict[bytes, Entry]:
        """All of it; `before_reading` happens when everything was scanned and nothing read."""
        units = self._units()
        before_reading()
        while units or len(self.window):
            for unit in units:
                done = self.reader.read(unit)
                if isinstance(done, BundleDone):
                    for file in done.files:
                        self.source.finish_small(file)
                else:
                    assert isinstance(done, StretchDone)
                    self.source.finish_stretch(done)
            for slot in self.window.write_ready():
                if not slot.ready:
                    self.source.read(slot)
            units = self._units()
        self.writer.close()
        lines = [line for line in IndexReader(self.segments, SNAPSHOT) if isinstance(line, Entry)]
        return {entry.path: entry for entry in lines}

    def content(self, entry: Entry) -> bytes:
        spans = [Span(e.offset, b"", e.at, e.length) for e in entry.extents]
        whole = bytearray(entry.size)
        hashes = self.table._hashes
        for extent, span in zip(entry.extents, spans, strict=True):
            data = self.chunks[bytes(hashes[extent.chunk * 32 : extent.chunk * 32 + 32])]
            whole[span.offset : span.offset + span.length] = data[span.at : span.at + span.length]
        return bytes(whole)

    def _units(self) -> list[Any]:
        units = []
        while (unit := self.source.next()) is not None or not self.source.exhausted:
            units += [] if unit is None else [unit]
        return units


def replaced(path: Path, content: bytes) -> None:
    """As editors and trainers save: a new file takes the name of the old one."""
    fresh = path.with_name(".fresh")
    fresh.write_bytes(content)
    os.replace(fresh, path)


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_a_link_keeps_its_content_when_the_first_member_was_replaced(
    tmp_path: Path, size: int
) -> None:
    old, new = b"o" * size, b"n" * size
    (tmp_path / "latest").write_bytes(old)
    os.link(tmp_path / "latest", tmp_path / "step-1")
    os.link(tmp_path / "latest", tmp_path / "step-2")
    create = Create(tmp_path)

    index = create.run(lambda: replaced(tmp_path / "latest", new))

    assert create.content(index[b"latest"]) == new
    assert create.content(index[b"step-1"]) == old
    assert create.content(index[b"step-2"]) == old
    assert index[b"step-1"].link is None
    assert index[b"step-2"].link == (0, b"step-1")


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_a_file_that_was_replaced_has_the_owner_of_the_new_one(tmp_path: Path, size: int) -> None:
    (tmp_path / "a").write_bytes(b"o" * size)
    create = Create(tmp_path)
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")

    def replace() -> None:
        replaced(tmp_path / "a", b"n" * size)
        os.chown(tmp_path / "a", 1234, 4321)

    entry = create.run(replace)[b"a"]

    assert create.content(entry) == b"n" * size
    assert (entry.uid, entry.gid) == (1234, 4321)


@pytest.mark.parametrize("emptied", [0, SMALL])
def test_a_large_file_that_was_cut_short_is_saved_as_it_is(tmp_path: Path, emptied: int) -> None:
    (tmp_path / "a").write_bytes(b"o" * 3 * LARGE)
    create = Create(tmp_path)

    entry = create.run(lambda: os.truncate(tmp_path / "a", emptied))[b"a"]

    assert create.content(entry) == b"o" * emptied
    assert not entry.torn
