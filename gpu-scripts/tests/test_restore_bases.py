"""Restores of snapshots whose differences lean on one another in ways that create seldom makes."""

import os
import random
from collections.abc import Sequence
from pathlib import Path

import pytest
from restore_rig import Maker, Rig, Snapshot, hash_of, temps_below

from dumont_worker import restore_files, restore_plan
from dumont_worker.entry import ChunkRecord, Entry, Extent
from dumont_worker.errors import WorkerError
from dumont_worker.protocol import ManifestRoot
from dumont_worker.restore_index import ChunkTable

KIB = 1 << 10
Chunk = tuple[bytes, bytes | None]
"""Raw bytes and what they are stored as a difference from."""


def noise(seed: int, length: int = 256 * KIB) -> bytes:
    return random.Random(seed).randbytes(length)


def near(raw: bytes, seed: int) -> bytes:
    dice, changed = random.Random(seed), bytearray(raw)
    for at in dice.sample(range(0, len(raw), 2), len(raw) // 16):
        changed[at] ^= 1
    return bytes(changed)


def save(box: Rig, files: dict[str, Sequence[Chunk]], pack_bytes: int = 1 << 20) -> Snapshot:
    """Stores files of these chunks; each name of a path is its place, too."""
    maker = Maker(box.store, pack_bytes)
    entries = [Entry("dir", 0, b"", 0o755, os.geteuid(), os.getegid(), None, None, 1)]
    for name, chunks in sorted(files.items()):
        at, extents = 0, []
        for raw, base in chunks:
            number = maker.chunk(raw) if base is None else maker.difference(raw, base)
            extents.append(Extent(at, number, 0, len(raw)))
            at += len(raw)
        whole = b"".join(raw for raw, _ in chunks)
        plain = entries[0]._replace(kind="file", path=name.encode(), mode=0o644)
        content = hash_of(at, [(0, whole)])
        entries.append(plain._replace(size=at, hash=content, extents=tuple(extents)))
    for entry in entries:
        maker.writer.entry(entry)
    return maker.finish((ManifestRoot(b"/somewhere", None, "dir"),), entries)


def is_there(out: Path, files: dict[str, Sequence[Chunk]]) -> bool:
    assert temps_below(out) == []
    return all(
        (out / name).read_bytes() == b"".join(raw for raw, _ in chunks)
        for name, chunks in files.items()
    )


def stored(snapshot: Snapshot) -> int:
    return sum(record.stored for record in snapshot.records)


def test_a_base_in_a_later_file_is_waited_for(box: Rig, tmp_path: Path) -> None:
    base = noise(1)
    files = {"a": [(near(base, 2), base)], "b": [(near(base, 3), base)], "z": [(base, None)]}
    snapshot = save(box, files)
    assert box.restore(snapshot, tmp_path / "out")["failed"] == 0
    assert is_there(tmp_path / "out", files)
    assert box.store.fetched() == stored(snapshot)


def test_files_that_lean_on_one_another_come_back(box: Rig, tmp_path: Path) -> None:
    one, other = noise(1), noise(2)
    files = {
        "a": [(one, None), (near(other, 3), other)],
        "b": [(other, None), (near(one, 4), one)],
    }
    assert box.restore(save(box, files), tmp_path / "out")["failed"] == 0
    assert is_there(tmp_path / "out", files)


def test_a_file_may_lean_on_itself(box: Rig, tmp_path: Path) -> None:
    one = noise(1)
    files = {"a": [(one, None), (near(one, 2), one), (near(one, 3), one)]}
    assert box.restore(save(box, files), tmp_path / "out")["failed"] == 0
    assert is_there(tmp_path / "out", files)


def test_chains_of_files_come_one_after_the_other(box: Rig, tmp_path: Path) -> None:
    chunks = [noise(seed) for seed in range(6)]
    files: dict[str, Sequence[Chunk]] = {"0": [(chunks[0], None)]}
    for step in range(1, 6):
        before = chunks[step - 1]
        files[str(step)] = [(chunks[step], None), (near(before, step), before)]
    snapshot = save(box, files)
    assert box.restore(snapshot, tmp_path / "out")["failed"] == 0
    assert is_there(tmp_path / "out", files)
    assert box.store.fetched() == stored(snapshot)


def test_a_base_that_no_file_holds_is_fetched_once_for_all(
    box: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restore_plan, "GAP", 0)
    # A family and a part of the next would fit into a job.
    monkeypatch.setattr(restore_plan, "JOB_BYTES", 700 * KIB)
    bases = [noise(seed) for seed in range(5)]
    files = {
        f"f{n}": [(near(base, n), base) for base in bases] + [(noise(100 + n), None)]
        for n in range(8)
    }
    snapshot = save(box, files)
    assert len(snapshot.keys) > 2
    assert box.restore(snapshot, tmp_path / "out")["failed"] == 0
    assert is_there(tmp_path / "out", files)
    assert box.store.fetched() == stored(snapshot)


def test_jobs_with_fetched_bases_stay_within_their_size(
    box: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restore_plan, "JOB_BYTES", 600 * KIB)
    bases = [noise(seed) for seed in range(5)]
    files = {f"f{n}": [(near(base, n), base)] for n, base in enumerate(bases)}
    jobs: list[int] = []
    real = restore_files.message_of

    def message_of(job, *rest):
        jobs.append(job.bytes)
        return real(job, *rest)

    monkeypatch.setattr(restore_files, "message_of", message_of)
    snapshot = save(box, files)
    assert box.restore(snapshot, tmp_path / "out")["failed"] == 0
    assert is_there(tmp_path / "out", files)
    assert len(jobs) > 2
    assert max(jobs) <= 600 * KIB


def test_only_so_much_waits(box: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restore_files, "WINDOW_USES", 2)
    base = noise(1)
    files = {f"f{n}": [(near(base, n), base), (noise(9 + n), None)] for n in range(4)}
    files["z"] = [(base, None)]
    assert box.restore(save(box, files), tmp_path / "out")["failed"] == 0
    assert is_there(tmp_path / "out", files)


def test_what_a_finished_file_shares_is_not_fetched_again(box: Rig, tmp_path: Path) -> None:
    base, frozen = noise(1), noise(2)
    files = {"a": [(base, None), (frozen, None)], "b": [(near(base, 3), base), (frozen, None)]}
    snapshot = save(box, files)
    assert box.restore(snapshot, tmp_path / "out")["failed"] == 0
    assert is_there(tmp_path / "out", files)
    assert box.store.fetched() == stored(snapshot)


def test_a_file_that_waited_for_one_that_fails_is_restored_all_the_same(
    box: Rig, tmp_path: Path
) -> None:
    base = noise(1)
    files: dict[str, Sequence[Chunk]] = {"a": [(base, None)], "b": [(near(base, 2), base)]}
    snapshot = save(box, files)
    (tmp_path / "out/a/in the way").mkdir(parents=True)
    result = box.restore(snapshot, tmp_path / "out")
    assert [failure["code"] for failure in result["failures"]] == ["type-conflict"]
    assert (tmp_path / "out/b").read_bytes() == near(base, 2)


def record(number: int, raw: int = 100, base: int | None = None) -> ChunkRecord:
    named = None if base is None else ("xor", base)
    return ChunkRecord(bytes([number] * 32), raw, 0, 0, 80, bytes(32), "none", "zstd", named)


@pytest.mark.parametrize(
    ("what", "odd"),
    [
        ("a difference from a difference", record(2, base=1)),
        ("a difference from a chunk of another length", record(2, 99, base=0)),
        ("a difference from itself", record(2, base=2)),
        ("a difference from a later chunk", record(2, base=3)),
    ],
)
def test_a_base_that_cannot_be_one_is_refused(what: str, odd: ChunkRecord) -> None:
    table = ChunkTable()
    table.add(record(0))
    table.add(record(1, base=0))
    with pytest.raises(WorkerError) as refusal:
        table.add(odd)
    assert refusal.value.code == "INTEGRITY", what


def test_an_index_with_a_difference_from_a_difference_changes_nothing(
    box: Rig, tmp_path: Path
) -> None:
    base = noise(1)
    middle = near(base, 2)
    snapshot = save(
        box, {"a": [(base, None)], "b": [(middle, base)], "c": [(near(base, 3), middle)]}
    )
    assert box.fails(snapshot, tmp_path / "out").code == "INTEGRITY"
    assert not (tmp_path / "out").exists()
