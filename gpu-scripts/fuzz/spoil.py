"""Good input, spoilt: what is done to it follows from numbers, so that a failure can be shrunk."""

import json
from collections.abc import Sequence
from typing import Any

Change = tuple[int, int, int, int]
"""What is done, where, with what, and to how much."""

_LONGEST = 1 << 18
_NUMBERS = (0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 4 << 20, (4 << 20) + 1, 65_535)
_TOKENS = (
    b"\x00",
    b"\n",
    b'"',
    b"\\",
    b"\\ud800",
    b"../..",
    b"/",
    b"-1",
    b"1e999",
    b"NaN",
    b"9" * 400,
    b"9" * 5000,
    b"[" * 3000,
    b"{",
    b"*" * 40,
    b"**/" * 20,
    b"[a-",
    b"[[:alpha:]",
    b"[!]-\\",
    b"a" * 3000,
    b"\xff\xff\xff\xff\xff\xff\xff\xff",
    b"\xfe\xff",
    b"PK\x01\x02",
    b"PK\x05\x06",
    b"PK\x06\x06",
    b"\x1b[2J",
    "\u202e".encode(),
)
_VALUES = (
    "null",
    "true",
    "-1",
    "0",
    "1",
    "1.5",
    "1e999",
    "NaN",
    "4294967296",
    "9007199254740993",
    "9" * 4000,
    '""',
    '"\\u0000"',
    '"\\ud800"',
    '"../x"',
    '"/etc/passwd"',
    '"a/b"',
    '"-0"',
    "{}",
    "[]",
    "[[]]",
    '{"b64":"/w=="}',
    '{"b64":[]}',
    '{"op":[],"base":0}',
    '"' + "x" * 5000 + '"',
    "[" + "0," * 3000 + "0]",
    "[" * 500 + "]" * 500,
)


def spoil(seeds: Sequence[bytes], which: int, changes: Sequence[Change]) -> bytes:
    """One of the seeds after all changes, in order."""
    data = seeds[which % len(seeds)]
    for change in changes:
        data = _changed(data, change, seeds)[:_LONGEST]
    return data


def _changed(data: bytes, change: Change, seeds: Sequence[bytes]) -> bytes:  # noqa: PLR0911
    deed, where, what, count = change
    at = where % (len(data) + 1)
    until = min(len(data), at + 1 + count % 64)
    token = _TOKENS[what % len(_TOKENS)]
    match deed % 12:
        case 0:
            return _flipped(data, at, what)
        case 1:
            return data[:at] + bytes([what & 0xFF]) + data[at + 1 :]
        case 2:
            return data[:at] + data[until:]
        case 3:
            return data[:at] + token + data[at:]
        case 4:
            return data[:at] + token + data[until:]
        case 5:
            return data[:until] + data[at:]
        case 6:
            other = seeds[what % len(seeds)]
            return data[:at] + other[count % (len(other) + 1) :]
        case 7:
            number = _NUMBERS[what % len(_NUMBERS)].to_bytes(4, "little")
            return data[:at] + number + data[at + 4 :]
        case 8:
            return _lines_moved(data, where, what)
        case _:
            return _in_json(data, where, what, count)


def _flipped(data: bytes, at: int, what: int) -> bytes:
    if at == len(data):
        return data
    return data[:at] + bytes([data[at] ^ 1 << what % 8]) + data[at + 1 :]


def _lines_moved(data: bytes, where: int, what: int) -> bytes:
    lines = data.split(b"\n")
    one, other = where % len(lines), what % len(lines)
    if what % 3 == 0:
        del lines[one]
    elif what % 3 == 1:
        lines.insert(other, lines[one])
    else:
        lines[one], lines[other] = lines[other], lines[one]
    return b"\n".join(lines)


def _in_json(data: bytes, where: int, what: int, kind: int) -> bytes:
    """Changes one value of a line's JSON, so that what comes after its parser is reached."""
    lines = data.split(b"\n")
    number = where % len(lines)
    try:
        value = json.loads(lines[number])
    except (ValueError, RecursionError):
        return data
    places = _places(value, ())
    if not places:
        return data
    place = places[(where >> 3) % len(places)]
    holder = value
    for key in place[:-1]:
        holder = holder[key]
    before = holder[place[-1]]
    mark = "@@here@@"
    if kind % 5 == 0:
        del holder[place[-1]]
    else:
        holder[place[-1]] = mark
    near = type(before) is int and kind % 2 == 0
    text = str(before + what % 5 - 2) if near else _VALUES[what % len(_VALUES)]
    lines[number] = json.dumps(value, separators=(",", ":")).replace(f'"{mark}"', text).encode()
    return b"\n".join(lines)


def _places(value: Any, at: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    if len(at) > 12 or not isinstance(value, dict | list):
        return []
    keys: list[Any] = list(value) if isinstance(value, dict) else list(range(min(len(value), 100)))
    found = []
    for key in keys:
        found += [(*at, key), *_places(value[key], (*at, key))]
    return found[:2000]
