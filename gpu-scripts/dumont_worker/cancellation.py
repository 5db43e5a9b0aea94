"""How every waiting thing learns that the session is over."""

from typing import Protocol


class Cancelled(Exception):
    """The session is over: unwind, remove temporary files, say nothing."""


class Flag(Protocol):
    """What threading.Event offers to those who only look."""

    def is_set(self) -> bool:
        """Whether to stop."""
        ...

    def wait(self, timeout: float | None = None) -> bool:
        """Sleeps until the flag is set or the time is over; True when set."""
        ...
