"""An operator that knows parity, and checks of groups that share no code with the worker."""

import base64
import gzip
import json
import random
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from fake_operator import FakeOperator, FakeStore, Json, parent_of, restore_of

SEED = 20261124
MIB = 1 << 20


class ParityOperator(FakeOperator):
    """Signs parity objects, gives URLs of what is wanted as it is stored, and lets repair."""

    def __post_init__(self) -> None:
        self.lost: dict[str, Json] = {}
        """What a repair may send, by key."""
        self.raw: list[str] = []
        super().__post_init__()

    def _take(self, message: Json) -> None:
        if message["type"] not in ("repaired", "hopeless"):
            super()._take(message)

    def _sign_one(self, want: Json) -> Json:
        key = want.get("key")
        if key in self.lost:
            known = self.lost[key]
            if (want["length"], want["pin"]) != (known["length"], known["pin"]):
                self.broken_rules.append(f"would send something else for {key}")
            if self.store.holds(key, known):
                self.broken_rules.append(f"would send {key}, which is there")
            self.store.objects.pop(key, None)
            self.allotted[key] = want
            return self.store.sign("PUT", key, want)
        if key is not None or want["kind"] not in ("parity", "groups"):
            return super()._sign_one(want)
        parity = f"parity/{self.snapshot}/{want['part']}-{len(self.allotted)}-0"
        key = parity if want["kind"] == "parity" else f"index/{self.snapshot}/groups"
        self.allotted[key] = want
        return self.store.sign("PUT", key, want)

    def _fetch(self, message: Json) -> Json:
        if not message.get("raw"):
            return super()._fetch(message)
        self.raw += message["keys"]
        urls = [self.store.sign("GET", key, {}) for key in message["keys"]]
        return {"urls": [{name: url[name] for name in ("key", "url", "headers")} for url in urls]}

    def follow(self, *roots: Path, result: Json, **fields: Any) -> Json:
        """Makes the snapshot that follows this one, and may keep its groups."""
        snapshot = result["index"]["packs"]["key"].split("/")[1]
        parent = parent_of(result, snapshot) | fields.pop("but", {})
        if "groups" in result["index"]:
            parent.setdefault("groups", result["index"]["groups"])
        return self.create(*roots, parent=parent, **fields)

    def restore(self, created: Json, target: Path, **fields: Any) -> Json:
        request = restore_of(self, created, target)
        if "groups" in created["index"]:
            request["groups"] = created["index"]["groups"]
        self.send("restore", **request | fields)
        return self.wait()

    def repair(self, created: Json, lost: Iterable[str], **fields: Any) -> Json:
        index = created["index"]
        known = {
            one["key"]: one for group in groups_of(self.store, created) for one in parts(group)
        }
        self.lost = {key: known[key] for key in lost}
        self.send(
            "repair",
            id=2000,
            snapshot=self.snapshot,
            segments=index["segments"],
            packs=index["packs"],
            groups=index["groups"],
            lost=list(self.lost),
            **{"parts": 4, "memory": 1 << 29, **fields},
        )
        return self.wait()

    def told(self, type_: str) -> list[str]:
        return sorted(message["key"] for message in self.of_type(type_))

    def rebuilt(self) -> list[str]:
        """The objects of which a restore has warned."""
        told = [one for one in self.of_type("warning") if one["code"] == "rebuilt"]
        return sorted(one["path"] for one in told)


def noise(root: Path, count: int, size: int = 2 * MIB + 70_000, seed: int = SEED) -> Path:
    """Files that do not shrink, two of which do not fit a pack of 4 MiB."""
    root.mkdir(exist_ok=True)
    for number in range(count):
        source = random.Random(seed + number)
        (root / f"file-{number:02d}").write_bytes(source.randbytes(size))
    return root


def parts(group: Json) -> list[Json]:
    return [*group["members"], *group["parity"]]


def groups_of(store: FakeStore, result: Json) -> list[Json]:
    listed = gzip.decompress(store.plain(result["index"]["groups"])).splitlines()
    return [json.loads(line) for line in listed[1:]]


def packs_of(store: FakeStore, result: Json) -> list[str]:
    listed = gzip.decompress(store.plain(result["index"]["packs"])).splitlines()
    return [json.loads(line)["key"] for line in listed[1:]]


def check_groups(store: FakeStore, result: Json, rows: int) -> list[Json]:
    """Holds every parity object to the definition; gives the groups."""
    groups = groups_of(store, result)
    for group in groups:
        for one in parts(group):
            data = store.objects[one["key"]]
            pin = base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()
            assert (one["length"], one["pin"]) == (len(data), {"kind": "crc32", "value": pin})
        assert 1 <= len(group["members"]) <= 16
        assert len(group["parity"]) == rows
        members = [store.objects[one["key"]] for one in group["members"]]
        for row, one in enumerate(group["parity"]):
            assert store.objects[one["key"]] == by_the_table(members, row)
    keys = [one["key"] for group in groups for one in parts(group)]
    assert len(keys) == len(set(keys))
    return groups


def by_the_table(members: list[bytes], row: int) -> bytes:
    total = np.zeros(max(map(len, members)), np.uint8)
    for place, member in enumerate(members):
        factor = 1
        for _ in range(place * row):
            factor = _times(factor, 2)
        table = np.array([_times(value, factor) for value in range(256)], np.uint8)
        total[: len(member)] ^= table[np.frombuffer(member, np.uint8)]
    return total.tobytes()


def _times(a: int, b: int) -> int:
    total = 0
    for bit in range(8):
        total ^= a << bit if b >> bit & 1 else 0
    for bit in range(14, 7, -1):
        total ^= 0x11D << (bit - 8) if total >> bit & 1 else 0
    return total
