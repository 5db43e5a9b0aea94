"""Counters of a run, cheap to add to from any thread."""

import threading

_COUNTS = ("files", "raw", "stored", "transferred")


class Progress:
    """The fields of the `progress` message; any may go down when a part starts again."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._changed = False
        self._phase = "scan"
        self._counts = dict.fromkeys(_COUNTS, 0)
        self._totals: dict[str, int] = {}
        self._parts: dict[int, tuple[int, int, int]] = {}

    def phase(self, name: str) -> None:
        """Names what the run is doing now."""
        with self._lock:
            self._phase = name
            self._changed = True

    def add(self, *, files: int = 0, raw: int = 0, stored: int = 0, transferred: int = 0) -> None:
        """Moves the counters; negative values rewind."""
        with self._lock:
            counts = self._counts
            counts["files"] += files
            counts["raw"] += raw
            counts["stored"] += stored
            counts["transferred"] += transferred
            self._changed = True

    def totals(self, files: int, raw: int) -> None:
        """Says how much there is in all, as far as known."""
        with self._lock:
            self._totals = {"filesTotal": files, "rawTotal": raw}
            self._changed = True

    def part(self, number: int, done: int, total: int, attempt: int) -> None:
        """Shows a busy part: bytes done of total in its n-th attempt (from 1)."""
        with self._lock:
            self._parts[number] = (done, total, attempt)
            self._changed = True

    def idle(self, number: int) -> None:
        """Takes a part that has nothing to do off the list."""
        with self._lock:
            self._parts.pop(number, None)
            self._changed = True

    def reset(self) -> None:
        """Forgets everything, for the next request."""
        with self._lock:
            self._phase = "scan"
            self._counts = dict.fromkeys(_COUNTS, 0)
            self._totals = {}
            self._parts = {}
            self._changed = False

    def take(self) -> dict[str, object] | None:
        """The fields to send now, or None when nothing changed since the last time."""
        with self._lock:
            if not self._changed:
                return None
            self._changed = False
            parts = [[number, *state] for number, state in sorted(self._parts.items())]
            counts = {name: max(0, value) for name, value in self._counts.items()}
            return {"phase": self._phase, **counts, **self._totals, "parts": parts}
