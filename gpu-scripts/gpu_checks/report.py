"""The report of a check, which grows step by step and is whole after each."""

import json
import os
import platform
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Json = dict[str, Any]


class Overdue(Exception):
    """Time is up, for a step or for all."""


class Report:
    """What was found so far; kept in a file after every step."""

    def __init__(self, out: Path | None, seconds: float) -> None:
        self.found: Json = {
            "format": 1,
            "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "machine": {
                "python": platform.python_version(),
                "kernel": platform.release(),
                "arch": platform.machine(),
                "cpus": len(os.sched_getaffinity(0)),
            },
            "result": "not finished",
            "seconds": {},
            "troubles": [],
        }
        self._out = out
        self._end = time.monotonic() + seconds

    def left(self, most: float) -> float:
        """Seconds that a step may take."""
        return min(most, self._end - time.monotonic())

    def stop(self) -> None:
        """Has no further step begin."""
        self._end = time.monotonic()

    def step(self, name: str, most: float, call: Callable[[], None]) -> None:
        """Does a part; whatever ends it is noted, and the next one is done."""
        begun, left = time.monotonic(), self.left(most)
        if left < 1:
            self.found["troubles"].append(f"{name}: no time was left")
            return
        try:
            with _at_most(left):
                call()
        except Overdue as overdue:
            self.found["troubles"].append(f"{name}: {overdue}")
        # A step that fails must not cost what the others find.
        except Exception as error:
            self.found["troubles"].append(f"{name}: {type(error).__name__}: {error}"[:500])
        self.found["seconds"][name] = round(time.monotonic() - begun, 1)
        self.keep()

    def keep(self) -> None:
        """Writes the file anew."""
        if self._out is not None:
            fresh = self._out.with_name(f"{self._out.name}.part")
            fresh.write_text(json.dumps(self.found, indent=1) + "\n")
            fresh.replace(self._out)

    def end(self, result: str, code: int) -> int:
        """Prints all; gives the exit code."""
        self.found["result"] = result
        self.keep()
        print(json.dumps(self.found, indent=1))
        return code


@contextmanager
def _at_most(seconds: float) -> Iterator[None]:
    def ring(_: int, __: Any) -> None:
        raise Overdue(f"no end within {seconds:.0f} s")

    signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
