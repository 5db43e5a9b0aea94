"""What is mounted where, from /proc/self/mountinfo: st_dev does not tell bind mounts apart."""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass

MOUNTINFO = "/proc/self/mountinfo"

_OCTAL = re.compile(rb"\\([0-7]{3})")
_PSEUDO_PLACES = (b"/proc", b"/sys", b"/dev")
# File systems that hold no files of anybody's, wherever they are mounted.
_PSEUDO_TYPES = frozenset(
    b"autofs bpf binfmt_misc cgroup cgroup2 configfs debugfs devpts devtmpfs efivarfs fusectl "
    b"hugetlbfs mqueue nsfs proc pstore rpc_pipefs securityfs selinuxfs sysfs tracefs".split()
)
_MEMORY_TYPES = (b"ramfs", b"tmpfs")


@dataclass(frozen=True, slots=True)
class Mount:
    """One mount: where, and of what type."""

    point: bytes
    type: bytes

    @property
    def pseudo(self) -> bool:
        """Whether it shows the kernel's state and never anybody's files."""
        return self.type in _PSEUDO_TYPES or any(
            is_at_or_below(self.point, place) for place in _PSEUDO_PLACES
        )


class MountTable:
    """The mounts of this process by mount point; of several at one point the uppermost."""

    def __init__(self, mounts: Iterable[Mount]) -> None:
        self._mounts = {mount.point: mount for mount in mounts}

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self._mounts)

    def at(self, path: bytes) -> Mount | None:
        """Gives the mount whose mount point is exactly `path`."""
        return self._mounts.get(path)

    def below(self, root: bytes) -> "MountTable":
        """Gives the mounts strictly below a root."""
        return MountTable(
            mount
            for point, mount in self._mounts.items()
            if point != root and is_at_or_below(point, root)
        )

    def holding(self, path: bytes) -> Mount | None:
        """Gives the mount that a path lies on."""
        while path not in self._mounts and path not in (b"/", b""):
            path = path.rpartition(b"/")[0] or b"/"
        return self._mounts.get(path)


def is_at_or_below(path: bytes, directory: bytes) -> bool:
    """Whether an absolute path is a directory or lies below it."""
    return path == directory or path.startswith(directory.rstrip(b"/") + b"/")


def parse_mountinfo(text: bytes) -> MountTable:
    """Reads the kernel's table; lines that are not as proc(5) says are left out."""
    mounts = []
    for line in text.split(b"\n"):
        before, separator, after = line.partition(b" - ")
        fields, rest = before.split(b" "), after.split(b" ")
        if separator and len(fields) >= 6:
            mounts.append(Mount(_unescape(fields[4]), rest[0]))
    return MountTable(mounts)


def read_mounts(source: str = MOUNTINFO) -> MountTable:
    """Reads the mounts of this process; raises OSError where /proc is missing."""
    with open(source, "rb") as file:
        return parse_mountinfo(file.read())


def memory_devices(source: str = MOUNTINFO) -> frozenset[int]:
    """Gives the device numbers of file systems in memory.

    Writing there through a mapping changes no time after the first write to a page.
    """
    devices = set()
    with open(source, "rb") as file:
        for line in file:
            before, _, after = line.partition(b" - ")
            fields = before.split(b" ")
            if after.split(b" ")[0] in _MEMORY_TYPES and len(fields) >= 6:
                major, _, minor = fields[2].partition(b":")
                devices.add(os.makedev(int(major), int(minor)))
    return frozenset(devices)


def _unescape(field: bytes) -> bytes:
    return _OCTAL.sub(lambda match: bytes([int(match[1], 8) & 0xFF]), field)
