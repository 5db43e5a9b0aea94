"""Reach and change things below a target directory without ever following a symbolic link.

Every component below the base is opened by the descriptor of its parent with O_NOFOLLOW, whoever
made it: a link that someone places there before or during a restore ends in an error, never
somewhere else.
"""

import contextlib
import errno
import os
import stat
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass

OPEN_DIRECTORY = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
CREATE_FILE = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
TEMP_PREFIX = b".dumont-"
# A process may have 1024 descriptors by default; engines hold sockets and files beside these.
CACHED_DIRECTORIES = 128
PRIVATE_MODE = 0o700


@dataclass(frozen=True, slots=True)
class Base:
    """A directory with no symbolic link in its path, and its identity when it was opened first."""

    path: bytes
    dev: int
    ino: int


def resolve(path: bytes) -> bytes:
    """Return `path` absolute with every symbolic link followed, once and for all.

    Missing tails are kept.
    """
    return os.path.realpath(path)


def split(path: bytes) -> tuple[bytes, bytes]:
    """Return the directory part (b'' at the top) and the last component of a relative path."""
    head, _, name = path.rpartition(b"/")
    return head, name


def join(directory: bytes, name: bytes) -> bytes:
    """Join two relative paths, either of which may be empty."""
    return directory + b"/" + name if directory and name else directory or name


def absolute(base: bytes, path: bytes) -> bytes:
    """Return `path` below the absolute `base`, for messages and rules."""
    if not path:
        return base
    return base.rstrip(b"/") + b"/" + path


def open_path(path: bytes) -> int:
    """Open a resolved absolute directory component by component.

    OSError where a component is missing or a link.
    """
    fd = os.open(b"/", OPEN_DIRECTORY)
    for name in components(path):
        fd = step(fd, name)
    return fd


def step(fd: int, name: bytes) -> int:
    """Open the directory `name` in `fd` and close `fd`, also on failure."""
    try:
        return os.open(name, OPEN_DIRECTORY, dir_fd=fd)
    finally:
        os.close(fd)


def components(path: bytes) -> list[bytes]:
    """Split a path into its components; ValueError for one that could lead elsewhere."""
    parts = [part for part in path.split(b"/") if part]
    if b".." in parts or b"." in parts or b"\0" in path:
        raise ValueError("a path with a component that leads elsewhere")
    return parts


def make_path(path: bytes) -> int:
    """Open a resolved absolute directory, making what is missing as `mkdir -p` does."""
    fd = os.open(b"/", OPEN_DIRECTORY)
    for name in components(path):
        try:
            child = os.open(name, OPEN_DIRECTORY, dir_fd=fd)
        except FileNotFoundError:
            try:
                child = make_directory(fd, name, 0o755)
            except OSError:
                os.close(fd)
                raise
        except OSError:
            os.close(fd)
            raise
        os.close(fd)
        fd = child
    return fd


def make_directory(directory: int, name: bytes, mode: int) -> int:
    """Make a directory with exactly this mode and open it.

    One that stands there already is opened as it is.
    """
    try:
        os.mkdir(name, PRIVATE_MODE, dir_fd=directory)
    except FileExistsError:
        return os.open(name, OPEN_DIRECTORY, dir_fd=directory)
    fd = os.open(name, OPEN_DIRECTORY, dir_fd=directory)
    if mode != PRIVATE_MODE:
        try:
            os.chmod(by_descriptor(fd), mode)
        except OSError:
            os.close(fd)
            raise
    return fd


def nearest(path: bytes) -> tuple[bytes, int]:
    """Return the deepest existing directory of a resolved absolute path and a descriptor of it."""
    fd = os.open(b"/", OPEN_DIRECTORY)
    reached = b"/"
    for name in components(path):
        try:
            child = os.open(name, OPEN_DIRECTORY, dir_fd=fd)
        except FileNotFoundError:
            return reached, fd
        except OSError:
            os.close(fd)
            raise
        os.close(fd)
        fd = child
        reached = absolute(reached, name)
    return reached, fd


def base_of(path: bytes, fd: int) -> Base:
    """Return the base that `fd` is open on."""
    found = os.fstat(fd)
    return Base(path, found.st_dev, found.st_ino)


def open_base(base: Base) -> int:
    """Open a base again; ESTALE when another directory stands in its place now."""
    fd = open_path(base.path)
    found = os.fstat(fd)
    if (found.st_dev, found.st_ino) != (base.dev, base.ino):
        os.close(fd)
        raise OSError(errno.ESTALE, "another directory took its place", base.path)
    return fd


class Directories:
    """Open directories below some bases, the least recently used closed first; one per thread."""

    def __init__(self, bases: list[int], capacity: int = CACHED_DIRECTORIES) -> None:
        """Keep at most `capacity` directories open.

        The bases' descriptors stay the caller's, who may add to them.
        """
        self._capacity = max(2, capacity)
        self._bases = bases
        self._open: OrderedDict[tuple[int, bytes], int] = OrderedDict()

    def open(self, base: int, path: bytes) -> int:
        """Return the descriptor of a directory, valid until the next call.

        OSError where a component is a link.
        """
        if not path:
            return self._bases[base]
        found = self._open.get((base, path))
        if found is not None:
            self._open.move_to_end((base, path))
            return found
        return self._descend(base, path)

    def _descend(self, base: int, path: bytes) -> int:
        missing = []
        fd = self._bases[base]
        rest = path
        while rest:
            known = self._open.get((base, rest))
            if known is not None:
                self._open.move_to_end((base, rest))
                fd = known
                break
            rest, name = split(rest)
            missing.append(name)
        reached = rest
        for name in reversed(missing):
            if name in (b"", b".", b".."):
                raise ValueError("a path with a component that leads elsewhere")
            fd = os.open(name, OPEN_DIRECTORY, dir_fd=fd)
            reached = join(reached, name)
            self._keep(base, reached, fd)
        return fd

    def _keep(self, base: int, path: bytes, fd: int) -> None:
        self._open[(base, path)] = fd
        if len(self._open) > self._capacity:
            _, oldest = self._open.popitem(last=False)
            os.close(oldest)

    def forget(self, base: int, path: bytes) -> None:
        """Close a directory that is about to be removed or replaced."""
        fd = self._open.pop((base, path), None)
        if fd is not None:
            os.close(fd)

    def close(self) -> None:
        """Close every directory that was opened here."""
        for fd in self._open.values():
            os.close(fd)
        self._open.clear()


def temp_name(run: str, number: int) -> bytes:
    """Return the temporary name of one entry of a run.

    Short, so that a final name of 255 bytes has one too.
    """
    return TEMP_PREFIX + run.encode() + b"-%x" % number


def is_temp_of(name: bytes, runs: frozenset[bytes]) -> bool:
    """Tell whether a name is a temporary one of the given runs."""
    if not name.startswith(TEMP_PREFIX):
        return False
    run, dash, number = name[len(TEMP_PREFIX) :].partition(b"-")
    return bool(dash) and run in runs and number != b"" and not number.strip(b"0123456789abcdef")


def create_file(directory: int, temp: bytes, mode: int = 0o600) -> int:
    """Create a new regular file, private unless told otherwise.

    OSError (EEXIST) when the name is taken, be it by a link.
    """
    return os.open(temp, CREATE_FILE, mode, dir_fd=directory)


def status(fd: int) -> os.stat_result:
    """Return what an open file is like; it is closed when that fails (OSError)."""
    try:
        return os.fstat(fd)
    except OSError:
        os.close(fd)
        raise


def reopen_file(directory: int, temp: bytes, identity: tuple[int, int]) -> int:
    """Open a file made before for writing.

    ESTALE unless it is that very file and has no other name.
    """
    fd = os.open(temp, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory)
    found = os.fstat(fd)
    if (
        (found.st_dev, found.st_ino) != identity
        or not stat.S_ISREG(found.st_mode)
        or found.st_nlink != 1
    ):
        os.close(fd)
        raise OSError(errno.ESTALE, "another file took the place of a temporary one", temp)
    return fd


def write_all(fd: int, data: memoryview, offset: int) -> None:
    """Write all of the data at an offset."""
    while data:
        count = os.pwrite(fd, data, offset)
        data = data[count:]
        offset += count


def put_in_place(directory: int, temp: bytes, name: bytes) -> None:
    """Give a finished entry its final name, replacing a non-directory of that name in one step."""
    os.rename(temp, name, src_dir_fd=directory, dst_dir_fd=directory)


def remove_quietly(directory: int, name: bytes) -> None:
    """Remove a temporary name; one that is gone already is fine."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name, dir_fd=directory)


def look(directory: int, name: bytes) -> os.stat_result | None:
    """Return what stands at a name, links not followed; None when nothing does."""
    try:
        return os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return None


@contextlib.contextmanager
def pinned(directory: int, name: bytes, flags: int = os.O_PATH) -> Iterator[int]:
    """Open whatever stands at a name without following it or needing any permission on it."""
    fd = os.open(name, flags | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
    try:
        yield fd
    finally:
        os.close(fd)


def by_descriptor(fd: int) -> str:
    """Return a path that names the open object, for calls that refuse an O_PATH descriptor."""
    return f"/proc/self/fd/{fd}"
