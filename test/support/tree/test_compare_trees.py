"""Breaks each property on purpose, one at a time, and asks whether the comparison notices."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from compare_trees import compare_trees

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Broken:
    """One property of one path, what the comparison should call it, and how to break it."""

    name: str
    path: str
    what: str
    change: Callable[[Path], object]


def make(folder: Path) -> Path:
    command = [sys.executable, str(HERE / "make_matrix.py"), "--small", str(folder)]
    subprocess.run(command, check=True, timeout=60, stderr=subprocess.DEVNULL)
    return folder


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("matrix") / "original")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return make(tmp_path / "copy")


def differences(left: Path, right: Path, *ignore: str) -> set[tuple[str, str]]:
    found = compare_trees(os.fsencode(left), os.fsencode(right), ignore)
    return {(os.fsdecode(each.path), each.what) for each in found}


def keeping_time(path: Path, change: Callable[[], object]) -> None:
    """Change a thing without its folder or itself getting a new time."""
    touched = [each for each in (path, path.parent) if os.path.lexists(each)]
    before = {each: os.lstat(each).st_mtime_ns for each in touched}
    change()
    for each, time in before.items():
        if os.path.lexists(each):
            os.utime(each, ns=(time, time), follow_symlinks=False)


def flip(path: Path, offset: int) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)
        file.seek(offset)
        file.write(bytes([byte[0] ^ 1]))


def overwrite(path: Path, offset: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(content)


def replaced(path: Path, make_new: Callable[[], object]) -> None:
    path.unlink()
    make_new()


def separate(path: Path) -> None:
    """Turn one of several names of an inode into a file of its own."""
    content = path.read_bytes()
    status = path.stat()
    replaced(path, lambda: path.write_bytes(content))
    path.chmod(status.st_mode)
    os.utime(path, ns=(status.st_mtime_ns, status.st_mtime_ns))


def punched(path: Path) -> None:
    """Replace allocated zeros by a hole of the same size."""
    size = path.stat().st_size
    os.truncate(path, 0)
    os.truncate(path, size)


BREAKS = [
    Broken("content, first byte", "sizes/4097", "content at 0", lambda p: flip(p, 0)),
    Broken("content, last byte", "sizes/4097", "content at 4096", lambda p: flip(p, 4096)),
    Broken("content behind a hole", "holes/huge", "content at 8388607", lambda p: flip(p, 8388607)),
    Broken("size", "sizes/4096", "size", lambda p: os.truncate(p, 4095)),
    Broken("size of a hole", "holes/nothing-but", "size", lambda p: os.truncate(p, 1 << 21)),
    Broken("mode", "modes/file-0640", "mode", lambda p: p.chmod(0o644)),
    Broken("setuid", "modes/file-4755", "mode", lambda p: p.chmod(0o755)),
    Broken("mode of a folder", "modes/folder-0700", "mode", lambda p: p.chmod(0o755)),
    Broken("mode of a FIFO", "modes/fifo-0000", "mode", lambda p: p.chmod(0o600)),
    Broken(
        "link target", "links/dangling", "target", lambda p: replaced(p, lambda: p.symlink_to("x"))
    ),
    Broken(
        "hard link cut",
        "links/hard/other/deeper/three",
        "hard link to",
        separate,
    ),
    Broken(
        "hole filled",
        "holes/at-end",
        "hole 1048576-2097152",
        lambda p: overwrite(p, 1 << 20, bytes(1 << 20)),
    ),
    Broken("zeros punched out", "sizes/zeros-allocated", "hole 0-262144", punched),
    Broken(
        "attribute lost",
        "attributes/user",
        "xattr user.empty",
        lambda p: os.removexattr(p, "user.empty"),
    ),
    Broken(
        "attribute changed",
        "attributes/folder",
        "xattr user.binary",
        lambda p: os.setxattr(p, "user.binary", b"other"),
    ),
    Broken(
        "attribute added", "sizes/1", "xattr user.new", lambda p: os.setxattr(p, "user.new", b"")
    ),
    Broken(
        "ACL lost",
        "attributes/acl",
        "xattr system.posix_acl_access",
        lambda p: os.removexattr(p, "system.posix_acl_access"),
    ),
    Broken(
        "default ACL lost",
        "attributes/acl-folder",
        "xattr system.posix_acl_default",
        lambda p: os.removexattr(p, "system.posix_acl_default"),
    ),
    Broken("file gone", "sizes/1", "exists", lambda p: p.unlink()),
    Broken("folder gone", "empty/inside/inside", "exists", lambda p: p.rmdir()),
    Broken("file in place of a FIFO", "specials/fifo", "kind", lambda p: replaced(p, p.touch)),
    Broken("entry too many", "empty/extra", "exists", lambda p: p.mkdir()),
]

AS_ROOT = [
    Broken("owner", "owners/nameless", "uid", lambda p: os.chown(p, 0, -1)),
    Broken("group", "owners/named", "gid", lambda p: os.chown(p, -1, 0)),
    Broken("owner of a link", "owners/named-link", "uid", lambda p: os.lchown(p, 0, -1)),
    Broken("owner of a folder", "owners/nameless-folder", "uid", lambda p: os.chown(p, 0, -1)),
    Broken(
        "capability lost",
        "attributes/capable",
        "xattr security.capability",
        lambda p: os.removexattr(p, "security.capability"),
    ),
    Broken(
        "device number",
        "specials/null",
        "rdev",
        lambda p: replaced(p, lambda: os.mknod(p, 0o20666, os.makedev(1, 5))),
    ),
]


def test_two_builds_are_equal(original: Path, copy: Path) -> None:
    assert differences(original, copy) == set()


@pytest.mark.parametrize("broken", BREAKS, ids=lambda each: each.name)
def test_notices(original: Path, copy: Path, broken: Broken) -> None:
    keeping_time(copy / broken.path, lambda: broken.change(copy / broken.path))
    assert (broken.path, broken.what) in differences(original, copy)


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to change owners and devices")
@pytest.mark.parametrize("broken", AS_ROOT, ids=lambda each: each.name)
def test_notices_as_root(original: Path, copy: Path, broken: Broken) -> None:
    keeping_time(copy / broken.path, lambda: broken.change(copy / broken.path))
    assert (broken.path, broken.what) in differences(original, copy)


@pytest.mark.parametrize(
    "name", ["sizes/1", "names/folders/.hidden", "links/absolute", "times/1969"]
)
def test_notices_one_nanosecond(original: Path, copy: Path, name: str) -> None:
    time = os.lstat(copy / name).st_mtime_ns + 1
    os.utime(copy / name, ns=(time, time), follow_symlinks=False)
    assert differences(original, copy) == {(name, "mtime_ns")}


def test_notices_a_change_below_path_max(original: Path, copy: Path) -> None:
    descriptor = os.open(copy, os.O_RDONLY)
    while True:
        deep = [name for name in os.listdir(descriptor) if name.startswith("deep-")]
        if not deep:
            break
        child = os.open(deep[0], os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = child
    os.utime("bottom", ns=(1, 1), dir_fd=descriptor)
    os.close(descriptor)
    [(path, what)] = differences(original, copy)
    assert (what, path.endswith("/bottom"), len(path) > 5000) == ("mtime_ns", True, True)


@pytest.mark.parametrize(
    ("ignored", "path"), [("sockets", "specials/socket"), ("devices", "specials/null")]
)
def test_leaves_out_what_it_is_told_to(original: Path, copy: Path, ignored: str, path: str) -> None:
    if not (original / path).exists():
        pytest.skip("could not be made here")
    target = copy / path
    keeping_time(target, target.unlink)
    assert differences(original, copy) == {(path, "exists")}
    assert differences(original, copy, ignored) == set()


def test_prints_names_that_could_drive_a_terminal_harmlessly(tmp_path: Path) -> None:
    for side in ("a", "b"):
        (tmp_path / side).mkdir()
        os.utime(tmp_path / side, ns=(1, 1))
    keeping_time(tmp_path / "a/x", (tmp_path / "a/evil\x1b[2J\n").touch)
    sides = [str(tmp_path / side) for side in ("a", "b")]
    command = [sys.executable, str(HERE / "compare_trees.py"), *sides]
    result = subprocess.run(command, capture_output=True, timeout=60, check=False)
    assert result.returncode == 1
    assert b"\x1b" not in result.stdout
    assert len(result.stdout.splitlines()) == 2
