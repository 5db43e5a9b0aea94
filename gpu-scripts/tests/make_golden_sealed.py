"""Makes test/fixtures/format-1-sealed of format-1, by docs/format.md section 8. Run once, by hand.

Usage, from gpu-scripts: python tests/make_golden_sealed.py DIRECTORY (which must not exist yet).
"""

import gzip
import hashlib
import json
import sys
import zlib
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import golden
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from make_seal_vectors import (
    MASTER,
    MASTER_ID,
    REPOSITORY,
    RUN_SALT,
    RUN_SECRET,
    b64,
    fixed,
    hkdf,
    secret_text,
    slot,
)

from dumont_worker.native import blake3

Json = dict[str, Any]
HEADER = 128
TAG = 16


def seal(kind: int, key: str, plains: list[bytes], place: str = "") -> tuple[bytes, list[int]]:
    """One sealed object and where its records begin; every object has a salt of its own."""
    salt = fixed(f"golden {key}", 32)
    derived = hkdf(RUN_SECRET, salt, b"dumont object 1" + bytes([kind]), 64)
    start = b"dmtS" + bytes([1, kind, 0, 0]) + REPOSITORY + MASTER_ID + RUN_SALT
    header = start + salt + derived[32:]
    stored, places = header, []
    for plain in plains:
        places.append(len(stored))
        nonce = len(stored).to_bytes(12, "little")
        stored += AESGCM(derived[:32]).encrypt(nonce, plain, header + place.encode())
    return stored, places


def lines_of(key: str) -> list[Json]:
    text = gzip.decompress((golden.STORE / key).read_bytes()).decode()
    return [json.loads(line) for line in text.splitlines()]


def gzipped(lines: list[Json]) -> bytes:
    text = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)
    return gzip.compress(text.encode(), mtime=0)


class Sealing:
    """Seals one snapshot after the other, those that are leant on first."""

    def __init__(self, directory: Path) -> None:
        self.store = directory / "store"
        self.packs: dict[str, Json] = {}
        self.chunks: dict[tuple[str, int], tuple[int, int, str]] = {}
        self.digests: dict[str, str] = {}

    def put(self, key: str, data: bytes) -> None:
        path = self.store / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def pack(self, key: str) -> None:
        """Seals every frame that any snapshot names; together they are the whole pack."""
        frames = sorted(
            {
                (line["at"], line["stored"])
                for snapshot in golden.SNAPSHOTS
                for line in self._chunk_lines(snapshot, key)
            }
        )
        data = (golden.STORE / key).read_bytes()
        assert sum(stored for _, stored in frames) == len(data)
        stored, places = seal(1, key, [data[at : at + length] for at, length in frames])
        for (at, length), place in zip(frames, places, strict=True):
            record = stored[place : place + length + TAG]
            self.chunks[key, at] = (place, len(record), blake3(record).hex())
        pin = {"kind": "crc32", "value": b64(zlib.crc32(stored).to_bytes(4, "big"))}
        self.packs[key] = {"length": len(stored), "pin": pin, "seal": b64(stored[24:96])}
        self.put(key, stored)

    def snapshot(self, snapshot: str) -> None:
        manifest = golden.manifest(snapshot)
        index = manifest["index"]
        listed = lines_of(index["packs"]["key"])
        for line in listed[1:]:
            if line["key"] not in self.packs:
                self.pack(line["key"])
            line.update(self.packs[line["key"]])
        keys = [line["key"] for line in listed[1:]]
        self._index_object(3, index["packs"], listed)
        for segment in index["segments"]:
            lines = lines_of(segment["key"])
            for line in lines:
                if "chunk" in line:
                    at, stored, frame = self.chunks[keys[line["pack"]], line["at"]]
                    line.update({"at": at, "stored": stored, "frame": frame})
            self._index_object(2, segment, lines)
        self._count(manifest, keys)
        if manifest["parent"] is not None:
            manifest["parent"]["sha256"] = self.digests[manifest["parent"]["id"]]
        plain = json.dumps(manifest, separators=(",", ":")).encode()
        self.digests[snapshot] = hashlib.sha256(plain).hexdigest()
        place = f"snapshots/{snapshot}.json"
        closed = b64(seal(4, place, [plain], place)[0])
        stored = json.dumps({"format": 1, "sealed": closed}, separators=(",", ":")) + "\n"
        self.put(place, stored.encode())

    def _chunk_lines(self, snapshot: str, pack: str) -> list[Json]:
        index = golden.manifest(snapshot)["index"]
        keys = [line["key"] for line in lines_of(index["packs"]["key"])[1:]]
        lines = [line for one in index["segments"] for line in lines_of(one["key"])]
        return [line for line in lines if "chunk" in line and keys[line["pack"]] == pack]

    def _index_object(self, kind: int, described: Json, lines: list[Json]) -> None:
        stored, _ = seal(kind, described["key"], [gzipped(lines)])
        described["length"] = len(stored)
        described["sha256"] = hashlib.sha256(stored).hexdigest()
        described["seal"] = b64(stored[24:96])
        self.put(described["key"], stored)

    def _count(self, manifest: Json, keys: list[str]) -> None:
        """Every record is longer than its frame by a tag, every pack by a header besides."""
        told = manifest["bytes"]
        own = f"packs/{manifest['id']}/"
        told["stored"] = sum(self.packs[key]["length"] for key in keys if key.startswith(own))
        told["all"] += TAG * manifest["index"]["chunks"]
        for key in keys:
            for line in self._chunk_lines(manifest["id"], key):
                delta = line.get("delta")
                coded = f"{line['transform']}/{line['codec']}"
                counted = told["codecs"].get(f"{delta['op']}/{coded}" if delta else coded)
                if counted:
                    counted["stored"] += TAG
                if delta and key.startswith(own):
                    told["delta"]["stored"] += TAG
                    told["delta"]["alone"] += TAG


def main(directory: Path) -> None:
    """Writes the store, and what opens it."""
    directory.mkdir()
    sealing = Sealing(directory)
    for snapshot in golden.SNAPSHOTS:
        sealing.snapshot(snapshot)
    plain = json.loads((golden.STORE / "dumont.json").read_bytes())
    about = {**plain, "id": REPOSITORY.hex(), "protection": "sealed"}
    sealing.put("dumont.json", json.dumps(about).encode())
    secret, passphrase = fixed("secret", 32), "office A \u00e9"
    slots = [
        slot("passphrase", passphrase.encode(), {"name": "scrypt"}),
        slot("file", secret, {"name": "hkdf-sha256"}),
        slot("recovery", secret, {"name": "hkdf-sha256"}),
    ]
    for one in slots:
        stored = one["stored"]
        assert isinstance(stored, dict)
        sealing.put(f"keys/{stored['slot']}.json", json.dumps(stored).encode())
    opening = {
        "master": {"id": MASTER_ID.hex(), "key": b64(MASTER)},
        "passphrase": passphrase,
        "secret": secret_text(secret),
    }
    text = json.dumps(opening, indent=2, ensure_ascii=False) + "\n"
    (directory / "keys.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
