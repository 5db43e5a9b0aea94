"""Restores of ANS chunks on the strict fake: right, or refused in words."""

from pathlib import Path
from typing import Any

import pytest
from fake_operator import FakeOperator, FakeStore, WorkerFailed, restore_of
from gpu_box import GpuBox
from processes import is_running, processes_of, wait_until
from sealing import SealedStore

from dumont_worker.gpu.batch import HELD_MOST

pytestmark = pytest.mark.usefixtures("gpu_box")
MIB = 1 << 20


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


def calls_of(box: GpuBox, place: str) -> list[tuple[int, int]]:
    """How many buffers, and how many bytes, each call coded."""
    lines = (box.nvcomp / "calls").read_text().splitlines()
    told = [line.split() for line in lines]
    return [(int(count), int(length)) for name, count, length in told if name == place]


def test_chunks_that_wait_are_decoded_together_within_bounds(
    operator: FakeOperator, large: Path, tmp_path: Path, gpu_box: GpuBox
) -> None:
    created = operator.create(large, codec="ans", delta=False)
    chunks = created["index"]["chunks"]
    gpu_box.switch("count")
    result = restored(operator, restore_of(operator, created, tmp_path / "out"))
    assert result["failed"] == 0
    assert_back(large, tmp_path / "out")
    calls = calls_of(gpu_box, "decode")
    # Each once, several at a time, and never more than go to a GPU at a time.
    assert sum(count for count, _ in calls) == chunks > 8
    assert len(calls) <= chunks / 2
    assert max(length for _, length in calls) < HELD_MOST


def test_what_is_sealed_is_opened_before_it_is_decoded_together(
    large: Path, tmp_path: Path, gpu_box: GpuBox
) -> None:
    store = SealedStore()
    with gpu_box.worker(store, tmp_path / "private") as operator:
        created = operator.create(large, codec="ans", delta=False)
        gpu_box.switch("count")
        result = restored(operator, restore_of(operator, created, tmp_path / "out"))
    store.close()
    assert (result["failed"], store.broken_rules, operator.broken_rules) == (0, [], [])
    assert_back(large, tmp_path / "out")
    calls = calls_of(gpu_box, "decode")
    assert sum(count for count, _ in calls) == created["index"]["chunks"] >= 2 * len(calls)


@pytest.mark.parametrize("fault", ["kill@decode once", "corrupt@decode once", "error@cpu once"])
def test_a_fault_in_the_middle_of_many_costs_nothing_but_time(
    operator: FakeOperator, large: Path, tmp_path: Path, gpu_box: GpuBox, fault: str
) -> None:
    created = operator.create(large, codec="ans", delta=False)
    gpu_box.switch(f"count {fault}")
    result = restored(operator, restore_of(operator, created, tmp_path / "out"))
    assert result["failed"] == 0
    assert_back(large, tmp_path / "out")


def test_little_memory_on_the_gpu_halves_what_is_decoded_together(
    operator: FakeOperator, large: Path, tmp_path: Path, gpu_box: GpuBox
) -> None:
    created = operator.create(large, codec="ans", delta=False)
    module = gpu_box.nvcomp / "nvidia/nvcomp/__init__.py"
    limit = 'if len(entries) > 1:\n        raise RuntimeError("out of memory")\n    made = []'
    module.write_text(module.read_text().replace("made = []", limit, 1))
    result = restored(operator, restore_of(operator, created, tmp_path / "out"))
    assert result["failed"] == 0
    assert_back(large, tmp_path / "out")


def test_a_chunk_that_is_damaged_in_the_store_is_named_and_the_others_come_back(
    operator: FakeOperator, store: FakeStore, large: Path, tmp_path: Path, gpu_box: GpuBox
) -> None:
    created = operator.create(large, codec="ans", delta=False)
    pack = max(store.packs(), key=lambda key: len(store.objects[key]))
    wrong = bytearray(store.objects[pack])
    wrong[len(wrong) // 2] ^= 1
    store.objects[pack] = bytes(wrong)
    gpu_box.switch("count")
    result = restored(operator, restore_of(operator, created, tmp_path / "out"))
    assert result["failed"] in (1, 2)
    failed = {failure["path"] for failure in result["failures"]}
    assert all(failure["code"] == "damaged" for failure in result["failures"])
    for file in large.iterdir():
        if not any(path.endswith(file.name) for path in failed):
            assert (tmp_path / "out" / file.name).read_bytes() == file.read_bytes()
    # What is not what was stored never reaches the GPU.
    assert sum(count for count, _ in calls_of(gpu_box, "decode")) == created["index"]["chunks"] - 1


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


@pytest.mark.parametrize("place", ["import", "codec", "decode", "cpu"])
def test_a_gpu_that_hangs_once_costs_nothing_but_time(
    operator: FakeOperator,
    tree: Path,
    tmp_path: Path,
    gpu_box: GpuBox,
    place: str,
) -> None:
    created = operator.create(tree, codec="ans")
    gpu_box.switch(f"hang@{place} once")
    with gpu_box.impatient_worker(operator.store, tmp_path / "b") as other:
        other.snapshot = operator.snapshot
        assert restored(other, restore_of(other, created, tmp_path / "out"))["failed"] == 0
    assert_back(tree, tmp_path / "out")
    assert (gpu_box.nvcomp / "hanging").exists()


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
    pids = processes_of(operator.process.pid)
    assert len(pids) > 2
    assert operator.end() == 130
    wait_until(lambda: not any(is_running(pid) for pid in pids))
