"""Has the kernel read directories and inodes from the disk before the scan asks for them."""

import contextlib
import subprocess


class LookAhead:
    """A program that looks at all files below some directories, for the sake of the caches alone.

    A scan waits for the disk at every directory that is not in memory; this runs ahead of it on
    another core. Where there is no such program, or it fails, nothing is lost but time.
    """

    def __init__(self, roots: list[bytes]) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        # The size is what it must look at every file for.
        command = [b"find", *roots, b"-xdev", b"-size", b"+0"]
        with contextlib.suppress(OSError):
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                close_fds=False,
            )

    def end(self) -> None:
        """Ends it, if it still runs."""
        if self._process is None:
            return
        self._process.kill()
        # Uninterruptible sleep on a dead file system is the one thing a kill does not end.
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1.0)
        self._process = None
