"""What verifying one pack takes: its checksum, the bases it leans on, and what is found."""

import zlib
from base64 import b64encode
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from hashlib import md5

from .errors import WorkerError, integrity
from .index import PackRecord
from .native import BytesLike


@dataclass(slots=True)
class Found:
    """What is wrong with one pack."""

    reason: str | None = None
    chunks: list[int] = field(default_factory=list)
    bases: set[int] = field(default_factory=set)


class Bases:
    """What chunks of one pack differ from, the latest kept."""

    def __init__(self, find: Callable[[int], tuple[int, BytesLike | None]]) -> None:
        self._find = find
        self._last: tuple[int, BytesLike | None] | None = None
        self.read = 0

    def get(self, chunk: int) -> BytesLike | None:
        """Give a chunk's proven bytes; None when they cannot be had."""
        if self._last is None or self._last[0] != chunk:
            read, raw = self._find(chunk)
            self.read += read
            self._last = (chunk, raw)
        return self._last[1]


def has_pin(pack: PackRecord, data: memoryview) -> bool:
    """Tell whether these are the bytes of a pack by the checksum that it was stored with."""
    if pack.pin_kind == "crc32":
        value = zlib.crc32(data).to_bytes(4, "big")
    else:
        value = md5(data, usedforsecurity=False).digest()
    return b64encode(value).decode() == pack.pin_value


def given(base: BytesLike | None, _hash: bytes) -> BytesLike:
    """Give what a chunk differs from; raises INTEGRITY where it should not differ."""
    if base is None:
        raise integrity("a difference that the index does not tell of")
    return base


def numbers_of(ranges: Iterable[tuple[int, int]], count: int) -> list[int]:
    """Give the numbers in ranges of first and last; raises WORKER."""
    numbers = [number for first, last in ranges for number in range(first, min(last, count) + 1)]
    if any(number >= count for number in numbers) or len(set(numbers)) != len(numbers):
        raise WorkerError("WORKER", "the operator's machine asks for packs that are not there")
    return numbers
