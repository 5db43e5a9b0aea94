"""Entries on their way from the index to the disk.

Kept small in memory, and in an unnamed file when there are many.
"""

import marshal
import os
import struct
import tempfile
from collections.abc import Iterator
from typing import IO, NamedTuple

_LENGTH = struct.Struct("<I")
_BATCH = 512
# About 200,000 entries; more go to the private directory, to a file without a name that no kill
# can leave behind.
_IN_MEMORY = 64 << 20


class Item(NamedTuple):
    """What a restore needs of an entry.

    `link` and (base, path) say places on this box, extents are plain tuples.
    """

    kind: str
    root: int
    base: int
    path: bytes
    role: int
    mode: int
    uid: int
    gid: int
    mtime: int
    xattrs: tuple[tuple[bytes, bytes], ...]
    size: int
    hash: bytes | None
    extents: tuple[tuple[int, int, int, int], ...]
    link: tuple[int, bytes] | None
    target: bytes | None
    device: tuple[int, int] | None


class Spool:
    """A list of items that is written once and read in order any number of times."""

    def __init__(self, directory: bytes) -> None:
        """`directory` takes the unnamed file."""
        self._file: IO[bytes] = tempfile.SpooledTemporaryFile(  # noqa: SIM115 - closed by close()
            max_size=_IN_MEMORY, dir=os.fsdecode(directory)
        )
        self._batch: list[tuple[object, ...]] = []
        self._count = 0

    def __len__(self) -> int:
        """Return the number of items."""
        return self._count

    def add(self, item: Item) -> None:
        """Append an item; OSError when the disk is full."""
        self._batch.append(tuple(item))
        self._count += 1
        if len(self._batch) >= _BATCH:
            self._flush()

    def _flush(self) -> None:
        data = marshal.dumps(self._batch)
        self._file.write(_LENGTH.pack(len(data)))
        self._file.write(data)
        self._batch.clear()

    def items(self) -> Iterator[tuple[int, Item]]:
        """Yield number and item, in the order they were added; one reader at a time."""
        if self._batch:
            self._flush()
        self._file.seek(0)
        number = 0
        while head := self._file.read(_LENGTH.size):
            for fields in marshal.loads(self._file.read(_LENGTH.unpack(head)[0])):
                yield number, Item._make(fields)
                number += 1

    def close(self) -> None:
        """Give the memory or the file back."""
        self._file.close()
