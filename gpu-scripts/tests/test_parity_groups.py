"""The list of groups: what is read back, and everything that is refused."""

import gzip
import json
from collections.abc import Callable
from typing import Any

import pytest

from dumont_worker.errors import WorkerError
from dumont_worker.parity_groups import Group, Stored, decode_groups, encode_groups, read_group

SNAPSHOT = "20261123T140200Z-k3f7qz"
PIN = {"kind": "crc32", "value": "AAAAAA=="}


def stored(key: str, length: int = 9) -> Stored:
    return Stored(key, length, "crc32", "AAAAAA==")


def group(number: int = 0, members: int = 2) -> Group:
    packs = [stored(f"packs/{SNAPSHOT}/{number}-{n}-1", 5 + n) for n in range(members)]
    return Group(tuple(packs), (stored(f"parity/{SNAPSHOT}/{number}-0-1", 4 + members),))


def told(number: int = 0, **changes: Any) -> dict[str, Any]:
    return {"group": number, **group(number).fields(), **changes}


def listed(*lines: dict[str, Any], **header: Any) -> bytes:
    first = {"kind": "groups", "format": 1, "snapshot": SNAPSHOT} | header
    return gzip.compress(b"".join(json.dumps(line).encode() + b"\n" for line in (first, *lines)))


def test_groups_come_back_as_they_were_written() -> None:
    index = Group(
        (stored(f"index/{SNAPSHOT}/0"), stored(f"index/{SNAPSHOT}/packs")), group(7).parity
    )
    odd = Group(index.members, (stored(f"parity/{SNAPSHOT}/7-0-1"),))
    groups = [group(0), group(1, 16), odd]
    assert decode_groups(encode_groups(SNAPSHOT, groups), SNAPSHOT) == groups
    assert decode_groups(encode_groups(SNAPSHOT, []), SNAPSHOT) == []


def member(**changes: Any) -> dict[str, Any]:
    return {"key": f"packs/{SNAPSHOT}/0-0-1", "length": 6, "pin": PIN} | changes


def parity(**changes: Any) -> dict[str, Any]:
    return {"key": f"parity/{SNAPSHOT}/0-0-1", "length": 6, "pin": PIN} | changes


def many(make: Callable[..., dict[str, Any]], count: int, kind: str) -> list[dict[str, Any]]:
    return [make(key=f"{kind}/{SNAPSHOT}/0-{n}-1") for n in range(count)]


@pytest.mark.parametrize(
    "line",
    [
        {"entry": "file"},
        told(1),
        told(0) | {"group": True},
        told(members=[]),
        told(members=None),
        told(members=many(member, 17, "packs")),
        told(parity=[]),
        told(parity=many(parity, 5, "parity")),
        told(members=["packs"]),
        told(members=[member(key=f"parity/{SNAPSHOT}/0-9-1")]),
        told(members=[member(key="packs/../dumont.json")]),
        told(members=[member(key=f"index/{SNAPSHOT}/groups")]),
        told(members=[member(key=f"snapshots/{SNAPSHOT}.json")]),
        told(members=[member(key=f"packs/{SNAPSHOT}/0-0-1\n")]),
        told(members=[member()], parity=[parity(key=f"packs/{SNAPSHOT}/0-1-1")]),
        told(members=[member(length=0)]),
        told(members=[member(length=True)]),
        told(members=[member(length=6.0)]),
        told(members=[member(length=(32 << 20) + 1)], parity=[parity(length=(32 << 20) + 1)]),
        told(members=[member()], parity=[parity(length=7)]),
        told(members=[member(pin=None)]),
        told(members=[member(pin={"kind": "sha1", "value": "AAAA"})]),
        told(members=[member(pin={"kind": "crc32", "value": "AA=="})]),
        told(members=[member(), member()]),
    ],
)
def test_a_list_that_makes_no_sense_is_refused(line: dict[str, Any]) -> None:
    with pytest.raises(WorkerError) as failure:
        decode_groups(listed(line), SNAPSHOT)
    assert failure.value.code == "INTEGRITY"


@pytest.mark.parametrize("value", [None, 7, "group", [told(0)], {}])
def test_what_is_no_group_is_refused(value: object) -> None:
    with pytest.raises(WorkerError) as failure:
        read_group(value)
    assert failure.value.code == "INTEGRITY"


def test_an_object_is_in_one_group_at_most() -> None:
    with pytest.raises(WorkerError, match="twice"):
        decode_groups(listed(told(0), told(0, group=1)), SNAPSHOT)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "INTEGRITY"),
        (b"no gzip", "INTEGRITY"),
        (listed(told())[:-3], "INTEGRITY"),
        (listed(told(), kind="packs"), "INTEGRITY"),
        (listed(told(), snapshot="20261123T140200Z-aaaaaa"), "INTEGRITY"),
        (listed(told(), format=2), "FORMAT_NEWER"),
        (gzip.compress(b'{"kind"' + b" " * (65 << 20)), "INTEGRITY"),
    ],
)
def test_what_is_no_list_is_refused(data: bytes, code: str) -> None:
    with pytest.raises(WorkerError) as failure:
        decode_groups(data, SNAPSHOT)
    assert failure.value.code == code
