"""Measure how fast this box sends to the store and fetches from it, with a few objects."""

import contextlib
import hashlib
import threading
import time
from collections.abc import Callable
from typing import Any

from . import transfer
from .cancellation import Cancelled
from .errors import WorkerError, as_worker_error
from .protocol import RateRequest
from .serve import Box
from .session import Link

# Of each direction. What did not end by then has shown how fast it is.
_SECONDS = 20.0

Signed = dict[str, Any]
Transfer = Callable[[int, threading.Event, Callable[[int], None]], None]


def run(link: Link, request: RateRequest, _box: Box) -> dict[str, Any]:
    """Send every object and fetch it again; give the fields of `result`. Cancelled, WorkerError."""
    content = [content_of(request.seed, n, request.length) for n in range(len(request.puts))]

    def put(number: int, ended: threading.Event, moved: Callable[[int], None]) -> None:
        signed = request.puts[number]
        outcome = transfer.put(signed, [content[number]], lambda done, _: moved(done), ended)
        if outcome.kind != "stored":
            raise WorkerError("ACCESS_DENIED", f"the store refused an upload ({outcome.detail})")

    def get(number: int, ended: threading.Event, moved: Callable[[int], None]) -> None:
        signed, span = request.gets[number], (0, request.length - 1)
        data = transfer.get(signed, span, None, lambda done, _: moved(done), ended)
        if data != content[number]:
            raise WorkerError("INTEGRITY", "the store gave other bytes than it was sent")

    up, complete = _measured(link, put, len(content))
    down = _measured(link, get, len(content))[0] if complete else None
    return {"up": up, "down": down}


def content_of(seed: str, number: int, length: int) -> bytes:
    """Give bytes that nothing on the way can make smaller; the operator's machine knows them."""
    return hashlib.shake_128(f"{seed} {number}".encode()).digest(length)


def _measured(link: Link, work: Transfer, count: int) -> tuple[int, bool]:
    """Give bytes a second of transfers side by side, and whether all of them ended."""
    ended = threading.Event()
    moved = [0] * count
    failures: list[BaseException] = []

    def one(number: int) -> None:
        def note(done: int) -> None:
            moved[number] = done

        try:
            work(number, ended, note)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=one, args=(n,), daemon=True) for n in range(count)]
    begun = time.monotonic()
    for thread in threads:
        thread.start()
    try:
        while any(thread.is_alive() for thread in threads):
            link.check()
            if time.monotonic() - begun > _SECONDS:
                ended.set()
            with contextlib.suppress(StopIteration):
                next(thread for thread in threads if thread.is_alive()).join(0.05)
    finally:
        ended.set()
    seconds = max(time.monotonic() - begun, 0.001)
    real = [failure for failure in failures if not isinstance(failure, Cancelled)]
    if real:
        raise as_worker_error(real[0])
    return round(sum(moved) / seconds), not failures
