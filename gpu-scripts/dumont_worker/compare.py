"""Compare what a snapshot holds with what stands at its place, and decide what is to be done."""

import errno
import os
import stat
from collections.abc import Iterator
from enum import IntEnum
from itertools import repeat
from typing import Literal

from .cancellation import Cancelled, Flag
from .content_hash import BLOCK, content_hash, zero_block_hash
from .native import blake3
from .spool import Item

Overwrite = Literal["always", "if-changed", "never"]

READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_TYPES = {
    "file": stat.S_ISREG,
    "dir": stat.S_ISDIR,
    "symlink": stat.S_ISLNK,
    "fifo": stat.S_ISFIFO,
    "char": stat.S_ISCHR,
    "block": stat.S_ISBLK,
}


class Action(IntEnum):
    """What happens to one entry of the snapshot."""

    UNDECIDED = 0
    CREATE = 1
    """Nothing stands there."""
    REPLACE = 2
    """Something else stands there and gives way."""
    COMPARE = 3
    """A regular file of the same size: its content decides."""
    METADATA = 4
    """The same, but for owner, mode, times or attributes."""
    SAME = 5
    KEEP = 6
    """Something stands there and is left alone, as `--overwrite never` says."""
    LINK = 7
    """A further name of a file that was decided before."""
    SKIP = 8
    """Left out on purpose: an access file, a device node."""
    FAILED = 9


WRITES = frozenset({Action.CREATE, Action.REPLACE})


def decide(item: Item, found: os.stat_result | None, overwrite: Overwrite) -> Action:
    """Decide about an entry from what stands at its place; FAILED is a conflict of types.

    Symbolic links come back as COMPARE too: their target decides.
    """
    if found is None:
        return Action.CREATE
    if item.kind == "dir":
        return decide_directory(found, overwrite)
    if stat.S_ISDIR(found.st_mode):
        return Action.FAILED
    if overwrite != "if-changed":
        return Action.KEEP if overwrite == "never" else Action.REPLACE
    return decide_same_type(item, found) if same_type(item, found) else Action.FAILED


def same_type(item: Item, found: os.stat_result) -> bool:
    """Tell whether an existing entry is of the item's kind."""
    return _TYPES[item.kind](found.st_mode)


def decide_directory(found: os.stat_result, overwrite: Overwrite) -> Action:
    """Decide about a directory.

    Only a non-directory may be removed for it, and only with `always`.
    """
    if not stat.S_ISDIR(found.st_mode):
        return Action.REPLACE if overwrite == "always" else Action.FAILED
    return Action.KEEP if overwrite == "never" else Action.METADATA


def decide_same_type(item: Item, found: os.stat_result) -> Action:
    """Decide between two non-directories of one type."""
    if item.kind == "file":
        return Action.COMPARE if found.st_size == item.size else Action.REPLACE
    if item.kind == "symlink":
        return Action.COMPARE
    if item.device is not None and found.st_rdev != os.makedev(*item.device):
        return Action.REPLACE
    return Action.METADATA


def same_content(fd: int, size: int, expected: bytes, cancelled: Flag) -> bool:
    """Tell whether an open file has this size and content hash now; Cancelled when told to stop."""
    if size <= BLOCK:
        # One byte more, so that a longer file shows.
        data = os.pread(fd, size + 1, 0)
        return len(data) == size and blake3(data) == expected
    if os.fstat(fd).st_size != size:
        return False
    try:
        return content_hash(size, block_hashes(fd, size, cancelled)) == expected
    except EOFError:
        return False


def block_hashes(fd: int, size: int, cancelled: Flag) -> Iterator[bytes]:
    """Yield the hash of every block of a file, holes unread.

    EOFError when the file has become shorter.
    """
    at = 0
    # Data is known to begin at or after `start`; blocks that end before it lie in a hole.
    start = next_data(fd, 0, size)
    while at < size:
        if cancelled.is_set():
            raise Cancelled
        if start < at:
            start = next_data(fd, at, size)
        # A hole may be terabytes long: its blocks cost a constant each, and no call.
        if holes := (start - at) // BLOCK:
            yield from repeat(zero_block_hash(BLOCK), holes)
            at += holes * BLOCK
            continue
        length = min(BLOCK, size - at)
        if start >= size:
            yield zero_block_hash(length)
        else:
            data = read_exactly(fd, at, length)
            if data is None:
                raise EOFError
            yield blake3(data)
        at += length


def next_data(fd: int, at: int, size: int) -> int:
    """Return where the next data at or after an offset begins; `size` when only a hole follows."""
    try:
        return os.lseek(fd, at, os.SEEK_DATA)
    except OSError as error:
        # A file system that knows no holes counts as all data.
        return size if error.errno == errno.ENXIO else at


def read_exactly(fd: int, at: int, length: int) -> bytes | None:
    """Read this many bytes; None when the file ends before."""
    data = os.pread(fd, length, at)
    if len(data) == length:
        return data
    parts = [data]
    have = len(data)
    while have < length and parts[-1]:
        parts.append(os.pread(fd, length - have, at + have))
        have += len(parts[-1])
    return b"".join(parts) if have == length else None
