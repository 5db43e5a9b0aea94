"""Builds a directory that holds every kind of entry dumont promises to bring back.

usage: make_matrix.py [--many N] [--small] DIRECTORY

The same call builds the same tree again, times included. What this machine or user cannot make
(device nodes, foreign owners, capabilities) is left out and named on stderr. --many adds N small
files, --small leaves out the large ones.
"""

import argparse
import errno
import os
import random
import socket
import stat
import struct
import sys
from collections.abc import Callable

KIB, MIB, TIB = 1 << 10, 1 << 20, 1 << 40
SIZES = [0, 1, 4095, 4096, 4097]
LARGE_SIZES = [
    MIB - 1,
    MIB,
    MIB + 1,
    4 * MIB - 1,
    4 * MIB,
    4 * MIB + 1,
    9 * MIB,
]
MODES = [0o000, 0o400, 0o444, 0o600, 0o640, 0o755, 0o777, 0o4755, 0o2755, 0o1777, 0o6711]
# Nobody has these: a restore that goes by names alone loses them.
NAMELESS = (54321, 65432)
NAMED = (1, 2)
TIMES_NS = {
    "epoch": 0,
    "last-nanosecond-before-1970": -1,
    "1969": -31_536_000 * 10**9 + 123_456_789,
    "1930": -1_262_304_000 * 10**9 + 999_999_999,
    "2001": 10**18 + 1,
    "2100": 4_102_444_800 * 10**9 + 500,
}
LINUX_CAP_NET_RAW = 13


class Matrix:
    """Makes the entries below one directory; all paths are relative to it."""

    def __init__(self, root: str) -> None:
        self._random = random.Random(4)
        self.left_out: list[str] = []
        os.makedirs(root, exist_ok=True)
        # Relative names reach below PATH_MAX, wherever the root lies.
        os.chdir(root)

    def build(self, *, many: int, small: bool) -> None:
        """Make everything, then set all times: each later change would touch a folder's."""
        os.chmod(".", 0o755)
        self._sizes(SIZES if small else SIZES + LARGE_SIZES)
        self._names()
        self._links()
        self._holes(TIB if not small else 8 * MIB)
        self._specials()
        self._modes()
        self._owners()
        self._attributes()
        self._many(many)
        self._deep_path()
        self._read_only_folder()
        _set_times()
        self._telling_times()

    def _sizes(self, sizes: list[int]) -> None:
        for size in sizes:
            self._file(f"sizes/{size}", self._random.randbytes(size))
        self._file("sizes/zeros-allocated", bytes(256 * KIB))
        self._file("sizes/text", b"the same line again and again\n" * 4000)
        os.makedirs("empty/inside/inside")

    def _names(self) -> None:
        for name in (
            b"new\nline",
            b"invalid-utf8-\xff\xfe",
            b"overlong-\xc0\xaf",
            b"surrogate-\xed\xa0\x80",
            "zwölf-名前-🙂".encode(),
            "e\u0301-decomposed".encode(),
            b"x" * 255,
            b".hidden",
            b"-rf",
            b" ",
            b"trailing ",
            b"escape-\x1b[31m-\x07-\x7f",
            b"quotes'\"`$(true)\\",
            b"*?[a-z]",
            b"...",
        ):
            self._file(b"names/files/" + name, b"named " + name)
            os.makedirs(b"names/folders/" + name)

    def _links(self) -> None:
        self._file("links/target", b"linked to")
        for name, target in (
            ("relative", "target"),
            ("dangling", "nowhere/at/all"),
            ("loop-a", "loop-b"),
            ("loop-b", "loop-a"),
            ("self", "self"),
            ("absolute", "/etc/hostname"),
            ("folder", "../empty"),
            ("upwards", "../../../../../../etc"),
            ("bytes", b"\xff\n"),
            ("long", "y" * 1000),
        ):
            os.symlink(target, f"links/{name}")
        self._file("links/hard/one", b"one inode, four names")
        os.makedirs("links/hard/other/deeper")
        for name in ("links/hard/other/two", "links/hard/other/deeper/three", "a-hard-link"):
            os.link("links/hard/one", name)
        os.symlink("nowhere", "links/hard/link-one")
        os.link("links/hard/link-one", "links/hard/link-two", follow_symlinks=False)
        self._file("links/empty-hard/one", b"")
        os.link("links/empty-hard/one", "links/empty-hard/two")

    def _holes(self, huge: int) -> None:
        self._sparse("holes/huge", huge, {0: 3, huge // 2: 10 * KIB, huge - 5: 5})
        self._sparse("holes/nothing-but", MIB, {})
        self._sparse("holes/at-start", 2 * MIB, {MIB: MIB})
        self._sparse("holes/at-end", 2 * MIB, {0: MIB})
        self._sparse("holes/many", 4 * MIB, {at * 256 * KIB: 4 * KIB for at in range(16)})
        self._sparse("holes/unaligned-end", MIB + 17, {0: 1, 512 * KIB: 4 * KIB})

    def _specials(self) -> None:
        os.makedirs("specials")
        os.mkfifo("specials/fifo", 0o640)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind("specials/socket")
        null, loop = os.makedev(1, 3), os.makedev(7, 200)
        character = stat.S_IFCHR | 0o666
        self._try("character device", lambda: os.mknod("specials/null", character, null))
        self._try("block device", lambda: os.mknod("specials/loop", stat.S_IFBLK | 0o600, loop))

    def _modes(self) -> None:
        for mode in MODES:
            self._file(f"modes/file-{mode:04o}", b"mode")
            os.chmod(f"modes/file-{mode:04o}", mode)
        for mode in (0o700, 0o1777, 0o2775, 0o755):
            os.makedirs(f"modes/folder-{mode:04o}")
            os.chmod(f"modes/folder-{mode:04o}", mode)
        os.mkfifo("modes/fifo-0000")
        os.chmod("modes/fifo-0000", 0)

    def _owners(self) -> None:
        for kind, (uid, gid) in (("named", NAMED), ("nameless", NAMELESS)):
            self._file(f"owners/{kind}", kind.encode())
            self._file(f"owners/{kind}-setuid", kind.encode())
            os.symlink("nowhere", f"owners/{kind}-link")
            os.makedirs(f"owners/{kind}-folder")
            for suffix in ("", "-setuid", "-link", "-folder"):
                self._try(f"owner {uid}", self._chown(f"owners/{kind}{suffix}", uid, gid))
            # After the owner: changing that clears the bit.
            os.chmod(f"owners/{kind}-setuid", 0o4755)

    def _attributes(self) -> None:
        self._file("attributes/user", b"tagged")
        os.makedirs("attributes/folder/inside")
        for path in ("attributes/user", "attributes/folder"):
            for name, value in (
                ("user.empty", b""),
                ("user.text", b"plain"),
                ("user.binary", bytes(range(256))),
                ("user.zwölf", b"\xff\x00"),
                ("user.long", b"v" * 2000),
            ):
                self._try(f"{name} on {path}", self._setxattr(path, name, value))
        acl = _acl([(1, 7, -1), (2, 5, 1), (4, 5, -1), (8, 1, 54321), (16, 5, -1), (32, 0, -1)])
        self._file("attributes/acl", b"shared")
        os.makedirs("attributes/acl-folder/inside")
        for path in ("attributes/acl", "attributes/acl-folder"):
            self._try("ACLs", self._setxattr(path, "system.posix_acl_access", acl))
        self._try(
            "default ACLs", self._setxattr("attributes/acl-folder", "system.posix_acl_default", acl)
        )
        self._file("attributes/capable", b"#!/bin/true\n")
        os.chmod("attributes/capable", 0o755)
        # Revision 2 with the effective bit: permitted and inheritable sets, low and high words.
        capability = struct.pack("<5I", 0x02000001, 1 << LINUX_CAP_NET_RAW, 0, 0, 0)
        capable = self._setxattr("attributes/capable", "security.capability", capability)
        self._try("file capabilities", capable)

    def _many(self, count: int) -> None:
        for number in range(count):
            content = b"%d" % number * (number % 40)
            self._file(f"many/{number // 1000:03d}/{number:06d}", content)

    def _deep_path(self) -> None:
        """A path of more than 5,000 bytes, which no single system call can name."""
        home = os.open(".", os.O_RDONLY)
        for level in range(21):
            name = f"deep-{level:02d}-".ljust(240, "d")
            os.mkdir(name)
            os.chdir(name)
        self._file("bottom", b"reached")
        os.symlink("bottom", "bottom-link")
        os.fchdir(home)
        os.close(home)

    def _read_only_folder(self) -> None:
        self._file("read-only/inner/file", b"in a folder nobody may write")
        os.chmod("read-only/inner", 0o555)
        os.chmod("read-only", 0o555)

    def _telling_times(self) -> None:
        """Times of their own for a file, a folder and a symlink each, before and after 1970."""
        os.mkdir("times")
        for name, time in TIMES_NS.items():
            self._file(f"times/{name}", b"")
            os.mkdir(f"times/{name}-folder")
            os.symlink("nowhere", f"times/{name}-link")
            for path in (f"times/{name}", f"times/{name}-folder", f"times/{name}-link"):
                os.utime(path, ns=(time, time), follow_symlinks=False)
        for path in ("times", "."):
            os.utime(path, ns=(10**18, 10**18 + 7))

    def _file(self, path: str | bytes, content: bytes) -> None:
        folder = os.path.dirname(path)
        if folder:
            os.makedirs(folder, exist_ok=True)
        with open(path, "wb") as file:
            file.write(content)

    def _sparse(self, path: str, size: int, data: dict[int, int]) -> None:
        self._file(path, b"")
        with open(path, "r+b") as file:
            file.truncate(size)
            for offset, length in data.items():
                file.seek(offset)
                file.write(self._random.randbytes(length))

    def _chown(self, path: str, uid: int, gid: int) -> Callable[[], None]:
        return lambda: os.chown(path, uid, gid, follow_symlinks=False)

    def _setxattr(self, path: str, name: str, value: bytes) -> Callable[[], None]:
        return lambda: os.setxattr(path, name, value, follow_symlinks=False)

    def _try(self, what: str, make: Callable[[], None]) -> None:
        try:
            make()
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.EACCES, errno.ENOTSUP, errno.EINVAL):
                raise
            self.left_out.append(f"{what}: {error.strerror}")


def _acl(entries: list[tuple[int, int, int]]) -> bytes:
    """Encode (tag, permissions, id) as the kernel keeps it in system.posix_acl_*."""
    packed = [struct.pack("<HHI", tag, perm, who & 0xFFFFFFFF) for tag, perm, who in entries]
    return struct.pack("<I", 2) + b"".join(packed)


def _set_times() -> None:
    """Give every entry a time with nanoseconds; folders after what they hold."""
    chooser = random.Random(5)
    for _, folders, files, descriptor in os.fwalk(b".", topdown=False):
        for name in sorted(files) + sorted(folders):
            time = chooser.randrange(-(10**18), 2 * 10**18)
            os.utime(name, ns=(time, time), dir_fd=descriptor, follow_symlinks=False)


def main(argv: list[str]) -> int:
    """Run from the command line; returns the exit status."""
    parser = argparse.ArgumentParser(description="Build the fidelity matrix.")
    parser.add_argument("--many", type=int, default=0, metavar="N")
    parser.add_argument("--small", action="store_true")
    parser.add_argument("directory")
    options = parser.parse_args(argv)
    os.umask(0o022)
    matrix = Matrix(options.directory)
    matrix.build(many=options.many, small=options.small)
    for line in matrix.left_out:
        print(f"left out: {line}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
