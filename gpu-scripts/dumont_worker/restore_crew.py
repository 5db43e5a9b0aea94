"""The engines of a restore.

Jobs go to the one with least to do, results come back as calls on the main thread.
"""

import queue
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from .engine_pool import Message, Role
from .errors import WorkerError
from .memory_plan import ENGINES_A_GPU
from .restore_plan import JOB_BYTES
from .session import Link

if TYPE_CHECKING:
    from .parity_desk import ParityDesk

OnResult = Callable[[Any], None]


class Pool(Protocol):
    """What a crew needs of an EnginePool."""

    def send(self, engine: int, message: Message) -> None:
        """Send one message to one engine."""
        ...

    def kill(self) -> None:
        """End the engines at once."""
        ...


OnMessage = Callable[[int, Message], None]
StartPool = Callable[[int, Role, dict[str, Any], OnMessage, str | None], Pool]
Job = tuple[Any, ...]

# The link is looked at this often while engines are busy.
_LOOK_SECONDS = 0.1
# Memory of a process before it holds any data: interpreter, modules and, where planes are decoded,
# numpy.
_PROCESS_BYTES = 40 << 20
# Raw and scratch buffers of a decoding thread: a 4 MiB chunk, its planes and its copy, the base of
# a difference and its frame.
_DECODER_BYTES = 24 << 20
DECODERS = 2
# A job holds at most 8 MiB of frames and one more chunk; less memory than that would never let it
# start.
LEAST_BUFFER = 16 << 20
_MOST_ENGINES = 8
# A process that decodes on a GPU, and the memory it shares; and what an engine should have besides.
_GPU_BYTES = 288 << 20
_BESIDE_GPU = 192 << 20
# Four sums of a chunk's frame, what is solved of them, and what is fetched and proven.
_REBUILD_BYTES = 40 << 20


def beside_gpus(cpus: int, memory: int, gpus: int) -> tuple[int, int]:
    """Return how many engines there may be at most, and what memory their decoders leave them."""
    if gpus == 0:
        return cpus, memory
    engines = min(cpus, _MOST_ENGINES, ENGINES_A_GPU * gpus)
    while engines > 1 and memory < engines * (_GPU_BYTES + _BESIDE_GPU):
        engines -= 1
    return engines, memory - engines * _GPU_BYTES


def beside_parity(engines: int, memory: int) -> int:
    """Return what memory making chunks again leaves, where that is enough."""
    left = memory - engines * _REBUILD_BYTES
    return left if buffer_bytes(engines, left) >= LEAST_BUFFER else memory


def engine_count(cpus: int, parts: int, memory: int) -> int:
    """Return how many engines to start; WorkerError USAGE when the memory is too small for one."""
    count = max(1, min(cpus, _MOST_ENGINES, parts))
    while count > 1 and buffer_bytes(count, memory) < LEAST_BUFFER:
        count -= 1
    if buffer_bytes(count, memory) < LEAST_BUFFER:
        raise WorkerError("USAGE", "too little memory to restore", "give --memory 256MiB or more")
    return count


def buffer_bytes(engines: int, memory: int) -> int:
    """Return how many fetched bytes each of several engines could hold within the memory."""
    return (memory - _PROCESS_BYTES) // engines - _PROCESS_BYTES - DECODERS * _DECODER_BYTES


def engine_settings(count: int, parts: int, memory: int) -> dict[str, int]:
    """Return the share of each of several engines: connections, decoding threads, bytes held."""
    own = -(-parts // count)
    # One job in every connection and one waiting for every decoder; more would only cost memory.
    useful = (own + DECODERS) * JOB_BYTES
    held = max(LEAST_BUFFER, min(buffer_bytes(count, memory), useful))
    return {"parts": own, "decoders": DECODERS, "memory": held}


class Crew:
    """Engine processes, started with the first job at the latest; used from one thread."""

    def __init__(
        self, link: Link, count: int, settings: dict[str, Any], native: str | None, start: StartPool
    ) -> None:
        """`start` makes the pool; `settings` are those of `engine_settings` and more."""
        self.parity: ParityDesk | None = None
        """Where engines learn of groups."""
        self._link = link
        self._count = count
        self._settings = settings
        self._native = native
        self._start = start
        # One job in every connection, and one waiting for every decoder.
        self._most: int = count * (settings["parts"] + settings["decoders"])
        self._pool: Pool | None = None
        self._events: queue.SimpleQueue[tuple[int, Message]] = queue.SimpleQueue()
        self._waiting: dict[int, tuple[int, int, OnResult]] = {}
        self._load = [0] * count
        self._next = 0
        self._greeting: Message | None = None

    def start(self) -> None:
        """Start the engines now, so that they are ready when there is work."""
        self._started()

    def tell_all(self, message: Message) -> None:
        """Send something to every engine, also to those that start later.

        The last such message counts.
        """
        self._greeting = message
        if self._pool is not None:
            for engine in range(self._count):
                self._pool.send(engine, message)

    def submit(self, kind: str, job: Job, weight: int, on_result: OnResult) -> None:
        """Hand out a job, waiting until there is room; Cancelled, or the failure of an engine."""
        while len(self._waiting) >= self._most:
            self._take_event()
        self._take_events()
        pool = self._started()
        engine = self._load.index(min(self._load))
        number = self._next
        self._next += 1
        self._waiting[number] = (engine, weight, on_result)
        self._load[engine] += weight
        pool.send(engine, (kind, number, *job))

    @property
    def room(self) -> bool:
        """Whether another job would start at once."""
        return len(self._waiting) < self._most

    @property
    def busy(self) -> bool:
        """Whether any job has no result yet."""
        return bool(self._waiting)

    def wait(self) -> None:
        """Wait for one result."""
        self._take_event()

    def drain(self) -> None:
        """Wait until every job has its result; callbacks may submit more."""
        while self._waiting:
            self._take_event()

    def kill(self) -> None:
        """End the engines at once: every job that counts has its result, or all is lost."""
        if self._pool is not None:
            self._pool.kill()
            self._pool = None

    def _started(self) -> Pool:
        if self._pool is None:
            self._pool = self._start(
                self._count,
                "restore",
                self._settings,
                lambda engine, message: self._events.put((engine, message)),
                self._native,
            )
            if self._greeting is not None:
                self.tell_all(self._greeting)
        return self._pool

    def _take_events(self) -> None:
        """Act on what has come, without waiting.

        Engines tell of their progress for a while after their last result.
        """
        self._link.check()
        while True:
            try:
                event = self._events.get_nowait()
            except queue.Empty:
                return
            self._handle(*event)

    def _take_event(self) -> None:
        while True:
            self._link.check()
            try:
                event = self._events.get(timeout=_LOOK_SECONDS)
            except queue.Empty:
                continue
            if self._handle(*event):
                return

    def _handle(self, sender: int, message: Message) -> bool:
        """Act on one message; True when it was a job's result."""
        if message[0] == "failed":
            failure: WorkerError = message[1]
            raise failure
        if message[0] == "parts":
            for part, state in message[1].items():
                if state is None:
                    self._link.progress.idle(part)
                else:
                    self._link.progress.part(part, *state)
            return False
        if message[0] == "moved":
            self._link.progress.add(transferred=message[1], raw=message[2])
            return False
        if message[0] == "group":
            found = self.parity.find(*message[2]) if self.parity is not None else None
            self._started().send(sender, ("answer", message[1], found))
            return False
        if message[0] == "rebuilt":
            if self.parity is not None:
                self.parity.tell(message[1])
            return False
        engine, weight, on_result = self._waiting.pop(message[1])
        self._load[engine] -= weight
        on_result(message[2])
        return True
