"""How fast the box sends, as the packs of a create tell it, and whether more could be sent."""

import contextlib
import json
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from ..box import PrivateDir
from ..create_messages import Bundle, Stretch

SECONDS = 3.0
"""How long packs are on their way before they tell anything: connections begin slowly."""
BYTES = 64 << 20
"""How much must have been sent by then."""
_UNITS = 16
_BEHIND = 1.15
"""An uplink that sends so much less than is coded is the limit, however little waits yet."""
_AHEAD_MOST = 2.0
"""An uplink that waits is taken for this much faster at most than what was seen of it."""


class Rates(NamedTuple):
    """Stored bytes a second: those sent, and those that the uplink seems to take."""

    sent: float
    uplink: float


class Watch:
    """Counts what is coded and what is sent; for any thread.

    Where the uplink is the limit, packs wait and every transfer has one: `room` bytes, what all
    transfers hold at a time, lie between codec and store, or come to. Where they lie half empty,
    twice as much may get through, and where less lies there still, nobody knows how much more.
    """

    def __init__(self, room: int, now: Callable[[], float] = time.monotonic) -> None:
        self.units: deque[Stretch] = deque(maxlen=_UNITS)
        """The latest that were handed out."""
        self.since: float | None = None
        """When the first was, by `now`."""
        self._room = room
        self.now = now
        self._lock = threading.Lock()
        self._coded = self._sent = 0
        # When the first byte was sent, what was coded and sent then; bytes waiting times seconds.
        self._begun: tuple[float, int, int] | None = None
        self._last = 0.0
        self._waited = 0.0

    def saw(self, unit: Stretch | Bundle) -> None:
        """Takes note of a unit that is handed out."""
        self.since = self.since or self.now()
        if isinstance(unit, Stretch):
            self.units.append(unit)

    def count(self, coded: int, sent: int) -> None:
        """Takes note of what was coded and sent since the last time; negative when sent anew."""
        with self._lock:
            now = self.now()
            if self._begun is not None:
                self._waited += max(0, self._coded - self._sent) * (now - self._last)
            self._coded += coded
            self._sent += sent
            self._last = now
            if self._begun is None and self._sent > 0:
                self._begun = (now, self._coded, self._sent)

    def rates(self) -> Rates | None:
        """What was seen so far; None while that is too little."""
        with self._lock:
            if self._begun is None:
                return None
            since, coded_then, sent_then = self._begun
            seconds, sent = self._last - since, self._sent - sent_then
            if seconds < SECONDS or sent < BYTES:
                return None
            full = self._waited / seconds / self._room
            if self._coded - coded_then > _BEHIND * sent:
                full = 1.0
        return Rates(sent / seconds, sent / seconds / min(1.0, max(full, 1 / _AHEAD_MOST)))


def remember(private: PrivateDir, repository: str, rates: Rates) -> None:
    """Keeps what the uplink to a store takes, for a dry run, which sends nothing."""
    path = _path(private, repository)
    fresh = path + b".%d" % os.getpid()
    # Only a figure in a table would be missing.
    with contextlib.suppress(OSError):
        with open(fresh, "w", encoding="ascii") as file:
            json.dump({"uplink": round(rates.uplink)}, file)
        os.replace(fresh, path)


def remembered(private: PrivateDir, repository: str) -> float | None:
    """Gives bytes a second as the latest create has seen them, None where none has."""
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        with open(_path(private, repository), encoding="ascii") as file:
            rate = float(json.loads(file.read(1000))["uplink"])
        return rate if 0 < rate < float("inf") else None
    return None


def _path(private: PrivateDir, repository: str) -> bytes:
    return os.path.join(private.make("uplink"), repository.encode())
