"""What nearly every test of whole creates and restores begins with."""

from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
from fake_operator import FakeOperator, FakeStore
from gpu_box import GpuBox, quick_worker, weights
from restore_rig import Rig, rig

MIB = 1 << 20

# How long an example takes says more of the machine than of what is tried.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")


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
    start = FakeOperator
    if "gpu_box" in request.fixturenames:
        start = request.getfixturevalue("gpu_box").worker
    with start(store, tmp_path / "private") as operator:
        yield operator
    assert operator.broken_rules == []


@pytest.fixture(scope="session")
def quick_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return quick_worker(tmp_path_factory.mktemp("quick"))


@pytest.fixture
def gpu_box(tmp_path: Path, quick_program: Path, monkeypatch: pytest.MonkeyPatch) -> GpuBox:
    box = GpuBox(tmp_path, quick_program)
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


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """Some twenty chunks in four files, and a file that shares those of another."""
    root = tmp_path / "large"
    root.mkdir()
    for number in range(4):
        (root / f"{number}.bin").write_bytes(weights(6 * MIB, number))
    (root / "twin.bin").write_bytes((root / "0.bin").read_bytes())
    return root
