"""Transcoding on the strict fake: the same content, without any chunk that needs a GPU."""

from pathlib import Path
from typing import Any

import pytest
from fake_operator import FakeOperator, FakeStore, WorkerFailed, snapshot_id
from gpu_box import GpuBox
from processes import is_running, processes_of, wait_until
from read_snapshot import Snapshot, assert_same

pytestmark = pytest.mark.usefixtures("gpu_box")


def start(operator: FakeOperator, created: dict[str, Any]) -> None:
    source = {key: created["index"][key] for key in ("segments", "packs")}
    asked = {"source": {"id": operator.snapshot, **source}, "level": 3, "pin": "crc32"}
    operator.snapshot = snapshot_id(7)
    fields = {"parts": operator.parts, "memory": 1 << 30}
    asked |= {"seal": operator.store.seal_run()}
    operator.send("transcode", id=500, snapshot=operator.snapshot, **asked, **fields)


def transcoded(operator: FakeOperator, created: dict[str, Any]) -> dict[str, Any]:
    start(operator, created)
    return operator.wait()


def test_the_content_is_the_same_and_needs_no_gpu(
    operator: FakeOperator, store: FakeStore, tree: Path
) -> None:
    created = operator.create(tree, codec="ans")
    result = transcoded(operator, created)
    assert result["index"]["merkle"] == created["index"]["merkle"]
    assert result["decoders"] == ["planes2", "zstd"]
    assert_same(Snapshot(store, result, operator.snapshot), tree)
    # Only what ANS had coded was stored again.
    assert result["bytes"]["new"] == created["bytes"]["codecs"]["none/ans"]["raw"]


def test_what_needs_no_gpu_is_named_again(
    operator: FakeOperator, store: FakeStore, tree: Path
) -> None:
    created = operator.create(tree, codec="zstd")
    packs = store.packs()
    result = transcoded(operator, created)
    assert store.packs() == packs
    assert_same(Snapshot(store, result, operator.snapshot), tree)


@pytest.mark.parametrize("fault", ["kill@decode:1 once", "corrupt@decode:1 once", "segv@cpu once"])
def test_one_fault_costs_nothing_but_time(
    operator: FakeOperator, store: FakeStore, tree: Path, gpu_box: GpuBox, fault: str
) -> None:
    created = operator.create(tree, codec="ans")
    gpu_box.switch(fault)
    result = transcoded(operator, created)
    assert_same(Snapshot(store, result, operator.snapshot), tree)


@pytest.mark.parametrize("fault", ["kill@decode", "corrupt@decode", "oom@decode"])
def test_a_gpu_that_never_works_ends_it_in_words(
    operator: FakeOperator, tree: Path, gpu_box: GpuBox, fault: str
) -> None:
    created = operator.create(tree, codec="ans")
    gpu_box.switch(fault)
    with pytest.raises(WorkerFailed, match=r"BOX_UNSUITABLE: the GPU cannot decode a chunk"):
        transcoded(operator, created)


def test_a_damaged_chunk_is_named_and_nothing_is_made_of_it(
    operator: FakeOperator, store: FakeStore, tree: Path
) -> None:
    created = operator.create(tree, codec="ans")
    for key in store.packs():
        store.objects[key] = store.objects[key][:-9] + bytes(9)
    with pytest.raises(WorkerFailed, match=r"INTEGRITY: chunk .*the stored bytes have changed"):
        transcoded(operator, created)


def test_without_a_gpu_it_is_refused(
    store: FakeStore, operator: FakeOperator, tree: Path, tmp_path: Path
) -> None:
    created = operator.create(tree, codec="ans")
    with FakeOperator(store, tmp_path / "elsewhere") as other:
        other.snapshot = operator.snapshot
        with pytest.raises(WorkerFailed, match="BOX_UNSUITABLE"):
            transcoded(other, created)


def test_an_interruption_leaves_no_gpu_process(
    operator: FakeOperator, tree: Path, gpu_box: GpuBox
) -> None:
    created = operator.create(tree, codec="ans")
    gpu_box.switch("hang@decode")
    start(operator, created)
    wait_until((gpu_box.nvcomp / "hanging").exists, 30)
    pids = processes_of(operator.process.pid)
    assert operator.end() == 130
    wait_until(lambda: not any(is_running(pid) for pid in pids))
