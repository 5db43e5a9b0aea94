"""What `--delete` removes, and what it never does."""

import os
import socket
import subprocess
from pathlib import Path

import pytest
from restore_rig import Rig, damage

from dumont_worker.protocol import ManifestRules

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
MIB = 1 << 20


@pytest.fixture
def source(tmp_path: Path) -> Path:
    top = tmp_path / "source"
    (top / "sub").mkdir(parents=True)
    (top / "small").write_bytes(b"small content")
    (top / "sub/huge").write_bytes(os.urandom(2 * MIB))
    (top / "sub/large").write_bytes(os.urandom(3 * MIB))
    (top / "zero").write_bytes(b"")
    return top


@pytest.fixture
def lived_in(box: Rig, source: Path):
    """A tree that was saved and went on living."""
    (source / ".dumontignore").write_bytes(b"*.log\n")
    (source / "keep.log").write_bytes(b"left out by the ignore file")
    (source / "keep.tmp").write_bytes(b"left out by --exclude")
    snapshot = box.save(source, rules=ManifestRules((b"*.tmp",), False, False, ()))
    (source / "extra").write_bytes(b"x")
    (source / "new/deep").mkdir(parents=True)
    (source / "new/deep/file").write_bytes(b"x")
    return snapshot


def names(top: Path) -> set[str]:
    return {str(path.relative_to(top)) for path in top.rglob("*")}


SAVED = {".dumontignore", "small", "sub", "sub/huge", "sub/large", "zero"}
LEFT = {"keep.log", "keep.tmp"}


def test_delete_removes_what_would_have_been_saved_and_nothing_else(box, source, lived_in):
    result = box.restore(lived_in, None, delete=True)
    assert names(source) == SAVED | LEFT
    assert result["deleted"] == 4
    assert box.last.asked[0]["count"] == 4


def test_without_delete_nothing_is_removed(box, source, lived_in):
    box.restore(lived_in, None)
    assert box.last.asked == []
    assert (source / "new/deep/file").exists()


@pytest.mark.parametrize("answer", [False, None, "yes", 1])
def test_anything_but_yes_keeps_everything(box, source, lived_in, answer):
    box.link.yes = answer
    result = box.restore(lived_in, None, delete=True)
    assert result["deleted"] == 0
    assert (source / "extra").exists()


def test_nothing_is_deleted_when_something_failed(box, source, lived_in):
    damage(box, lived_in, b"sub/large")
    os.unlink(source / "sub/large")
    result = box.restore(lived_in, None, delete=True)
    assert (result["failed"], result["deleted"]) == (1, 0)
    assert (source / "extra").exists()
    assert box.last.asked == []


def test_deletion_stays_inside_the_included_part(box, source, lived_in):
    (source / "sub/extra").write_bytes(b"x")
    box.restore(lived_in, None, delete=True, include=(b"sub/",))
    assert (source / "extra").exists()
    assert not (source / "sub/extra").exists()
    assert (source / "small").exists()


def test_a_directory_that_holds_something_left_out_stays(box, source, lived_in):
    (source / "new/deep/run.log").write_bytes(b"x")
    box.restore(lived_in, None, delete=True)
    assert (source / "new/deep/run.log").exists()
    assert not (source / "new/deep/file").exists()


def test_an_ignore_file_that_was_not_saved_exposes_nothing(box, source, lived_in):
    (source / "sub/.dumontignore").write_bytes(b"!*.tmp\n")
    (source / "sub/precious.tmp").write_bytes(b"x")
    box.restore(lived_in, None, delete=True)
    assert (source / "sub/precious.tmp").exists()


def test_sockets_and_access_files_are_not_deleted(box, source, lived_in, monkeypatch):
    monkeypatch.setattr("dumont_worker.box.home", lambda: os.fsencode(source))
    (source / ".ssh").mkdir()
    (source / ".ssh/authorized_keys").write_bytes(b"key")
    there = os.getcwd()
    os.chdir(source)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket")
        os.chdir(there)
        box.restore(lived_in, None, delete=True)
    assert (source / ".ssh/authorized_keys").exists()
    assert (source / "socket").exists()


@root_only
def test_a_mount_is_never_crossed_nor_removed(box, source, lived_in):
    (source / "mounted").mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "tmpfs", source / "mounted"], check=False)
    if done.returncode:
        pytest.skip("cannot mount here")
    try:
        (source / "mounted/file").write_bytes(b"x")
        box.restore(lived_in, None, delete=True)
        assert (source / "mounted/file").exists()
        assert not (source / "extra").exists()
    finally:
        subprocess.run(["umount", "-l", source / "mounted"], check=True)


def test_a_link_to_a_tree_is_removed_without_its_tree(box, source, lived_in, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other/file").write_bytes(b"x")
    os.symlink(tmp_path / "other", source / "linked")
    box.restore(lived_in, None, delete=True)
    assert not (source / "linked").is_symlink()
    assert (tmp_path / "other/file").exists()


def test_times_of_directories_are_right_after_a_deletion(box, source, lived_in):
    before = source.stat().st_mtime_ns
    (source / "sub/extra").write_bytes(b"x")
    wanted = next(entry.mtime for entry in lived_in.entries if entry.path == b"sub")
    box.restore(lived_in, None, delete=True)
    assert (source / "sub").stat().st_mtime_ns == wanted
    assert source.stat().st_mtime_ns <= before
