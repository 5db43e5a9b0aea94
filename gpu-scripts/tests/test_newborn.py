"""New files made with owner and mode from the start."""

import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from dumont_worker.metadata import Meta
from dumont_worker.newborn import Newborn

OWN = (os.geteuid(), os.getegid())


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[int]:
    """Give an open directory, under the usual umask."""
    before = os.umask(0o022)
    fd = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    yield fd
    os.close(fd)
    os.umask(before)


def meta(mode: int = 0o644, uid: int = OWN[0], gid: int = OWN[1], **more: object) -> Meta:
    """Give metadata of a plain file."""
    xattrs = more.get("xattrs", ())
    assert isinstance(xattrs, tuple)
    return Meta(mode, uid, gid, 0, xattrs)


def born(newborn: Newborn, directory: int, name: bytes, wanted: Meta) -> tuple[bool, int]:
    """Create a file; give whether it has all, and its mode."""
    fd, has_all = newborn.create(0, directory, name, wanted)
    try:
        return has_all, stat.S_IMODE(os.fstat(fd).st_mode)
    finally:
        os.close(fd)


def test_the_first_file_of_a_directory_is_private_until_its_owner_is_known(directory: int) -> None:
    assert born(Newborn(), directory, b"a", meta()) == (False, 0o600)


@pytest.mark.parametrize("mode", [0o644, 0o600, 0o755, 0o400, 0o000])
def test_the_next_have_their_mode_from_the_start(directory: int, mode: int) -> None:
    newborn = Newborn()
    born(newborn, directory, b"a", meta(mode))
    assert born(newborn, directory, b"b", meta(mode)) == (True, mode)
    assert born(newborn, directory, b"c", meta(mode)) == (True, mode)


def test_a_mode_that_the_umask_takes_from_is_to_be_set(directory: int) -> None:
    newborn = Newborn()
    born(newborn, directory, b"a", meta(0o666))
    assert born(newborn, directory, b"b", meta(0o666)) == (False, 0o644)
    assert born(newborn, directory, b"c", meta(0o666)) == (False, 0o600)
    assert born(newborn, directory, b"d", meta(0o644)) == (True, 0o644)


@pytest.mark.parametrize("mode", [0o4755, 0o2755, 0o1644])
def test_special_bits_come_last(directory: int, mode: int) -> None:
    newborn = Newborn()
    born(newborn, directory, b"a", meta(mode))
    assert born(newborn, directory, b"b", meta(mode)) == (False, 0o600)


def test_a_file_of_somebody_else_is_private_until_it_is_theirs(directory: int) -> None:
    newborn = Newborn()
    born(newborn, directory, b"a", meta())
    assert born(newborn, directory, b"b", meta(uid=OWN[0] + 1)) == (False, 0o600)
    assert born(newborn, directory, b"c", meta(gid=OWN[1] + 1)) == (False, 0o600)


def test_a_file_with_attributes_gets_all_of_them_in_order(directory: int) -> None:
    newborn = Newborn()
    born(newborn, directory, b"a", meta())
    wanted = meta(xattrs=((b"user.a", b"1"),))
    assert born(newborn, directory, b"b", wanted) == (False, 0o600)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives directories to other groups")
def test_a_setgid_directory_gives_files_its_group(tmp_path: Path, directory: int) -> None:
    os.chown(tmp_path, -1, 4321)
    os.chmod(tmp_path, 0o2755)
    newborn = Newborn()
    born(newborn, directory, b"a", meta())
    assert born(newborn, directory, b"b", meta()) == (False, 0o600)
    assert born(newborn, directory, b"c", meta(gid=4321)) == (True, 0o644)
    assert (tmp_path / "c").stat().st_gid == 4321


def test_nothing_is_taken_for_granted_where_acls_are_inherited(
    tmp_path: Path, directory: int
) -> None:
    entry = "default:user:1234:rwx"
    done = subprocess.run(["setfacl", "-m", entry, tmp_path], check=False, capture_output=True)
    if done.returncode != 0:
        pytest.skip("no ACLs here")
    newborn = Newborn()
    born(newborn, directory, b"a", meta())
    assert newborn.inherits(0, directory)
    assert born(newborn, directory, b"b", meta())[0] is False


def test_a_name_that_is_taken_is_left_alone(tmp_path: Path, directory: int) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "elsewhere")
    newborn = Newborn()
    for _ in range(2):
        with pytest.raises(FileExistsError):
            newborn.create(0, directory, b"a", meta())
    assert not (tmp_path / "elsewhere").exists()
