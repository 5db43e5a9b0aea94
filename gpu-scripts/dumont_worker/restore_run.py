"""What all steps of one restore share: where things go, what was decided, what went wrong."""

import errno
import os
from collections.abc import Callable
from typing import Any

from . import target
from .byte_string import to_json
from .compare import Action
from .errors import WorkerError
from .metadata import Issue, Policy
from .protocol import RestoreRequest
from .restore_index import Index
from .restore_scope import Layout
from .session import Link
from .spool import Item
from .target import Base, Directories

DAMAGED = "damaged"
"""The code of an entry whose content cannot be had; the operator's machine ends with 65 for it."""
_MOST_FAILURES = 100
# All of them in one line of the protocol, at six characters a byte in the worst case.
_LONGEST_PATH = 1500
_WARNINGS = frozenset({"xattr", "link"})
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_CONFLICTS = frozenset({errno.ENOTDIR, errno.ELOOP, errno.EISDIR, errno.EEXIST, errno.ESTALE})
_DENIED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})

Failure = tuple[str, str]
"""A code and the words for it."""


def failure_of(error: OSError) -> Failure:
    """Return how to report that one entry could not be written.

    WorkerError BOX_DISK_FULL ends the whole restore.
    """
    if error.errno in _FULL:
        raise disk_full(error.strerror or "no space left") from error
    words = error.strerror or str(error)
    if error.errno in _CONFLICTS:
        return "type-conflict", f"something else stands at its place or on the way to it ({words})"
    if error.errno in _DENIED:
        return "unwritable", words
    return "io", words


def disk_full(words: str) -> WorkerError:
    """Return the error for a box without room."""
    hint = "free some space, restore less with --include, or restore to another --target"
    return WorkerError("BOX_DISK_FULL", f"the box's disk is full: {words}", hint)


class Run:
    """One restore. Everything here belongs to the coordinator's main thread."""

    def __init__(
        self,
        link: Link,
        request: RestoreRequest,
        layout: Layout,
        is_protected: Callable[[bytes], bool],
        run_id: str,
    ) -> None:
        """`is_protected` tells of absolute paths that this restore leaves alone."""
        self.link = link
        self.request = request
        self.layout = layout
        self.is_protected = is_protected
        self.run_id = run_id
        self.policy = Policy.of_this_process(request.privileges)
        self.base_fds: list[int] = []
        self.bases: list[Base | None] = [None] * len(layout.bases)
        self.directories = Directories(self.base_fds)
        self.index: Index
        self.actions = bytearray()
        self.failures: list[dict[str, Any]] = []
        self.damaged: set[int] = set()
        """Entries whose content the store does not hold as it was saved."""
        self.counts = dict.fromkeys(("same", "written", "deleted", "failed", "damaged"), 0)
        self.raw_written = 0
        self.fetched = 0
        self._noted: set[str] = set()

    def open_bases(self, create: bool) -> None:
        """Open the bases that are there; with `create` make those that are not.

        WorkerError TARGET_UNWRITABLE.
        """
        for number, path in enumerate(self.layout.bases):
            if self.bases[number] is not None:
                continue
            try:
                fd = target.make_path(path) if create else target.open_path(path)
            except FileNotFoundError:
                fd = -1
            except OSError as error:
                raise unwritable(path, error) from error
            if number < len(self.base_fds):
                self.base_fds[number] = fd
            else:
                self.base_fds.append(fd)
            if fd >= 0:
                self.bases[number] = target.base_of(path, fd)

    def close(self) -> None:
        """Close every descriptor."""
        self.directories.close()
        for fd in self.base_fds:
            if fd >= 0:
                os.close(fd)
        self.base_fds.clear()

    def where(self, item: Item) -> bytes:
        """Return the absolute place of an item."""
        return target.absolute(self.layout.bases[item.base], item.path)

    def directory_of(self, item: Item) -> tuple[int, bytes]:
        """Return the open directory that holds an item, and its name there."""
        parent, name = target.split(item.path)
        return self.directories.open(item.base, parent), name

    def fail(self, number: int, item: Item, failure: Failure) -> None:
        """Report an entry that could not be restored; one entry counts once."""
        if self.actions[number] == Action.FAILED:
            return
        self.actions[number] = Action.FAILED
        self.counts["failed"] += 1
        if failure[0] == DAMAGED:
            self.damaged.add(number)
            self.counts["damaged"] += 1
        self._name(self.where(item), failure)

    def lose(self, path: bytes, message: str) -> None:
        """Report that of what lies behind a path nothing is known."""
        self.counts["failed"] += 1
        self.counts["damaged"] += 1
        self._name(path, (DAMAGED, message))

    def _name(self, path: bytes, failure: Failure) -> None:
        """Tell the operator's machine of one failure; the result holds only the first."""
        code, message = failure
        named = {"path": to_json(path[:_LONGEST_PATH]), "code": code, "message": message[:1000]}
        if self.request.salvage:
            self.link.send("lost", **named)
        if len(self.failures) < _MOST_FAILURES:
            self.failures.append(named)

    def tell(self, item: Item, issues: list[Issue]) -> None:
        """Pass on what could not be set on an entry."""
        for issue in issues:
            if issue.code in _WARNINGS:
                self.link.warn(issue.code, self.where(item), issue.message)
            elif issue.code not in self._noted:
                # Of what holds for a whole restore (owners, for whoever is not root) once is
                # enough.
                self._noted.add(issue.code)
                self.link.note(issue.code, self.where(item))

    def done(self, number: int, item: Item, written: bool) -> None:
        """Count an entry that is now as the snapshot has it."""
        self.count(item, written)
        if item.kind == "file":
            self.link.progress.add(files=1)

    def count(self, item: Item, written: bool) -> None:
        """Count an entry as `done` does, for a caller who tells of many at a time."""
        if item.kind == "file":
            self.counts["written" if written else "same"] += 1


def unwritable(path: bytes, error: OSError) -> WorkerError:
    """Return the error for a target that cannot be written; a full disk has its own."""
    if error.errno in _FULL:
        return disk_full(error.strerror or "no space left")
    shown = os.fsdecode(path)
    return WorkerError(
        "TARGET_UNWRITABLE",
        f"cannot write to {shown!r}: {error.strerror}",
        "choose another --target, or log in as a user who may write there",
    )
