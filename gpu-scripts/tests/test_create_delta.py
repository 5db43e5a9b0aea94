"""Whole creates of workspaces whose tensors have relatives."""

import json
import random
import struct
from array import array
from pathlib import Path

import pytest
from fake_operator import FakeOperator, FakeStore, Json, parent_of
from read_snapshot import Snapshot, assert_same
from test_create import scanned_later

WORDS = 1 << 18


def weights(seed: int) -> "array[float]":
    dice = random.Random(seed)
    return array("f", [dice.gauss(0, 0.05) for _ in range(WORDS)])


def save(path: Path, weights: "array[float]", name: str = "layer") -> None:
    """A safetensors file of one fp32 tensor."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = weights.tobytes()
    tensor = {"dtype": "F32", "shape": [len(weights)], "data_offsets": [0, len(data)]}
    # Of each file its own: a shared one may lie in a pack that is left to be removed.
    header = {"__metadata__": {"of": path.parent.name}, name: tensor}
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def trained(weights: "array[float]", seed: int) -> "array[float]":
    dice = random.Random(seed)
    return array("f", [one * (1 + dice.gauss(0, 1e-6)) for one in weights])


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three checkpoints, each a step from the one before."""
    root = tmp_path / "tree"
    state = weights(1)
    for step in (100, 200, 300):
        save(root / f"step-{step}/model.safetensors", state)
        state = trained(state, step)
    return root


def differences(snapshot: Snapshot) -> int:
    return sum(chunk.base is not None for chunk in snapshot.chunks)


def test_later_checkpoints_are_stored_as_differences_from_the_first(
    operator: FakeOperator, store: FakeStore, root: Path
) -> None:
    result = operator.create(root)

    snapshot = Snapshot(store, result, operator.snapshot)
    assert_same(snapshot, root)
    assert differences(snapshot) == 2
    told = result["bytes"]["delta"]
    assert told["raw"] == differences(snapshot) * 4 * WORDS
    assert told["stored"] == sum(chunk.stored for chunk in snapshot.chunks if chunk.base)
    assert told["stored"] < 0.8 * told["alone"] < told["raw"]
    assert set(result["decoders"]) & {"xor", "ordered"}


def test_without_deltas_nothing_is_said_of_them(
    operator: FakeOperator, store: FakeStore, root: Path
) -> None:
    result = operator.create(root, delta=False)

    assert differences(Snapshot(store, result, operator.snapshot)) == 0
    assert "delta" not in result["bytes"]


def test_what_is_inherited_was_saved_before(
    operator: FakeOperator, store: FakeStore, root: Path
) -> None:
    first = operator.create(root)
    before = Snapshot(store, first, operator.snapshot)

    result = operator.create(root, parent=parent_of(first, operator.snapshot))

    snapshot = Snapshot(store, result, operator.snapshot)
    assert differences(snapshot) == differences(before)
    assert "delta" not in result["bytes"]


def test_a_base_that_no_file_has_any_more_is_kept(
    operator: FakeOperator, store: FakeStore, root: Path
) -> None:
    first = operator.create(root)
    for whole in files_of_bases(Snapshot(store, first, operator.snapshot)):
        (root / whole).unlink()

    result = operator.create(root, parent=parent_of(first, operator.snapshot))

    snapshot = Snapshot(store, result, operator.snapshot)
    assert_same(snapshot, root)
    used = {extent.chunk for entry in snapshot.entries for extent in entry.extents}
    bases = {chunk.base[1] for chunk in snapshot.chunks if chunk.base is not None}
    assert bases
    assert not bases & used


def files_of_bases(snapshot: Snapshot) -> list[str]:
    bases = {chunk.base[1] for chunk in snapshot.chunks if chunk.base is not None}
    return [
        entry.path.decode()
        for entry in snapshot.entries
        if any(extent.chunk in bases for extent in entry.extents)
    ]


def test_what_leans_on_a_lost_base_is_stored_anew(
    operator: FakeOperator, store: FakeStore, root: Path
) -> None:
    first = operator.create(root)
    before = Snapshot(store, first, operator.snapshot)
    lost = packs_of_bases(before)
    parent: Json = parent_of(first, operator.snapshot) | {"unusable": sorted(lost)}

    result = operator.create(root, parent=parent)

    snapshot = Snapshot(store, result, operator.snapshot)
    assert not lost & {pack.key for pack in snapshot.packs}
    assert_same(snapshot, root)


def packs_of_bases(snapshot: Snapshot) -> set[str]:
    bases = {chunk.base[1] for chunk in snapshot.chunks if chunk.base is not None}
    assert bases
    return {snapshot.packs[snapshot.chunks[base].pack].key for base in bases}


def test_a_new_checkpoint_does_not_lean_on_a_lost_base(
    operator: FakeOperator, store: FakeStore, root: Path
) -> None:
    first = operator.create(root)
    lost = packs_of_bases(Snapshot(store, first, operator.snapshot))
    save(root / "step-400/model.safetensors", trained(weights(1), 400))
    parent: Json = parent_of(first, operator.snapshot) | {"unusable": sorted(lost)}

    result = operator.create(root, parent=parent)

    snapshot = Snapshot(store, result, operator.snapshot)
    assert_same(snapshot, root)
    assert not packs_of_bases(snapshot) & lost


def test_a_new_checkpoint_finds_the_one_stored_whole_between_others(
    operator: FakeOperator, store: FakeStore, root: Path
) -> None:
    state, parent, whole = trained(weights(1), 300), None, []
    for step in (400, 500, 600, 700):
        save(root / f"step-{step}/model.safetensors", state)
        state = trained(state, step)
        (root / f"step-{step - 400}/model.safetensors").unlink(missing_ok=True)
        result = operator.create(root, parent=parent)
        snapshot = Snapshot(store, result, operator.snapshot)
        assert_same(snapshot, root)
        extents = snapshot.by_path()[b"step-%d/model.safetensors" % step].extents
        whole.append(all(snapshot.chunks[extent.chunk].base is None for extent in extents))
        parent = scanned_later(store, parent_of(result, operator.snapshot))
    # The first went when 500 came. 700 comes when 400 is the first and 600 the latest.
    assert whole == [False, True, False, False]


def test_strangers_of_one_name_are_stored_whole(
    operator: FakeOperator, store: FakeStore, tmp_path: Path
) -> None:
    root = tmp_path / "tree"
    for seed in (1, 2):
        save(root / f"model-{seed}.safetensors", weights(seed))

    result = operator.create(root)

    snapshot = Snapshot(store, result, operator.snapshot)
    assert_same(snapshot, root)
    assert differences(snapshot) == 0
