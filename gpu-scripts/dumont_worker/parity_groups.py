"""Groups of stored objects with parity, and the list of them; section 9 of docs/format.md."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from .entry import PACK_MAX, Entry
from .errors import integrity
from .index import check_header, compressed, first_line, json_line, json_lines, read_pin
from .native import BytesLike
from .pack_builder import pin_of
from .parity_sums import MEMBERS_MOST, PARITY_MOST

_ID = r"[0-9]{8}T[0-9]{6}Z-[a-z2-7]{6}"
_PLACE = r"[0-9]+-[0-9]+-[A-Za-z0-9]+"
_MEMBER = re.compile(rf"(packs/{_ID}/{_PLACE}|index/{_ID}/([0-9]+|packs))", re.ASCII)
_PARITY = re.compile(rf"parity/{_ID}/{_PLACE}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Stored:
    """An object as it lies in the store; `pin_value` is base64."""

    key: str
    length: int
    pin_kind: str
    pin_value: str

    def fields(self) -> dict[str, Any]:
        """As a list of groups and `earlier` tell of it."""
        pin = {"kind": self.pin_kind, "value": self.pin_value}
        return {"key": self.key, "length": self.length, "pin": pin}

    def has_pin(self, data: BytesLike) -> bool:
        """Whether these are its bytes, as far as a checksum can tell."""
        return len(data) == self.length and pin_of(self.pin_kind, data) == self.pin_value


@dataclass(frozen=True, slots=True)
class Group:
    """Members in the order of their weights, and their parity objects."""

    members: tuple[Stored, ...]
    parity: tuple[Stored, ...]

    @property
    def objects(self) -> tuple[Stored, ...]:
        """All of them."""
        return (*self.members, *self.parity)

    def fields(self) -> dict[str, Any]:
        """As a list of groups tells of it, but for its number."""
        members, parity = ([one.fields() for one in some] for some in (self.members, self.parity))
        return {"members": members, "parity": parity}


def encode_groups(snapshot: str, groups: Iterable[Group]) -> bytes:
    """Gives the object `index/<id>/groups`."""
    header = json_line({"kind": "groups", "format": 1, "snapshot": snapshot})
    lines = [json_line({"group": n, **group.fields()}) for n, group in enumerate(groups)]
    return compressed([header, *lines])


def decode_groups(data: bytes, snapshot: str) -> list[Group]:
    """Reads a snapshot's list of groups; raises INTEGRITY."""
    lines = json_lines(data)
    check_header(first_line(lines), "groups", snapshot)
    groups: list[Group] = []
    keys: set[str] = set()
    for line in lines:
        if isinstance(line, Entry) or type(line.get("group")) is not int:
            raise integrity(f"groups of {snapshot}: a line is no group")
        if line["group"] != len(groups):
            raise integrity(f"groups of {snapshot}: numbers jump")
        group = read_group(line)
        before = len(keys)
        keys.update(one.key for one in group.objects)
        if len(keys) != before + len(group.objects):
            raise integrity(f"groups of {snapshot}: an object is in them twice")
        groups.append(group)
    return groups


def read_group(line: object) -> Group:
    """Reads one group; raises INTEGRITY."""
    if not isinstance(line, dict):
        raise integrity("a group that is no object")
    members = _several(line.get("members"), _MEMBER, MEMBERS_MOST)
    parity = _several(line.get("parity"), _PARITY, PARITY_MOST)
    longest = max(one.length for one in members)
    if any(one.length != longest for one in parity):
        raise integrity("a parity object is not as long as what it is of")
    return Group(members, parity)


def _several(found: object, key: re.Pattern[str], most: int) -> tuple[Stored, ...]:
    if not isinstance(found, list) or not 0 < len(found) <= most:
        raise integrity("a group of an impossible size")
    return tuple(_stored(one, key) for one in found)


def _stored(found: object, pattern: re.Pattern[str]) -> Stored:
    if not isinstance(found, dict):
        raise integrity("a group holds something that is no object")
    key, length = found.get("key"), found.get("length")
    if type(key) is not str or not pattern.fullmatch(key):
        raise integrity("a group holds something that is no key of its kind")
    if type(length) is not int or not 0 < length <= PACK_MAX:
        raise integrity("a group holds an object of an impossible length")
    return Stored(key, length, *read_pin(found.get("pin")))
