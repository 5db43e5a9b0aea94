"""Write large stretches of files past the page cache, on file systems known to do that well.

A copy into the cache costs as much as a checksum, a page touched for the first time several times
that (together up to a sixth of a restore's CPU time), and all of it is written to the disk before a
restore ends. The price: whoever reads the files first reads them from the disk, which takes about
as long as was saved.
"""

import ctypes
import errno
import fcntl
import mmap
import os
from collections.abc import Callable
from functools import cache

from .entry import CHUNK_MAX
from .target import write_all

BLOCK = max(4096, mmap.PAGESIZE)
"""Alignment in memory and in the file; a whole page, so that none is written both ways."""
LEAST = 512 << 10
# ext4, XFS and overlayfs, which hands on to one of these. Others ignore the flag, refuse it, or
# wait for a server with every write.
_SYSTEMS = frozenset({0xEF53, 0x58465342, 0x794C7630})
_WORD = 8


class DirectWriter:
    """One thread's writes and the aligned memory for them."""

    def __init__(self) -> None:
        """Take memory for one chunk, which is touched only when it is used."""
        self._memory = mmap.mmap(-1, CHUNK_MAX + BLOCK)
        self._view = memoryview(self._memory)
        self._phase = 0

    def room(self, length: int, offset: int) -> memoryview:
        """Return memory for a chunk whose first byte is to go to this offset of a file.

        It is used anew by the next call, and by `write` of data that lies elsewhere.
        """
        phase = offset % BLOCK
        # Words that straddle their alignment are slow to join: such chunks are not written direct.
        self._phase = 0 if phase % _WORD else phase
        return self._view[self._phase : self._phase + length]

    def write(self, fd: int, chunk: memoryview, at: int, length: int, offset: int) -> None:
        """Write `length` bytes of a chunk from `at` on to an offset of a file; OSError."""
        data = chunk[at : at + length]
        if length >= LEAST and takes_direct(fd):
            if chunk.obj is not self._memory:
                start = offset % BLOCK
                aligned = self._view[start : start + length]
                aligned[:] = data
                return write_blocks(fd, aligned, offset)
            if (self._phase + at - offset) % BLOCK == 0:
                return write_blocks(fd, data, offset)
        write_all(fd, data, offset)
        return None


def write_blocks(fd: int, data: memoryview, offset: int) -> None:
    """Write whole blocks direct, the rest through the cache.

    `data` lies as far behind a block's begin in memory as it will in the file.
    """
    first = -offset % BLOCK
    last = first + (len(data) - first) // BLOCK * BLOCK
    write_all(fd, data[:first], offset)
    write_all(fd, data[last:], offset + last)
    done = 0
    flags = fcntl.fcntl(fd, fcntl.F_GETFL)
    try:
        fcntl.fcntl(fd, fcntl.F_SETFL, flags | os.O_DIRECT)
        done = os.pwrite(fd, data[first:last], offset + first)
    except OSError as error:
        # A device with larger blocks, or an overlay on a file system that cannot do it.
        if error.errno != errno.EINVAL:
            raise
    finally:
        fcntl.fcntl(fd, fcntl.F_SETFL, flags)
    write_all(fd, data[first + done : last], offset + first + done)


def takes_direct(fd: int) -> bool:
    """Tell whether a file lies on a file system that is known to take direct writes well."""
    buffer = ctypes.create_string_buffer(256)
    found = _fstatfs()
    if found is None or found(fd, buffer) != 0:
        return False
    return ctypes.c_long.from_buffer(buffer).value in _SYSTEMS


@cache
def _fstatfs() -> "Callable[[int, object], int] | None":
    return getattr(ctypes.CDLL(None), "fstatfs", None)
