"""What comes back of a group: every loss it makes up for, silent damage, and too much of both."""

import random
from collections.abc import Callable
from itertools import combinations

import pytest

from dumont_worker.errors import WorkerError, integrity
from dumont_worker.native import blake3
from dumont_worker.pack_builder import pin_of
from dumont_worker.parity_groups import Group, Stored
from dumont_worker.parity_rebuild import Remains
from dumont_worker.parity_sums import Sums

SEED = 20261124
ID = "20261123T140200Z-k3f7qz"


class Shelf:
    """A group in memory, of which objects can be lost or changed."""

    def __init__(self, count: int, rows: int, most: int = 40) -> None:
        source = random.Random(SEED + 100 * count + rows)
        self.data: dict[str, bytes] = {}
        keys = [f"packs/{ID}/0-{n}-1" for n in range(count)]
        sums = Sums(rows)
        for key in reversed(keys):
            self.data[key] = source.randbytes(source.randint(1, most))
            sums.add(self.data[key])
        parity = [f"parity/{ID}/0-{n}-1" for n in range(rows)]
        for row, key in enumerate(parity):
            self.data[key] = bytes(sums.parity(row))
        self.group = Group(tuple(map(self._stored, keys)), tuple(map(self._stored, parity)))
        self.whole = dict(self.data)
        self.fetched: list[tuple[str, int, int]] = []

    def _stored(self, key: str) -> Stored:
        data = self.data[key]
        return Stored(key, len(data), "crc32", pin_of("crc32", data))

    def fetch(self, one: Stored, first: int, length: int) -> bytes:
        self.fetched.append((one.key, first, length))
        assert 0 < length <= one.length - first
        if one.key not in self.data:
            raise integrity("missing")
        return self.data[one.key][first : first + length]

    def flip(self, key: str, at: int = 0) -> None:
        data = bytearray(self.data[key])
        data[at] ^= 0x40
        self.data[key] = bytes(data)

    def member(self, key: str, first: int = 0, length: int | None = None) -> bytes:
        """A range as parity gives it, proven by a hash."""
        wanted = self.whole[key][first : None if length is None else first + length]
        remains = Remains(self.group, (first, len(wanted)), {key}, self.fetch)
        digest = blake3(wanted)
        found = bytes(remains.member(key, lambda data: blake3(data) == digest))
        assert found == wanted
        return found

    def all(self, lost: set[str]) -> dict[str, bytes]:
        length = self.group.parity[0].length
        made = Remains(self.group, (0, length), lost, self.fetch).all()
        return {key: bytes(data) for key, data in made.items()}


def refused(task: Callable[[], object]) -> str:
    with pytest.raises(WorkerError) as failure:
        task()
    assert failure.value.code == "INTEGRITY"
    return failure.value.message


@pytest.mark.parametrize(("count", "rows"), [(1, 1), (1, 4), (2, 2), (4, 3), (5, 4), (16, 2)])
def test_whatever_is_lost_comes_back_whole(count: int, rows: int) -> None:
    shelf = Shelf(count, rows)
    keys = [one.key for one in shelf.group.objects]
    for size in range(1, min(rows, 2) + 1):
        for lost in combinations(keys, size):
            shelf.data = {key: data for key, data in shelf.whole.items() if key not in lost}
            # Whether it was known to be lost before, or is found out.
            assert shelf.all(set(lost)) == shelf.all({lost[0]})
            assert shelf.all(set(lost)) == {key: shelf.whole[key] for key in lost}


def test_as_many_as_there_are_parity_objects_come_back() -> None:
    shelf = Shelf(6, 4)
    for lost in combinations([one.key for one in shelf.group.objects], 4):
        shelf.data = {key: data for key, data in shelf.whole.items() if key not in lost}
        assert shelf.all(set(lost)) == {key: shelf.whole[key] for key in lost}


def test_one_more_is_too_many() -> None:
    shelf = Shelf(6, 2)
    keys = [one.key for one in shelf.group.objects]
    for lost in (keys[:3], [keys[0], *keys[5:7]], keys[5:]):
        shelf.data = {key: data for key, data in shelf.whole.items() if key not in lost}
        message = refused(lambda some=lost: shelf.all({some[0]}))
        assert "are missing or damaged" in message


def test_a_range_takes_only_the_same_range_of_the_others() -> None:
    shelf = Shelf(5, 2, most=4000)
    key = max(shelf.group.members, key=lambda one: one.length).key
    del shelf.data[key]
    for first, length in ((0, 1), (7, 90), (len(shelf.whole[key]) - 1, 1)):
        shelf.fetched.clear()
        shelf.member(key, first, length)
        assert all(at == first and count <= length for _, at, count in shelf.fetched)
        assert key not in [name for name, _, _ in shelf.fetched]


def test_a_range_behind_the_end_of_others_is_made_of_the_rest() -> None:
    shelf = Shelf(5, 1, most=4000)
    longest = max(shelf.group.members, key=lambda one: one.length)
    del shelf.data[longest.key]
    shelf.member(longest.key, longest.length - 3, 3)
    assert [key for key, _, _ in shelf.fetched] == [shelf.group.parity[0].key]


@pytest.mark.parametrize("rows", [2, 3, 4])
def test_silent_damage_of_another_is_found_by_trying(rows: int) -> None:
    shelf = Shelf(5, rows)
    lost = shelf.group.members[1].key
    for one in shelf.group.objects:
        if one.key != lost:
            shelf.data = {key: data for key, data in shelf.whole.items() if key != lost}
            shelf.flip(one.key)
            shelf.member(lost)


def test_two_silent_damages_take_two_parity_objects_more() -> None:
    shelf = Shelf(5, 3)
    lost, *others = (one.key for one in shelf.group.objects)
    for pair in combinations(others, 2):
        shelf.data = {key: data for key, data in shelf.whole.items() if key != lost}
        for key in pair:
            shelf.flip(key)
        shelf.member(lost)


def test_silent_damage_that_nothing_is_left_for_is_told() -> None:
    shelf = Shelf(5, 1)
    lost, other, *_ = (one.key for one in shelf.group.objects)
    del shelf.data[lost]
    shelf.flip(other)
    assert "more of that is damaged" in refused(lambda: shelf.member(lost))


def test_trying_has_an_end() -> None:
    shelf = Shelf(16, 4)
    lost, *others = (one.key for one in shelf.group.objects)
    for key in others:
        shelf.flip(key)
    tries = 0

    def is_it(_: object) -> bool:
        nonlocal tries
        tries += 1
        return False

    remains = Remains(shelf.group, (0, 1), {lost}, shelf.fetch)
    refused(lambda: remains.member(lost, is_it))
    assert tries == 200


def test_what_cannot_be_reached_is_no_loss() -> None:
    shelf = Shelf(3, 2)

    def fetch(one: Stored, first: int, length: int) -> bytes:
        raise WorkerError("UNREACHABLE", "no way")

    with pytest.raises(WorkerError) as failure:
        Remains(shelf.group, (0, 1), {shelf.group.members[0].key}, fetch)
    assert failure.value.code == "UNREACHABLE"
