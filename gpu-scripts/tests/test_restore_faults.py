"""What a restore does when store, disk or session let it down, or somebody works against it."""

import ctypes
import errno
import json
import os
import signal
import subprocess
import time
from base64 import b64encode
from dataclasses import replace
from pathlib import Path

import pytest
from compare_trees import compare_trees
from restore_rig import Rig, damage, flipped, raw_index, temps_below

from dumont_worker import restore, restored
from dumont_worker.cancellation import Cancelled
from dumont_worker.content_hash import small_hash
from dumont_worker.entry import Entry
from dumont_worker.restore import sync
from dumont_worker.restore_runs import Runs

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
MIB = 1 << 20


@pytest.fixture
def source(tmp_path: Path) -> Path:
    top = tmp_path / "source"
    (top / "sub").mkdir(parents=True)
    (top / "small").write_bytes(b"small content")
    (top / "sub/huge").write_bytes(os.urandom(20 * MIB))
    (top / "sub/large").write_bytes(os.urandom(3 * MIB))
    (top / "zero").write_bytes(b"")
    return top


def failed(result) -> dict[str, str]:
    return {os.path.basename(item["path"]): item["code"] for item in result["failures"]}


def test_a_damaged_chunk_fails_its_files_and_no_others(box: Rig, source: Path, tmp_path: Path):
    snapshot = box.save(source)
    damage(box, snapshot, b"sub/large")
    result = box.restore(snapshot, tmp_path / "out")
    assert failed(result) == {"large": "damaged"}
    assert not (tmp_path / "out/sub/large").exists()
    assert (tmp_path / "out/sub/huge").read_bytes() == (source / "sub/huge").read_bytes()
    assert temps_below(tmp_path / "out") == []


def test_a_damaged_chunk_of_a_file_of_many_jobs_leaves_nothing_of_it(box, source, tmp_path):
    snapshot = box.save(source)
    damage(box, snapshot, b"sub/huge")
    result = box.restore(snapshot, tmp_path / "out")
    assert failed(result) == {"huge": "damaged"}
    assert temps_below(tmp_path / "out") == []


def test_further_names_of_a_damaged_file_fail_too(box: Rig, source: Path, tmp_path: Path):
    os.link(source / "sub/large", source / "zz")
    snapshot = box.save(source)
    damage(box, snapshot, b"sub/large")
    assert failed(box.restore(snapshot, tmp_path / "out")) == {"large": "damaged", "zz": "damaged"}


def test_further_names_of_a_file_that_could_not_be_written_are_not_called_damaged(
    box: Rig, source: Path, tmp_path: Path
):
    os.link(source / "sub/large", source / "zz")
    snapshot = box.save(source)
    (tmp_path / "out/sub/large").mkdir(parents=True)
    found = failed(box.restore(snapshot, tmp_path / "out"))
    assert found["large"] == "type-conflict"
    assert found.get("zz") != "damaged"


def test_an_existing_file_outlives_a_damaged_successor(box: Rig, source: Path):
    snapshot = box.save(source)
    damage(box, snapshot, b"sub/large")
    (source / "sub/large").write_bytes(b"what was there")
    box.restore(snapshot, None)
    assert (source / "sub/large").read_bytes() == b"what was there"


def test_damage_on_the_way_is_fetched_again(box: Rig, source: Path, tmp_path: Path):
    snapshot = box.save(source)
    spoiled: list[str] = []

    def spoil(key: str, data: bytes) -> bytes:
        if not key.startswith("packs/") or key in spoiled:
            return data
        spoiled.append(key)
        return flipped(data, 100)

    box.store.spoil = spoil
    assert box.restore(snapshot, tmp_path / "out")["failed"] == 0
    assert spoiled


def test_a_missing_pack_fails_what_needs_it(box: Rig, source: Path, tmp_path: Path):
    snapshot = box.save(source)
    box.store.missing.add(snapshot.key_of(b"sub/large"))
    result = box.restore(snapshot, tmp_path / "out")
    assert failed(result)["large"] == "damaged"
    assert (tmp_path / "out/zero").exists()
    assert temps_below(tmp_path / "out") == []


def test_a_pack_cut_short_gives_what_is_left_of_it(box: Rig, tmp_path: Path):
    source = tmp_path / "source"
    source.mkdir()
    for name in "abc":
        (source / name).write_bytes(os.urandom(MIB))
    snapshot = box.save(source)
    key = snapshot.key_of(b"c")
    box.store.objects[key] = box.store.objects[key][:-10]
    result = box.restore(snapshot, tmp_path / "out")
    assert failed(result) == {"c": "damaged"}
    assert (tmp_path / "out/b").read_bytes() == (source / "b").read_bytes()


def test_content_that_the_entry_does_not_mean_is_refused(box: Rig, source: Path, tmp_path: Path):
    def lie(entry: Entry) -> Entry:
        return entry._replace(hash=small_hash(b"else")) if entry.path == b"small" else entry

    result = box.restore(box.save(source, change=lie), tmp_path / "out")
    assert failed(result) == {"small": "damaged"}


@pytest.mark.parametrize("which", ["segments", "packs"])
def test_a_damaged_index_ends_the_restore_before_anything_is_written(box, source, tmp_path, which):
    snapshot = box.save(source)
    key = snapshot.packs.key if which == "packs" else snapshot.segments[0].key
    box.store.objects[key] = flipped(box.store.objects[key], 30)
    assert box.fails(snapshot, tmp_path / "out").code == "INTEGRITY"
    assert not (tmp_path / "out").exists()


def line(path: bytes, **fields: object) -> bytes:
    entry = {"entry": "file", "root": 0, "mode": 420, "uid": 0, "gid": 0, "mtime": "0", "size": 0}
    told = {"path": {"b64": b64encode(path).decode()}, "hash": small_hash(b"").hex()}
    return json.dumps(entry | told | fields).encode()


TOP = line(b"", entry="dir").replace(b'"size": 0, ', b"").split(b', "hash"')[0] + b"}"


@pytest.mark.parametrize(
    "path", [b"/etc/owned", b"../owned", b"a/../../owned", b"a//b", b"./a", b"a\0b", b"missing/a"]
)
def test_a_hostile_path_ends_the_restore_before_anything_is_written(box, source, tmp_path, path):
    snapshot = box.save(source)
    hostile = replace(snapshot, segments=raw_index(box.store, [TOP, line(path)]))
    assert box.fails(hostile, tmp_path / "out").code == "INTEGRITY"
    assert not (tmp_path / "out").exists()


def test_a_link_and_something_below_it_is_no_tree(box: Rig, source: Path, tmp_path: Path):
    link = (
        line(b"a", entry="symlink", target="/etc")
        .replace(b'"size": 0, ', b"")
        .split(b', "hash"')[0]
    )
    lines = [TOP, link + b', "target": "/etc"}', line(b"a/owned")]
    hostile = replace(box.save(source), segments=raw_index(box.store, lines))
    assert box.fails(hostile, tmp_path / "out").code == "INTEGRITY"


def test_a_link_in_the_place_of_a_directory_is_not_followed(box: Rig, source: Path, tmp_path: Path):
    snapshot = box.save(source)
    outside, out = tmp_path / "outside", tmp_path / "out"
    outside.mkdir()
    out.mkdir()
    os.symlink(outside, out / "sub")
    result = box.restore(snapshot, out)
    assert set(failed(result).values()) == {"type-conflict"}
    assert os.listdir(outside) == []
    box.restore(snapshot, out, overwrite="always")
    assert os.listdir(outside) == []
    assert (out / "sub/large").exists()


def test_a_link_placed_during_the_restore_is_not_followed(box: Rig, source: Path, tmp_path: Path):
    snapshot = box.save(source)
    outside, out = tmp_path / "outside", tmp_path / "out"
    outside.mkdir()

    def swap(key: str, count: int) -> None:
        if key.startswith("packs/") and not (out / "sub").is_symlink():
            os.rename(out / "sub", out / "moved")
            os.symlink(outside, out / "sub")

    box.store.before = swap
    box.restore(snapshot, out)
    assert os.listdir(outside) == []


@pytest.mark.parametrize("way", [os.symlink, os.link])
def test_a_file_placed_under_a_temporary_name_is_not_written(box, source, tmp_path, way):
    snapshot = box.save(source)
    victim, out = tmp_path / "victim", tmp_path / "out"
    victim.write_bytes(b"safe")
    os.chmod(victim, 0o600)

    def swap(key: str, count: int) -> None:
        names = os.listdir(out / "sub") if key.startswith("packs/") else []
        for name in names:
            if name.startswith(".dumont-") and (out / "sub" / name).stat().st_size == 20 * MIB:
                os.unlink(out / "sub" / name)
                way(victim, out / "sub" / name)

    box.store.before = swap
    result = box.restore(snapshot, out)
    assert "huge" in failed(result)
    assert victim.read_bytes() == b"safe"
    assert victim.stat().st_mode & 0o777 == 0o600
    assert victim.stat().st_nlink == 1


@pytest.fixture
def little_disk(tmp_path: Path):
    place = tmp_path / "little"
    place.mkdir()
    options = "size=16m,nr_inodes=50"
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", place], check=False
    ).returncode:
        pytest.skip("cannot mount here")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


@root_only
def test_what_cannot_fit_is_refused_before_anything_is_fetched(box, source, little_disk):
    error = box.fails(box.save(source), little_disk / "out")
    assert error.code == "BOX_DISK_FULL"
    assert "MiB" in error.message
    assert box.store.fetched() == 0


@root_only
def test_too_many_files_for_the_disk_are_refused(box: Rig, tmp_path: Path, little_disk: Path):
    source = tmp_path / "source"
    source.mkdir()
    for number in range(60):
        (source / str(number)).write_bytes(b"x")
    assert "inodes" in box.fails(box.save(source), little_disk).message


@root_only
def test_a_disk_that_fills_up_ends_the_restore_without_remains(box, tmp_path, little_disk):
    source = tmp_path / "source"
    source.mkdir()
    (source / "file").write_bytes(os.urandom(12 * MIB))
    snapshot = box.save(source)

    def fill(key: str, count: int) -> None:
        if key.startswith("packs/") and not (little_disk / "hog").exists():
            (little_disk / "hog").write_bytes(bytes(8 * MIB))

    box.store.before = fill
    assert box.fails(snapshot, little_disk / "out").code == "BOX_DISK_FULL"
    assert temps_below(little_disk) == []


@root_only
def test_what_fits_because_it_replaces_is_not_refused(box: Rig, tmp_path: Path, little_disk: Path):
    source = tmp_path / "source"
    source.mkdir()
    for name in "abcd":
        (source / name).write_bytes(os.urandom(3 * MIB))
    snapshot = box.save(source)
    box.restore(snapshot, little_disk)
    (little_disk / "a").write_bytes(bytes(3 * MIB))
    assert box.restore(snapshot, little_disk)["failed"] == 0
    assert compare_trees(os.fsencode(source), os.fsencode(little_disk)) == []


def test_an_interrupted_restore_leaves_no_remains_and_goes_on_later(box, source, tmp_path):
    for number in range(12):
        (source / f"part{number}").write_bytes(os.urandom(4 * MIB))
    snapshot = box.save(source, pack_bytes=8 * MIB)
    link = box.link

    def interrupt(key: str, count: int) -> None:
        if key.startswith("packs/") and any(tmp_path.glob("out/part*")):
            link.cancelled.set()

    box.store.before = interrupt
    with pytest.raises(Cancelled):
        box.restore(snapshot, tmp_path / "out", parts=1)
    done = len(list(tmp_path.glob("out/part*")))
    assert 0 < done < 12
    assert temps_below(tmp_path / "out") == []
    box.store.before = lambda key, count: None
    box.store.requests.clear()
    result = box.restore(snapshot, tmp_path / "out")
    assert result["same"] >= done
    assert box.store.fetched() < 72 * MIB - 4 * MIB * done
    assert compare_trees(os.fsencode(source), os.fsencode(tmp_path / "out")) == []


def test_what_a_killed_restore_left_is_removed_by_the_next(box, source, tmp_path):
    # Fetched by several jobs: its temporary name is there until the last of them.
    (source / "long").write_bytes(os.urandom(20 * MIB))
    snapshot = box.save(source)
    out = tmp_path / "out"
    box.store.before = lambda key, count: time.sleep(60) if key.startswith("packs/") else None
    child = os.fork()
    if child == 0:
        try:
            box.restore(snapshot, out)
        finally:
            os._exit(1)
    deadline = time.monotonic() + 20
    while not any(each.stat().st_size == 20 * MIB for each in out.glob(".dumont-*")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    left = temps_below(out)
    assert left
    (out / ".dumont-notes").write_bytes(b"the user's own")
    box.store.before = lambda key, count: None
    assert box.restore(snapshot, out)["failed"] == 0
    assert temps_below(out) == [".dumont-notes"]
    assert os.listdir(os.path.join(box.private.path, b"restores")) == []


def test_two_restores_into_one_place_are_refused(box: Rig, source: Path, tmp_path: Path):
    snapshot = box.save(source)
    with Runs(box.private).begin((os.fsencode(tmp_path / "out/sub"),)):
        assert box.fails(snapshot, tmp_path / "out").code == "LOCKED"
        assert box.restore(snapshot, tmp_path / "beside")["failed"] == 0


def test_too_little_memory_is_refused(box: Rig, source: Path, tmp_path: Path):
    assert box.fails(box.save(source), tmp_path / "out", memory=32 * MIB).code == "USAGE"


@root_only
def test_a_group_that_spans_two_file_systems_becomes_copies_and_is_said(box, tmp_path, little_disk):
    source = tmp_path / "source"
    (source / "little").mkdir(parents=True)
    (source / "a").write_bytes(b"shared")
    os.link(source / "a", source / "little/again")
    snapshot = box.save(source)
    # The target holds the mount `little`.
    result = box.restore(snapshot, tmp_path)
    assert result["failed"] == 0
    assert (little_disk / "again").read_bytes() == b"shared"
    assert box.last.warnings["link"] == 1
    assert (little_disk / "again").stat().st_mtime_ns == (source / "a").stat().st_mtime_ns


def test_what_the_disk_did_not_take_after_all_is_told(tmp_path: Path) -> None:
    def failing(_fd: int) -> int:
        ctypes.set_errno(errno.EIO)
        return -1

    fd = os.open(tmp_path, os.O_PATH)
    try:
        sync(fd)
        with pytest.raises(OSError, match="Input/output error"):
            sync(fd, failing)
    finally:
        os.close(fd)


def test_a_disk_that_loses_writes_ends_the_restore_without_a_record(
    box: Rig, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(_fd: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(restore, "sync", lost)
    failure = box.fails(box.save(source), tmp_path / "out")
    assert failure.code == "TARGET_UNWRITABLE"
    assert "Input/output error" in failure.message
    assert restored.read(box.private) == []
