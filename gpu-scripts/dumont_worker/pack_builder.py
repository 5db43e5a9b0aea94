"""Packs in the making: frames one after the other in a buffer that is used again and again."""

import hashlib
import importlib
import mmap
import threading
import zlib
from base64 import b64encode
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from .direct import aligned
from .native import BytesLike, blake3
from .seal import TAG, SealedObject, Sealer

Buffer = mmap.mmap


class _Checksum(Protocol):
    def update(self, data: memoryview) -> None: ...

    def value(self) -> bytes: ...


class _Crc32:
    def __init__(self) -> None:
        self._crc = 0

    def update(self, data: memoryview) -> None:
        self._crc = _crc32(data, self._crc)

    def value(self) -> bytes:
        return self._crc.to_bytes(4, "big")


class _Md5:
    def __init__(self) -> None:
        self._md5 = hashlib.md5(usedforsecurity=False)

    def update(self, data: memoryview) -> None:
        self._md5.update(data)

    def value(self) -> bytes:
        return self._md5.digest()


def _fastest_crc32() -> Callable[[Any, int], int]:
    try:
        # Six times as fast as zlib, where the box happens to have it.
        module = importlib.import_module("isal.isal_zlib")
    except ImportError:
        return zlib.crc32
    found: Callable[[Any, int], int] = module.crc32
    return found


_crc32 = _fastest_crc32()


def pin_of(kind: str, data: BytesLike) -> str:
    """Gives the checksum that the store shall insist on, base64."""
    checksum = _checksum(kind)
    checksum.update(memoryview(data))
    return b64encode(checksum.value()).decode()


def _checksum(kind: str) -> _Checksum:
    return _Md5() if kind == "md5" else _Crc32()


_FEW = 6
"""Buffers with which a store that keeps up is served; the rest need not be touched."""
_PATIENCE = 0.1
"""Seconds without a free buffer that tell of a store that does not keep up."""


class BufferPool:
    """At most `count` buffers of `size` bytes: who wants one more waits until one is given back.

    Memory that is touched for the first time costs as much as a chunk's checksum. So few are made
    as long as these come back soon, and all once they do not.
    """

    def __init__(self, count: int, size: int, patience: float = _PATIENCE) -> None:
        self.size = size
        self._count = count
        self._patience = patience
        self._made = 0
        self._free: list[Buffer] = []
        self._changed = threading.Condition()
        self._is_slow = False

    def take(self) -> Buffer:
        """Waits for a buffer, made when first used."""
        with self._changed:
            if not self._free and _FEW <= self._made < self._count and not self._is_slow:
                self._is_slow = not self._changed.wait_for(lambda: self._free, self._patience)
            if not self._free and self._made < self._count:
                self._made += 1
                return aligned(self.size)
            self._changed.wait_for(lambda: self._free)
            # The one used last: its pages are the likeliest to be at hand.
            return self._free.pop()

    def give_back(self, buffer: Buffer) -> None:
        """Makes room for the next pack."""
        with self._changed:
            if self._free:
                self._is_slow = False
            self._free.append(buffer)
            self._changed.notify()


@dataclass(frozen=True, slots=True)
class SealedPack:
    """A pack ready to be sent; `number` is the engine's own."""

    number: int
    buffer: Buffer
    length: int
    pin_kind: str
    pin_value: str
    seal: str | None = None
    """What opens it, but for a key; None where nothing is encrypted."""

    def content(self) -> memoryview:
        """The bytes of the object."""
        return memoryview(self.buffer)[: self.length]


class Place(NamedTuple):
    """Where a frame went: its pack, offset, length and hash."""

    pack: int
    at: int
    stored: int
    frame: bytes


class PackBuilder:
    """The open pack of one thread. `on_sealed` takes every full pack; it may block.

    With a `sealer` each pack is encrypted, and what is said of frames is true of their records.
    """

    def __init__(
        self,
        pool: BufferPool,
        pin_kind: str,
        next_number: Callable[[], int],
        on_sealed: Callable[[SealedPack], None],
        sealer: Sealer | None = None,
    ) -> None:
        self._pool = pool
        self._pin_kind = pin_kind
        self._next_number = next_number
        self._on_sealed = on_sealed
        self._sealer = sealer
        self._object: SealedObject | None = None
        self._buffer: Buffer | None = None
        self._number = 0
        self._length = 0
        self._checksum = _checksum(pin_kind)

    def add(self, parts: Iterable[BytesLike]) -> Place:
        """Appends one frame given in parts, first sealing the pack when there is no room for it."""
        views = [memoryview(part).cast("B") for part in parts]
        stored = sum([len(view) for view in views]) + (TAG if self._sealer is not None else 0)
        if self._buffer is not None and self._length + stored > self._pool.size:
            self.seal()
        if self._buffer is None:
            self._open()
        buffer, at = self._buffer, self._length
        if buffer is None or at + stored > self._pool.size:
            raise ValueError(f"a frame of {stored} bytes does not fit a pack")
        frame = memoryview(buffer)[at : at + stored]
        if self._object is not None:
            self._object.close(at, b"".join(views), frame)
        else:
            done = 0
            for view in views:
                frame[done : done + len(view)] = view
                done += len(view)
        self._length += stored
        self._checksum.update(frame)
        return Place(self._number, at, stored, blake3(frame))

    def seal(self) -> None:
        """Hands the open pack on, if there is one with anything in it."""
        if self._buffer is None:
            return
        value = b64encode(self._checksum.value()).decode()
        seal = self._object.seal if self._object is not None else None
        sealed = SealedPack(self._number, self._buffer, self._length, self._pin_kind, value, seal)
        self._buffer = None
        self._on_sealed(sealed)

    def _open(self) -> None:
        self._buffer = self._pool.take()
        self._number = self._next_number()
        self._length = 0
        self._checksum = _checksum(self._pin_kind)
        if self._sealer is None:
            return
        self._object = self._sealer.begin("pack")
        header = self._object.header
        memoryview(self._buffer)[: len(header)] = header
        self._length = len(header)
        self._checksum.update(memoryview(header))
