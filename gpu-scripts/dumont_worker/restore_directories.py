"""Make directories before what they hold, and set their metadata after it."""

import os
import stat

from . import metadata, target
from .compare import WRITES, Action
from .restore_run import Run, failure_of
from .restore_scope import PARENT, WANTED, WAY, Place, inside
from .spool import Item

_USABLE = 0o700


class RestoreDirectories:
    """The directories of one restore."""

    def __init__(self, run: Run) -> None:
        """Start with none made."""
        self._run = run
        self._made: set[int] = set()

    def enter(self, number: int, item: Item, action: int) -> None:
        """Make a directory, or make sure that its owner can write into it; OSError."""
        run = self._run
        if not item.path:
            make_usable(run.base_fds[item.base], run.policy.uid)
            return
        directory, name = run.directory_of(item)
        if action == Action.REPLACE:
            os.unlink(name, dir_fd=directory)
            run.directories.forget(item.base, item.path)
        if action in WRITES:
            # Closed to others until its content is there. A directory above a root has no metadata
            # of its own to wait for.
            mode = item.mode if item.role == WAY else target.PRIVATE_MODE
            os.close(target.make_directory(directory, name, mode))
            self._made.add(number)
            if item.role == PARENT:
                # An interrupted run would take it for one that was there before.
                self._set(item, usable=True)
        elif action == Action.METADATA and item.role == WANTED:
            make_usable(run.directories.open(item.base, item.path), run.policy.uid)

    def leave_all(self) -> None:
        """Set the metadata of all directories, the deepest first."""
        stack: list[tuple[int, Item]] = []
        for number, item in self._run.index.spool.items():
            while stack and not inside(item.base, item.path, place_of(stack[-1][1])):
                self._leave(*stack.pop())
            if item.kind == "dir":
                stack.append((number, item))
        while stack:
            self._leave(*stack.pop())

    def _leave(self, number: int, item: Item) -> None:
        action = self._run.actions[number]
        if item.role == WAY or action in (Action.FAILED, Action.SKIP, Action.KEEP):
            return
        if item.role == PARENT and number not in self._made:
            return
        try:
            self._set(item, usable=False)
        except OSError as error:
            self._run.fail(number, item, failure_of(error))

    def _set(self, item: Item, usable: bool) -> None:
        """Set a directory's metadata; `usable` leaves it open to its owner for now."""
        fd = self._run.directories.open(item.base, item.path)
        handle = target.by_descriptor(fd)
        meta, policy = metadata.of_item(item), self._run.policy
        if usable:
            meta = meta._replace(mode=meta.mode | _USABLE)
        elif not metadata.differs(handle, os.fstat(fd), "dir", meta, policy):
            return
        issues = metadata.apply(handle, "dir", meta, policy, clean=True)
        if not usable:
            self._run.tell(item, issues)


def place_of(item: Item) -> Place:
    """Return where an item is."""
    return item.base, item.path


def make_usable(fd: int, uid: int) -> None:
    """Let an unprivileged owner write into a directory; its own mode is set at the end."""
    found = os.fstat(fd)
    mode = stat.S_IMODE(found.st_mode)
    if uid != 0 and found.st_uid == uid and mode & _USABLE != _USABLE:
        os.chmod(target.by_descriptor(fd), mode | _USABLE)
