"""The arithmetic of parity: every pattern of losses, against a definition by the book."""

import random
from collections.abc import Iterator
from functools import reduce
from itertools import combinations

import pytest

from dumont_worker import parity_sums
from dumont_worker.native import numpy
from dumont_worker.parity_sums import Sums, double_and_add, solve, weight

SEED = 20261124


@pytest.fixture(params=["numpy", "integers"], autouse=True)
def arithmetic(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test holds for both ways to calculate."""
    if request.param == "integers":
        monkeypatch.setattr(parity_sums, "numpy", lambda: None)
    else:
        assert numpy() is not None


def times(a: int, b: int) -> int:
    """A product in GF(2^8), bit by bit."""
    total = 0
    for bit in range(8):
        if b >> bit & 1:
            total ^= a << bit
    for bit in range(14, 7, -1):
        if total >> bit & 1:
            total ^= 0x11D << (bit - 8)
    return total


def power(exponent: int) -> int:
    return reduce(times, [2] * exponent, 1)


def by_the_book(members: list[bytes], row: int) -> bytes:
    length = max(map(len, members))
    padded = [member.ljust(length, b"\0") for member in members]
    factors = [power(row * place) for place in range(len(members))]
    return bytes(
        reduce(lambda a, b: a ^ b, map(times, factors, column))
        for column in zip(*padded, strict=True)
    )


def summed(members: list[bytes], count: int) -> list[bytes]:
    sums = Sums(count)
    for member in reversed(members):
        sums.add(member)
    return [bytes(sums.parity(row)) for row in range(count)]


def members_of(count: int, least: int = 1, most: int = 60) -> list[bytes]:
    source = random.Random(SEED + count)
    return [source.randbytes(source.randint(least, most)) for _ in range(count)]


def rebuilt(
    members: list[bytes], parity: dict[int, bytes], lost: tuple[int, ...]
) -> dict[int, bytes]:
    """What `solve` makes of the rest, cut to the members' lengths."""
    length = max(map(len, members))
    left = [b"" if place in lost else member for place, member in enumerate(members)]
    sums = Sums(4, length)
    sums.add(bytes(length))
    for member in reversed(left):
        sums.add(member)
    for row, found in parity.items():
        double_and_add(sums.parity(row), 0, found)
    made = solve({row: sums.parity(row) for row in parity}, lost)
    return {place: bytes(made[place][: len(members[place])]) for place in lost}


@pytest.mark.parametrize("count", [1, 2, 3, 15, 16])
def test_sums_are_those_of_the_definition(count: int) -> None:
    members = members_of(count)
    assert summed(members, 4) == [by_the_book(members, row) for row in range(4)]


def test_p_and_q_are_those_of_raid_6() -> None:
    # As H. Peter Anvin's "The mathematics of RAID-6" has them: P is the plain sum, and the
    # generator's powers go 1, 2, 4, … 0x80, 0x1d, 0x3a, 0x74, 0xe8, 0xcd.
    powers = [0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0x1D, 0x3A, 0x74, 0xE8, 0xCD]
    assert [weight(place, 1) for place in range(13)] == powers
    for place, value in enumerate(powers):
        disks = [bytes([int(n == place)]) for n in range(13)]
        assert summed(disks, 2) == [b"\x01", bytes([value])]


def test_lengths_of_every_remainder_and_past_a_stripe_are_summed_alike() -> None:
    source = random.Random(SEED)
    for length in (*range(1, 19), (256 << 10) - 1, (256 << 10) + 9):
        first, second = source.randbytes(length), source.randbytes(max(1, length - 5))
        members = [first, second]
        found = summed(members, 3)
        for at in {0, length // 2, length - 1, max(0, length - 6)}:
            here = [one[at : at + 1] or b"\0" for one in members]
            assert [bytes(one[at : at + 1]) for one in found] == [
                by_the_book(here, row) for row in range(3)
            ]


def losses(count: int, rows: int) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Every set of lost members, with every set of as many parity objects that are left."""
    for size in range(1, min(rows, count) + 1):
        for lost in combinations(range(count), size):
            for left in combinations(range(rows), size):
                yield lost, left


@pytest.mark.parametrize("count", [1, 2, 5])
def test_members_come_back_from_any_as_many_parity_objects(count: int) -> None:
    members = members_of(count, 1, 20)
    parity = summed(members, 4)
    for lost, left in losses(count, 4):
        found = rebuilt(members, {row: parity[row] for row in left}, lost)
        assert found == {place: members[place] for place in lost}, (lost, left)


def test_any_two_of_sixteen_come_back_from_p_and_q() -> None:
    members = members_of(16, 1, 12)
    parity = summed(members, 2)
    for lost, left in losses(16, 2):
        found = rebuilt(members, {row: parity[row] for row in left}, lost)
        assert found == {place: members[place] for place in lost}, (lost, left)


def test_every_square_part_of_the_coefficients_can_be_inverted() -> None:
    tried = 0
    for lost, left in losses(16, 4):
        parts = [[weight(place, row) for place in lost] for row in left]
        inverse = parity_sums._inverse(parts)
        for number, line in enumerate(inverse):
            product = [
                reduce(lambda a, b: a ^ b, map(times, line, column))
                for column in zip(*parts, strict=True)
            ]
            assert product == [int(n == number) for n in range(len(lost))]
        tried += 1
    assert tried == 4844


def test_more_losses_than_sums_are_refused() -> None:
    with pytest.raises(ValueError, match="2 members are lost"):
        solve({1: bytes(8)}, (0, 3))
