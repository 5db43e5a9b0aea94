"""Restores of ANS chunks on the strict fake: right, or refused in words."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_operator import FakeOperator, FakeStore, WorkerFailed
from gpu_box import GpuBox, gpu_box
from test_create import is_running, wait_until
from test_create_gpu import descendants, tree
from test_restore_worker import restore_of

__all__ = ["gpu_box", "tree"]


@pytest.fixture
def store() -> Iterator[FakeStore]:
    store = FakeStore()
    yield store
    store.close()
    assert store.broken_rules == []


@pytest.fixture
def operator(store: FakeStore, gpu_box: GpuBox, tmp_path: Path) -> Iterator[FakeOperator]:
    with FakeOperator(store, tmp_path / "private", gpu_box.arguments) as operator:
        yield operator
    assert operator.broken_rules == []


def restored(operator: FakeOperator, request: dict[str, Any]) -> dict[str, Any]:
    operator.send("restore", **request)
    return operator.wait()


def assert_back(tree: Path, out: Path) -> None:
    for file in tree.iterdir():
        assert (out / file.name).read_bytes() == file.read_bytes()


def test_what_the_gpu_coded_comes_back(operator: FakeOperator, tree: Path, tmp_path: Path) -> None:
    created = operator.create(tree, codec="ans")
    result = restored(operator, restore_of(operator, created, tmp_path / "out"))
    assert result["failed"] == 0
    assert_back(tree, tmp_path / "out")


# Of a decoding process the first or the second call of a place fails, once.
ONCE = [
    f"{fault}@{place}:{call} once"
    for place, calls in (("import", (1,)), ("codec", (1,)), ("decode", (1, 2)), ("cpu", (1, 2)))
    for call in calls
    for fault in ("kill", "segv", "error", *(["corrupt"] if place in ("decode", "cpu") else []))
]


@pytest.mark.parametrize("fault", ONCE)
def test_one_fault_costs_nothing_but_time(
    operator: FakeOperator, tree: Path, tmp_path: Path, gpu_box: GpuBox, fault: str
) -> None:
    created = operator.create(tree, codec="ans")
    gpu_box.switch(fault)
    result = restored(operator, restore_of(operator, created, tmp_path / "out"))
    assert result["failed"] == 0
    assert_back(tree, tmp_path / "out")


@pytest.mark.parametrize("fault", ["kill@decode", "oom@decode", "corrupt@decode", "kill@import"])
def test_a_gpu_that_never_works_ends_the_restore_in_words(
    operator: FakeOperator, tree: Path, tmp_path: Path, gpu_box: GpuBox, fault: str
) -> None:
    created = operator.create(tree, codec="ans")
    gpu_box.switch(fault)
    with pytest.raises(WorkerFailed, match=r"BOX_UNSUITABLE: the GPU cannot decode a chunk"):
        restored(operator, restore_of(operator, created, tmp_path / "out"))
    # The store is not to blame: nothing is called damaged, and a later run may go on.
    assert not (tmp_path / "out" / "weights.bin").exists()
    gpu_box.mend()
    request = restore_of(operator, created, tmp_path / "out") | {"id": 1001}
    assert restored(operator, request)["failed"] == 0
    assert_back(tree, tmp_path / "out")


def test_without_a_gpu_nothing_is_fetched(
    store: FakeStore, operator: FakeOperator, tree: Path, tmp_path: Path
) -> None:
    created = operator.create(tree, codec="ans")
    with FakeOperator(store, tmp_path / "elsewhere") as other:
        other.snapshot = operator.snapshot
        with pytest.raises(WorkerFailed, match=r"BOX_UNSUITABLE.*NVIDIA GPU"):
            restored(other, restore_of(other, created, tmp_path / "out"))
    assert not any(key.startswith("packs/") for key in store.gets)


def test_files_without_such_chunks_come_back_without_a_gpu(
    store: FakeStore, operator: FakeOperator, tree: Path, tmp_path: Path
) -> None:
    created = operator.create(tree, codec="ans")
    with FakeOperator(store, tmp_path / "elsewhere") as other:
        other.snapshot = operator.snapshot
        request = restore_of(other, created, tmp_path / "out") | {"include": ["text.txt"]}
        assert restored(other, request)["failed"] == 0
    assert (tmp_path / "out/text.txt").read_bytes() == (tree / "text.txt").read_bytes()


def test_an_interruption_leaves_no_gpu_process(
    store: FakeStore, operator: FakeOperator, tree: Path, tmp_path: Path, gpu_box: GpuBox
) -> None:
    created = operator.create(tree, codec="ans")
    gpu_box.switch("hang@decode")
    operator.send("restore", **restore_of(operator, created, tmp_path / "out"))
    wait_until((gpu_box.nvcomp / "hanging").exists, 30)
    pids = descendants(operator.process.pid)
    assert len(pids) > 2
    assert operator.end() == 130
    wait_until(lambda: not any(is_running(pid) for pid in pids))
