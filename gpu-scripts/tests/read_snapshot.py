"""Reads a snapshot back from the fake store and compares it with the tree it was taken of."""

import hashlib
import os
import stat
from pathlib import Path
from typing import Any

from fake_operator import FakeStore

from dumont_worker.entry import ChunkRecord, Entry
from dumont_worker.frame import decode_frame
from dumont_worker.index import IndexReader, PackRecord, decode_packs


class Snapshot:
    """A snapshot's entries and chunks, every check of the format done."""

    def __init__(self, store: FakeStore, result: dict[str, Any], snapshot: str) -> None:
        self.store = store
        self.result = result
        index = result["index"]
        listed, sealed = self._object(index["packs"]), "seal" in index["packs"]
        self.packs: list[PackRecord] = decode_packs(listed, snapshot, sealed)
        segments = [self._object(segment) for segment in index["segments"]]
        reader = IndexReader(segments, snapshot, self.packs)
        self.chunks: list[ChunkRecord] = []
        self.entries: list[Entry] = []
        for line in reader:
            if isinstance(line, Entry):
                self.entries.append(line)
            else:
                self.chunks.append(line[1])
        summary = reader.summary()
        assert summary.entries == index["entries"] == len(self.entries)
        assert summary.chunks == index["chunks"] == len(self.chunks)
        assert summary.merkle == index["merkle"]
        assert list(summary.decoders) == result["decoders"]
        for pack in self.packs:
            assert store.holds(
                pack.key,
                {"length": pack.length, "pin": {"kind": pack.pin_kind, "value": pack.pin_value}},
            )
        self._decoded: dict[int, bytes] = {}

    def by_path(self) -> dict[bytes, Entry]:
        return {entry.path: entry for entry in self.entries}

    def content(self, entry: Entry) -> bytes:
        content = bytearray(entry.size)
        for extent in entry.extents:
            raw = self._chunk(extent.chunk)
            content[extent.offset : extent.offset + extent.length] = raw[
                extent.at : extent.at + extent.length
            ]
        return bytes(content)

    def _chunk(self, number: int) -> bytes:
        if number not in self._decoded:
            record = self.chunks[number]
            pack = self.store.objects[self.packs[record.pack].key]
            frame = pack[record.at : record.at + record.stored]
            what = (record.hash, record.raw, record.frame)
            base = record.base
            # Depth 1: a base is never a difference itself.
            assert base is None or self.chunks[base[1]].base is None
            whole = self._chunk(base[1]) if base is not None else b""
            listed = self.packs[record.pack]
            unseal = self.store.unseal(listed.key, listed.seal, record.at)
            raw = decode_frame(frame, *what, find_base=lambda _: whole, unseal=unseal)
            self._decoded[number] = bytes(raw)
        return self._decoded[number]

    def _object(self, ref: dict[str, Any]) -> bytes:
        data = self.store.objects[ref["key"]]
        assert len(data) == ref["length"]
        assert hashlib.sha256(data).hexdigest() == ref["sha256"]
        return self.store.plain(ref)


def assert_same(snapshot: Snapshot, root: Path, number: int = 0) -> None:
    """The snapshot's entries of a root are exactly what lies there."""
    entries = {entry.path: entry for entry in snapshot.entries if entry.root == number}
    found = {b"": root}
    if root.is_dir():
        base = os.fsencode(root)
        for directory, dirs, files in os.walk(base):
            for name in dirs + files:
                path = os.path.join(directory, name)
                found[os.path.relpath(path, base)] = Path(os.fsdecode(path))
    assert sorted(entries) == sorted(found)
    for path, where in found.items():
        _assert_same_entry(snapshot, entries[path], where)


def _assert_same_entry(snapshot: Snapshot, entry: Entry, where: Path) -> None:
    there = os.lstat(where)
    assert entry.mode == stat.S_IMODE(there.st_mode)
    assert entry.mtime == there.st_mtime_ns, where
    if stat.S_ISREG(there.st_mode):
        assert entry.size == there.st_size
        assert snapshot.content(entry) == where.read_bytes(), where
    elif stat.S_ISLNK(there.st_mode):
        assert entry.target == os.readlink(os.fsencode(where))


def content_of(snapshot: Snapshot, path: bytes) -> bytes:
    return snapshot.content(snapshot.by_path()[path])
