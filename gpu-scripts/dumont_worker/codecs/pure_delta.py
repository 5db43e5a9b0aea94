"""Differences without numpy: slow, for boxes that have none."""

import sys
from array import array

from ..native import BytesLike

_TYPES = {2: "H", 4: "I"}


def difference(raw: BytesLike, base: BytesLike, operation: str, width: int) -> memoryview:
    """Gives the difference in memory of its own."""
    out = memoryview(bytearray(raw))
    _change(out, base, operation, width)
    return out


def restore(change: memoryview, base: BytesLike, operation: str, width: int) -> None:
    """Turns the difference into the chunk, in its place."""
    _change(change, base, "unordered" if operation == "ordered" else operation, width)


def _change(data: memoryview, base: BytesLike, operation: str, width: int) -> None:
    end = len(data) - len(data) % width
    if operation == "xor":
        both = int.from_bytes(data[:end], "little") ^ int.from_bytes(base[:end], "little")
        data[:end] = both.to_bytes(end, "little")
        return
    one, other = _words(data[:end], width), _words(memoryview(base)[:end], width)
    sign = 1 << (8 * width - 1)
    rest, whole = sign - 1, 2 * sign - 1
    step = -1 if operation == "ordered" else 1
    for index, (a, b) in enumerate(zip(one, other, strict=True)):
        first = a ^ rest if a & sign else a
        second = b ^ rest if b & sign else b
        found = (first + step * second) & whole
        one[index] = found ^ rest if found & sign else found
    data[:end] = _bytes(one)


def _words(data: memoryview, width: int) -> "array[int]":
    words = array(_TYPES[width])
    words.frombytes(data)
    if sys.byteorder == "big":
        words.byteswap()
    return words


def _bytes(words: "array[int]") -> bytes:
    if sys.byteorder == "big":
        words.byteswap()
    return words.tobytes()
