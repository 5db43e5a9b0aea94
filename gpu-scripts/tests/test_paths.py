import os
from pathlib import Path

import pytest

from dumont_worker.paths import join, open_beneath, read_by_path


def deep_tree(root: Path, levels: int) -> bytes:
    """Makes directories of 200-byte names and a file at the bottom; gives its relative path."""
    fd = os.open(root, os.O_RDONLY)
    name = b"d" * 200
    for _ in range(levels):
        os.mkdir(name, dir_fd=fd)
        child = os.open(name, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = child
    os.close(os.open(b"bottom", os.O_WRONLY | os.O_CREAT, dir_fd=fd))
    os.close(fd)
    return b"/".join([name] * levels + [b"bottom"])


def test_opens_a_file_below_a_path_longer_than_path_max(tmp_path: Path) -> None:
    path = deep_tree(tmp_path, 30)
    assert len(path) > 4096
    os.close(read_by_path(os.fsencode(tmp_path), path))


def test_opens_a_root_that_is_a_file_by_the_empty_path(tmp_path: Path) -> None:
    (tmp_path / "model").write_bytes(b"x")
    fd = read_by_path(os.fsencode(tmp_path / "model"), b"")
    assert os.read(fd, 9) == b"x"
    os.close(fd)


def test_does_not_follow_a_link_in_the_last_place(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc/passwd")
    with pytest.raises(OSError, match="symbolic links"):
        read_by_path(os.fsencode(tmp_path), b"link")


def test_descent_does_not_follow_a_link_on_the_way(tmp_path: Path) -> None:
    (tmp_path / "away").symlink_to("/etc")
    fd = os.open(tmp_path, os.O_RDONLY)
    with pytest.raises(OSError, match=r"Not a directory|symbolic links"):
        open_beneath(fd, b"away/passwd")
    os.close(fd)


@pytest.mark.parametrize("path", [b"", b"..", b"a/../b", b"a//b", b"/etc", b"./a"])
def test_descent_refuses_a_path_that_is_not_plain(tmp_path: Path, path: bytes) -> None:
    fd = os.open(tmp_path, os.O_RDONLY)
    with pytest.raises(OSError, match="plain form"):
        open_beneath(fd, path)
    os.close(fd)


def test_opening_a_fifo_that_took_a_files_place_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    os.close(read_by_path(os.fsencode(tmp_path), b"pipe"))


def test_descent_leaves_no_descriptor_open(tmp_path: Path) -> None:
    path = deep_tree(tmp_path, 5)
    fd = os.open(tmp_path, os.O_RDONLY)
    before = len(os.listdir("/proc/self/fd"))
    os.close(open_beneath(fd, path))
    with pytest.raises(FileNotFoundError):
        open_beneath(fd, path + b"x")
    assert len(os.listdir("/proc/self/fd")) == before
    os.close(fd)


def test_joins_below_the_file_system_root() -> None:
    assert join(b"/", b"a") == b"/a"
    assert join(b"/w", b"") == b"/w"
    assert join(b"/w", b"a/b") == b"/w/a/b"
