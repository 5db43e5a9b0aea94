"""Parity as it was written once and for all: every object of the golden store comes back."""

from itertools import chain, combinations
from pathlib import Path

import golden
import pytest

from dumont_worker.errors import integrity
from dumont_worker.parity_groups import Group, Stored, decode_groups, encode_groups
from dumont_worker.parity_rebuild import Remains

DIRECTORY = Path(__file__).parents[2] / "test/fixtures/format-1-parity"
SNAPSHOT = "20261123T160200Z-golde3"
LISTED = (DIRECTORY / f"index/{SNAPSHOT}/groups").read_bytes()
GROUPS = decode_groups(LISTED, SNAPSHOT)


def content(key: str) -> bytes:
    return ((DIRECTORY if key.startswith("parity/") else golden.STORE) / key).read_bytes()


def test_groups_are_as_the_list_has_them() -> None:
    assert [(len(group.members), len(group.parity)) for group in GROUPS] == [(3, 3), (3, 1)]
    assert all(one.has_pin(content(one.key)) for group in GROUPS for one in group.objects)
    assert decode_groups(encode_groups(SNAPSHOT, GROUPS), SNAPSHOT) == GROUPS


@pytest.mark.parametrize("group", GROUPS)
def test_whatever_is_lost_comes_back(group: Group) -> None:
    keys = [one.key for one in group.objects]
    sizes = range(1, len(group.parity) + 1)
    for lost in chain.from_iterable(combinations(keys, size) for size in sizes):

        def fetch(one: Stored, first: int, length: int, gone: tuple[str, ...] = lost) -> bytes:
            if one.key in gone:
                raise integrity("missing")
            return content(one.key)[first : first + length]

        made = Remains(group, (0, group.parity[0].length), {lost[0]}, fetch).all()
        assert made == {key: content(key) for key in lost}
