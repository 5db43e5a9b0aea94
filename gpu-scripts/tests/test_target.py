"""Nothing below a target is reached through a link."""

import os
from pathlib import Path

import pytest

from dumont_worker import target
from dumont_worker.target import Directories


@pytest.fixture
def top(tmp_path: Path):
    fd = os.open(tmp_path, os.O_PATH | os.O_DIRECTORY)
    yield tmp_path, Directories([fd])
    os.close(fd)


def test_a_directory_below_a_base_is_opened(top):
    path, directories = top
    (path / "a/b").mkdir(parents=True)
    fd = directories.open(0, b"a/b")
    assert os.path.samestat(os.fstat(fd), os.stat(path / "a/b"))


@pytest.mark.parametrize("place", ["link", "a/link", "link/inner"])
def test_a_link_as_any_component_is_refused(top, tmp_path, place):
    path, directories = top
    (path / "elsewhere/inner").mkdir(parents=True)
    (path / "a").mkdir()
    os.symlink("elsewhere", path / "link")
    os.symlink("../elsewhere", path / "a/link")
    with pytest.raises(NotADirectoryError):
        directories.open(0, place.encode())


@pytest.mark.parametrize("place", [b"..", b"a/../..", b".", b"a//b"])
def test_a_component_that_leads_elsewhere_is_refused(top, place):
    path, directories = top
    (path / "a").mkdir()
    with pytest.raises(ValueError, match="elsewhere"):
        directories.open(0, place)


def test_directories_deeper_than_path_max_are_reached_with_few_descriptors(tmp_path):
    fd = os.open(tmp_path, os.O_PATH | os.O_DIRECTORY)
    directories = Directories([fd], capacity=4)
    path = b""
    for _ in range(30):
        os.mkdir(b"n" * 200, dir_fd=directories.open(0, path))
        path = target.join(path, b"n" * 200)
    assert len(path) > 4096
    directories.open(0, b"n" * 200)
    found = os.fstat(directories.open(0, path))
    assert found.st_nlink == 2
    directories.close()
    os.close(fd)


def test_a_base_that_was_exchanged_is_not_opened_again(tmp_path):
    (tmp_path / "base").mkdir()
    fd = target.open_path(os.fsencode(tmp_path / "base"))
    base = target.base_of(os.fsencode(tmp_path / "base"), fd)
    os.close(fd)
    os.rename(tmp_path / "base", tmp_path / "moved")
    (tmp_path / "base").mkdir()
    with pytest.raises(OSError, match="another directory"):
        target.open_base(base)


def test_a_missing_target_is_made_with_ordinary_modes_whatever_the_umask(tmp_path):
    before = os.umask(0o077)
    try:
        os.close(target.make_path(os.fsencode(tmp_path / "x/y")))
    finally:
        os.umask(before)
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "x/y").stat().st_mode & 0o777 == 0o755


def test_a_taken_temporary_name_is_never_written_to(top):
    path, directories = top
    (path / "victim").write_bytes(b"safe")
    os.symlink("victim", path / "temp")
    with pytest.raises(FileExistsError):
        target.create_file(directories.open(0, b""), b"temp")
    assert (path / "victim").read_bytes() == b"safe"


def test_a_temporary_file_that_was_exchanged_is_not_opened_again(top):
    path, directories = top
    fd = target.create_file(directories.open(0, b""), b"temp")
    found = os.fstat(fd)
    os.close(fd)
    (path / "victim").write_bytes(b"safe")
    os.unlink(path / "temp")
    os.link(path / "victim", path / "temp")
    with pytest.raises(OSError, match="took the place"):
        target.reopen_file(directories.open(0, b""), b"temp", (found.st_dev, found.st_ino))


def test_a_temporary_file_with_a_second_name_is_not_opened_again(top):
    path, directories = top
    fd = target.create_file(directories.open(0, b""), b"temp")
    found = os.fstat(fd)
    os.close(fd)
    os.link(path / "temp", path / "other")
    with pytest.raises(OSError, match="took the place"):
        target.reopen_file(directories.open(0, b""), b"temp", (found.st_dev, found.st_ino))


def test_temporary_names_are_known_by_their_run():
    name = target.temp_name("abcdef123456", 10**9)
    assert len(name) < 40
    assert target.is_temp_of(name, frozenset([b"abcdef123456"]))
    assert not target.is_temp_of(name, frozenset([b"ffffff123456"]))
    assert not target.is_temp_of(b".dumont-abcdef123456-", frozenset([b"abcdef123456"]))
    assert not target.is_temp_of(b".dumont-abcdef123456-xyz", frozenset([b"abcdef123456"]))
    assert not target.is_temp_of(b"dumont-abcdef123456-1", frozenset([b"abcdef123456"]))
