import os
import socket
import stat
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from test_paths import deep_tree

from dumont_worker import directory_stack, scan
from dumont_worker.entry import Entry
from dumont_worker.errors import WorkerError
from dumont_worker.mounts import Mount, MountTable
from dumont_worker.rules import TAG_SIGNATURE, Rules
from dumont_worker.scan import Root, Scan, file_system_clock

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


class Told:
    """Keeps what a scan tells."""

    def __init__(self) -> None:
        self.warnings: list[tuple[str, bytes]] = []
        self.notes: list[tuple[str, bytes]] = []

    def warn(self, code: str, path: bytes, message: str) -> None:
        assert message
        self.warnings.append((code, os.path.basename(path)))

    def note(self, code: str, path: bytes) -> None:
        self.notes.append((code, os.path.basename(path)))


class Walk:
    """One scan over some roots, run to its end."""

    def __init__(self, *roots: Path, rules: Rules | None = None, **options: object) -> None:
        self.told = Told()
        options.setdefault("mounts", MountTable(()))
        kinds = ["file" if root.is_file() else "dir" for root in roots]
        pairs = zip(roots, kinds, strict=True)
        named = options.pop("named", ())
        self.scan = Scan(
            [Root(bytes(root), None, kind, named) for root, kind in pairs],  # type: ignore[arg-type]
            rules or Rules(),
            self.told,
            **options,  # type: ignore[arg-type]
        )
        self.entries = list(self.scan)
        self.by_path = {entry.path: entry for entry in self.entries}

    @property
    def paths(self) -> list[bytes]:
        return [entry.path for entry in self.entries]


def plant(root: Path, *paths: str) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(path.encode())


@contextmanager
def nobody(*owned: Path) -> Iterator[None]:
    """Runs as a user without privileges, who owns some paths."""
    for path in owned:
        os.chown(path, 65534, 65534)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_yields_a_directory_before_what_it_holds_and_components_in_order_of_bytes(
    tmp_path: Path,
) -> None:
    plant(tmp_path, "a/x", "a-b", "a.b/y", "Z", "é")
    (tmp_path / "empty").mkdir()
    assert Walk(tmp_path).paths == [
        b"", b"Z", b"a", b"a/x", b"a-b", b"a.b", b"a.b/y", b"empty", "é".encode(),
    ]  # fmt: skip


def test_describes_a_file(tmp_path: Path) -> None:
    plant(tmp_path, "f")
    os.chmod(tmp_path / "f", 0o4751)
    os.utime(tmp_path / "f", ns=(0, -1_234_567_891))
    entry = Walk(tmp_path).by_path[b"f"]
    found = os.lstat(tmp_path / "f")
    assert (entry.kind, entry.mode, entry.size, entry.mtime) == ("file", 0o4751, 1, -1_234_567_891)
    assert entry.stat is not None
    assert (entry.stat.ctime, entry.stat.ino) == (found.st_ctime_ns, found.st_ino)
    assert entry.stat.fs == os.statvfs(tmp_path).f_fsid
    assert entry.hash is None


@ROOT_ONLY
def test_gives_names_of_owners_the_box_knows_and_none_for_others(tmp_path: Path) -> None:
    plant(tmp_path, "known", "unknown")
    os.chown(tmp_path / "unknown", 4_000_000, 4_000_001)
    found = Walk(tmp_path).by_path
    assert (found[b"known"].user, found[b"known"].group) == (b"root", b"root")
    assert (found[b"unknown"].uid, found[b"unknown"].gid) == (4_000_000, 4_000_001)
    assert (found[b"unknown"].user, found[b"unknown"].group) == (None, None)


@pytest.mark.parametrize("target", [b"nowhere", b"/etc", b".", b"\xff\n"])
def test_keeps_a_links_target_and_times_without_following_it(tmp_path: Path, target: bytes) -> None:
    os.symlink(target, bytes(tmp_path / "l"))
    os.utime(tmp_path / "l", ns=(5, 5), follow_symlinks=False)
    walk = Walk(tmp_path)
    assert walk.paths == [b"", b"l"]
    assert (walk.by_path[b"l"].target, walk.by_path[b"l"].mtime) == (target, 5)


def test_names_may_be_any_bytes(tmp_path: Path) -> None:
    names = sorted([b"new\nline", b"\xff\xfe", b"n" * 255, b" ", b"\\", b"%s"])
    for name in names:
        os.close(os.open(bytes(tmp_path) + b"/" + name, os.O_CREAT | os.O_WRONLY))
    assert Walk(tmp_path).paths == [b"", *names]


def test_sockets_are_left_out_with_a_note_and_fifos_are_kept(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "sock"))
        walk = Walk(tmp_path)
    assert walk.by_path[b"pipe"].kind == "fifo"
    assert walk.told.notes == [("socket", b"sock")]
    assert not walk.told.warnings


@ROOT_ONLY
def test_keeps_device_numbers(tmp_path: Path) -> None:
    os.mknod(tmp_path / "null", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    os.mknod(tmp_path / "loop", 0o660 | stat.S_IFBLK, os.makedev(7, 300))
    found = Walk(tmp_path).by_path
    assert (found[b"null"].kind, found[b"null"].device) == ("char", (1, 3))
    assert (found[b"loop"].kind, found[b"loop"].device) == ("block", (7, 300))


def test_reads_extended_attributes_sorted(tmp_path: Path) -> None:
    plant(tmp_path, "f")
    os.setxattr(tmp_path / "f", "user.b", b"2\0")
    os.setxattr(tmp_path / "f", "user.a", b"")
    os.setxattr(tmp_path, "user.dir", b"d")
    found = Walk(tmp_path).by_path
    assert found[b"f"].xattrs == ((b"user.a", b""), (b"user.b", b"2\0"))
    assert found[b""].xattrs == ((b"user.dir", b"d"),)


@ROOT_ONLY
def test_reads_acls_capabilities_and_a_links_own_attributes(tmp_path: Path) -> None:
    plant(tmp_path, "f")
    acl = bytes.fromhex(
        "0200000001000600ffffffff02000400e803000004000400ffffffff10000600ffffffff20000400ffffffff"
    )
    capability = bytes.fromhex("0100000200040000000000000000000000000000")
    os.setxattr(tmp_path / "f", "system.posix_acl_access", acl)
    os.setxattr(tmp_path / "f", "security.capability", capability)
    (tmp_path / "l").symlink_to("f")
    os.setxattr(tmp_path / "l", "trusted.of-the-link", b"x", follow_symlinks=False)
    found = Walk(tmp_path).by_path
    names = [name for name, _ in found[b"f"].xattrs]
    assert names == [b"security.capability", b"system.posix_acl_access"]
    assert found[b"l"].xattrs == ((b"trusted.of-the-link", b"x"),)


def test_walks_below_path_max_and_reads_attributes_there(tmp_path: Path) -> None:
    path = deep_tree(tmp_path, 25)
    fd = os.open(tmp_path, os.O_RDONLY)
    for name in path.split(b"/"):
        inner = os.open(name, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = inner
    os.setxattr(fd, "user.deep", b"1")
    os.close(fd)
    walk = Walk(tmp_path)
    assert walk.paths[-1] == path
    assert walk.entries[-1].xattrs == ((b"user.deep", b"1"),)
    assert not walk.told.warnings


def test_walks_trees_deeper_than_the_descriptors_it_keeps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(directory_stack, "OPEN_MOST", 3)
    plant(tmp_path, "a/b/c/d/e/f/g/h/1", "a/b/c/2", "a/b/d/e/f/g/3", "z/4")
    before = len(os.listdir("/proc/self/fd"))
    files = [entry.path for entry in Walk(tmp_path).entries if entry.kind == "file"]
    assert files == [b"a/b/c/2", b"a/b/c/d/e/f/g/h/1", b"a/b/d/e/f/g/3", b"z/4"]
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_directory_moved_away_under_the_walk_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(directory_stack, "OPEN_MOST", 2)
    plant(tmp_path, "w/a/b/c/d/1", "w/a/z", "w/y", "away/x")
    told = Told()
    paths = []
    for entry in Scan([Root(bytes(tmp_path / "w"))], Rules(), told, mounts=MountTable(())):
        paths.append(entry.path)
        if entry.path == b"a/b/c/d":
            # `..` of b leads to another directory now, and a is gone from where it was.
            os.rename(tmp_path / "w/a/b", tmp_path / "away/b")
            os.rename(tmp_path / "w/a", tmp_path / "w/other")
    assert told.warnings == [("unreadable", b"a")]
    assert paths[-2:] == [b"a/b/c/d/1", b"y"]


def test_names_that_vanish_or_change_type_during_the_walk_are_told(tmp_path: Path) -> None:
    plant(tmp_path, "a", "b/x", "c")
    told = Told()
    for entry in Scan([Root(bytes(tmp_path))], Rules(), told, mounts=MountTable(())):
        if entry.path == b"a":
            os.unlink(tmp_path / "c")
            os.rename(tmp_path / "b", tmp_path / "b2")
            os.symlink("/etc", tmp_path / "b")
    assert told.warnings == [("vanished", b"c")]


@ROOT_ONLY
def test_an_unreadable_directory_is_told_and_kept_empty(tmp_path: Path) -> None:
    root = Path("/tmp") / f"scan-{os.getpid()}-{time.monotonic_ns()}"
    plant(root, "open/f", "shut/g")
    try:
        os.chmod(root / "shut", 0o000)
        with nobody(root, root / "open", root / "open/f", root / "shut"):
            walk = Walk(root)
        assert walk.paths == [b"", b"open", b"open/f", b"shut"]
        assert walk.told.warnings == [("unreadable", b"shut")]
    finally:
        os.chmod(root / "shut", 0o700)
        for path in ("open/f", "shut/g"):
            os.unlink(root / path)
        for path in ("open", "shut", ""):
            os.rmdir(root / path)


def test_later_members_of_a_hard_link_group_name_the_first(tmp_path: Path) -> None:
    plant(tmp_path, "b/first", "lone")
    os.mkdir(tmp_path / "c")
    os.link(tmp_path / "b/first", tmp_path / "c/second")
    os.link(tmp_path / "b/first", tmp_path / "z")
    os.mkfifo(tmp_path / "p")
    os.link(tmp_path / "p", tmp_path / "q")
    walk = Walk(tmp_path)
    links = {entry.path: entry.link for entry in walk.entries if entry.link}
    assert links == {b"c/second": (0, b"b/first"), b"z": (0, b"b/first"), b"q": (0, b"p")}
    first, last = walk.by_path[b"b/first"], walk.by_path[b"z"]
    assert (last.size, last.stat, last.mtime) == (first.size, first.stat, first.mtime)
    assert not walk.scan._describe._groups


def test_a_hard_link_group_spans_roots(tmp_path: Path) -> None:
    plant(tmp_path, "one/f", "two/g")
    os.unlink(tmp_path / "two/g")
    os.link(tmp_path / "one/f", tmp_path / "two/g")
    last = Walk(tmp_path / "one", tmp_path / "two").entries[-1]
    assert (last.root, last.path, last.link) == (1, b"g", (0, b"f"))


def test_a_new_file_with_the_inode_of_a_vanished_one_is_no_hard_link(tmp_path: Path) -> None:
    plant(tmp_path, "a")
    os.link(tmp_path / "a", tmp_path / "gone")
    os.mkdir(tmp_path / "m")
    for entry in Scan([Root(bytes(tmp_path))], Rules(), Told(), mounts=MountTable(())):
        if entry.path == b"a":
            inode = os.lstat(tmp_path / "a").st_ino
            os.unlink(tmp_path / "a")
            os.unlink(tmp_path / "gone")
            for number in range(64):
                plant(tmp_path, f"n{number}")
                if os.lstat(tmp_path / f"n{number}").st_ino == inode:
                    os.link(tmp_path / f"n{number}", tmp_path / "m/new")
                    break
            else:
                pytest.skip("the file system does not give an inode again")
            plant(tmp_path, "a")
        if entry.path == b"m/new":
            assert entry.link is None
            return


def test_protected_files_and_directories_are_notes(tmp_path: Path) -> None:
    plant(tmp_path, "store/pack", "a/journal", "b")
    found = [os.lstat(tmp_path / path) for path in ("store", "a/journal")]
    walk = Walk(tmp_path, protect=[(one.st_dev, one.st_ino) for one in found])
    assert walk.paths == [b"", b"a", b"b"]
    assert walk.told.notes == [("protected", b"journal"), ("protected", b"store")]


def test_refuses_a_root_that_is_protected_or_gone(tmp_path: Path) -> None:
    found = os.lstat(tmp_path)
    with pytest.raises(WorkerError, match="own store"):
        Walk(tmp_path, protect=[(found.st_dev, found.st_ino)])
    with pytest.raises(WorkerError, match="cannot be read"):
        Walk(tmp_path / "gone")


def test_a_file_root_is_one_entry_without_path(tmp_path: Path) -> None:
    plant(tmp_path, "model.bin")
    (entry,) = Walk(tmp_path / "model.bin").entries
    assert (entry.kind, entry.path, entry.size) == ("file", b"", 9)


class TestMounts:
    def table(self, root: Path, *points: str, kind: bytes = b"ext4") -> MountTable:
        return MountTable([Mount(bytes(root / point), kind) for point in points])

    def test_a_mount_with_content_is_warned_of_and_kept_as_an_empty_directory(
        self, tmp_path: Path
    ) -> None:
        plant(tmp_path, "mnt/data", "z")
        walk = Walk(tmp_path, mounts=self.table(tmp_path, "mnt"))
        assert walk.paths == [b"", b"mnt", b"z"]
        assert walk.told.warnings == [("mount", b"mnt")]
        assert walk.scan.skipped_mounts == [bytes(tmp_path / "mnt")]

    def test_an_empty_mount_is_only_a_note(self, tmp_path: Path) -> None:
        (tmp_path / "mnt").mkdir()
        walk = Walk(tmp_path, mounts=self.table(tmp_path, "mnt"))
        assert (walk.told.warnings, walk.told.notes) == ([], [("mount", b"mnt")])
        assert walk.paths == [b"", b"mnt"]
        assert not walk.scan.skipped_mounts

    def test_mounts_are_crossed_when_asked_for_or_named(self, tmp_path: Path) -> None:
        plant(tmp_path, "mnt/in/data")
        table = self.table(tmp_path, "mnt")
        assert b"mnt/in/data" in Walk(tmp_path, mounts=table, cross_mounts=True).paths
        assert (
            b"mnt/in/data"
            in Walk(tmp_path, mounts=table, named=(bytes(tmp_path / "mnt/in"),)).paths
        )
        assert (
            b"mnt/in/data" not in Walk(tmp_path, mounts=table, named=(bytes(tmp_path / "m"),)).paths
        )

    def test_pseudo_file_systems_are_never_crossed_and_only_notes(self, tmp_path: Path) -> None:
        plant(tmp_path, "proc/1/maps")
        walk = Walk(tmp_path, mounts=self.table(tmp_path, "proc", kind=b"proc"), cross_mounts=True)
        assert walk.paths == [b"", b"proc"]
        assert (walk.told.warnings, walk.told.notes) == ([], [("mount", b"proc")])

    def test_a_mounted_file_is_left_out_and_warned_of(self, tmp_path: Path) -> None:
        plant(tmp_path, "hosts")
        walk = Walk(tmp_path, mounts=self.table(tmp_path, "hosts"))
        assert (walk.paths, walk.told.warnings) == ([b""], [("mount", b"hosts")])

    def test_an_excluded_mount_is_no_warning(self, tmp_path: Path) -> None:
        plant(tmp_path, "mnt/data")
        walk = Walk(tmp_path, mounts=self.table(tmp_path, "mnt"), rules=Rules([b"/mnt"]))
        assert (walk.paths, walk.told.warnings) == ([b""], [])

    def test_a_mount_that_does_not_answer_is_warned_of(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        plant(tmp_path, "nfs/data", "z")
        monkeypatch.setattr(scan, "probe", lambda point: None)
        walk = Walk(tmp_path, mounts=self.table(tmp_path, "nfs"))
        assert walk.paths == [b"", b"z"]
        assert walk.told.warnings == [("mount", b"nfs")]
        assert walk.scan.skipped_mounts == [bytes(tmp_path / "nfs")]

    @ROOT_ONLY
    def test_a_bind_mount_on_the_same_device_is_seen(self, tmp_path: Path) -> None:
        plant(tmp_path, "data/f")
        (tmp_path / "w/bind").mkdir(parents=True)
        if os.system(f"mount --bind {tmp_path}/data {tmp_path}/w/bind 2>/dev/null"):
            pytest.skip("may not mount here")
        try:
            self_walk = Walk(tmp_path / "w", mounts=None)
            assert self_walk.paths == [b"", b"bind"]
            assert self_walk.told.warnings == [("mount", b"bind")]
        finally:
            os.system(f"umount {tmp_path}/w/bind")


class TestRules:
    def test_excludes_are_relative_to_every_root_and_stop_the_descent(self, tmp_path: Path) -> None:
        plant(tmp_path, "a/out/x", "a/src/out", "b/out/y", "b/keep")
        walk = Walk(tmp_path / "a", tmp_path / "b", rules=Rules([b"/out/", b"!/out/y"]))
        assert walk.paths == [b"", b"src", b"src/out", b"", b"keep"]
        assert walk.told.notes == [("excluded", b"out")] * 2

    def test_ignore_files_count_at_every_level_and_are_saved(self, tmp_path: Path) -> None:
        plant(tmp_path, "x.log", "d/y.log", "d/z.log")
        (tmp_path / ".dumontignore").write_bytes(b"*.log\n")
        (tmp_path / "d/.dumontignore").write_bytes(b"!y.log\n")
        walk = Walk(tmp_path)
        assert walk.paths == [b"", b".dumontignore", b"d", b"d/.dumontignore", b"d/y.log"]
        assert walk.scan.left_out["excluded"].count == 2

    def test_a_link_in_place_of_an_ignore_file_is_not_honoured(self, tmp_path: Path) -> None:
        plant(tmp_path, "w/x.log", "rules")
        (tmp_path / "rules").write_bytes(b"*.log")
        (tmp_path / "w/.dumontignore").symlink_to("../rules")
        walk = Walk(tmp_path / "w")
        assert walk.paths == [b"", b".dumontignore", b"x.log"]
        assert walk.told.warnings == [("ignore-file", b".dumontignore")]


class TestCaches:
    rules = Rules(exclude_caches=True)

    def tag(self, *directories: Path) -> None:
        for directory in directories:
            (directory / "CACHEDIR.TAG").write_bytes(TAG_SIGNATURE + b"\n# comment")

    def test_nothing_is_left_out_unless_asked_for(self, tmp_path: Path) -> None:
        plant(tmp_path, "c/x", "p/__pycache__/m.pyc")
        self.tag(tmp_path / "c")
        walk = Walk(tmp_path)
        assert b"c/x" in walk.paths
        assert b"p/__pycache__/m.pyc" in walk.paths

    def test_a_tagged_directory_keeps_itself_and_its_tag(self, tmp_path: Path) -> None:
        plant(tmp_path, "c/x", "c/d/y", "z")
        self.tag(tmp_path / "c")
        walk = Walk(tmp_path, rules=self.rules)
        assert walk.paths == [b"", b"c", b"c/CACHEDIR.TAG", b"z"]
        assert walk.told.notes == [("cache", b"c")]
        assert walk.scan.left_out["cache"].bytes == len("c/x") + len("c/d/y")

    def test_a_tagged_virtual_environment_is_no_cache(self, tmp_path: Path) -> None:
        plant(tmp_path, "v/pyvenv.cfg", "v/lib/patched.py")
        self.tag(tmp_path / "v")
        assert b"v/lib/patched.py" in Walk(tmp_path, rules=self.rules).paths

    def test_a_tag_without_the_signature_is_a_file_like_others(self, tmp_path: Path) -> None:
        plant(tmp_path, "c/x", "c/CACHEDIR.TAG")
        assert b"c/x" in Walk(tmp_path, rules=self.rules).paths

    @pytest.mark.parametrize("marks", [("http-v2/a",), ("http/a", "selfcheck/b"), ("wheels/a",)])
    def test_pips_cache_is_left_out(self, tmp_path: Path, marks: tuple[str, ...]) -> None:
        plant(tmp_path, *[f".cache/pip/{mark}" for mark in marks], ".cache/other/x", "pip/http/x")
        walk = Walk(tmp_path, rules=self.rules)
        assert b".cache/pip" in walk.paths
        assert not [path for path in walk.paths if path.startswith(b".cache/pip/")]
        assert b".cache/other/x" in walk.paths
        assert b"pip/http/x" in walk.paths

    def test_uvs_and_condas_package_caches_and_bytecode_are_left_out(self, tmp_path: Path) -> None:
        plant(
            tmp_path,
            ".cache/uv/archive-v0/x",
            ".cache/uv/git-v0/c/.git/HEAD",
            "conda/pkgs/urls.txt",
        )
        plant(
            tmp_path,
            "conda/pkgs/urls",
            "conda/pkgs/numpy/x.so",
            "p/__pycache__/m.pyc",
            "p/m.py",
            "pkgs/mine",
        )
        files = [
            entry.path for entry in Walk(tmp_path, rules=self.rules).entries if entry.kind == "file"
        ]
        assert files == [b"p/m.py", b"pkgs/mine"]

    def test_the_hugging_face_cache_and_git_are_kept_even_when_tagged(self, tmp_path: Path) -> None:
        kept = (
            "hf/hub/models--a--b/blobs/1",
            ".hf_home/models--x/refs/__pycache__/y",
            "p/.git/HEAD",
        )
        plant(tmp_path, *kept, ".cache/huggingface/x", "p/.git/c/y")
        self.tag(
            tmp_path / "hf/hub", tmp_path / ".hf_home", tmp_path / "p/.git", tmp_path / "p/.git/c"
        )
        self.tag(tmp_path / ".cache/huggingface")
        paths = Walk(tmp_path, rules=self.rules).paths
        for path in (*kept, ".cache/huggingface/x", "p/.git/c/y"):
            assert path.encode() in paths

    def test_a_hugging_face_cache_inside_a_tagged_directory_is_kept(self, tmp_path: Path) -> None:
        plant(tmp_path, "c/a/x", "c/b/c/huggingface/hub/models--m/blob", "c/b/y", "c/z/y", "d/f")
        self.tag(tmp_path / "c")
        assert Walk(tmp_path, rules=self.rules).paths == [
            b"", b"c", b"c/CACHEDIR.TAG", b"c/b", b"c/b/c", b"c/b/c/huggingface",
            b"c/b/c/huggingface/hub", b"c/b/c/huggingface/hub/models--m",
            b"c/b/c/huggingface/hub/models--m/blob", b"d", b"d/f",
        ]  # fmt: skip

    def test_hard_links_into_what_is_kept_do_not_count_in_full(self, tmp_path: Path) -> None:
        plant(tmp_path, "pkgs/urls.txt", "pkgs/urls", "env/lib")
        (tmp_path / "env/lib").write_bytes(b"x" * 1000)
        os.link(tmp_path / "env/lib", tmp_path / "pkgs/lib")
        walk = Walk(tmp_path, rules=self.rules)
        assert walk.scan.left_out["cache"].bytes == 500 + len("pkgs/urls.txt") + len("pkgs/urls")


def test_the_clock_is_that_of_the_file_system(tmp_path: Path) -> None:
    before = file_system_clock(bytes(tmp_path))
    plant(tmp_path, "f")
    assert before <= os.stat(tmp_path / "f").st_mtime_ns
    assert abs(before - time.time_ns()) < 5_000_000_000
    assert not [name for name in os.listdir(tmp_path) if name != "f"]


def test_a_walk_that_is_given_up_leaves_no_descriptor(tmp_path: Path) -> None:
    plant(tmp_path, "a/b/c")
    before = len(os.listdir("/proc/self/fd"))
    walk = iter(Scan([Root(bytes(tmp_path))], Rules(), Told(), mounts=MountTable(())))
    assert [next(walk).path for _ in range(3)] == [b"", b"a", b"a/b"]
    walk.close()  # type: ignore[attr-defined]
    assert len(os.listdir("/proc/self/fd")) == before


def test_every_entry_follows_its_directory(tmp_path: Path) -> None:
    plant(tmp_path, "a/b/c", "a/b.c/d", "a-/x")
    seen: set[bytes] = set()
    counts: Counter[bytes] = Counter()
    entries: list[Entry] = Walk(tmp_path).entries
    for entry in entries:
        counts[entry.path] += 1
        if entry.path:
            assert entry.path.rpartition(b"/")[0] in seen
        seen.add(entry.path)
    assert max(counts.values()) == 1
