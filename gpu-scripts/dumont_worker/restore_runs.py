"""Which restores run on this box, and the temporary files of those that were killed."""

import contextlib
import fcntl
import json
import os
import secrets
from collections.abc import Iterator

from . import target
from .box import PrivateDir
from .byte_string import from_json, to_json
from .errors import WorkerError
from .restore_scope import within
from .target import Directories

_RECORD_LIMIT = 1 << 20


class Runs:
    """The records of running restores; a record without a lock is that of a dead one."""

    def __init__(self, private: PrivateDir) -> None:
        """Keep the records in the worker's own directory."""
        self._directory = private.make("restores")

    @contextlib.contextmanager
    def begin(self, bases: tuple[bytes, ...]) -> Iterator[str]:
        """Remove what killed runs left, record a new run and yield its id.

        WorkerError LOCKED when another restore is writing to one of these places.
        """
        self._clear(bases)
        run = secrets.token_hex(6)
        path = os.path.join(self._directory, run.encode())
        with open(path, "xb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX)
                file.write(json.dumps([to_json(base) for base in bases]).encode())
                file.flush()
                os.fsync(file.fileno())
                yield run
            finally:
                with contextlib.suppress(OSError):
                    os.unlink(path)

    def _clear(self, bases: tuple[bytes, ...]) -> None:
        for name in os.listdir(self._directory):
            path = os.path.join(self._directory, name)
            with contextlib.suppress(FileNotFoundError), open(path, "rb") as file:
                theirs = read_bases(file.read(_RECORD_LIMIT))
                if not overlap(bases, theirs):
                    continue
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError:
                    raise locked(bases) from None
                for base in theirs:
                    remove_temps(base, frozenset([name]))
                os.unlink(path)


def locked(bases: tuple[bytes, ...]) -> WorkerError:
    """Return the error for two restores that would write to the same place."""
    shown = os.fsdecode(bases[0])
    return WorkerError(
        "LOCKED",
        f"another restore is writing to {shown!r} or to a part of it",
        "wait until it is done",
    )


def read_bases(data: bytes) -> list[bytes]:
    """Return the places of a record.

    None of one that was cut short before its run had written anything.
    """
    try:
        found = json.loads(data)
        return [from_json(item) for item in found] if isinstance(found, list) else []
    except (ValueError, RecursionError, WorkerError):
        return []


def overlap(ours: tuple[bytes, ...], theirs: list[bytes]) -> bool:
    """Tell whether two runs write to a common place."""
    pairs = [(one, other) for one in ours for other in theirs]
    return any(at_or_below(one, other) or at_or_below(other, one) for one, other in pairs)


def at_or_below(path: bytes, directory: bytes) -> bool:
    """Tell whether an absolute path is a directory or lies below it."""
    return within(path.strip(b"/"), directory.strip(b"/"))


def remove_temps(base: bytes, runs: frozenset[bytes]) -> int:
    """Remove the temporary files of dead runs below a directory, links not followed.

    Give their number.
    """
    try:
        top = target.open_path(base)
    except (OSError, ValueError):
        return 0
    directories = Directories([top])
    removed = 0
    pending = [b""]
    try:
        while pending:
            path = pending.pop()
            with contextlib.suppress(OSError):
                parent = directories.open(0, path)
                removed += remove_temps_in(parent, path, runs, pending)
    finally:
        directories.close()
        os.close(top)
    return removed


def remove_temps_in(parent: int, path: bytes, runs: frozenset[bytes], pending: list[bytes]) -> int:
    """Remove the temporary files in one directory and put the directories it holds on the list."""
    removed = 0
    fd = os.open(b".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=parent)
    try:
        with os.scandir(fd) as found:
            for entry in found:
                name = os.fsencode(entry.name)
                if entry.is_dir(follow_symlinks=False):
                    pending.append(target.join(path, name))
                elif target.is_temp_of(name, runs):
                    target.remove_quietly(parent, name)
                    removed += 1
    finally:
        os.close(fd)
    return removed
