"""Objects of a store are lost or rot: what a restore makes of it, and a repair."""

import gzip
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from compare_trees import compare_trees
from fake_operator import FakeStore, Fault, Json, WorkerFailed
from parity_rig import MIB, ParityOperator, check_groups, groups_of, noise, packs_of, parts
from sealing import SealedStore

# One engine, and packs of which some files make several.
SMALL: dict[str, Any] = {"parts": 2, "memory": 214 * MIB, "codec": "none", "parity": 2}
BOTH = pytest.mark.parametrize("store", ["plain", "sealed"], indirect=True)


@pytest.fixture
def store(request: pytest.FixtureRequest) -> Iterator[FakeStore]:
    made = SealedStore() if getattr(request, "param", "") == "sealed" else FakeStore()
    yield made
    made.close()


@pytest.fixture
def operator(store: FakeStore, tmp_path: Path) -> Iterator[ParityOperator]:
    with ParityOperator(store, tmp_path / "private") as made:
        yield made
    assert made.broken_rules + store.broken_rules == []


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return noise(tmp_path / "tree", 14)


def group_of(store: FakeStore, created: Json, kind: str) -> Json:
    """The largest group of packs, or of the index."""
    groups = [one for one in groups_of(store, created) if one["members"][0]["key"].startswith(kind)]
    found = max(groups, key=lambda one: len(one["members"]))
    assert len(found["members"]) > 1
    return found


def keys(found: list[Json]) -> list[str]:
    return [one["key"] for one in found]


def spoil(store: FakeStore, key: str) -> None:
    """Every byte becomes another, and the length stays."""
    store.objects[key] = bytes(255 - byte for byte in store.objects[key])


def states(store: FakeStore) -> dict[str, str]:
    return {key: hashlib.sha256(data).hexdigest() for key, data in store.objects.items()}


@BOTH
def test_two_lost_packs_are_restored_and_repaired(operator, store, tree, tmp_path) -> None:
    created = operator.create(tree, **SMALL)
    before = states(store)
    missing, rotten = keys(group_of(store, created, "packs/")["members"])[:2]
    del store.objects[missing]
    spoil(store, rotten)
    restored = operator.restore(created, tmp_path / "out")
    assert restored["failures"] == []
    assert compare_trees(tree, tmp_path / "out") == []
    assert operator.rebuilt() == sorted([missing, rotten])
    assert restored["warnings"] == {"rebuilt": 2}
    result = operator.repair(created, [missing, rotten])
    assert (result["repaired"], result["hopeless"]) == (2, 0)
    assert operator.told("repaired") == sorted([missing, rotten])
    assert result["bytes"] == sum(len(store.objects[key]) for key in (missing, rotten))
    assert states(store) == before


def test_a_restore_of_a_whole_store_does_not_look_at_parity(operator, tree, tmp_path) -> None:
    created = operator.create(tree, **SMALL)
    operator.restore(created, tmp_path / "out")
    assert operator.raw == []
    assert not any(key.endswith("/groups") for key in operator.store.gets)


def test_three_lost_packs_are_named_by_the_files_they_cost(operator, store, tree, tmp_path) -> None:
    created = operator.create(tree, **SMALL)
    lost = keys(group_of(store, created, "packs/")["members"])[:3]
    for key in lost:
        del store.objects[key]
    restored = operator.restore(created, tmp_path / "out")
    failures = restored["failures"]
    assert restored["damaged"] == len(failures) > 0
    assert all(
        "3 objects of its group are missing or damaged" in one["message"] for one in failures
    )
    names = {Path(one["path"]).name for one in failures}
    for path in tree.iterdir():
        assert (tmp_path / "out" / path.name).exists() == (path.name not in names)
    before = states(store)
    result = operator.repair(created, lost)
    assert (result["repaired"], result["hopeless"]) == (0, 3)
    assert operator.told("hopeless") == sorted(lost)
    assert states(store) == before


def test_a_group_that_is_lost_does_not_keep_another_from_repair(operator, store, tree) -> None:
    created = operator.create(tree, **SMALL)
    lost = keys(group_of(store, created, "packs/")["members"])[:3]
    segment = created["index"]["segments"][0]["key"]
    for key in [*lost, segment]:
        del store.objects[key]
    # Without its segment the index proves nothing, so that comes first.
    result = operator.repair(created, [*lost, segment])
    assert (result["repaired"], result["hopeless"]) == (1, 3)
    assert segment in store.objects


@BOTH
@pytest.mark.parametrize("how", ["missing", "rotten"])
def test_an_index_is_restored_and_repaired(operator, store, tmp_path, how) -> None:
    tree = noise(tmp_path / "tree", 2, 300_000)
    created = operator.create(tree, parity=2)
    before = states(store)
    lost = [created["index"]["segments"][0]["key"], created["index"]["packs"]["key"]]
    for key in lost:
        spoil(store, key) if how == "rotten" else store.objects.pop(key)
    for salvage in (False, True):
        restored = operator.restore(created, tmp_path / f"out-{salvage}", salvage=salvage)
        assert restored["failures"] == []
        assert compare_trees(tree, tmp_path / f"out-{salvage}") == []
    assert operator.repair(created, lost)["repaired"] == 2
    assert states(store) == before


@BOTH
def test_parity_objects_are_made_again(operator, store, tmp_path) -> None:
    created = operator.create(noise(tmp_path / "tree", 3, 300_000), parity=4)
    before = states(store)
    group = group_of(store, created, "index/")
    lost = [*keys(group["parity"])[1:], group["members"][0]["key"]]
    for key in lost:
        del store.objects[key]
    assert operator.repair(created, lost)["repaired"] == 4
    assert states(store) == before
    check_groups(store, created, 4)


def test_a_restore_does_without_lost_parity_as_far_as_some_is_left(
    operator, store, tree, tmp_path
) -> None:
    created = operator.create(tree, **SMALL)
    group = group_of(store, created, "packs/")
    del store.objects[group["members"][0]["key"]]
    spoil(store, group["parity"][0]["key"])
    assert operator.restore(created, tmp_path / "out")["failures"] == []
    del store.objects[group["parity"][1]["key"]]
    assert operator.restore(created, tmp_path / "again")["damaged"] > 0


@pytest.mark.parametrize("how", ["missing", "rotten"])
def test_without_its_list_a_restore_goes_on_and_a_repair_does_not(
    operator, store, tree, tmp_path, how
) -> None:
    created = operator.create(tree, **SMALL)
    lost = group_of(store, created, "packs/")["members"][0]["key"]
    del store.objects[lost]
    listed = created["index"]["groups"]["key"]
    whole = store.objects[listed]
    if how == "rotten":
        spoil(store, listed)
    else:
        del store.objects[listed]
    restored = operator.restore(created, tmp_path / "out")
    assert restored["damaged"] > 0
    assert restored["warnings"] == {"parity": 1}
    spoiled = dict(store.objects)
    store.objects[listed] = whole
    known = group_of(store, created, "packs/")
    store.objects = spoiled
    operator.lost = {one["key"]: one for one in known["members"]}
    fields = {name: created["index"][name] for name in ("segments", "packs", "groups")}
    operator.send(
        "repair", id=5, snapshot=operator.snapshot, lost=[lost], parts=2, memory=1 << 29, **fields
    )
    with pytest.raises(WorkerFailed, match="INTEGRITY"):
        operator.wait()


def test_a_member_that_nobody_knew_to_be_damaged_counts_as_lost(operator, store, tree) -> None:
    created = operator.create(tree, **SMALL)
    first, second, third, *_ = keys(group_of(store, created, "packs/")["members"])
    del store.objects[first]
    spoil(store, second)
    assert operator.repair(created, [first])["repaired"] == 1
    del store.objects[first]
    spoil(store, third)
    assert operator.repair(created, [first])["hopeless"] == 1


def test_what_has_the_wrong_chunks_is_not_sent(operator, store, tree) -> None:
    created = operator.create(tree, **SMALL)
    key = group_of(store, created, "packs/")["members"][0]["key"]
    ref = created["index"]["segments"][0]
    index = store.plain(ref)
    lines = gzip.decompress(index)
    frames = lines.split(b'"frame":"')
    changed = b'"frame":"'.join([frames[0], *(b"0" * 64 + rest[64:] for rest in frames[1:])])
    store.rewrite(ref, gzip.compress(changed))
    del store.objects[key]
    assert operator.repair(created, [key])["hopeless"] == 1
    assert key not in store.objects


def test_an_object_without_parity_is_told_of(operator, store, tmp_path) -> None:
    created = operator.create(noise(tmp_path / "tree", 1, 100_000), parity=1)
    operator.send(
        "repair",
        id=6,
        snapshot=operator.snapshot,
        lost=["packs/20261123T140200Z-k3f7qz/0-0-1"],
        parts=2,
        memory=1 << 29,
        **{name: created["index"][name] for name in ("segments", "packs", "groups")},
    )
    assert operator.wait()["hopeless"] == 1


def test_a_repair_takes_no_more_memory_than_it_is_given(operator, store, tree) -> None:
    created = operator.create(tree, **SMALL)
    key = group_of(store, created, "packs/")["members"][0]["key"]
    del store.objects[key]
    with pytest.raises(WorkerFailed, match="USAGE"):
        operator.repair(created, [key], memory=70 * MIB)


@pytest.mark.parametrize("kind", ["ambiguous", "other", "expired"])
def test_a_repair_settles_what_is_unclear(operator, store, tmp_path, kind) -> None:
    created = operator.create(noise(tmp_path / "tree", 2, 300_000), parity=1)
    key = packs_of(store, created)[0]
    del store.objects[key]
    before = {one["key"]: one for group in groups_of(store, created) for one in parts(group)}
    store.faults = [Fault("PUT", kind, prefix=key)]
    assert operator.repair(created, [key])["repaired"] == 1
    assert store.holds(key, before[key])


def test_expired_urls_are_asked_for_again(operator, store, tree, tmp_path) -> None:
    created = operator.create(tree, **SMALL)
    lost, other, *_ = keys(group_of(store, created, "packs/")["members"])
    del store.objects[lost]
    store.faults = [Fault("GET", "expired", times=2, prefix="parity/")]
    restored = operator.restore(created, tmp_path / "out")
    assert restored["failures"] == []
    assert operator.raw.count(other) >= 2
