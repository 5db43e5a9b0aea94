"""Counts what the threads of an engine do, and tells it a few times a second."""

import threading

from .engine import Port

INTERVAL = 0.2


class Meter:
    """Counts raw, stored and transferred bytes, and the state of each upload slot."""

    def __init__(self, port: Port, parts: int) -> None:
        self._port = port
        self._lock = threading.Lock()
        self._raw = self._stored = self._transferred = 0
        self._done = [0] * parts
        self._states: dict[int, tuple[int, int, int] | None] = {}

    def start(self) -> None:
        """Starts telling."""
        threading.Thread(target=self._tell, name="meter", daemon=True).start()

    def add(self, raw: int, stored: int) -> None:
        """Counts a chunk; negative values take back what is read again."""
        with self._lock:
            self._raw += raw
            self._stored += stored

    def part(self, slot: int, total: int, done: int, attempt: int) -> None:
        """Shows how far a slot's transfer is; an attempt that starts again rewinds the sum."""
        with self._lock:
            self._transferred += done - self._done[slot]
            self._done[slot] = done
            self._states[slot] = (done, total, attempt)

    def idle(self, slot: int) -> None:
        """A slot's transfer is over."""
        with self._lock:
            self._done[slot] = 0
            self._states[slot] = None

    def flush(self) -> None:
        """Tells what is still untold."""
        with self._lock:
            told = (self._raw, self._stored, self._transferred, self._states)
            if not (any(told[:3]) or self._states):
                return
            self._raw = self._stored = self._transferred = 0
            self._states = {}
        self._port.send(("progress", *told))

    def _tell(self) -> None:
        try:
            while not self._port.failed.wait(INTERVAL):
                self.flush()
        except OSError as error:
            self._port.fail(error)
