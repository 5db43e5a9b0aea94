"""Finds records in a byte array by the hash they begin with."""

from array import array

HASH = 32
_FIRST_SLOTS = 1 << 10


class NumberTable:
    """Numbers of records by the 32 bytes each begins with; 8 to 16 bytes a record besides it.

    A dictionary takes 170 to 250, and there is a chunk for every MiB of a workspace. Finding one
    takes about a microsecond. Of equal ones the first is found.
    """

    def __init__(self, records: bytearray, size: int) -> None:
        """`records` are `size` bytes each, and belong to the caller, who only ever appends."""
        self._records = records
        self._size = size
        # Open addressing: the number plus one, 0 for an empty slot, at most half of them taken.
        self._slots = array("I", bytes(4 * _FIRST_SLOTS))
        self._count = 0

    def __len__(self) -> int:
        """Return how many records can be found."""
        return self._count

    def __contains__(self, key: bytes) -> bool:
        """Return whether a record with this hash can be found."""
        return self.find(key) is not None

    def find(self, key: bytes) -> int | None:
        """Give the number of the record that begins with this hash."""
        taken = self._slots[self._slot(key)]
        return taken - 1 if taken else None

    def add(self, number: int) -> None:
        """Make a record that is there findable; nothing happens if its like is already."""
        if 2 * self._count >= len(self._slots):
            self._grow()
        slot = self._slot(self._key(number))
        if not self._slots[slot]:
            self._slots[slot] = number + 1
            self._count += 1

    def _key(self, number: int) -> bytes:
        at = number * self._size
        return bytes(self._records[at : at + HASH])

    def _slot(self, key: bytes) -> int:
        """The slot that holds this hash, or the empty one where it would be."""
        slots, mask = self._slots, len(self._slots) - 1
        # Salted by the interpreter: nobody can choose content whose hashes meet.
        slot = hash(key) & mask
        while (taken := slots[slot]) and self._key(taken - 1) != key:
            slot = (slot + 1) & mask
        return slot

    def _grow(self) -> None:
        before = self._slots
        self._slots = array("I", bytes(2 * 4 * len(before)))
        for taken in before:
            if taken:
                self._slots[self._slot(self._key(taken - 1))] = taken
