"""The golden store that is sealed holds what the open one does."""

import hashlib
import json
from base64 import b64decode
from typing import Any

import golden
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sealing import KINDS, Keys

from dumont_worker.entry import Entry
from dumont_worker.errors import WorkerError
from dumont_worker.frame import decode_frame
from dumont_worker.index import IndexReader, PackRecord, decode_packs
from dumont_worker.native import blake3
from dumont_worker.seal import Kind, ObjectSeal, open_whole, opener

DIRECTORY = golden.DIRECTORY.with_name("format-1-sealed")
STORE = DIRECTORY / "store"
SNAPSHOTS = pytest.mark.parametrize("snapshot", golden.SNAPSHOTS)


@pytest.fixture
def keys() -> Keys:
    about = json.loads((STORE / "dumont.json").read_bytes())
    master = json.loads((DIRECTORY / "keys.json").read_bytes())["master"]
    keys = Keys(about["id"])
    keys.masters = {bytes.fromhex(master["id"]): b64decode(master["key"])}
    return keys


def seal_of(keys: Keys, kind: Kind, seal: str) -> ObjectSeal:
    told = keys.of_object(kind, b64decode(seal))
    return ObjectSeal(b64decode(told["header"]), b64decode(told["secret"]))


def manifest(keys: Keys, snapshot: str) -> dict[str, Any]:
    place = f"snapshots/{snapshot}.json"
    stored = b64decode(json.loads((STORE / place).read_bytes())["sealed"])
    KINDS["manifest"] = 4
    told = keys.of_object("manifest", stored[24:96])
    header = b64decode(told["header"])
    assert header == stored[:128]
    nonce = (128).to_bytes(12, "little")
    plain = AESGCM(b64decode(told["secret"])).decrypt(nonce, stored[128:], header + place.encode())
    value: dict[str, Any] = json.loads(plain)
    return value


def fetch(keys: Keys, kind: Kind, described: dict[str, Any]) -> bytes:
    data = (STORE / described["key"]).read_bytes()
    assert len(data) == described["length"]
    assert hashlib.sha256(data).hexdigest() == described["sha256"]
    return open_whole(seal_of(keys, kind, described["seal"]), kind, data)


def listed(keys: Keys, snapshot: str) -> tuple[list[PackRecord], IndexReader]:
    index = manifest(keys, snapshot)["index"]
    packs = decode_packs(fetch(keys, "packs", index["packs"]), snapshot, True)
    segments = [fetch(keys, "segment", one) for one in index["segments"]]
    return packs, IndexReader(segments, snapshot, packs)


@SNAPSHOTS
def test_every_file_comes_back_as_from_the_open_store(keys: Keys, snapshot: str) -> None:
    packs, reader = listed(keys, snapshot)
    chunks: list[bytes] = []
    found = []
    for line in reader:
        if isinstance(line, Entry):
            content = bytearray(line.size)
            for e in line.extents:
                content[e.offset : e.offset + e.length] = chunks[e.chunk][e.at : e.at + e.length]
            found.append(hashlib.sha256(content).hexdigest() if line.kind == "file" else None)
            continue
        record = line[1]
        pack = packs[record.pack]
        assert pack.seal is not None
        opened = opener(seal_of(keys, "pack", pack.seal), "pack")
        stored = (STORE / pack.key).read_bytes()[record.at : record.at + record.stored]
        base = {blake3(chunks[record.base[1]]): chunks[record.base[1]]} if record.base else {}
        raw = decode_frame(
            stored,
            record.hash,
            record.raw,
            record.frame,
            find_base=base.__getitem__,
            unseal=lambda data, opened=opened, at=record.at: opened.open(at, data),
        )
        chunks.append(bytes(raw))
    assert found == [entry["sha256"] for entry in golden.expected(snapshot)]


@SNAPSHOTS
def test_its_tree_is_that_of_the_open_store(keys: Keys, snapshot: str) -> None:
    _, reader = listed(keys, snapshot)
    list(reader)
    assert reader.summary().merkle == golden.manifest(snapshot)["index"]["merkle"]


def test_an_object_is_none_of_another_kind_or_place(keys: Keys) -> None:
    index = manifest(keys, golden.SNAPSHOTS[0])["index"]
    seal = seal_of(keys, "segment", index["segments"][0]["seal"])
    data = (STORE / index["segments"][1]["key"]).read_bytes()
    with pytest.raises(WorkerError, match="another seal"):
        open_whole(seal, "segment", data)
    with pytest.raises(WorkerError, match="another kind"):
        opener(seal, "pack")
