"""The conversation with the operator's machine: JSON lines, heartbeats, and its end."""

import contextlib
import os
import queue
import select
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from . import protocol
from .byte_string import to_json
from .cancellation import Cancelled
from .errors import WorkerError
from .progress import Progress

Request = protocol.Request

# Two seconds after a cancel nothing of the worker may be left; what has not unwound is cut off.
_GRACE_SECONDS = 1.5
_MOST_WARNINGS = 1000
EXIT_CANCELLED = 130


def _cut_off(code: int) -> None:
    os._exit(code)


class Link:
    """Thread-safe messages to and from the operator's machine.

    Everything that waits calls `check()` or looks at `cancelled`, which is set by a cancel
    message, the end of stdin, a broken stdout and 60 s of silence. The process is cut off 1.5 s
    later, whatever it is doing.
    """

    def __init__(
        self,
        source: int,
        sink: int,
        *,
        heartbeat: float = protocol.HEARTBEAT_SECONDS,
        silence: float = protocol.SILENCE_SECONDS,
        cut_off: Callable[[int], None] = _cut_off,
    ) -> None:
        self.progress = Progress()
        self.cancelled = threading.Event()
        self.warnings: Counter[str] = Counter()
        self.notes: Counter[str] = Counter()
        self._source = source
        self._sink = sink
        self._heartbeat = heartbeat
        self._silence = silence
        self._cut_off = cut_off
        self._write_lock = threading.Lock()
        self._lock = threading.Lock()
        self._next_id = 1
        self._pending: dict[int, queue.SimpleQueue[protocol.Reply | None]] = {}
        self._requests: queue.SimpleQueue[Request | None] = queue.SimpleQueue()
        self._busy = False
        self._ended = threading.Event()

    def start(self) -> None:
        """Starts the reading task, the ticker, and what cuts the process off in the end."""
        for task in (self._read, self._tick, self._await_end):
            threading.Thread(target=task, name=task.__name__, daemon=True).start()

    @property
    def has_request(self) -> bool:
        """Whether `next_request` would not wait."""
        return not self._requests.empty()

    def next_request(self) -> Request | None:
        """Waits for the next request; None when the session is over."""
        return self._requests.get()

    def check(self) -> None:
        """Raises Cancelled once the session is over."""
        if self.cancelled.is_set():
            raise Cancelled

    def send(self, type_: str, **fields: object) -> None:
        """Sends one message; after the end of the session it is dropped."""
        line = protocol.encode(type_, **fields)
        with self._write_lock:
            view = memoryview(line)
            while view and not self._ended.is_set():
                try:
                    view = view[os.write(self._sink, view) :]
                except OSError:
                    self._ended.set()
        if self._ended.is_set():
            self.stop()

    def request(self, type_: str, patience: float = 120.0, **fields: object) -> dict[str, Any]:
        """Asks and waits at most `patience` seconds; raises Cancelled or WorkerError."""
        self.check()
        answers: queue.SimpleQueue[protocol.Reply | None] = queue.SimpleQueue()
        with self._lock:
            number = self._next_id
            self._next_id += 1
            self._pending[number] = answers
        try:
            # A stop between the check above and this line has not seen the queue just registered.
            self.check()
            self.send(type_, id=number, **fields)
            reply = answers.get(timeout=patience)
        except queue.Empty:
            raise WorkerError(
                "UNREACHABLE",
                f"the operator's machine did not answer `{type_}` for {patience:.0f} s",
            ) from None
        finally:
            with self._lock:
                del self._pending[number]
        if reply is None:
            raise Cancelled
        if reply.error is not None:
            raise WorkerError(*reply.error)
        return reply.fields

    def warn(self, code: str, path: bytes, message: str) -> None:
        """Tells of something that makes the result incomplete; only the first 1000 are sent."""
        with self._lock:
            sent = self.warnings.total() < _MOST_WARNINGS
            self.warnings[code] += 1
        if sent:
            self.send("warning", code=code, path=to_json(path), message=message[:1000])

    def note(self, code: str, path: bytes) -> None:
        """Counts something that is left out on purpose."""
        with self._lock:
            self.notes[code] += 1

    def stop(self) -> None:
        """Ends the session: wakes every waiter, cuts the process off after the grace."""
        if self.cancelled.is_set():
            return
        self.cancelled.set()
        with self._lock:
            waiting = list(self._pending.values())
        for answers in waiting:
            answers.put(None)
        self._requests.put(None)

    def finish(self, answer: Callable[[], None]) -> None:
        """Ends one request: says what is still unsaid, makes room for the next, answers."""
        unsaid = self.warnings.total() - _MOST_WARNINGS
        if unsaid > 0:
            self.send("warning", code="more", path="", message="more warnings", count=unsaid)
        self._send_progress()
        self.progress.reset()
        with self._lock:
            self.warnings = Counter()
            self.notes = Counter()
            # Before the answer: whoever has it may ask the next thing at once.
            self._busy = False
        answer()

    def _tick(self) -> None:
        last = time.monotonic()
        while not self.cancelled.wait(0.2):
            with contextlib.suppress(WorkerError):
                self._send_progress()
            if time.monotonic() - last >= self._heartbeat:
                last = time.monotonic()
                self.send("heartbeat")

    def _await_end(self) -> None:
        # Not a timer of the end: where memory is short, no thread can be started any more.
        self.cancelled.wait()
        time.sleep(_GRACE_SECONDS)
        self._cut_off(EXIT_CANCELLED)

    def _send_progress(self) -> None:
        fields = self.progress.take()
        if fields is not None:
            self.send("progress", **fields)

    def _read(self) -> None:
        buffer = bytearray()
        try:
            while not self.cancelled.is_set():
                ready, _, _ = select.select([self._source], [], [], self._silence)
                if not ready:
                    print("no sign of life from the operator's machine", file=sys.stderr)
                    break
                data = os.read(self._source, 1 << 16)
                if not data:
                    break
                buffer += data
                self._take_lines(buffer)
        except (OSError, WorkerError) as error:
            print(f"the session broke: {error}", file=sys.stderr)
        finally:
            self.stop()

    def _take_lines(self, buffer: bytearray) -> None:
        start = 0
        while (end := buffer.find(b"\n", start)) >= 0:
            line = bytes(buffer[start:end])
            start = end + 1
            if line.strip():
                self._take(line)
        del buffer[:start]
        if len(buffer) > protocol.LINE_LIMIT:
            raise WorkerError("WORKER", "a line from the operator's machine is over the limit")

    def _take(self, line: bytes) -> None:
        try:
            message = protocol.parse(line)
        except WorkerError as error:
            number = protocol.request_id(line)
            if number is None:
                raise
            self.send("error", to=number, code=error.code, message=str(error))
            return
        if isinstance(message, protocol.Reply):
            with self._lock:
                answers = self._pending.get(message.to)
            # A reply that comes after its time-out has nobody left to read it.
            if answers is not None:
                answers.put(message)
        elif isinstance(message, protocol.Cancel):
            self.stop()
        elif not isinstance(message, protocol.Heartbeat):
            self._accept(message)

    def _accept(self, message: Request) -> None:
        with self._lock:
            refused = self._busy
            self._busy = True
        if refused:
            busy = "one request at a time: another is still running"
            self.send("error", to=message.id, code="LOCKED", message=busy)
        else:
            self._requests.put(message)
