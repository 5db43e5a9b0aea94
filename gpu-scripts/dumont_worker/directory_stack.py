"""The directories from a root down to where a walk is, with few of them open at a time."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from .entry import Entry
from .paths import DIRECTORY_FLAGS, open_beneath
from .rules import Rules

# Deeper trees close the upper ones: a process may have 1024 descriptors only.
OPEN_MOST = 128


@dataclass(slots=True)
class Frame:
    """A directory being walked: names still to come, the last one first.

    `cache` says which sort of cache it lies in that is left out; `pending` is then its own entry,
    given only if something inside turns out to be kept.
    """

    path: bytes
    fd: int
    identity: tuple[int, int]
    names: list[bytes]
    rules: Rules
    cache: str = ""
    pending: Entry | None = None
    keeps_tag: bool = False
    prefix: bytes = field(init=False)

    def __post_init__(self) -> None:
        """Names the directory by its descriptor."""
        self.reopened(self.fd)

    def reopened(self, fd: int) -> None:
        """Takes a new descriptor of the same directory."""
        self.fd = fd
        # The one way to name a link, or a path over PATH_MAX, to the calls on extended attributes.
        self.prefix = b"/proc/self/fd/%d/" % fd

    def close(self) -> None:
        """Closes the descriptor; the frame may be reopened."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


class DirectoryStack:
    """Frames from the root down; calls `lost(frame)` for a directory that cannot be found again."""

    def __init__(self, lost: Callable[[Frame], None]) -> None:
        self._frames: list[Frame] = []
        self._lost = lost

    def __len__(self) -> int:
        """Gives the depth."""
        return len(self._frames)

    @property
    def top(self) -> Frame:
        """The directory in hand."""
        return self._frames[-1]

    def push(self, frame: Frame) -> None:
        """Goes down into a directory, and takes its descriptor over."""
        self._frames.append(frame)
        if len(self._frames) > OPEN_MOST:
            # The root is never closed: there a lost directory is looked for again.
            self._frames[-OPEN_MOST].close()

    def pop(self) -> None:
        """Leaves the directory in hand, and makes the next one above it usable again."""
        done = self._frames.pop()
        try:
            while self._frames and self.top.fd < 0:
                fd = self._reopen(self.top, done.fd)
                if fd < 0:
                    self._lost(self._frames.pop())
                else:
                    self.top.reopened(fd)
        finally:
            done.close()

    def pending(self) -> Iterator[Entry]:
        """Yields the entries held back so far, from the root down."""
        for frame in self._frames:
            if frame.pending is not None:
                entry, frame.pending = frame.pending, None
                yield entry

    def close(self) -> None:
        """Closes all descriptors."""
        for frame in self._frames:
            frame.close()
        self._frames.clear()

    def _reopen(self, frame: Frame, child_fd: int) -> int:
        for from_root in (False, True):
            try:
                if from_root:
                    fd = open_beneath(self._frames[0].fd, frame.path, DIRECTORY_FLAGS)
                else:
                    fd = os.open(b"..", DIRECTORY_FLAGS, dir_fd=child_fd)
            except OSError:
                continue
            found = os.fstat(fd)
            if (found.st_dev, found.st_ino) == frame.identity:
                return fd
            os.close(fd)
        return -1
