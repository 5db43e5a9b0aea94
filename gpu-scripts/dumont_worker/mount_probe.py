"""Look at a mount that is left out, without hanging on one that does not answer."""

import os
import stat
import threading
from dataclasses import dataclass

_PATIENCE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Probe:
    """What stands at a mount point, and whether it holds anything."""

    found: os.stat_result
    holds: bool


def probe(path: bytes, patience: float = _PATIENCE_SECONDS) -> Probe | None:
    """Looks at a mount point; None when it fails or, as a dead network mount, does not answer."""
    answers: list[Probe] = []

    def look() -> None:
        try:
            found = os.lstat(path)
            answers.append(Probe(found, _holds(path, found)))
        except OSError:
            return

    # A system call on a dead mount cannot be interrupted: the thread is left behind, as a daemon.
    thread = threading.Thread(target=look, daemon=True, name="mount probe")
    thread.start()
    thread.join(patience)
    return answers[0] if answers else None


def _holds(path: bytes, found: os.stat_result) -> bool:
    if stat.S_ISREG(found.st_mode):
        return found.st_size > 0
    if not stat.S_ISDIR(found.st_mode):
        return False
    try:
        with os.scandir(path) as names:
            return next(names, None) is not None
    except PermissionError:
        # Not proven empty.
        return True
