"""Large stretches of files past the page cache, on file systems known to do that well.

A copy through the cache costs as much as a checksum, a page touched for the first time several
times that (together up to a sixth of a restore's CPU time). What a restore writes has to be on the
disk before it ends anyhow; the price is that whoever reads it first reads it from there. A create
reads so what is not in the cache yet, and leaves there what programs have put there.
"""

import contextlib
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
WORD = 8
"""Numbers that straddle their alignment are slow: such chunks do not go direct."""
_LOOK = 1 << 20
_LOOKS = 64
_LOWEST_BIT = bytes(value & 1 for value in range(256))


def aligned(size: int) -> mmap.mmap:
    """Give memory that begins with a page; none is there before it is used."""
    # What is shared by default lies in a file system of its own and is slow to come. Without huge
    # pages every fault stops all threads, for the copy that meets it holds the interpreter's lock.
    memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with contextlib.suppress(AttributeError, OSError):
        memory.madvise(mmap.MADV_HUGEPAGE)
    return memory


class DirectWriter:
    """One thread's writes and the aligned memory for them."""

    def __init__(self) -> None:
        """Take memory for one chunk, which is touched only when it is used."""
        self._memory = aligned(CHUNK_MAX + BLOCK)
        self._view = memoryview(self._memory)
        self._phase = 0

    def room(self, length: int, offset: int) -> memoryview:
        """Return memory for a chunk whose first byte is to go to this offset of a file.

        It is used anew by the next call, and by `write` of data that lies elsewhere.
        """
        phase = offset % BLOCK
        self._phase = 0 if phase % WORD else phase
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


def read_blocks(fd: int, room: memoryview, offset: int) -> int:
    """Read whole blocks direct from a block's begin into such a place in memory; OSError.

    Gives the count of bytes read, 0 where direct reads are refused and at the file's end.
    """
    flags = fcntl.fcntl(fd, fcntl.F_GETFL)
    try:
        fcntl.fcntl(fd, fcntl.F_SETFL, flags | os.O_DIRECT)
        return os.preadv(fd, [room], offset)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        return 0
    finally:
        fcntl.fcntl(fd, fcntl.F_SETFL, flags)


def is_cached(fd: int, start: int, end: int) -> bool:
    """Tell whether most of a stretch of a file lies in the page cache; True where nobody says.

    Of a long one, some places tell: to ask for a tebibyte takes seconds and a quarter of a GiB.
    """
    start -= start % mmap.PAGESIZE
    length = end - start
    step = -(-length // (_LOOK * _LOOKS)) * _LOOK
    pages = cached = 0
    seen = (ctypes.c_ubyte * (_LOOK // mmap.PAGESIZE))()
    library = _library()
    place = library.mmap(None, length, mmap.PROT_READ, mmap.MAP_SHARED, fd, start)
    if place in (None, ctypes.c_void_p(-1).value):
        return True
    try:
        for at in range(0, length, step):
            here = min(_LOOK, length - at)
            if library.mincore(place + at, here, seen) != 0:
                return True
            count = -(-here // mmap.PAGESIZE)
            pages += count
            # Only the lowest bit of each is defined.
            cached += sum(bytes(seen)[:count].translate(_LOWEST_BIT))
    finally:
        library.munmap(place, length)
    return 2 * cached > pages


def takes_direct(fd: int) -> bool:
    """Tell whether a file lies on a file system that is known to go well past the cache."""
    buffer = ctypes.create_string_buffer(256)
    found = _fstatfs()
    if found is None or found(fd, buffer) != 0:
        return False
    return ctypes.c_long.from_buffer(buffer).value in _SYSTEMS


@cache
def _fstatfs() -> "Callable[[int, object], int] | None":
    return getattr(ctypes.CDLL(None), "fstatfs", None)


@cache
def _library() -> ctypes.CDLL:
    library = ctypes.CDLL(None)
    place, size, number = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
    library.mmap.restype = place
    library.mmap.argtypes = [place, size, number, number, number, ctypes.c_int64]
    library.mincore.argtypes = [place, size, place]
    library.munmap.argtypes = [place, size]
    return library
