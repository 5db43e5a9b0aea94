"""Memory that this process and a GPU process share, half for what is asked, half for the answer.

A memfd rather than a file of /dev/shm, of which containers often have 64 MiB in all.
"""

import fcntl
import mmap
import os
from dataclasses import dataclass
from typing import NamedTuple

from ..native import BytesLike
from .errors import GpuFault

_ALIGN = 64


class Span(NamedTuple):
    """Where bytes lie in a half."""

    at: int
    length: int


@dataclass(frozen=True, slots=True)
class Area:
    """Both halves, each of `room` bytes; `descriptor` is what the other process maps."""

    descriptor: int
    room: int
    asked: "Half"
    answer: "Half"

    @classmethod
    def make(cls, room: int) -> "Area":
        """Makes the memory; the caller closes the area."""
        descriptor = os.memfd_create("dumont-gpu", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(descriptor, 2 * room)
        # Were it cut by the other side, touching it would kill this one.
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL)
        return cls.of(descriptor, room)

    @classmethod
    def of(cls, descriptor: int, room: int) -> "Area":
        """Maps an area made elsewhere."""
        view = memoryview(mmap.mmap(descriptor, 2 * room))
        return cls(descriptor, room, Half(view[:room]), Half(view[room:]))

    def close(self) -> None:
        """Closes the descriptor; the memory goes with the last view of it."""
        os.close(self.descriptor)


class Half:
    """Memory that is filled from its beginning, then used anew."""

    def __init__(self, view: memoryview) -> None:
        self._view = view
        self._end = 0

    @property
    def whole(self) -> memoryview:
        """All of its memory."""
        return self._view

    def clear(self) -> None:
        """Forgets what lies there."""
        self._end = 0

    def put(self, data: BytesLike) -> Span:
        """Copies bytes behind those that lie there; raises GpuFault when there is no room."""
        span = Span(self._end, len(data))
        if span.at + span.length > len(self._view):
            raise GpuFault("protocol", "what the GPU made does not fit the shared memory")
        self._view[span.at : span.at + span.length] = data
        self._end = -(-(span.at + span.length) // _ALIGN) * _ALIGN
        return span

    def get(self, span: Span) -> memoryview:
        """Gives what lies there; raises GpuFault for a span that leaves the half."""
        if min(span) < 0 or span.at + span.length > len(self._view):
            raise GpuFault("protocol", "a span outside of the shared memory")
        return self._view[span.at : span.at + span.length]


def needed(length: int) -> int:
    """How much of a half these bytes take at most."""
    return length + _ALIGN
