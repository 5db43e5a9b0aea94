"""Files in memory: no time there tells of what was written through a mapping."""

import mmap
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_operator import FakeOperator, FakeStore, parent_of
from read_snapshot import Snapshot, assert_same
from test_create import scanned_later

from dumont_worker.mounts import memory_devices

SHM = Path("/dev/shm")


@pytest.fixture
def tree() -> Iterator[Path]:
    """A tree in memory, where this machine has such a place."""
    if not SHM.is_dir() or os.stat(SHM).st_dev not in memory_devices():
        pytest.skip("no file system in memory")
    with tempfile.TemporaryDirectory(dir=SHM, prefix="dumont-test-") as folder:
        yield Path(folder)


def test_a_file_that_is_written_through_a_mapping_is_noticed(tree: Path, tmp_path: Path) -> None:
    (tree / "weights").write_bytes(bytes(3 << 20))
    store = FakeStore()
    try:
        with (
            FakeOperator(store, tmp_path / "private") as operator,
            (tree / "weights").open("r+b") as file,
            mmap.mmap(file.fileno(), 0) as mapped,
        ):
            mapped[::4096] = bytes(len(mapped[::4096]))
            first = operator.create(tree)
            parent = scanned_later(store, parent_of(first, operator.snapshot))
            mapped[5000:5009] = b"important"
            result = operator.create(tree, parent=parent)

            assert_same(Snapshot(store, result, operator.snapshot), tree)
    finally:
        store.close()


def test_knows_file_systems_in_memory_by_their_devices(tmp_path: Path) -> None:
    table = tmp_path / "mountinfo"
    table.write_bytes(
        b"27 1 254:0 / / rw - ext4 /dev/vda rw\n41 27 0:40 / /a rw master:2 - tmpfs none rw\nodd\n"
    )
    assert memory_devices(str(table)) == {os.makedev(0, 40)}
