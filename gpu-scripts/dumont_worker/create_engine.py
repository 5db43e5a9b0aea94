"""An engine of a create: compute threads read, encode and pack, uploader threads send."""

import itertools
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from .chunk_store import Add, ChunkStore
from .codecs.base import Encoded
from .codecs.choose import encode_chunk
from .create_messages import Bundle, Chunk, MadeGroup, StoredPack, Stretch
from .engine import Message, Port
from .engine_desk import EngineDesk
from .engine_meter import Meter
from .gpu.use import GpuUse
from .native import BytesLike
from .pack_builder import BufferPool, PackBuilder, SealedPack
from .parity_create import ClosedGroup, EngineParity
from .seal import RunSeal, Sealer
from .transfer import OnProgress
from .unit_reader import UnitReader
from .upload import upload

if TYPE_CHECKING:
    from .gpu.batch import Batch
    from .gpu.codec import GpuCodec

_BEHIND = 3
"""Packs of an engine on their way at once, or half of what may be if that is more: with fewer, the
link is the one that waits. A store that is busy lags by a few for a moment."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the coordinator decides for its engines; sizes in bytes."""

    threads: int
    parts: tuple[int, ...]
    """Upload slots of every engine."""
    buffers: int
    pack_size: int
    codec: str
    level: int
    """The highest zstd level; a link that keeps up gets level 1."""
    pin: str
    seal: RunSeal | None
    parity: int
    """Parity objects of each group of packs."""
    gpu: GpuUse | None


def run(port: Port, number: int, settings: dict[str, Any]) -> None:
    """Works until told to end; see engine.Role."""
    engine = _Engine(port, number, Settings(**settings))
    try:
        engine.run()
    finally:
        engine.close()


class _Engine:
    def __init__(self, port: Port, number: int, settings: Settings) -> None:
        self._port = port
        self._slots = settings.parts[number]
        self._first_part = sum(settings.parts[:number])
        self._settings = settings
        self._desk = EngineDesk(port)
        self._meter = Meter(port, self._slots)
        self._units: queue.SimpleQueue[Bundle | Stretch] = queue.SimpleQueue()
        self._sealed: queue.SimpleQueue[SealedPack] = queue.SimpleQueue()
        self._pool = BufferPool(settings.buffers, settings.pack_size)
        self._numbers = itertools.count()
        self._lock = threading.Condition()
        self._gpu = _gpu_codec(port, number, settings.gpu)
        self._unsent = 0
        self._on_the_way = 0
        self._behind = max(_BEHIND, self._slots // 2)
        self._level = settings.level
        self._chunks: dict[int, list[Chunk]] = {}
        self._parity = (
            EngineParity(settings.parity, settings.pack_size, port.failed)
            if settings.parity
            else None
        )
        sealer = Sealer(settings.seal) if settings.seal is not None else None
        self._builders = [
            PackBuilder(self._pool, settings.pin, self._next_pack, self._send_later, sealer)
            for _ in range(settings.threads)
        ]

    def run(self) -> None:
        self._port.divert(self._take)
        self._meter.start()
        for builder in self._builders:
            self._start(partial(self._compute, builder))
        for slot in range(self._slots):
            self._start(partial(self._upload, slot))
        while True:
            # Units and answers are taken on the port's thread; what is left are orders.
            message = self._port.inbox.get()
            if self._take(message):
                continue
            if message[0] == "end":
                return
            if message[0] == "flush":
                self._flush()

    def _batch(self, add: Add) -> "Batch | None":
        if self._gpu is None:
            return None
        from .gpu.batch import Batch  # noqa: PLC0415 - few engines need it

        return Batch(self._gpu, add)

    def close(self) -> None:
        """Leaves no GPU process behind."""
        if self._gpu is not None:
            self._gpu.close()

    def _start(self, task: Callable[[], None]) -> None:
        def guarded() -> None:
            try:
                task()
            except BaseException as error:
                self._port.fail(error)

        threading.Thread(target=guarded, daemon=True).start()

    def _take(self, message: Message) -> bool:
        if message[0] == "unit":
            self._units.put(message[1])
            return True
        return self._desk.take(message)

    def _next_pack(self) -> int:
        number = next(self._numbers)
        with self._lock:
            self._chunks[number] = []
            self._unsent += 1
        return number

    def _send_later(self, sealed: SealedPack) -> None:
        self._count_on_the_way(1)
        self._sealed.put(sealed)

    def _count_on_the_way(self, step: int) -> None:
        """What a slow link has no use for is the processors' time, a fast one's is the bytes."""
        with self._lock:
            self._on_the_way += step
            behind = self._on_the_way >= self._behind
            if step < 0 or behind:
                self._level = self._settings.level if behind else 1

    def _flush(self) -> None:
        """Sends all that is packed; no unit is in work then."""
        for builder in self._builders:
            builder.seal()
        with self._lock:
            while self._unsent and not self._port.failed.is_set():
                self._lock.wait(0.5)
        if self._parity is not None and not self._port.failed.is_set():
            self._send_parity(0, self._parity.close())
        self._meter.flush()
        library = self._gpu.library if self._gpu is not None else None
        self._port.send(("flushed", library and library.requirement()))

    def _upload(self, slot: int) -> None:
        while True:
            sealed = self._sealed.get()
            with self._lock:
                chunks = tuple(self._chunks.pop(sealed.number))
            wanted = {
                "kind": "pack",
                "part": self._first_part + slot,
                "length": sealed.length,
                "pin": {"kind": sealed.pin_kind, "value": sealed.pin_value},
            }
            content = sealed.content()
            group = self._sum(sealed.number, content)
            key = upload(
                self._desk,
                wanted,
                [content],
                partial(self._meter.part, slot, sealed.length),
                self._port.failed,
            )
            content.release()
            self._pool.give_back(sealed.buffer)
            self._meter.idle(slot)
            self._count_on_the_way(-1)
            what = (sealed.length, sealed.pin_kind, sealed.pin_value, chunks, sealed.seal)
            self._port.send(("stored", StoredPack(sealed.number, key, *what)))
            self._send_parity(slot, group)
            with self._lock:
                self._unsent -= 1
                self._lock.notify_all()

    def _sum(self, number: int, content: memoryview) -> ClosedGroup | None:
        return None if self._parity is None else self._parity.add(number, content)

    def _send_parity(self, slot: int, group: ClosedGroup | None) -> None:
        """Sends what a full group adds up to."""
        if self._parity is None or group is None:
            return

        def show(length: int) -> OnProgress:
            self._meter.idle(slot)
            self._meter.add(0, length)
            return partial(self._meter.part, slot, length)

        part, pin = self._first_part + slot, self._settings.pin
        sent = group.send(self._desk, part, pin, show, self._port.failed)
        self._meter.idle(slot)
        self._parity.sent()
        told = tuple((one.key, one.length, one.pin_kind, one.pin_value) for one in sent)
        self._port.send(("group", MadeGroup(tuple(group.numbers), told)))

    def _compute(self, builder: PackBuilder) -> None:
        """One compute thread: unit after unit."""

        def note(chunk: Chunk) -> None:
            with self._lock:
                self._chunks[chunk.pack].append(chunk)
            reader.chunks.append(chunk)
            self._meter.add(chunk.raw, chunk.stored)

        def encode(data: BytesLike, width: int | None) -> Encoded:
            return encode_chunk(data, width, self._settings.codec, self._level)

        store = ChunkStore(self._desk, builder, encode, note, self._batch)
        reader = UnitReader(self._desk, store.store, store.flush)
        while True:
            done = reader.read(self._units.get())
            self._meter.add(reader.uncounted + store.passed, 0)
            store.passed = 0
            self._port.send(("done", done))


def _gpu_codec(port: Port, number: int, use: GpuUse | None) -> "GpuCodec | None":
    if use is None:
        return None
    from .gpu.codec import GpuCodec  # noqa: PLC0415 - few engines need it

    return GpuCodec(use.setting(number), use.codec, lambda message: port.send(("gpu", message)))
