"""Which files of a restore hold which chunks, and which of them are still to come.

Where chunks are stored as differences, a base that lies in a file of the same restore is read from
there, and so is whatever such a file shares with one that was written before: it is neither fetched
nor decoded a second time. Whoever reads it proves it by its hash.
"""

from array import array

from .compare import WRITES, Action
from .restore_run import Run
from .spool import Item

Place = tuple[int, bytes, int]
"""The base directory of a file, its path below, and an offset in it."""

_THERE = frozenset({Action.SAME, Action.METADATA, Action.KEEP})


class Holders:
    """For each chunk a file that holds it in one piece, if there is one.

    Where no chunk is a difference nobody asks, and nothing is looked for.
    """

    def __init__(self, run: Run) -> None:
        """Look through all entries; what happens to each of them must be decided."""
        self._run = run
        self._table = run.index.chunks
        self._paths: dict[int, tuple[int, bytes]] = {}
        self._coming: set[int] = set()
        if not self._table.has_differences:
            return
        # By chunk: the number of the entry and one more, and where in the file.
        self._entries = array("I", bytes(4 * len(self._table)))
        self._offsets = array("Q", bytes(8 * len(self._table)))
        for number, item in run.index.spool.items():
            if number % 512 == 0:
                run.link.check()
            if item.kind == "file" and run.actions[number] in _THERE | WRITES:
                self._take(number, item)

    def _take(self, number: int, item: Item) -> None:
        comes = self._run.actions[number] in WRITES
        for offset, chunk, at, length in item.extents:
            if at or length != self._table.raw[chunk]:
                continue
            known = self._entries[chunk]
            # Nobody has to wait for a file that is there already.
            if not known or (not comes and known - 1 in self._coming):
                self._entries[chunk] = number + 1
                self._offsets[chunk] = offset
                self._paths[number] = (item.base, item.path)
                if comes:
                    self._coming.add(number)

    def find(self, chunk: int) -> Place | None:
        """Return where a chunk lies, or will lie when its file is written."""
        number = self._entry(chunk)
        return None if number is None else (*self._paths[number], self._offsets[chunk])

    def at_hand(self, chunk: int) -> Place | None:
        """Return where a chunk lies already."""
        return None if self._entry(chunk) in self._coming else self.find(chunk)

    def awaited(self, number: int, item: Item) -> set[int]:
        """Return the entries that must be written before this one is, for the sake of its bases."""
        if not self._coming:
            return set()
        bases = {self._table.base(extent[1]) for extent in item.extents}
        entries = {self._entry(base) for base in bases if base is not None}
        return {entry for entry in entries if entry in self._coming and entry != number}

    def arrived(self, number: int) -> None:
        """Take note that an entry is written, or that it never will be."""
        self._coming.discard(number)

    def _entry(self, chunk: int) -> int | None:
        number = self._entries[chunk] - 1 if self._table.has_differences else -1
        return None if number < 0 or self._run.actions[number] == Action.FAILED else number
