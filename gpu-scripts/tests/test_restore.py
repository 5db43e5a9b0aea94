"""Restoring over nothing and over something: what is written, what is left, what is said."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from compare_trees import compare_trees
from restore_rig import FakeLink, Rig, ThreadPool, temps_below

from dumont_worker import restored

MATRIX = Path(__file__).parents[2] / "test/support/tree/make_matrix.py"
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    top = tmp_path / "source"
    (top / "sub").mkdir(parents=True)
    (top / "a.txt").write_bytes(b"first\n")
    (top / "sub/b.txt").write_bytes(b"second\n")
    (top / "sub/big.bin").write_bytes(os.urandom(3 << 20))
    os.symlink("a.txt", top / "link")
    return top


def differences(one: Path, other: Path, *ignore: str) -> list[str]:
    return [str(found) for found in compare_trees(os.fsencode(one), os.fsencode(other), ignore)]


def test_everything_comes_back_as_it_was(box: Rig, tmp_path: Path):
    source, out = tmp_path / "source", tmp_path / "out"
    subprocess.run([sys.executable, MATRIX, source], check=True, capture_output=True)
    snapshot = box.save(source)
    result = box.restore(snapshot, out, devices=True)
    assert result["failed"] == 0
    # A hard-linked symbolic link comes back as two links: the format keeps groups of other kinds
    # only.
    found = differences(source, out, "sockets")
    assert [line for line in found if "links/dangling-hard" not in line] == []
    assert temps_below(out) == []


def test_a_second_restore_fetches_and_writes_nothing(box: Rig, tmp_path: Path):
    source, out = tmp_path / "source", tmp_path / "out"
    subprocess.run([sys.executable, MATRIX, "--small", source], check=True, capture_output=True)
    snapshot = box.save(source)
    box.restore(snapshot, out, devices=True)
    before = changes_below(out)
    box.store.requests.clear()
    result = box.restore(snapshot, out, devices=True)
    assert (result["written"], result["bytes"]["fetched"]) == (0, 0)
    assert result["same"] == result["counts"]["files"]
    assert box.store.fetched() == 0
    assert changes_below(out) == before


def changes_below(top: Path) -> dict[str, int]:
    return {
        name: os.stat(name, dir_fd=fd, follow_symlinks=False).st_ctime_ns
        for _, directories, files, fd in os.fwalk(top)
        for name in directories + files
    }


def test_a_restore_in_place_brings_back_what_changed(box: Rig, source: Path):
    snapshot = box.save(source)
    (source / "a.txt").write_bytes(b"FIRST\n")
    os.unlink(source / "sub/b.txt")
    inode = (source / "sub/big.bin").stat().st_ino
    result = box.restore(snapshot, None)
    assert (source / "a.txt").read_bytes() == b"first\n"
    assert (source / "sub/b.txt").read_bytes() == b"second\n"
    assert (source / "sub/big.bin").stat().st_ino == inode
    assert (result["written"], result["same"]) == (2, 1)


def test_a_file_is_never_written_in_place(box: Rig, source: Path, tmp_path: Path):
    snapshot = box.save(source)
    (source / "a.txt").write_bytes(b"other text")
    os.link(source / "a.txt", tmp_path / "outside")
    box.restore(snapshot, None)
    assert (source / "a.txt").read_bytes() == b"first\n"
    assert (tmp_path / "outside").read_bytes() == b"other text"


def test_metadata_of_an_outside_link_is_left_alone(box: Rig, source: Path, tmp_path: Path):
    snapshot = box.save(source)
    os.link(source / "a.txt", tmp_path / "outside")
    os.chmod(source / "a.txt", 0o600)
    box.restore(snapshot, None)
    assert stat.S_IMODE((source / "a.txt").stat().st_mode) == 0o644
    assert stat.S_IMODE((tmp_path / "outside").stat().st_mode) == 0o600


def test_two_files_that_became_one_inode_are_parted(box: Rig, source: Path):
    (source / "twin").write_bytes(b"first\n")
    os.utime(source / "twin", ns=(10**18, 10**18))
    os.utime(source / "a.txt", ns=(10**18, 10**18))
    snapshot = box.save(source)
    os.unlink(source / "twin")
    os.link(source / "a.txt", source / "twin")
    box.restore(snapshot, None)
    assert not os.path.samestat(os.stat(source / "a.txt"), os.stat(source / "twin"))


def test_the_same_content_with_other_metadata_is_not_fetched(box: Rig, source: Path):
    snapshot = box.save(source)
    os.chmod(source / "sub/big.bin", 0o600)
    os.utime(source / "sub/big.bin", ns=(1, 1))
    os.setxattr(source / "sub/big.bin", "user.extra", b"1")
    result = box.restore(snapshot, None)
    assert stat.S_IMODE((source / "sub/big.bin").stat().st_mode) == 0o644
    assert os.listxattr(source / "sub/big.bin") == []
    assert result["bytes"]["fetched"] == 0


def test_always_writes_everything_again(box: Rig, source: Path):
    snapshot = box.save(source)
    before = (source / "a.txt").stat().st_ino
    result = box.restore(snapshot, None, overwrite="always")
    assert result["written"] == 3
    assert (source / "a.txt").stat().st_ino != before


def test_never_leaves_what_is_there(box: Rig, source: Path):
    snapshot = box.save(source)
    (source / "a.txt").write_bytes(b"mine")
    os.unlink(source / "sub/b.txt")
    os.unlink(source / "link")
    os.symlink("mine", source / "link")
    result = box.restore(snapshot, None, overwrite="never")
    assert (source / "a.txt").read_bytes() == b"mine"
    assert os.readlink(source / "link") == "mine"
    assert (source / "sub/b.txt").read_bytes() == b"second\n"
    assert (result["written"], result["failed"]) == (1, 0)


@pytest.mark.parametrize("there", ["dir", "link", "fifo"])
def test_something_of_another_type_is_named_and_left(box: Rig, source: Path, there: str):
    snapshot = box.save(source)
    os.unlink(source / "a.txt")
    make_other(source / "a.txt", there)
    result = box.restore(snapshot, None)
    assert [item["code"] for item in result["failures"]] == ["type-conflict"]
    assert result["failures"][0]["path"] == str(source / "a.txt")
    assert not stat.S_ISREG((source / "a.txt").lstat().st_mode)


def make_other(path: Path, kind: str) -> None:
    if kind == "dir":
        path.mkdir()
    elif kind == "link":
        os.symlink("sub/b.txt", path)
    else:
        os.mkfifo(path)


@pytest.mark.parametrize("there", ["link", "fifo"])
def test_always_replaces_a_non_directory(box: Rig, source: Path, there: str):
    snapshot = box.save(source)
    os.unlink(source / "a.txt")
    make_other(source / "a.txt", there)
    result = box.restore(snapshot, None, overwrite="always")
    assert result["failed"] == 0
    assert (source / "a.txt").read_bytes() == b"first\n"
    assert (source / "sub/b.txt").read_bytes() == b"second\n"


def test_always_never_removes_a_directory(box: Rig, source: Path):
    snapshot = box.save(source)
    os.unlink(source / "a.txt")
    (source / "a.txt").mkdir()
    (source / "a.txt/precious").write_bytes(b"x")
    result = box.restore(snapshot, None, overwrite="always")
    assert result["failed"] == 1
    assert (source / "a.txt/precious").exists()


def test_entries_below_a_conflict_are_named_each(box: Rig, source: Path, tmp_path: Path):
    snapshot = box.save(source)
    out = tmp_path / "out"
    out.mkdir()
    (out / "sub").write_bytes(b"a file")
    result = box.restore(snapshot, out)
    assert result["failed"] == 3
    assert (out / "sub").read_bytes() == b"a file"
    assert (out / "a.txt").read_bytes() == b"first\n"


def test_hard_links_are_restored_across_directories(box: Rig, source: Path, tmp_path: Path):
    os.link(source / "a.txt", source / "sub/again")
    box.restore(box.save(source), tmp_path / "out")
    assert os.path.samefile(tmp_path / "out/a.txt", tmp_path / "out/sub/again")


def test_a_further_name_alone_is_restored_as_a_file(box: Rig, source: Path, tmp_path: Path):
    os.link(source / "a.txt", source / "sub/again")
    os.link(source / "a.txt", source / "sub/third")
    snapshot = box.save(source)
    box.restore(snapshot, tmp_path / "out", include=(b"sub/again", b"sub/third"))
    assert not (tmp_path / "out/a.txt").exists()
    assert (tmp_path / "out/sub/again").read_bytes() == b"first\n"
    assert os.path.samefile(tmp_path / "out/sub/again", tmp_path / "out/sub/third")


def test_a_link_that_was_cut_is_joined_again(box: Rig, source: Path):
    os.link(source / "a.txt", source / "sub/again")
    snapshot = box.save(source)
    os.unlink(source / "sub/again")
    (source / "sub/again").write_bytes(b"first\n")
    box.restore(snapshot, None)
    assert os.path.samefile(source / "a.txt", source / "sub/again")


def test_a_group_whose_first_name_is_kept_gets_its_own_content(box: Rig, source: Path):
    os.link(source / "a.txt", source / "sub/again")
    snapshot = box.save(source)
    os.unlink(source / "sub/again")
    os.unlink(source / "a.txt")
    (source / "a.txt").write_bytes(b"mine")
    box.restore(snapshot, None, overwrite="never")
    assert (source / "a.txt").read_bytes() == b"mine"
    assert (source / "sub/again").read_bytes() == b"first\n"


def test_include_restores_a_part_and_makes_its_parents(box: Rig, source: Path, tmp_path: Path):
    os.chmod(source / "sub", 0o750)
    result = box.restore(box.save(source), tmp_path / "out", include=(b"b.txt",))
    assert sorted(path.name for path in (tmp_path / "out").rglob("*")) == ["b.txt", "sub"]
    assert stat.S_IMODE((tmp_path / "out/sub").stat().st_mode) == 0o750
    assert result["counts"]["entries"] == 1


def test_several_roots_go_below_the_target(box: Rig, source: Path, tmp_path: Path):
    (tmp_path / "single").write_bytes(b"alone")
    box.restore(box.save(source, tmp_path / "single"), tmp_path / "out")
    below = Path(str(tmp_path / "out") + str(tmp_path))
    assert differences(source, below / "source") == []
    assert (below / "single").read_bytes() == b"alone"


def test_read_only_directories_are_filled(box: Rig, source: Path, tmp_path: Path):
    os.chmod(source / "sub", 0o555)
    box.restore(box.save(source), tmp_path / "out")
    assert differences(source, tmp_path / "out") == []


def test_inherited_acls_do_not_stay(box: Rig, source: Path, tmp_path: Path):
    out = tmp_path / "out"
    out.mkdir()
    done = subprocess.run(["setfacl", "-d", "-m", "u:12345:rwx", out], check=False)
    if done.returncode:
        pytest.skip("no ACLs here")
    box.restore(box.save(source), out)
    assert differences(source, out) == []


@root_only
def test_privileges_are_dropped_when_not_wanted(box: Rig, source: Path, tmp_path: Path):
    os.chmod(source / "a.txt", 0o6755)
    capability = bytes.fromhex("0100000200200000000000000000000000000000")
    os.setxattr(source / "sub/b.txt", "security.capability", capability)
    result = box.restore(box.save(source), tmp_path / "out", privileges=False)
    assert stat.S_IMODE((tmp_path / "out/a.txt").stat().st_mode) == 0o755
    assert os.listxattr(tmp_path / "out/sub/b.txt") == []
    assert result["notes"]["privileges"] == 1


@root_only
def test_device_nodes_come_back_on_request_only(box: Rig, source: Path, tmp_path: Path):
    os.mknod(source / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    snapshot = box.save(source)
    result = box.restore(snapshot, tmp_path / "out")
    assert not (tmp_path / "out/null").exists()
    assert result["notes"] == {"device": 1}
    box.restore(snapshot, tmp_path / "out", devices=True)
    assert (tmp_path / "out/null").stat().st_rdev == os.makedev(1, 3)


def test_access_files_are_left_alone(box: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    (home / ".ssh/authorized_keys").write_bytes(b"old key")
    (home / "file").write_bytes(b"1")
    snapshot = box.save(home)
    (home / ".ssh/authorized_keys").write_bytes(b"the key of this box")
    monkeypatch.setattr("dumont_worker.box.home", lambda: os.fsencode(home))
    result = box.restore(snapshot, None)
    assert (home / ".ssh/authorized_keys").read_bytes() == b"the key of this box"
    assert result["notes"]["protected"] == 1
    box.restore(snapshot, None, include_access_files=True)
    assert (home / ".ssh/authorized_keys").read_bytes() == b"old key"


def test_a_dry_run_changes_nothing_and_tells_all(box: Rig, source: Path, tmp_path: Path):
    snapshot = box.save(source)
    result = box.restore(snapshot, tmp_path / "out", dry_run=True)
    assert not (tmp_path / "out").exists()
    assert result["written"] == 3
    assert result["bytes"]["fetched"] > 3 << 20
    assert box.store.fetched() == 0


def test_a_dry_run_over_a_tree_counts_deletions(box: Rig, source: Path):
    snapshot = box.save(source)
    (source / "extra").write_bytes(b"x")
    (source / "a.txt").write_bytes(b"changed")
    result = box.restore(snapshot, None, dry_run=True, delete=True)
    assert (result["deleted"], result["written"], result["same"]) == (1, 1, 2)
    assert (source / "extra").exists()
    assert box.last.asked == []


def test_a_terabyte_hole_costs_nothing(box: Rig, source: Path, tmp_path: Path):
    with open(source / "sparse", "wb") as file:
        file.truncate(1 << 40)
        os.pwrite(file.fileno(), b"island", 1 << 39)
    snapshot = box.save(source)
    box.restore(snapshot, tmp_path / "out")
    found = (tmp_path / "out/sparse").stat()
    assert (found.st_size, found.st_blocks < 100) == (1 << 40, True)
    assert box.restore(snapshot, tmp_path / "out")["written"] == 0


def test_a_complete_restore_is_recorded(box: Rig, source: Path, tmp_path: Path):
    box.restore(box.save(source), tmp_path / "out")
    assert restored.read(box.private)[0]["complete"] is True
    assert restored.read(box.private)[0]["roots"] == [str(tmp_path / "out")]


@pytest.mark.parametrize("how", ["include", "never", "damage"])
def test_an_incomplete_restore_is_recorded_as_such(box, source, tmp_path, how):
    snapshot = box.save(source)
    (tmp_path / "out").mkdir()
    changes = {}
    if how == "include":
        changes = {"include": (b"sub/",)}
    elif how == "never":
        (tmp_path / "out/a.txt").write_bytes(b"mine")
        changes = {"overwrite": "never"}
    else:
        box.store.missing.update(snapshot.keys)
    box.restore(snapshot, tmp_path / "out", **changes)
    assert restored.read(box.private)[0]["complete"] is False


def test_an_unwritable_target_is_refused_before_anything_is_fetched(box, source, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    snapshot = box.save(source)
    assert box.fails(snapshot, tmp_path / "file").code == "TARGET_UNWRITABLE"
    assert box.fails(snapshot, tmp_path / "file/below").code == "TARGET_UNWRITABLE"
    assert box.store.fetched() == 0


def test_dumonts_own_directory_is_no_target(box: Rig, source: Path):
    inside = Path(os.fsdecode(box.private.path)) / "x"
    assert box.fails(box.save(source), inside).code == "USAGE"


def test_dumonts_own_directory_below_the_target_is_left_alone(box: Rig, tmp_path: Path):
    source = tmp_path / "source"
    (source / "private").mkdir(parents=True)
    (source / "private/identity").write_bytes(b"of another box")
    snapshot = box.save(source)
    before = box.private.identity()
    box.restore(snapshot, tmp_path)
    assert box.private.identity() == before


def test_a_link_as_target_is_resolved_and_said(box: Rig, source: Path, tmp_path: Path):
    (tmp_path / "real").mkdir()
    os.symlink("real", tmp_path / "out")
    box.restore(box.save(source), tmp_path / "out")
    assert (tmp_path / "real/a.txt").exists()
    assert box.last.told[0][0] == "target"


@root_only
def test_without_root_owners_are_noted_once_and_the_rest_is_restored(box, source, tmp_path):
    os.chown(source / "a.txt", 1234, 1234)
    os.chmod(source / "a.txt", 0o4755)
    snapshot = box.save(source)
    result = as_nobody(box, snapshot, tmp_path)
    assert result["failed"] == 0
    assert result["notes"] == {"owner": 1, "privileges": 1}
    assert stat.S_IMODE((tmp_path / "free/out/a.txt").stat().st_mode) == 0o755
    assert (tmp_path / "free/out/sub/big.bin").exists()


def as_nobody(box: Rig, snapshot, tmp_path: Path):
    """Restore as an unprivileged user."""
    box.pool = ThreadPool
    # Loads what is loaded late while the interpreter's own files can still be read.
    box.restore(snapshot, tmp_path / "before")
    free = tmp_path / "free"
    free.mkdir()
    private = Path(os.fsdecode(box.private.path))
    for path in (free, private, private / "restores"):
        os.chown(path, 65534, 65534)
    for path in [tmp_path, *list(tmp_path.parents)[:-2]]:
        os.chmod(path, path.stat().st_mode | 0o055)
    os.setegid(65534)
    groups = os.getgroups()
    os.setgroups([])
    os.seteuid(65534)
    try:
        return box.restore(snapshot, free / "out")
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)


def test_urls_that_expire_are_asked_for_again(box: Rig, source: Path, tmp_path: Path):
    snapshot = box.save(source)
    # The first answer of the operator has every URL; it expires once the packs are asked for.
    box.store.before = lambda key, count: (
        box.store.expired.update(["t1", "t2"]) if key.startswith("packs/") else None
    )
    result = box.restore(snapshot, tmp_path / "out")
    assert result["failed"] == 0
    assert differences(source, tmp_path / "out") == []


def test_urls_that_always_expire_end_the_restore(box: Rig, source: Path, tmp_path: Path):
    snapshot = box.save(source)
    box.store.expired.update(f"t{n}" for n in range(100))
    assert box.fails(snapshot, tmp_path / "out").code == "ACCESS_DENIED"


def test_an_operator_who_gives_another_key_is_not_believed(box, source, tmp_path):
    class Wrong(FakeLink):
        def request(self, type_, patience=120.0, **fields):
            answer = super().request(type_, patience, **fields)
            answer["urls"][0]["key"] = "other"
            return answer

    box.link = Wrong(box.store)
    assert box.fails(box.save(source), tmp_path / "out").code == "WORKER"
