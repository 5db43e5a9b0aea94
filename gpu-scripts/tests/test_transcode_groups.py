"""What a transcode fetches in one request and has decoded in one call."""

from pathlib import Path

import pytest
from fake_operator import FakeOperator, FakeStore, snapshot_id
from gpu_box import GpuBox
from read_snapshot import Snapshot, assert_same

from dumont_worker.entry import ChunkRecord
from dumont_worker.transcode_groups import grouped

MIB = 1 << 20


class Box:
    """A box with a GPU that has saved `large`."""

    def __init__(self, gpu: GpuBox, store: FakeStore, operator: FakeOperator, tree: Path) -> None:
        self.gpu = gpu
        self.store = store
        self.created = operator.create(tree, codec="ans", delta=False)
        self.packs = store.packs()
        self._operator = operator
        self._tree = tree

    def transcode(self) -> None:
        """Makes what restores anywhere, and looks at it."""
        operator, index = self._operator, self.created["index"]
        source = {"id": operator.snapshot, "segments": index["segments"], "packs": index["packs"]}
        operator.snapshot = snapshot_id(7)
        fields = {"parts": 8, "memory": 1 << 30, "level": 3, "pin": "crc32", "seal": None}
        operator.send("transcode", id=500, snapshot=operator.snapshot, source=source, **fields)
        result = operator.wait()
        assert result["decoders"] == ["planes2", "zstd"]
        assert_same(Snapshot(self.store, result, operator.snapshot), self._tree)


@pytest.fixture
def box(gpu_box: GpuBox, store: FakeStore, operator: FakeOperator, large: Path) -> Box:
    return Box(gpu_box, store, operator, large)


def test_what_lies_in_a_pack_is_fetched_in_one_request_and_decoded_in_one_call(box: Box) -> None:
    box.gpu.switch("count")
    box.store.gets.clear()
    box.transcode()
    lines = (box.gpu.nvcomp / "calls").read_text().splitlines()
    calls = [int(line.split()[1]) for line in lines if line.startswith("decode")]
    assert sum(calls) == box.created["index"]["chunks"] > 2 * len(box.packs)
    assert len(calls) == len(box.packs)
    assert [box.store.gets[key] for key in box.packs] == [1] * len(box.packs)


def test_little_memory_on_the_gpu_halves_what_is_decoded_together(box: Box) -> None:
    module = box.gpu.nvcomp / "nvidia/nvcomp/__init__.py"
    limit = 'if len(entries) > 1:\n        raise RuntimeError("out of memory")\n    made = []'
    module.write_text(module.read_text().replace("made = []", limit, 1))
    box.transcode()


@pytest.mark.parametrize("fault", ["segv@decode once", "corrupt@decode once", "late@decode once"])
def test_a_fault_in_the_middle_of_many_costs_nothing_but_time(box: Box, fault: str) -> None:
    box.gpu.switch(fault)
    box.transcode()


def chunk(pack: int, at: int, stored: int = MIB, raw: int = 4 * MIB) -> ChunkRecord:
    return ChunkRecord(bytes(32), raw, pack, at, stored, bytes(32), "none", "ans")


def test_groups_are_of_one_pack_and_of_what_the_gpu_takes_at_a_time() -> None:
    lie = [*(chunk(0, n * MIB) for n in range(10)), chunk(1, 0)]
    found = list(grouped((n, lie[n]) for n in (3, 10, 1, 0, 2, 9, 4, 8, 5, 7, 6)))
    assert [[n for n, _ in group] for group in found] == [list(range(8)), [8, 9], [10]]


def test_what_lies_far_apart_in_a_pack_is_not_fetched_with_all_between() -> None:
    lie = [chunk(0, 0), chunk(0, MIB + 4096), chunk(0, 9 * MIB)]
    assert [len(group) for group in grouped(enumerate(lie))] == [2, 1]


def test_no_index_has_more_fetched_at_a_time_than_a_pack_holds() -> None:
    lie = [chunk(0, n * 6 * MIB, 6 * MIB - 4096, MIB) for n in range(6)]
    assert [len(group) for group in grouped(enumerate(lie))] == [2, 2, 2]
