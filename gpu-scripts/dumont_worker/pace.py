"""Finds transfers that fall behind their siblings and cuts their connections; they begin anew."""

import contextlib
import fcntl
import math
import socket
import statistics
import termios
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

LOOK_SECONDS = 1.0
# Looks in which others moved and this one did not; a stall of the whole link counts for nobody.
# The time that buffers on the way take to be emptied at the usual rate comes on top.
PATIENCE = 5
# The same while the store works at its answer.
LONG_PATIENCE = 10
# A channel of an SSH connection takes up to 2 MiB at a time.
_BUFFERED = 2 << 20
_LONGEST_SILENCE = 300.0
_FEW = 4
_WINDOW = 10
_LEAST = 5
_FAR_SLOWER = 8


@dataclass(slots=True, eq=False)
class Transfer:
    """One attempt at one object; its thread adds to `moved`, the looks do the rest."""

    connection: socket.socket
    total: int
    """Bytes that this attempt is to move."""
    resumes: bool
    """Whether another attempt would go on where this one stopped."""
    may_be_cut: bool = True
    moved: int = 0
    was_cut: bool = False
    behind: int = 0
    history: deque[int] = field(default_factory=lambda: deque([0], _WINDOW + 1))

    @property
    def rate(self) -> float | None:
        """Bytes a look, over the last ten; None for one that is young."""
        looks = len(self.history) - 1
        return (self.history[-1] - self.history[0]) / looks if looks >= _LEAST else None

    def arrived(self) -> int:
        """Bytes so far; what the kernel still holds has not gone anywhere."""
        return max(self.history[-1], self.moved - self._unsent())

    def lags(self, typical: float) -> bool:
        """Whether it would be over sooner if it began again, by far."""
        rate = self.rate
        left = self.total - self.history[-1]
        again = left if self.resumes else self.total
        return (
            rate is not None
            and rate * _FAR_SLOWER < typical
            and left * typical > 2 * again * rate > 0
        )

    def cut(self) -> None:
        """Ends the connection under its thread, which sees it as broken."""
        self.was_cut = True
        with contextlib.suppress(OSError):
            # Not the method of an SSLSocket, which would go on in the clear.
            socket.socket.shutdown(self.connection, socket.SHUT_RDWR)

    def _unsent(self) -> int:
        if self.resumes:
            return 0
        answer = bytearray(4)
        with contextlib.suppress(OSError, ValueError):
            fcntl.ioctl(self.connection, termios.TIOCOUTQ, answer)
        return int.from_bytes(answer, "little")


class Pace:
    """The transfers of this process that are under way."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[Transfer] = set()
        self._usual = 0.0

    @contextlib.contextmanager
    def watching(self, transfer: Transfer) -> Iterator[None]:
        """Compares a transfer with its siblings; its socket must stay open meanwhile."""
        with self._lock:
            self._running.add(transfer)
        try:
            yield
        finally:
            with self._lock:
                self._running.remove(transfer)

    def silence(self, least: float) -> float:
        """Seconds without a byte that mean a dead connection: on slow links buffers take longer."""
        with self._lock:
            drained = 2 * _BUFFERED / self._usual if self._usual else 0.0
            return min(max(least, drained * LOOK_SECONDS), _LONGEST_SILENCE)

    def look(self) -> None:
        """Cuts what has been behind for too long; called once in LOOK_SECONDS."""
        with self._lock:
            arrived = {each: each.arrived() for each in self._running}
            steps = {each: at - each.history[-1] for each, at in arrived.items()}
            moving = sum(1 for step in steps.values() if step)
            if not moving and len(steps) > _FEW:
                return
            if moving > 1:
                mean = sum(steps.values()) / len(steps)
                self._usual += (mean - self._usual) / (_LEAST if self._usual else 1)
            for each, at in arrived.items():
                each.history.append(at)
                each.behind = 0 if steps[each] else each.behind + 1
            rates = [rate for each in steps if (rate := each.rate) is not None]
            typical = statistics.median(rates) if len(rates) > _FEW else 0.0
            for each in steps:
                has_lost = each.behind >= self._patience(each)
                if each.may_be_cut and (has_lost or each.lags(typical)):
                    each.cut()

    def _patience(self, transfer: Transfer) -> float:
        if not self._usual:
            return math.inf
        is_halfway = 0 < transfer.history[-1] < transfer.total
        looks = PATIENCE if is_halfway else LONG_PATIENCE
        return looks + _BUFFERED / self._usual


_starting = threading.Lock()
_shared: list[Pace] = []


def shared() -> Pace:
    """The one pace of this process, looked after by a thread."""
    # Not a cache: transfers begin at the same moment, and two halves would not see each other.
    with _starting:
        if not _shared:
            _shared.append(Pace())
            threading.Thread(target=_look_after, args=_shared, name="pace", daemon=True).start()
        return _shared[0]


def _look_after(pace: Pace) -> None:
    while True:
        time.sleep(LOOK_SECONDS)
        pace.look()
