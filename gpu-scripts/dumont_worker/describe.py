"""Make entries of what lstat finds: owners, attributes, targets, devices and hard-link groups."""

import os
import stat
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from .attributes import OwnerNames, XattrReader, Xattrs
from .entry import Entry, Stat
from .findings import GONE, Findings
from .paths import join
from .roots import Root


@dataclass(slots=True)
class _Group:
    """A hard-link group: its first member and how many links are still to come."""

    first: Entry
    missing: int


class Describer:
    """Describes what the walk finds; files get size and stat, but neither hash nor extents.

    Remembers hard-link groups until all their links were seen: memory is used for these only.
    """

    def __init__(self, roots: list[Root], findings: Findings) -> None:
        self._roots = roots
        self._findings = findings
        self._owners = OwnerNames()
        self._xattrs = XattrReader()
        self._file_systems: dict[int, int] = {}
        self._groups: dict[tuple[int, int], _Group] = {}
        self.number = 0

    def directory(self, path: bytes, found: os.stat_result, target: bytes | int | None) -> Entry:
        """Describes a directory; without `target` its attributes are not asked for."""
        xattrs = () if target is None else self._read_xattrs(target, path, found)
        return self._entry("dir", path, found, xattrs, {})

    def other(self, kind: str, path: bytes, found: os.stat_result, target: bytes) -> Entry | None:
        """Describes what is no directory, `target` being a path to it; None when it vanished."""
        linked = found.st_nlink > 1
        if linked and (member := self._member(kind, path, found)) is not None:
            return member
        details: dict[str, Any] = {}
        if kind == "file":
            fs = self._file_system(target, found)
            details["size"] = found.st_size
            details["stat"] = Stat(found.st_ctime_ns, found.st_ino, found.st_dev, fs)
        elif kind == "symlink":
            try:
                details["target"] = os.readlink(target)
            except OSError as error:
                self._findings.failed(path, error)
                return None
        elif kind != "fifo":
            details["device"] = (os.major(found.st_rdev), os.minor(found.st_rdev))
        xattrs = self._read_xattrs(target, path, found)
        entry = self._entry(kind, path, found, xattrs, details)
        if linked:
            self._groups[found.st_dev, found.st_ino] = _Group(entry, found.st_nlink - 1)
        return entry

    def starts_group(self, entry: Entry) -> bool:
        """Whether later members of this file's hard-link group may follow."""
        if entry.stat is None:
            return False
        group = self._groups.get((entry.stat.dev, entry.stat.ino))
        return group is not None and group.first is entry

    def _member(self, kind: str, path: bytes, found: os.stat_result) -> Entry | None:
        """Gives a later member of a group, which repeats the first one's metadata."""
        key = (found.st_dev, found.st_ino)
        group = self._groups.get(key)
        if group is None or not self._same_file(group.first, kind, found):
            return None
        group.missing -= 1
        if group.missing <= 0:
            del self._groups[key]
        first = group.first
        return first._replace(root=self.number, path=path, link=(first.root, first.path))

    def _same_file(self, first: Entry, kind: str, found: os.stat_result) -> bool:
        if first.kind != kind:
            return False
        if first.stat is not None and first.stat.ctime == found.st_ctime_ns:
            return True
        # It changed since, or the first member is gone and a new file got its inode.
        with suppress(OSError):
            again = os.lstat(join(self._roots[first.root].path, first.path))
            return (again.st_dev, again.st_ino) == (found.st_dev, found.st_ino)
        return False

    def _entry(
        self,
        kind: str,
        path: bytes,
        found: os.stat_result,
        xattrs: Xattrs,
        details: dict[str, Any],
    ) -> Entry:
        uid, gid = found.st_uid, found.st_gid
        return Entry(
            kind,
            self.number,
            path,
            stat.S_IMODE(found.st_mode),
            uid,
            gid,
            self._owners.user(uid),
            self._owners.group(gid),
            found.st_mtime_ns,
            xattrs,
            **details,
        )

    def _read_xattrs(self, target: bytes | int, path: bytes, found: os.stat_result) -> Xattrs:
        try:
            return self._xattrs.read(target, found.st_dev)
        except OSError as error:
            if error.errno not in GONE:
                self._findings.warn("xattr", path, error)
            return ()

    def _file_system(self, target: bytes, found: os.stat_result) -> int:
        known = self._file_systems.get(found.st_dev)
        if known is None:
            with suppress(OSError):
                known = self._file_systems[found.st_dev] = os.statvfs(target).f_fsid
        return known or 0
