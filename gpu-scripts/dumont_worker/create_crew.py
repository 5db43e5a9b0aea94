"""The engines of one create: hands units out, answers questions, takes what comes back."""

import queue
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from .chunk_table import ChunkTable
from .create_messages import BundleDone, MadeGroup, StoredPack, StretchDone
from .create_source import UnitSource, Work
from .create_window import Slot
from .errors import WorkerError
from .gpu.uplink import Watch
from .gpu.use import GpuUse
from .journal import Journal
from .memory_plan import MemoryPlan
from .operator_desk import OperatorDesk
from .parity_create import GroupLedger
from .protocol import CreateRequest
from .session import Link

if TYPE_CHECKING:
    from .engine_pool import EnginePool, Message


class Crew:
    """Engines start with the first unit: a create that finds nothing new needs none.

    Questions are answered on the engines' threads; what they have done is taken on the main thread.
    """

    def __init__(
        self,
        link: Link,
        request: CreateRequest,
        plan: MemoryPlan,
        native: str | None,
        gpu: GpuUse | None,
    ) -> None:
        self.nvidia: dict[str, Any] | None = None
        """The library that coded on a GPU, as the manifest records it."""
        self.groups: GroupLedger | None = None
        """Who hears of packs and their groups; set before the first unit."""
        self._link = link
        self._native = native
        self._plan = plan
        self._request = request
        self._gpu = gpu
        self._gone = 0
        # One unit more than threads, so that none waits for the next.
        self._credits = plan.threads + 1
        self._in_work = [0] * plan.engines
        self._events: queue.SimpleQueue[tuple[int, Message]] = queue.SimpleQueue()
        self._pool: EnginePool | None = None
        self._flushed = 0
        self._warned = False

    def attend(
        self,
        source: UnitSource,
        table: ChunkTable,
        journal: Journal,
        desk: OperatorDesk,
        watch: Watch,
    ) -> None:
        """Says whom answers go to; before the first unit."""
        self._source = source
        self._table = table
        self._journal = journal
        self._desk = desk
        self._watch = watch
        desk.start(lambda error: self._events.put((0, ("failed", error))))

    @property
    def is_idle(self) -> bool:
        """Whether no unit is in work."""
        return not any(self._in_work)

    @property
    def is_full(self) -> bool:
        """Whether every engine has what it can take."""
        return min(self._in_work) >= self._credits

    def hand_out(self, source: UnitSource) -> None:
        """Gives units to engines as long as both are there."""
        while not self.is_full:
            unit = source.next()
            if unit is None:
                return
            self._send(unit)

    def take_answers(self, wait: bool) -> None:
        """Takes all answers that are there; with `wait`, waits up to 0.2 s for the first."""
        try:
            self._take(*self._events.get(timeout=0.2 if wait else 0.0))
            while True:
                self._take(*self._events.get_nowait())
        except queue.Empty:
            return

    def finish(self) -> None:
        """Has everything sent that is packed, and ends the engines; no unit is in work then."""
        if self._pool is None:
            return
        for engine in range(self._plan.engines):
            self._pool.send(engine, ("flush",))
        while self._flushed < self._plan.engines:
            self._link.check()
            self.take_answers(wait=True)
        self._pool.close()

    def change(self, plan: MemoryPlan, gpu: GpuUse | None) -> None:
        """Goes on with other engines, which start with the next unit. `finish` comes first."""
        # Packs are known by the engine that made them: no two may share a number.
        self._gone += self._plan.engines
        self._plan, self._gpu, self._pool = plan, gpu, None
        self._credits = plan.threads + 1
        self._in_work = [0] * plan.engines
        self._flushed = 0

    def kill(self) -> None:
        """Ends the engines at once."""
        if self._pool is not None:
            self._pool.kill()

    def _send(self, unit: Work) -> None:
        if self._pool is None:
            self._link.progress.phase("transfer")
            self._pool = self._start()
        engine = self._in_work.index(min(self._in_work))
        self._in_work[engine] += 1
        self._watch.saw(unit)
        self._pool.send(engine, ("unit", unit))

    def _start(self) -> "EnginePool":
        from .create_engine import Settings  # noqa: PLC0415 - often there is nothing to be done
        from .engine_pool import EnginePool  # noqa: PLC0415

        plan, request = self._plan, self._request
        settings = Settings(
            threads=plan.threads,
            parts=plan.parts,
            buffers=plan.buffers,
            pack_size=plan.pack_size,
            codec="none" if request.codec == "none" else "auto",
            level=request.level,
            pin=request.pin,
            seal=request.seal,
            parity=request.parity,
            gpu=self._gpu,
        )
        told = {one.name: getattr(settings, one.name) for one in fields(Settings)}
        return EnginePool(plan.engines, "create", told, self._on_message, self._native)

    def _on_message(self, engine: int, message: "Message") -> None:
        """Answers at once, on the engine's thread, or keeps it for `take_answers`."""
        kind = message[0]
        if kind == "claim":
            self._answer(engine, message[1], self._table.claim(message[2]))
        elif kind == "differ":
            self._answer(engine, message[1], self._table.claim(message[2], whole=False))
        elif kind == "base":
            self._answer(engine, message[1], self._table.standing(*message[2]))
        elif kind == "known":
            self._answer(engine, message[1], self._table.known(message[2]))
        elif kind in ("sign", "settle"):
            ticket = message[1]
            self._desk.ask(kind, message[2], lambda value: self._answer(engine, ticket, value))
        elif kind == "progress":
            self._show(engine, *message[1:])
        else:
            self._events.put((self._gone + engine, message))

    def _answer(self, engine: int, ticket: int, value: object) -> None:
        if self._pool is None:
            raise WorkerError("WORKER", "an engine spoke before it was started")
        self._pool.send(engine, ("answer", ticket, value))

    def _show(
        self,
        engine: int,
        raw: int,
        stored: int,
        transferred: int,
        states: dict[int, tuple[int, int, int] | None],
    ) -> None:
        progress = self._link.progress
        progress.add(raw=raw, stored=stored, transferred=transferred)
        self._watch.count(stored, transferred)
        for slot, state in states.items():
            part = self._plan.first_part(engine) + slot
            if state is None:
                progress.idle(part)
            else:
                progress.part(part, *state)

    def _take(self, engine: int, message: "Message") -> None:
        kind, value = message[0], message[1] if len(message) > 1 else None
        if kind == "failed":
            raise value if isinstance(value, BaseException) else WorkerError("WORKER", str(value))
        if kind == "done":
            self._in_work[engine - self._gone] -= 1
            self._take_done(engine, value)
        elif kind == "stored":
            self._take_stored(engine, value)
        elif kind == "group":
            self._take_group(engine, value)
        elif kind == "flushed":
            self._flushed += 1
            self.nvidia = value or self.nvidia
        elif kind == "gpu":
            self._warn_of_gpu(str(value))
        else:
            raise WorkerError("WORKER", f"an engine sent an unknown message: {kind}")

    def _warn_of_gpu(self, message: str) -> None:
        """Tells the first trouble of all GPUs; every one ends in the CPU's codec."""
        if not self._warned:
            self._warned = True
            self._link.warn("gpu", b"", message)

    def _take_done(self, engine: int, done: Any) -> None:
        table = self._table
        table.locate("own", engine, done.chunks)
        table.count_new(done.chunks)
        if isinstance(done, BundleDone):
            for file in done.files:
                slot = self._source.finish_small(file)
                covered = sum([span.length for span in file.spans])
                # Spans with holes between them are no place for a file that has none.
                if self._note(slot) and covered == slot.entry.size:
                    table.learn(file.hash, file.spans)
        elif isinstance(done, StretchDone):
            finished = self._source.finish_stretch(done)
            if finished is not None and self._note(finished):
                # Holes were passed over unread; the total counts them.
                read = sum([span.length for span in finished.spans])
                self._link.progress.add(raw=finished.entry.size - read)
            self._link.progress.add(raw=-self._source.wasted)
            self._source.wasted = 0

    def _note(self, slot: Slot) -> bool:
        """Puts a file that was read into the journal; False when it was left out or is not done."""
        if not slot.ready or slot.dropped:
            return False
        if slot.content is not None and not slot.torn:
            self._journal.add_file(slot.entry, slot.content, slot.spans)
        return True

    def _take_stored(self, engine: int, pack: Any) -> None:
        if not isinstance(pack, StoredPack):
            raise WorkerError("WORKER", "an engine sent a malformed message")
        self._table.stored(engine, pack)
        self._journal.add_pack(pack)
        if self.groups is not None:
            self.groups.stored(engine, pack)

    def _take_group(self, engine: int, group: Any) -> None:
        if self.groups is None or not isinstance(group, MadeGroup):
            raise WorkerError("WORKER", "an engine sent a malformed message")
        self.groups.made(engine, group)
