"""Open what lies below a root for reading: no links followed, no limit on length."""

import errno
import os

READ_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
"""For content: O_NONBLOCK because a FIFO may have taken the file's place, and would block."""
DIRECTORY_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

# PATH_MAX is 4096 with the final NUL; names below /proc/self/fd need room for their prefix too.
_SHORT = 4000
# O_PATH needs search permission on the parent only, as a walk by name does.
_STEP_FLAGS = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def join(root: bytes, path: bytes) -> bytes:
    """Gives the absolute path of `path` below `root`; the root itself for the empty path."""
    if not path:
        return root
    return root + path if root.endswith(b"/") else root + b"/" + path


def open_beneath(root_fd: int, path: bytes, flags: int = READ_FLAGS) -> int:
    """Opens `path` below a directory by descent, the last component with `flags`.

    Raises OSError: ELOOP or ENOTDIR where a component became a link or file, ENOENT where gone.
    """
    names = path.split(b"/")
    if not all(names) or b".." in names or b"." in names:
        raise OSError(errno.EINVAL, "a path that is not in its plain form", path)
    fd = root_fd
    try:
        for name in names[:-1]:
            child = os.open(name, _STEP_FLAGS, dir_fd=fd)
            if fd != root_fd:
                os.close(fd)
            fd = child
        return os.open(names[-1], flags | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fd)
    finally:
        if fd != root_fd:
            os.close(fd)


def read_by_path(root: bytes, path: bytes, flags: int = READ_FLAGS) -> int:
    """Opens `path` below the absolute `root` for reading; the empty path is the root itself.

    A short path is opened by name in one call, so a directory above the file may have become a link
    meanwhile: the caller compares device and inode of the descriptor with those of the entry.
    """
    whole = join(root, path)
    if len(whole) < _SHORT:
        return os.open(whole, flags | os.O_NOFOLLOW | os.O_CLOEXEC)
    root_fd = os.open(root, _STEP_FLAGS & ~os.O_NOFOLLOW)
    try:
        return open_beneath(root_fd, path, flags)
    finally:
        os.close(root_fd)
