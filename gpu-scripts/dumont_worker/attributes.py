"""Owner names and extended attributes of what a scan finds, read cheaply."""

import errno
import grp
import os
import pwd
from collections.abc import Callable

Xattrs = tuple[tuple[bytes, bytes], ...]

_UNSUPPORTED = (errno.ENOTSUP, errno.ENOSYS)
_SAVED = ("user.", "trusted.")
# ACLs and capabilities; labels of security modules belong to the machine, not to the workspace.
_SAVED_NAMES = frozenset(
    ("system.posix_acl_access", "system.posix_acl_default", "security.capability")
)


class OwnerNames:
    """Looks every uid and gid up once."""

    def __init__(self) -> None:
        self._users: dict[int, bytes | None] = {}
        self._groups: dict[int, bytes | None] = {}

    def user(self, uid: int) -> bytes | None:
        """Gives the name of a user, None where the box knows none."""
        if uid not in self._users:
            self._users[uid] = _name(lambda: pwd.getpwuid(uid).pw_name)
        return self._users[uid]

    def group(self, gid: int) -> bytes | None:
        """Gives the name of a group, None where the box knows none."""
        if gid not in self._groups:
            self._groups[gid] = _name(lambda: grp.getgrgid(gid).gr_name)
        return self._groups[gid]


def _name(look_up: Callable[[], str]) -> bytes | None:
    try:
        return os.fsencode(look_up())
    except (KeyError, OSError):
        return None


class XattrReader:
    """Reads extended attributes; asks a device that has none only once."""

    def __init__(self) -> None:
        self._without: set[int] = set()

    def read(self, target: bytes | int, device: int) -> Xattrs:
        """Gives the attributes that are saved, sorted; `target` is a descriptor or a path.

        Links are not followed. Raises OSError.
        """
        if device in self._without:
            return ()
        try:
            names = _list(target)
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise
            self._without.add(device)
            return ()
        return _values(target, names) if names else ()


def _list(target: bytes | int) -> list[str]:
    if isinstance(target, int):
        return os.listxattr(target)
    return os.listxattr(target, follow_symlinks=False)


def _values(target: bytes | int, names: list[str]) -> Xattrs:
    pairs = []
    for name in names:
        if name.startswith(_SAVED) or name in _SAVED_NAMES:
            try:
                if isinstance(target, int):
                    value = os.getxattr(target, name)
                else:
                    value = os.getxattr(target, name, follow_symlinks=False)
            except OSError as error:
                # Removed since it was listed.
                if error.errno == errno.ENODATA:
                    continue
                raise
            pairs.append((os.fsencode(name), value))
    return tuple(sorted(pairs))
