"""What a box says of itself, and its record of restores."""

import os
import re
import stat
from pathlib import Path

import pytest

from dumont_worker import box, restored
from dumont_worker.box import PrivateDir
from dumont_worker.errors import WorkerError

SNAPSHOT = "20261123T140200Z-k3f7qz"
LINEAGE = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def private(tmp_path: Path) -> PrivateDir:
    return PrivateDir(os.fsencode(tmp_path / "private"))


def test_the_identity_stays_and_is_nobody_elses(private: PrivateDir, tmp_path: Path) -> None:
    first = box.box_identity(private)
    assert re.fullmatch("[0-9a-f]{64}", first)
    assert box.box_identity(private) == first
    other = PrivateDir(os.fsencode(tmp_path / "other"))
    assert box.box_identity(other) != first


def test_another_container_on_the_same_disk_is_another_box(
    private: PrivateDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = box.box_identity(private)
    monkeypatch.setenv("CONTAINER_ID", "4711")
    assert box.box_identity(private) != first


def test_a_damaged_identity_is_replaced(private: PrivateDir) -> None:
    private.identity()
    path = Path(os.fsdecode(private.path)) / "identity"
    path.write_text("half")
    fresh = private.identity()
    assert len(fresh) == 64
    assert private.identity() == fresh
    assert os.listdir(private.path) == [b"identity"]


def test_the_private_directory_is_private(private: PrivateDir) -> None:
    private.identity()
    assert stat.S_IMODE(os.stat(private.path).st_mode) == 0o700
    mode = os.stat(os.path.join(private.path, b"identity")).st_mode
    assert stat.S_IMODE(mode) == 0o600


def test_the_facts_are_complete(private: PrivateDir) -> None:
    facts = box.host_facts(private, [])
    assert set(facts) >= {"box", "boot", "os", "kernel", "arch", "python", "cpus", "memory", "gpus"}
    assert facts["cpus"] >= 1
    assert facts["memory"] > 1 << 28


def test_memory_and_cores_heed_the_containers_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = {"/sys/fs/cgroup/memory.max": b"1073741824", "/sys/fs/cgroup/cpu.max": b"50000 100000"}
    monkeypatch.setattr(box, "_read", lambda path: limits.get(path, b""))
    assert box.memory_bytes() == 1 << 30
    assert box.cpu_count() == 1


def test_restores_are_recorded_by_their_roots(private: PrivateDir) -> None:
    assert restored.read(private) == []
    restored.record(private, LINEAGE, SNAPSHOT, [b"/a"], True)
    restored.record(private, LINEAGE, SNAPSHOT, [b"/b\xff"], False)
    restored.record(private, LINEAGE, SNAPSHOT, [b"/a"], False)
    assert [(item["roots"], item["complete"]) for item in restored.read(private)] == [
        ([{"b64": "L2L/"}], False),
        (["/a"], False),
    ]


def test_the_record_is_bounded(private: PrivateDir) -> None:
    for number in range(70):
        restored.record(private, LINEAGE, SNAPSHOT, [b"/%d" % number], True)
    assert len(restored.read(private)) == 64
    assert restored.read(private)[-1]["roots"] == ["/69"]


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"{}",
        b'[{"lineage":"x"}]',
        b'[{"lineage":"%s","snapshot":"%s","roots":["relative"],"complete":true}]'
        % (LINEAGE.encode(), SNAPSHOT.encode()),
        b'[{"lineage":"%s","snapshot":"%s","roots":"/a","complete":true}]'
        % (LINEAGE.encode(), SNAPSHOT.encode()),
    ],
)
def test_a_damaged_record_counts_as_none(private: PrivateDir, text: bytes) -> None:
    (Path(os.fsdecode(private.path)) / "restored.json").write_bytes(text)
    assert restored.read(private) == []


def test_a_full_disk_is_told(private: PrivateDir, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(WorkerError):
        restored.record(private, LINEAGE, SNAPSHOT, [b"/a"], True)
    monkeypatch.undo()
    assert restored.read(private) == []
    assert os.listdir(private.path) == []
