"""Reads everything dumont promises to bring back of a tree, sharing no code with the worker."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

KINDS = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "directory",
    stat.S_IFLNK: "symlink",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "character device",
    stat.S_IFBLK: "block device",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """What is known of one name without reading its content."""

    path: bytes
    kind: str
    mode: int
    uid: int
    gid: int
    mtime_ns: int
    size: int
    rdev: int
    inode: tuple[int, int]
    links: int
    target: bytes | None
    xattrs: dict[str, bytes]


def read_tree(root: bytes) -> Iterator[Entry]:
    """Yield all entries of a directory, itself (as b'.') first; parents before what they hold."""
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield _read_entry(descriptor, b".", b".")
        yield from _below(descriptor, b"")
    finally:
        os.close(descriptor)


@contextmanager
def opened(root: bytes, path: bytes) -> Iterator[int]:
    """Open a file for reading, however long its path is, following no link on the way."""
    *folders, name = path.split(b"/")
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for folder in folders:
            child = _open_directory(descriptor, folder)
            os.close(descriptor)
            descriptor = child
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
        file = os.open(name, flags, dir_fd=descriptor)
    finally:
        os.close(descriptor)
    try:
        yield file
    finally:
        os.close(file)


def data_extents(file: int, size: int) -> list[tuple[int, int]]:
    """List [start, end) of what is allocated, by the file system's own word."""
    extents = []
    position = 0
    while position < size:
        try:
            start = os.lseek(file, position, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                break
            raise
        position = os.lseek(file, start, os.SEEK_HOLE)
        extents.append((start, position))
    return extents


def _below(directory: int, prefix: bytes) -> Iterator[Entry]:
    for name in sorted(os.fsencode(each) for each in os.listdir(directory)):
        entry = _read_entry(directory, name, prefix + name)
        yield entry
        if entry.kind == "directory":
            child = _open_directory(directory, name)
            try:
                yield from _below(child, prefix + name + b"/")
            finally:
                os.close(child)


def _open_directory(parent: int, name: bytes) -> int:
    return os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)


def _read_entry(directory: int, name: bytes, path: bytes) -> Entry:
    status = os.stat(name, dir_fd=directory, follow_symlinks=False)
    kind = KINDS[stat.S_IFMT(status.st_mode)]
    # Calls on extended attributes take no directory descriptor; through /proc the path stays short.
    short = b"/proc/self/fd/%d/%s" % (directory, name)
    return Entry(
        path=path,
        kind=kind,
        mode=stat.S_IMODE(status.st_mode),
        uid=status.st_uid,
        gid=status.st_gid,
        mtime_ns=status.st_mtime_ns,
        # The size of a directory is the file system's own affair.
        size=0 if kind == "directory" else status.st_size,
        rdev=status.st_rdev,
        inode=(status.st_dev, status.st_ino),
        links=status.st_nlink,
        target=os.readlink(name, dir_fd=directory) if kind == "symlink" else None,
        xattrs={
            each: os.getxattr(short, each, follow_symlinks=False)
            for each in sorted(os.listxattr(short, follow_symlinks=False))
        },
    )
