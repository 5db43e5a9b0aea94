"""What nearly every test of whole creates and restores begins with."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_operator import FakeOperator, FakeStore
from gpu_box import GpuBox, weights
from restore_rig import Rig, rig

MIB = 1 << 20


@pytest.fixture
def store() -> Iterator[FakeStore]:
    store = FakeStore()
    yield store
    store.close()
    assert store.broken_rules == []


@pytest.fixture
def operator(
    store: FakeStore, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[FakeOperator]:
    """One worker, at work on a box with a GPU where the test asks for `gpu_box` as well."""
    arguments = []
    if "gpu_box" in request.fixturenames:
        arguments = request.getfixturevalue("gpu_box").arguments
    with FakeOperator(store, tmp_path / "private", arguments) as operator:
        yield operator
    assert operator.broken_rules == []


@pytest.fixture
def gpu_box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> GpuBox:
    box = GpuBox(tmp_path)
    monkeypatch.setenv("PATH", box.path)
    return box


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Rig]:
    with rig(tmp_path) as made:
        yield made


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """What a GPU is given to code, and what it is not."""
    root = tmp_path / "tree"
    root.mkdir()
    (root / "weights.bin").write_bytes(weights(9 * MIB))
    (root / "text.txt").write_bytes(b"all work and no play\n" * 100_000)
    (root / "small").write_bytes(b"x")
    return root
