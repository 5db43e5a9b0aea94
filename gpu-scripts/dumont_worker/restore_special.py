"""Make symbolic links, FIFOs and device nodes."""

import errno
import os
import stat

from . import metadata, target
from .metadata import Issue
from .restore_run import Run
from .spool import Item

FORMATS = {
    "file": stat.S_IFREG,
    "symlink": stat.S_IFLNK,
    "fifo": stat.S_IFIFO,
    "char": stat.S_IFCHR,
    "block": stat.S_IFBLK,
}


def make_special(run: Run, number: int, item: Item) -> list[Issue]:
    """Make an entry under a temporary name, set its metadata and put it in place; OSError."""
    directory, name = run.directory_of(item)
    temp = target.temp_name(run.run_id, number)
    try:
        make_node(directory, temp, item)
        with target.pinned(directory, temp) as fd:
            check_identity(fd, item)
            handle, meta = target.by_descriptor(fd), metadata.of_item(item)
            issues = metadata.apply(handle, item.kind, meta, run.policy, clean=True)
        target.put_in_place(directory, temp, name)
    except OSError:
        target.remove_quietly(directory, temp)
        raise
    return issues


def make_node(directory: int, name: bytes, item: Item) -> None:
    """Make a node that nobody else can open yet."""
    if item.kind == "symlink":
        assert item.target is not None  # the index reader refuses a link without target
        os.symlink(item.target, name, dir_fd=directory)
    elif item.kind == "fifo":
        os.mkfifo(name, 0o600, dir_fd=directory)
    else:
        assert item.device is not None  # the index reader refuses a device without numbers
        os.mknod(name, FORMATS[item.kind] | 0o600, os.makedev(*item.device), dir_fd=directory)


def check_identity(fd: int, item: Item) -> None:
    """Refuse to change an object that is of another kind or has other names; OSError EEXIST.

    Somebody may have put a hard link to a foreign file under the name since it was looked at.
    """
    found = os.fstat(fd)
    if found.st_nlink != 1 or stat.S_IFMT(found.st_mode) != FORMATS[item.kind]:
        raise OSError(errno.EEXIST, "something else stands there now")
