"""Several threads at one piece of work."""

import threading
from collections.abc import Callable

from .errors import WorkerError, as_worker_error
from .session import Link


class Team:
    """Threads that end together: the first that fails ends all, as does the operator."""

    def __init__(self, link: Link) -> None:
        """Make a team for one piece of work."""
        self.ended = threading.Event()
        """Set when there is nothing more to do; every thread looks at it between two steps."""
        self._link = link
        self._failure: WorkerError | None = None

    def work(self, count: int, job: Callable[[int], None]) -> None:
        """Give the job to so many threads, each with its number, and wait until all have returned.

        Raises what the first of them failed with; Cancelled, with threads that may still be at a
        step.
        """
        threads = [
            threading.Thread(target=self._guarded, args=(job, number), daemon=True)
            for number in range(count)
        ]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                while thread.is_alive():
                    thread.join(0.1)
                    self._link.check()
        finally:
            self.ended.set()
        if self._failure is not None:
            raise self._failure

    def _guarded(self, job: Callable[[int], None], number: int) -> None:
        try:
            job(number)
        except BaseException as error:
            self._failure = self._failure or as_worker_error(error)
            self.ended.set()
