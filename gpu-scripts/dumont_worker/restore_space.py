"""Whether there is room for what a restore will write, on each file system that it writes to."""

import os
from collections.abc import Callable
from dataclasses import dataclass

from . import target
from .restore_run import Run, disk_full
from .restore_scope import Place, inside
from .spool import Item

# Replaced files go only when their successors are complete; so much may be there twice at a time.
_TWICE = 1 << 30
_BLOCK = 4096


@dataclass(slots=True)
class Need:
    """What one file system has to take: growth in bytes and inodes, and what replaces others."""

    fd: int
    bytes: int = 0
    inodes: int = 0
    replaced: int = 0
    largest: int = 0

    @property
    def peak(self) -> int:
        """The most bytes that are needed at any time."""
        return self.bytes + min(self.replaced, max(_TWICE, self.largest))


class Space:
    """Needs by file system."""

    def __init__(self, run: Run) -> None:
        """Start with no needs."""
        self._run = run
        self._needs: dict[int, Need] = {}
        self._last: tuple[tuple[int, bytes | None], Need] | None = None

    def add(self, item: Item, found: os.stat_result | None, absent: Place | None) -> None:
        """Count an entry that will be written in place of `found`.

        `absent` is the last directory that was seen to be missing.
        """
        need = self._need(item, absent)
        size = sum((extent[3] + _BLOCK - 1) // _BLOCK * _BLOCK for extent in item.extents)
        gone = found.st_blocks * 512 if found is not None and found.st_nlink == 1 else 0
        need.bytes += max(0, size - gone)
        need.replaced += min(size, gone)
        need.largest = max(need.largest, min(size, gone))
        need.inodes += found is None

    def _need(self, item: Item, absent: Place | None) -> Need:
        """Return the account of the file system that holds the nearest existing directory."""
        if self._run.bases[item.base] is None:
            place: tuple[int, bytes | None] = (item.base, None)
        elif absent is not None and inside(item.base, item.path, absent):
            place = (item.base, target.split(absent[1])[0])
        else:
            place = (item.base, target.split(item.path)[0])
        # Files of one directory come one after the other.
        if self._last is None or self._last[0] != place:
            self._last = (place, self._account(*place))
        return self._last[1]

    def _account(self, base: int, directory: bytes | None) -> Need:
        if directory is None:
            _, fd = target.nearest(self._run.layout.bases[base])
        else:
            fd = os.dup(self._run.directories.open(base, directory))
        device = os.fstat(fd).st_dev
        if device in self._needs:
            os.close(fd)
        else:
            self._needs[device] = Need(fd)
        return self._needs[device]

    def check(self, statvfs: Callable[[int], os.statvfs_result] = os.fstatvfs) -> None:
        """Refuse what cannot fit; WorkerError BOX_DISK_FULL with the figures."""
        for need in self._needs.values():
            free = statvfs(need.fd)
            there = free.f_bavail * free.f_frsize
            # File systems without such a limit answer 0 for the total: some tmpfs, btrfs's inodes.
            if free.f_blocks and need.peak > there:
                raise disk_full(f"the restore needs {mib(need.peak)}, {mib(there)} are free")
            if free.f_files and need.inodes > free.f_favail:
                raise disk_full(f"the restore needs {need.inodes} inodes, {free.f_favail} are free")

    def close(self) -> None:
        """Close what the accounts keep open."""
        for need in self._needs.values():
            os.close(need.fd)
        self._needs.clear()


def mib(count: int) -> str:
    """Show a number of bytes."""
    return f"{count / (1 << 20):,.1f} MiB"
