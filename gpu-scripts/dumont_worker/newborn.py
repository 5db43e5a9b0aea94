"""Make new files with owner and mode right from the start, where that spares setting them."""

import stat

from . import metadata, target
from .metadata import Meta

_SPECIAL = 0o7000


class Newborn:
    """What new files of some directories are born with.

    It is learned from the first file of each directory, and of each mode in it: the umask, a
    setgid directory, a default ACL and the file system itself all have a say.
    """

    def __init__(self) -> None:
        """Know nothing yet."""
        self._acls: dict[int, bool] = {}
        self._owners: dict[int, tuple[int, int]] = {}
        self._modes: dict[tuple[int, int], bool] = {}

    def inherits(self, group: int, directory: int) -> bool:
        """Tell whether what is made in a directory inherits an ACL."""
        found = self._acls.get(group)
        if found is None:
            handle = target.by_descriptor(directory)
            found = self._acls[group] = metadata.has_default_acl(handle)
        return found

    def create(self, group: int, directory: int, temp: bytes, meta: Meta) -> tuple[int, bool]:
        """Create a file in an open directory known by the number `group`; OSError.

        True means that only times are to be set still. Nobody may read it who may not read it at
        the end.
        """
        key = (group, meta.mode)
        is_plain = not meta.xattrs and not meta.mode & _SPECIAL
        is_ours = self._owners.get(group) == (meta.uid, meta.gid)
        if not (is_plain and is_ours and self._modes.get(key, True)):
            fd = target.create_file(directory, temp)
            if group not in self._owners and not self.inherits(group, directory):
                found = target.status(fd)
                self._owners[group] = (found.st_uid, found.st_gid)
            return fd, False
        fd = target.create_file(directory, temp, meta.mode)
        if key not in self._modes:
            self._modes[key] = stat.S_IMODE(target.status(fd).st_mode) == meta.mode
        return fd, self._modes[key]
