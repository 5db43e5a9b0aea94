"""What a scan tells of besides entries: what it could not read, and what it left out."""

import errno
from dataclasses import dataclass
from typing import Protocol

from .paths import join
from .roots import Root

GONE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ESTALE, errno.EINVAL)
"""What a system call answers when a name vanished or changed its type after it was listed."""


class Listener(Protocol):
    """Who is told: the session's link, or a test."""

    def warn(self, code: str, path: bytes, message: str) -> None:
        """Takes something that makes the snapshot incomplete, or may."""

    def note(self, code: str, path: bytes) -> None:
        """Takes something left out on purpose."""


@dataclass(slots=True)
class LeftOut:
    """How many entries were left out for one reason, and the bytes known to be saved by that."""

    count: int = 0
    bytes: int = 0


class Findings:
    """Counts and passes on; paths are relative to the root in hand."""

    def __init__(self, link: Listener) -> None:
        self._link = link
        self.root = Root(b"/")
        self.skipped_mounts: list[bytes] = []
        self.left_out: dict[str, LeftOut] = {}

    def failed(self, path: bytes, error: OSError) -> None:
        """Tells of an entry that could not be read, or is gone by now."""
        self.warn("vanished" if error.errno in GONE else "unreadable", path, error)

    def warn(self, code: str, path: bytes, error: OSError) -> None:
        """Tells of a system call that failed."""
        self.say(code, path, error.strerror or "unknown error")

    def say(self, code: str, path: bytes, message: str) -> None:
        """Tells something in words."""
        self._link.warn(code, join(self.root.path, path), message)

    def leave_out(self, code: str, path: bytes, size: int = 0) -> None:
        """Notes something that is left out on purpose."""
        self.count(code, 1, size)
        self._link.note(code, join(self.root.path, path))

    def skip_mount(self, path: bytes, answers: bool) -> None:
        """Tells of a mount that is left out though it holds something, or may."""
        self.count("mount", 1, 0)
        self.skipped_mounts.append(join(self.root.path, path))
        what = "is another mount" if answers else "is another mount and does not answer"
        self.say("mount", path, f"{what}; --cross-mounts saves it too")

    def count(self, code: str, count: int, size: int) -> None:
        """Counts without telling anybody."""
        total = self.left_out.setdefault(code, LeftOut())
        total.count += count
        total.bytes += size
