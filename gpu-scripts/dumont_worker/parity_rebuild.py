"""Makes a range of a lost object again, from the same range of the rest of its group."""

from collections.abc import Callable, Collection, Iterator
from itertools import combinations, islice

from .errors import WorkerError, integrity
from .native import BytesLike
from .parity_groups import Group, Stored
from .parity_sums import Sums, double_and_add, solve, weight, weighted

Fetch = Callable[[Stored, int, int], BytesLike]
"""Gives bytes of an object from an offset on, so many; raises INTEGRITY where it cannot."""
Proof = Callable[[BytesLike], bool]

# With four parity objects and one loss there are a thousand ways for three more to be damaged.
_MOST_TRIES = 200


class Remains:
    """The same range of every object of a group, summed: what is left of it, and what follows.

    Holds as many bytes of the range as there are parity objects, and once more while it solves.
    """

    def __init__(
        self, group: Group, span: tuple[int, int], lost: Collection[str], fetch: Fetch
    ) -> None:
        """Reads `span`, an offset and a length, of all that is not known to be lost.

        INTEGRITY when more is lost than parity makes up for.
        """
        self._group = group
        self._first, self._length = span
        self._fetch = fetch
        self._lost = set(lost)
        self._sums = Sums(len(group.parity), self._length)
        self._sums.add(bytes(self._length))
        for member in reversed(group.members):
            self._sums.add(self._read(member) or b"")
        self._rows = []
        for row, parity in enumerate(group.parity):
            data = self._read(parity)
            if data is not None:
                double_and_add(self._sums.parity(row), 0, data)
                self._rows.append(row)
        self._missing = [n for n, one in enumerate(group.members) if one.key in self._lost]
        if len(self._missing) > len(self._rows):
            raise integrity(
                f"{len(self._missing)} objects of its group are missing or damaged, "
                f"and {len(self._rows)} of {len(group.parity)} parity objects are left"
            )

    def member(self, key: str, is_it: Proof) -> BytesLike:
        """Gives the range of a lost member; INTEGRITY when nothing that follows is it.

        Where parity is left over, others are tried as damaged too: a range has no checksum.
        """
        wanted = next(n for n, one in enumerate(self._group.members) if one.key == key)
        for found in islice(self._answers(), _MOST_TRIES):
            data = self._cut(self._group.members[wanted], found[wanted])
            if is_it(data):
                return data
        raise integrity("what the rest of its group gives is not it: more of that is damaged")

    def all(self) -> dict[str, BytesLike]:
        """Gives all that is lost, by key, if nothing else is damaged."""
        found = next(self._answers())
        group = self._group
        made: dict[str, BytesLike] = {
            group.members[n].key: self._cut(group.members[n], found[n]) for n in self._missing
        }
        for row, parity in enumerate(group.parity):
            if row not in self._rows:
                # What is left of the members was summed, and nothing else.
                terms: list[tuple[int, BytesLike]] = [(1, self._sums.parity(row))]
                terms += [(weight(n, row), found[n]) for n in self._missing]
                made[parity.key] = weighted(terms)
        return made

    def _read(self, one: Stored) -> BytesLike | None:
        """Gives what there is of an object in the range, None when it is lost."""
        length = min(self._length, one.length - self._first)
        if one.key in self._lost or length <= 0:
            return None if one.key in self._lost else b""
        try:
            return self._fetch(one, self._first, length)
        except WorkerError as error:
            if error.code != "INTEGRITY":
                raise
            self._lost.add(one.key)
            return None

    def _answers(self) -> Iterator[dict[int, bytearray]]:
        """Solutions by member: if nothing else is damaged, if one more object is, and so on."""
        others = [n for n in range(len(self._group.members)) if n not in self._missing]
        objects = [("member", n) for n in others] + [("row", n) for n in self._rows]
        for more in range(len(self._rows) - len(self._missing) + 1):
            for suspects in combinations(objects, more):
                lost = [*self._missing, *(n for kind, n in suspects if kind == "member")]
                rows = [row for row in self._rows if ("row", row) not in suspects]
                if len(lost) <= len(rows):
                    yield solve({row: self._sums.parity(row) for row in rows}, lost)

    def _cut(self, one: Stored, data: bytearray) -> memoryview:
        return memoryview(data)[: max(0, one.length - self._first)]
