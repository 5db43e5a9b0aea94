"""An engine of a restore.

Fetches stretches of packs, proves and decodes their chunks, writes files.
"""

import contextlib
import os
import queue
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from . import target, transfer
from .cancellation import Flag
from .direct import aligned
from .engine import Message, Port
from .errors import WorkerError
from .frame import decode_ans_with
from .gpu.use import GpuUse
from .metadata import Policy
from .native import BytesLike
from .restore_plan import JOB_BYTES
from .restore_writer import Task, Writer
from .target import Base

if TYPE_CHECKING:
    from .gpu.decoder import AnsDecoder
    from .parity_engine import ChunkRebuild
    from .restore_ahead import Ahead

_TICK_SECONDS = 0.2
# Jobs fetched ahead for each decoder before any of them has waited this long for one.
_AHEAD = 2
_HUNGRY_SECONDS = 0.1
# Their chunks take about what goes to a GPU at a time.
_TOGETHER = 3
# What nearly every job fits into; one with wide gaps between its chunks may not.
JOB_ROOM = JOB_BYTES


class Budget:
    """A bound on bytes held; whoever wants more waits."""

    def __init__(self, most: int) -> None:
        """Allow `most` bytes at a time."""
        self._most = most
        self._free = most
        self._changed = threading.Condition()

    def take(self, count: int) -> int:
        """Wait for room and return how much was taken: at most everything there is."""
        count = min(count, self._most)
        with self._changed:
            self._changed.wait_for(lambda: self._free >= count)
            self._free -= count
        return count

    def give(self, count: int) -> None:
        """Give room back."""
        with self._changed:
            self._free += count
            self._changed.notify_all()


class Gate:
    """How many jobs are fetched ahead of the decoders.

    A few to begin with: where decoding is what takes the time, more would only touch more memory.
    All, twice as many each time, where decoders have nothing to do.
    """

    def __init__(self, first: int, most: int) -> None:
        """Let `first` in, and never more than `most`."""
        self._width = min(first, most)
        self._most = most
        self._inside = self._outside = 0
        self._changed = threading.Condition()

    def enter(self) -> None:
        """Wait for a place."""
        with self._changed:
            self._outside += 1
            self._changed.wait_for(lambda: self._inside < self._width)
            self._outside -= 1
            self._inside += 1

    def leave(self) -> None:
        """Give a place back."""
        with self._changed:
            self._inside -= 1
            self._changed.notify()

    def widen(self) -> None:
        """Let more in, if anyone waits."""
        with self._changed:
            if self._outside and self._width < self._most:
                self._width = min(self._most, 2 * self._width)
                self._changed.notify_all()


class Buffers:
    """Memory for fetched jobs, used again: the latest first, so that little of it is touched.

    A budget bounds how much is in use, each counted as `JOB_ROOM` at least; so no more is kept.
    """

    def __init__(self) -> None:
        """Keep nothing yet."""
        self._kept: list[memoryview] = []
        self._lock = threading.Lock()

    def take(self, count: int) -> memoryview:
        """Return memory of at least so many bytes, with anything in it."""
        with self._lock:
            if count > JOB_ROOM:
                # What is kept would stand beside what the budget grants.
                self._kept.clear()
            elif self._kept:
                return self._kept.pop()
        return memoryview(aligned(max(count, JOB_ROOM)))

    def give(self, memory: memoryview) -> None:
        """Take memory back that nobody looks at any more."""
        with self._lock:
            if len(memory) == JOB_ROOM:
                self._kept.append(memory)


class Engine:
    """The threads of one engine process."""

    def __init__(
        self,
        port: Port,
        number: int,
        settings: dict[str, Any],
        decoder: "AnsDecoder | None" = None,
    ) -> None:
        """`settings`.

        Run, privileges, parts (of this engine), memory (bytes of fetched data), decoders.
        """
        self.port = port
        self.decoder = decoder
        self.first_part = number * settings["parts"]
        self.run_id: str = settings["run"]
        self.policy = Policy.of_this_process(settings["privileges"])
        self.bases: list[int] = []
        self.cancelled: Flag = port.failed
        self.budget = Budget(settings["memory"])
        self.buffers = Buffers()
        self.parts: int = settings["parts"]
        self.decoders: int = settings["decoders"]
        self.gate = Gate(_AHEAD * self.decoders, self.parts + self.decoders)
        self.todo: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
        self.ready: queue.SimpleQueue[Task | Message | None] = queue.SimpleQueue()
        self.shown: dict[int, tuple[int, int, int] | None] = {}
        self.moved = [0, 0]
        self.lock = threading.Lock()
        self.has_parity: bool = settings.get("parity", False)
        self.parity: ChunkRebuild | None = None

    def serve(self) -> None:
        """Work until the coordinator says end."""
        threads = [self._thread(self._fetch, n) for n in range(self.parts)]
        threads += [self._thread(self._decode, n) for n in range(self.decoders)]
        threading.Thread(target=self._tick, daemon=True).start()
        while (message := self.port.inbox.get())[0] != "end":
            self._take(message)
        for _ in range(self.parts):
            self.todo.put(None)
        for thread in threads[: self.parts]:
            thread.join()
        for _ in range(self.decoders):
            self.ready.put(None)
        for thread in threads[self.parts :]:
            thread.join()
        self._show()

    def _thread(self, work: Any, number: int) -> threading.Thread:
        def guarded() -> None:
            # An exception ends the run, not this thread alone.
            try:
                work(number)
            except BaseException as error:
                self.port.fail(error)

        thread = threading.Thread(target=guarded, daemon=True)
        thread.start()
        return thread

    def _take(self, message: Message) -> None:
        if message[0] == "bases":
            self._open_bases(message[1])
        elif message[0] == "answer":
            if self.parity is not None:
                self.parity.take(message)
        elif message[0] == "write":
            task = Task(message[1], *message[2:])
            (self.todo if task.spans else self.ready).put(task)
        else:
            self.ready.put(message)

    def _open_bases(self, bases: list[tuple[bytes, int, int] | None]) -> None:
        for number, found in enumerate(bases):
            if number == len(self.bases):
                self.bases.append(-1)
            if found is not None and self.bases[number] < 0:
                self.bases[number] = target.open_base(Base(*found))

    def _fetch(self, number: int) -> None:
        part = self.first_part + number
        while (task := self.todo.get()) is not None:
            self.gate.enter()
            task.held = self.budget.take(max(task.bytes, JOB_ROOM))
            try:
                self._fetch_spans(task, part)
            except transfer.UrlExpired:
                self.gate.leave()
                self._expired(task)
                continue
            finally:
                with self.lock:
                    self.shown[part] = None
            self.ready.put(task)

    def _expired(self, task: Task) -> None:
        self._clear(task)
        self.port.send(("done", task.number, None))

    def _clear(self, task: Task) -> None:
        """Give back what a task held."""
        task.buffers.clear()
        if task.memory is not None:
            self.buffers.give(task.memory)
            task.memory = None
        self.budget.give(task.held)

    def _fetch_spans(self, task: Task, part: int) -> None:
        total = task.bytes
        before = 0
        memory = task.memory = self.buffers.take(total)
        for span in task.spans:
            length = span[2] - span[1] + 1
            try:
                room = memory[before : before + length]
                task.buffers.append(self._get(task, span, room, part, (before, total)))
            except WorkerError as error:
                if error.code != "INTEGRITY":
                    raise
                # Missing or cut short: its chunks are tried one by one, and those that fail are
                # named.
                task.buffers.append(memoryview(b""))
            before += length
        task.fetched = sum(len(buffer) for buffer in task.buffers)

    def _get(
        self,
        task: Task,
        span: tuple[int, int, int],
        room: memoryview,
        part: int,
        at: tuple[int, int],
    ) -> memoryview:
        before, total = at
        pack, first, last = span
        seen = 0

        def show(done: int, attempt: int) -> None:
            nonlocal seen
            with self.lock:
                self.shown[part] = (before + done, total, attempt)
                self.moved[0] += done - seen
            seen = done

        return transfer.get(task.signed[pack], (first, last), room, show, self.port.failed)

    def _decode(self, _number: int) -> None:
        ahead = self._ahead()
        worker = Writer(self, ahead)
        try:
            while (work := self._next()) is not None:
                if isinstance(work, Task):
                    tasks = [work] if ahead is None else [work, *self._more()]
                    for task in tasks:
                        if task.spans:
                            self.gate.leave()
                    if ahead is not None:
                        ahead.fill(tasks)
                    for task in tasks:
                        self._write(worker, task)
                elif work[0] == "compare":
                    self.port.send(("done", work[1], worker.compare(work[2])))
                else:
                    raise WorkerError("WORKER", f"an engine was told {work[0]!r}")
        finally:
            worker.close()

    def _ahead(self) -> "Ahead | None":
        if self.decoder is None:
            return None
        from .restore_ahead import Ahead  # noqa: PLC0415 - few restores need it

        return Ahead(self.decoder)

    def _more(self) -> Iterator[Task]:
        """Give tasks that are ready, as many as a GPU decodes together besides the first."""
        for _ in range(_TOGETHER - 1):
            try:
                work = self.ready.get_nowait()
            except queue.Empty:
                return
            if not isinstance(work, Task):
                self.ready.put(work)
                return
            yield work

    def _next(self) -> Task | Message | None:
        while True:
            try:
                return self.ready.get(timeout=_HUNGRY_SECONDS)
            except queue.Empty:
                self.gate.widen()

    def _write(self, worker: "Writer", task: Task) -> None:
        try:
            result = worker.write(task)
        except transfer.UrlExpired:
            self._expired(task)
            return
        self._clear(task)
        self.port.send(("done", task.number, result))

    def rebuild(
        self, signed: dict[str, Any], at: int, stored: int, frame_hash: bytes
    ) -> BytesLike | None:
        """Return a frame made from parity; None where there is none.

        WorkerError INTEGRITY where too much is lost.
        """
        if not self.has_parity:
            return None
        with self.lock:
            if self.parity is None:
                from .parity_engine import ChunkRebuild  # noqa: PLC0415 - hardly ever needed

                self.parity = ChunkRebuild(self.port)
        return self.parity.frame(signed["key"], at, stored, frame_hash)

    def wrote(self, count: int) -> None:
        """Take note of raw bytes that are in their files."""
        with self.lock:
            self.moved[1] += count

    def _tick(self) -> None:
        while not self.port.failed.wait(_TICK_SECONDS):
            with contextlib.suppress(OSError):
                self._show()

    def _show(self) -> None:
        with self.lock:
            shown, self.shown = self.shown, {}
            moved, self.moved = self.moved, [0, 0]
        if shown:
            self.port.send(("parts", shown))
        if moved != [0, 0]:
            self.port.send(("moved", *moved))


def run(port: Port, number: int, settings: dict[str, Any]) -> None:
    """Do an engine's part of a restore until the coordinator says end."""
    # Every file made here is told its mode, and is private unless it has its final one already.
    os.umask(0)
    gpu: GpuUse | None = settings.get("gpu")
    if gpu is None:
        Engine(port, number, settings).serve()
        return
    from .gpu.decoder import AnsDecoder  # noqa: PLC0415 - few restores need it

    decoder = AnsDecoder(gpu.setting(number))
    decode_ans_with(decoder)
    try:
        Engine(port, number, settings, decoder).serve()
    finally:
        decoder.close()
