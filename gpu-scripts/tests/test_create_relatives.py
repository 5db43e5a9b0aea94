"""Creates of tensors that have relatives in other files, however those are laid out."""

from collections.abc import Callable
from pathlib import Path

import pytest
from fake_operator import FakeOperator, FakeStore
from read_snapshot import Snapshot, assert_same
from siblings import MIB, Weights, gguf, model, safetensors, torch_zip, tuned

KIB = 1 << 10
# Of one chunk, of two, and too short to be a base.
SIZES = (3 * MIB, 9 * MIB + 4 * KIB, 16 * KIB)

Save = Callable[[Path, Weights], object]


def reordered(path: Path, weights: Weights) -> object:
    return safetensors(path, dict(reversed(weights.items())), note="another header" * 9)


def reshaped(path: Path, weights: Weights) -> object:
    return safetensors(path, weights, rows=16)


def sharded(path: Path, weights: Weights) -> None:
    for number, (name, values) in enumerate(weights.items()):
        safetensors(path.with_name(f"{path.name}-{number}-of-3"), {name: values})


def in_float32(path: Path, weights: Weights) -> object:
    return safetensors(path, weights, "F32")


def renamed(path: Path, weights: Weights) -> object:
    return safetensors(path, {f"model.{name}": values for name, values in weights.items()})


@pytest.mark.parametrize(
    "layouts",
    [
        pytest.param((safetensors, safetensors, True), id="in a file of another name"),
        pytest.param((safetensors, reordered, True), id="in another order, behind a longer header"),
        pytest.param((safetensors, reshaped, True), id="in another shape"),
        pytest.param((safetensors, sharded, True), id="in one file, then in several"),
        pytest.param((sharded, safetensors, True), id="in several files, then in one"),
        pytest.param((gguf, gguf, True), id="in GGUF"),
        pytest.param((torch_zip, torch_zip, True), id="in torch's zip"),
        pytest.param((safetensors, in_float32, False), id="in another width"),
        pytest.param((safetensors, renamed, False), id="under another name"),
    ],
)
def test_a_tensor_is_found_by_name_and_length(
    operator: FakeOperator,
    store: FakeStore,
    tmp_path: Path,
    layouts: tuple[Save, Save, bool],
) -> None:
    root = tmp_path / "tree"
    root.mkdir()
    weights = model(*SIZES)
    before, after, differs = layouts
    before(root / "a", weights)
    after(root / "b", tuned(weights, 2))

    result = operator.create(root)

    snapshot = Snapshot(store, result, operator.snapshot)
    assert_same(snapshot, root)
    raw = sum(entry.size for entry in snapshot.entries if entry.path.startswith(b"b"))
    differing = sum(chunk.raw for chunk in snapshot.chunks if chunk.base is not None)
    assert differing >= 0.99 * raw if differs else differing == 0
