"""Opening a file of the scan again, and telling whether it is still the one that was seen."""

import errno
import os
import stat

from .create_messages import Fate, FileStat
from .paths import DIRECTORY_FLAGS, READ_FLAGS, open_beneath, read_by_path

_GONE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO)
# Ours to suffer, not the file's fault: such an error ends the run.
_OURS = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)


class Lost(Exception):
    """A file cannot be read: it is gone, or the box refuses."""

    def __init__(self, fate: Fate, why: str) -> None:
        super().__init__(why)
        self.fate = fate
        self.why = why


def open_file(root: bytes, path: bytes, expect: FileStat | None) -> tuple[int, FileStat]:
    """Opens a regular file for reading; raises Lost.

    When it is not the inode that is expected, the path is walked again without following links, and
    what lies there counts: a file replaced by another is a change, one behind a new link is gone.
    """
    try:
        fd = read_by_path(root, path)
        seen = os.fstat(fd)
        if expect is None or (seen.st_dev, seen.st_ino) != expect[:2]:
            os.close(fd)
            fd = _open_by_descent(root, path)
            seen = os.fstat(fd)
    except OSError as error:
        raise lost(error) from error
    if not stat.S_ISREG(seen.st_mode):
        os.close(fd)
        raise Lost("vanished", "turned into something else")
    return fd, _described(seen)


def fstat(fd: int) -> FileStat:
    """What the descriptor's file looks like now."""
    return _described(os.fstat(fd))


def _described(found: os.stat_result) -> FileStat:
    return FileStat(
        found.st_dev,
        found.st_ino,
        found.st_size,
        found.st_mtime_ns,
        found.st_ctime_ns,
        stat.S_IMODE(found.st_mode),
        found.st_uid,
        found.st_gid,
    )


def lost(error: OSError) -> Lost:
    """What an error of open or read means; errors that are the worker's own are raised again."""
    if error.errno in _OURS:
        raise error
    if error.errno in _GONE:
        return Lost("vanished", "vanished while the snapshot was taken")
    return Lost("unreadable", os.strerror(error.errno or 0))


def _open_by_descent(root: bytes, path: bytes) -> int:
    if not path:
        return os.open(root, READ_FLAGS)
    root_fd = os.open(root, DIRECTORY_FLAGS)
    try:
        return open_beneath(root_fd, path)
    finally:
        os.close(root_fd)
