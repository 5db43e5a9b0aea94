"""One decoding thread's bases of differences: read from files of the restore, or decoded."""

import mmap
import os

from . import target
from .compare import READ
from .entry import CHUNK_MAX
from .native import BytesLike
from .restore_holders import Place
from .target import Directories


class Bases:
    """Memory for one base at a time, and the file that the last one was read from."""

    def __init__(self, directories: Directories) -> None:
        """Read below `directories`."""
        self._directories = directories
        self._memory = mmap.mmap(-1, CHUNK_MAX)
        self._view = memoryview(self._memory)
        self._kept: tuple[bytes, int] | None = None
        self._open: tuple[tuple[int, bytes], int] | None = None

    def kept(self, raw_hash: bytes) -> memoryview | None:
        """Return the base that was kept last, if it is this one."""
        if self._kept is None or self._kept[0] != raw_hash:
            return None
        return self._view[: self._kept[1]]

    def read(self, place: Place, room: memoryview) -> bool:
        """Fill `room` with what a file holds, proven by nobody; False where it cannot be read."""
        base, path, offset = place
        try:
            return os.preadv(self._opened((base, path)), [room], offset) == len(room)
        except OSError:
            return False

    def room(self, length: int) -> memoryview:
        """Return memory to decode a base into."""
        self._kept = None
        return self._view[:length]

    def keep(self, raw_hash: bytes, raw: BytesLike) -> memoryview:
        """Keep a proven base until the next one is read or decoded."""
        if memoryview(raw).obj is not self._memory:
            self._view[: len(raw)] = raw
        self._kept = (raw_hash, len(raw))
        return self._view[: len(raw)]

    def close(self) -> None:
        """Close the file."""
        if self._open is not None:
            os.close(self._open[1])
            self._open = None

    def _opened(self, file: tuple[int, bytes]) -> int:
        if self._open is None or self._open[0] != file:
            self.close()
            parent, name = target.split(file[1])
            directory = self._directories.open(file[0], parent)
            self._open = (file, os.open(name, READ, dir_fd=directory))
        return self._open[1]
