"""Creates whose chunks a GPU codes, on the strict fake: nothing it does may cost a snapshot."""

from pathlib import Path
from typing import Any

import pytest
from fake_operator import FakeOperator, FakeStore, WorkerFailed, parent_of
from gpu_box import GpuBox, weights
from processes import is_running, processes_of, wait_until
from read_snapshot import Snapshot, content_of

pytestmark = pytest.mark.usefixtures("gpu_box")
MIB = 1 << 20
LATER = "20271123T140200Z-k3f7qz"


def test_weights_go_to_the_gpu_and_text_does_not(
    store: FakeStore, tmp_path: Path, tree: Path, gpu_box: GpuBox
) -> None:
    # With trials of full size, once.
    with FakeOperator(store, tmp_path / "private", gpu_box.arguments) as operator:
        result = operator.create(tree, codec="ans")
    assert "ans" in result["decoders"]
    assert result["nvidia"] == {
        "name": "nvcomp-ans-6+fake",
        "distribution": "nvidia-nvcomp-cu12",
        "version": "6.0.0.12+fake",
        "cuda": 12090,
    }
    codecs = result["bytes"]["codecs"]
    assert codecs["none/ans"]["raw"] == 9 * MIB
    assert codecs["none/zstd"]["raw"] == 2_100_000
    assert operator.hello["host"]["gpus"][0]["name"] == "NVIDIA H100 80GB HBM3"
    assert {"ans", "nvcomp-ans-6+fake"} <= set(operator.hello["capabilities"])


def test_frames_of_the_gpu_zstd_are_everybodys(
    operator: FakeOperator, store: FakeStore, tree: Path
) -> None:
    result = operator.create(tree, codec="gzstd")
    assert "nvidia" not in result
    assert "ans" not in result["decoders"]
    snapshot = Snapshot(store, result, operator.snapshot)
    for name in ("weights.bin", "text.txt", "small"):
        assert snapshot.content(snapshot.by_path()[name.encode()]) == (tree / name).read_bytes()


def test_inherited_chunks_need_no_gpu_to_be_named(
    operator: FakeOperator, store: FakeStore, tree: Path
) -> None:
    first = operator.create(tree, codec="ans")
    parent = parent_of(first, operator.snapshot)
    (tree / "new.txt").write_text("new")
    second = operator.create(tree, codec="zstd", parent=parent)
    # Of the library that coded them only the parent's manifest knows.
    assert "ans" in second["decoders"]
    assert "nvidia" not in second
    assert second["bytes"]["new"] == 3


@pytest.mark.parametrize("codec", ["ans", "zstd"])
def test_chunks_of_another_generation_are_stored_again(
    operator: FakeOperator, store: FakeStore, tree: Path, codec: str
) -> None:
    first = operator.create(tree, codec="ans")
    parent = parent_of(first, operator.snapshot) | {"ans": False}
    second = operator.create(tree, codec=codec, parent=parent)
    # The files have not changed; what ANS coded is read and stored all the same.
    assert second["bytes"]["new"] == 9 * MIB
    assert ("ans" in second["decoders"]) == (codec == "ans")
    if codec == "zstd":
        snapshot = Snapshot(store, second, operator.snapshot)
        for name in ("weights.bin", "text.txt", "small"):
            assert content_of(snapshot, name.encode()) == (tree / name).read_bytes()


def test_two_versions_of_the_library_are_told_apart(
    store: FakeStore, tmp_path: Path, tree: Path, gpu_box: GpuBox
) -> None:
    with gpu_box.worker(store, tmp_path / "private") as operator:
        first = operator.create(tree, codec="ans")
        parent = parent_of(first, operator.snapshot)
    told = next(gpu_box.nvcomp.glob("*.dist-info")) / "METADATA"
    told.write_text(told.read_text().replace("6.0.0.12+fake", "6.0.1.0+later"))
    (tree / "new.bin").write_bytes(weights(5 * MIB, 1))
    with gpu_box.worker(store, tmp_path / "private") as operator:
        assert "nvcomp-ans-6+later" in operator.hello["capabilities"]
        second = operator.create(tree, codec="ans", parent=parent, snapshot=LATER)
    # The parent's library is known to its manifest; the worker tells of its own alone.
    assert second["bytes"]["new"] == 5 * MIB
    assert second["nvidia"]["name"] == "nvcomp-ans-6+later"


@pytest.mark.parametrize("codec", ["ans", "gzstd"])
def test_without_a_gpu_it_is_refused_before_anything_is_stored(
    store: FakeStore, tmp_path: Path, tree: Path, gpu_box: GpuBox, codec: str
) -> None:
    (tmp_path / "tools" / "nvidia-smi").unlink()
    with gpu_box.worker(store, tmp_path / "private") as operator:
        assert "ans" not in operator.hello["capabilities"]
        with pytest.raises(WorkerFailed, match=r"BOX_UNSUITABLE.*shows no NVIDIA GPU") as failed:
            operator.create(tree, codec=codec)
    assert "--codec zstd" in failed.value.error["hint"]
    assert not store.objects


@pytest.mark.parametrize("asked", [{"codec": "ans"}, {"codec": "gzstd"}, {"dryRun": True}])
@pytest.mark.parametrize(
    "why", [("no-driver", "driver version"), ("no-device", "no CUDA-capable device")]
)
def test_where_the_library_cannot_run_it_is_refused_before_anything_is_stored(
    operator: FakeOperator,
    tree: Path,
    gpu_box: GpuBox,
    asked: dict[str, Any],
    why: tuple[str, str],
) -> None:
    gpu_box.switch(why[0])
    with pytest.raises(WorkerFailed, match=rf"BOX_UNSUITABLE.*{why[1]}") as failed:
        operator.create(tree, **{"codec": "ans", **asked})
    assert "--codec zstd" in failed.value.error["hint"]
    assert not operator.store.objects


def test_auto_falls_back_where_the_library_cannot_run(
    operator: FakeOperator, tree: Path, gpu_box: GpuBox
) -> None:
    gpu_box.switch("no-driver")
    result = operator.create(tree, dryRun=True)
    assert result["choice"]["codec"] == "zstd"


def test_without_nvcomp_it_is_refused_before_anything_is_stored(
    store: FakeStore, tmp_path: Path, tree: Path, gpu_box: GpuBox
) -> None:
    with FakeOperator(store, tmp_path / "private") as operator:
        assert "ans" not in operator.hello["capabilities"]
        with pytest.raises(WorkerFailed, match=r"BOX_UNSUITABLE.*nvCOMP is not installed"):
            operator.create(tree, codec="ans")
    assert not store.objects


PLACES = ("import", "codec", "cuda", "encode", "decode", "cpu")
FAULTS = [
    *(f"{fault}@{place}" for place in PLACES for fault in ("kill", "segv", "oom", "error")),
    *(f"{fault}@{place}" for place in PLACES[3:] for fault in ("corrupt",)),
]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_the_gpu_leaves_a_right_snapshot(
    operator: FakeOperator, store: FakeStore, tree: Path, gpu_box: GpuBox, fault: str
) -> None:
    gpu_box.switch(fault)
    result = operator.create(tree, codec="ans")
    assert "ans" not in result["decoders"]
    snapshot = Snapshot(store, result, operator.snapshot)
    for name in ("weights.bin", "text.txt", "small"):
        assert content_of(snapshot, name.encode()) == (tree / name).read_bytes()
    warnings = operator.of_type("warning")
    assert [warning["code"] for warning in warnings] == ["gpu"]
    assert "the CPU goes on" in warnings[0]["message"]


@pytest.mark.parametrize("place", PLACES)
def test_a_gpu_that_hangs_leaves_a_right_snapshot(
    store: FakeStore, tmp_path: Path, tree: Path, gpu_box: GpuBox, place: str
) -> None:
    gpu_box.switch(f"hang@{place}")
    private = tmp_path / "private"
    with gpu_box.impatient_worker(store, private) as operator:
        result = operator.create(tree, codec="ans")
        snapshot = Snapshot(store, result, operator.snapshot)
        for name in ("weights.bin", "text.txt", "small"):
            assert content_of(snapshot, name.encode()) == (tree / name).read_bytes()
        assert [warning["code"] for warning in operator.of_type("warning")] == ["gpu"]
    assert "ans" not in result["decoders"]
    assert (gpu_box.nvcomp / "hanging").exists()


IN_USE = ["kill@encode:25", "corrupt@decode:25", "segv@cpu:25", "oom@encode:25"]
"""The self-test makes 24 calls of each place: the next is a chunk's."""


@pytest.mark.parametrize("fault", IN_USE)
def test_a_fault_with_chunks_at_hand_leaves_a_right_snapshot(
    operator: FakeOperator, store: FakeStore, tree: Path, gpu_box: GpuBox, fault: str
) -> None:
    gpu_box.switch(fault)
    result = operator.create(tree, codec="ans")
    assert "ans" not in result["decoders"]
    snapshot = Snapshot(store, result, operator.snapshot)
    assert content_of(snapshot, b"weights.bin") == (tree / "weights.bin").read_bytes()
    # Too little memory for a chunk is nothing to warn of.
    assert result["warnings"] == ({} if fault.startswith("oom") else {"gpu": 1})


def test_after_an_interruption_packs_of_the_gpu_count_only_with_the_same_library(
    store: FakeStore, tmp_path: Path, tree: Path, gpu_box: GpuBox
) -> None:
    with gpu_box.worker(store, tmp_path / "private") as first:
        first.create(tree, codec="ans")  # never committed
    with gpu_box.worker(store, tmp_path / "private") as second:
        result = second.create(tree, codec="zstd")
        # Only the pack of the text, which the CPU coded.
        assert [pack["length"] < MIB for pack in second.earlier_asked] == [True]
    assert "ans" not in result["decoders"]
    with gpu_box.worker(store, tmp_path / "private") as third:
        result = third.create(tree, codec="ans")
    # The zstd packs of the second run count again, and the first's do as well.
    assert result["bytes"]["new"] == 0


@pytest.mark.parametrize("how", ["stdin", "kill"])
def test_an_interruption_leaves_no_gpu_process(
    store: FakeStore, tmp_path: Path, tree: Path, gpu_box: GpuBox, how: str
) -> None:
    gpu_box.switch("hang@encode")
    with gpu_box.worker(store, tmp_path / "private") as operator:
        operator.start_create(tree, codec="ans")
        wait_until((gpu_box.nvcomp / "hanging").exists, 30)
        pids = processes_of(operator.process.pid)
        assert len(pids) == 3  # the worker, an engine, its encoder
        if how == "kill":
            operator.process.kill()
        operator.end()
        wait_until(lambda: not any(is_running(pid) for pid in pids))


def test_a_dry_run_measures_what_the_gpu_makes_of_a_sample(
    operator: FakeOperator, store: FakeStore, tree: Path
) -> None:
    result = operator.create(tree, dryRun=True)
    ratios = {row["codec"]: row["stored"] / row["raw"] for row in result["sample"]}
    assert set(ratios) == {"zstd", "none", "gzstd", "ans"}
    assert max(ratios["ans"], ratios["gzstd"], ratios["zstd"]) < ratios["none"] == 1
    assert not store.objects


@pytest.mark.parametrize("fault", ["kill@encode", "oom@cuda", "error@import"])
def test_a_dry_run_leaves_out_a_gpu_that_does_not_work(
    operator: FakeOperator, tree: Path, gpu_box: GpuBox, fault: str
) -> None:
    gpu_box.switch(fault)
    result = operator.create(tree, dryRun=True)
    assert [row["codec"] for row in result["sample"]] == ["zstd", "none"]
    assert result["warnings"] == {"gpu": 2}


def test_auto_does_not_make_a_snapshot_depend_on_a_gpu(operator: FakeOperator, tree: Path) -> None:
    assert "ans" not in operator.create(tree, codec="auto")["decoders"]
