"""The golden store and a plain reader of it, for tests."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dumont_worker.entry import ChunkRecord, Entry
from dumont_worker.frame import decode_frame
from dumont_worker.index import IndexReader, PackRecord, decode_packs
from dumont_worker.native import blake3

DIRECTORY = Path(__file__).parents[2] / "test/fixtures/format-1"
STORE = DIRECTORY / "store"
SNAPSHOTS = sorted(path.stem for path in (STORE / "snapshots").iterdir())


def manifest(snapshot: str) -> dict[str, Any]:
    value: dict[str, Any] = json.loads((STORE / f"snapshots/{snapshot}.json").read_bytes())
    return value


def expected(snapshot: str) -> list[dict[str, Any]]:
    listing: list[dict[str, Any]] = json.loads((DIRECTORY / "expected.json").read_bytes())[snapshot]
    return listing


def fetch(described: dict[str, Any]) -> bytes:
    data = (STORE / described["key"]).read_bytes()
    assert hashlib.sha256(data).hexdigest() == described["sha256"]
    return data


def packs(snapshot: str) -> list[PackRecord]:
    return decode_packs(fetch(manifest(snapshot)["index"]["packs"]), snapshot)


def reader(snapshot: str) -> IndexReader:
    segments = [fetch(one) for one in manifest(snapshot)["index"]["segments"]]
    return IndexReader(segments, snapshot, packs(snapshot))


def records(snapshot: str) -> list[ChunkRecord]:
    return [line[1] for line in reader(snapshot) if not isinstance(line, Entry)]


def contents(snapshot: str) -> Iterator[tuple[Entry, bytes]]:
    pack_bytes = [(STORE / pack.key).read_bytes() for pack in packs(snapshot)]
    chunks: list[bytes] = []
    for line in reader(snapshot):
        if not isinstance(line, Entry):
            record = line[1]
            frame = pack_bytes[record.pack][record.at : record.at + record.stored]
            base = {blake3(chunks[record.base[1]]): chunks[record.base[1]]} if record.base else {}
            what = (record.hash, record.raw, record.frame)
            chunks.append(bytes(decode_frame(frame, *what, find_base=base.__getitem__)))
            continue
        content = bytearray(line.size)
        for e in line.extents:
            content[e.offset : e.offset + e.length] = chunks[e.chunk][e.at : e.at + e.length]
        yield line, bytes(content)
