"""The life of a GPU process: does what it is asked until the worker closes the channel.

Less memory than needed is answered, and fewer buffers go at a time; after any other trouble with
the library this process has nothing to say that could be believed, so it tells and ends.
"""

import contextlib
import fcntl
import os
import signal
import socket
from collections.abc import Callable, Sequence
from typing import Any

from ..native import BytesLike, blake3
from .area import Area, Span
from .channel import Channel, Message
from .container import describe
from .errors import GpuFault
from .nvcomp import Nvcomp
from .payload import put_together, take_apart
from .pinning import pin
from .ways import PINNED


def main(descriptor: int, parent: int) -> int:
    """Serves the channel behind `descriptor` for the worker with process id `parent`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    channel = Channel(socket.socket(fileno=descriptor))
    try:
        start = channel.receive()
        _hang_on(start["lifeline"])
        if os.getppid() != parent:
            return 1
        server = _Server(start)
        channel.send({"version": server.gpu.library.version, "cuda": server.gpu.library.cuda})
        while True:
            channel.send(server.answer(channel.receive()))
    except GpuFault as fault:
        # The end of the channel is the usual end; nobody is left to be told.
        if fault.kind != "crash":
            with contextlib.suppress(GpuFault):
                channel.send({"fault": fault.kind, "message": fault.message})
    # Tearing a CUDA context down may hang, and there is nothing to be saved.
    os._exit(0)


def _hang_on(lifeline: int) -> None:
    """Has the kernel end this process with the worker, which alone holds the pipe's other end.

    No thread could see to it while the library hangs with the interpreter's lock, and the kernel's
    signal at the parent's death comes at the death of the thread that started this process.
    """
    signal.signal(signal.SIGIO, signal.SIG_DFL)
    fcntl.fcntl(lifeline, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(lifeline, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)
    with contextlib.suppress(BlockingIOError):
        os.read(lifeline, 1)
        os._exit(1)


class _Server:
    def __init__(self, start: Message) -> None:
        self._area = Area.of(start["area"], start["room"])
        self.gpu = Nvcomp(start["directory"])
        if PINNED:
            for half in (self._area.asked, self._area.answer):
                pin(half.whole)
        self._deeds: dict[str, Callable[[list[list[Any]]], list[Any]]] = {
            "encode": self._encode,
            "encode all": self._encode_all,
            "decode": self._decode,
            "digest": self._digest,
        }

    def answer(self, request: Message) -> Message:
        self._area.answer.clear()
        return {"items": self._deeds[request["do"]](request["items"])}

    def _encode(self, items: list[list[Any]]) -> list[Span | None]:
        """Items are [kind, at, length]; None where coding gains nothing or memory is short."""
        return [
            None if made is None or len(made) >= item[2] else self._area.answer.put(made)
            for made, item in zip(self._encoded(items), items, strict=True)
        ]

    def _encode_all(self, items: list[list[Any]]) -> list[Span | None]:
        """The same, with what has grown as well: for the self-test, of one buffer at a time."""
        return [
            None if made is None else self._area.answer.put(made) for made in self._encoded(items)
        ]

    def _encoded(self, items: list[list[Any]]) -> list[bytes | None]:
        buffers = [(kind, self._area.asked.get(Span(at, length))) for kind, at, length in items]
        return _by_kind(self.gpu.encode, buffers)

    def _decode(self, items: list[list[Any]]) -> list[Span | None]:
        raws = self._decoded(items)
        return [None if raw is None else self._area.answer.put(raw) for raw in raws]

    def _digest(self, items: list[list[Any]]) -> list[str | None]:
        return [None if raw is None else blake3(raw).hex() for raw in self._decoded(items)]

    def _decoded(self, items: list[list[Any]]) -> list[BytesLike | None]:
        """Items are [transform, raw length, at, length] of `ans` payloads."""
        asked = [self._area.asked.get(Span(at, length)) for _, _, at, length in items]
        parts = [
            take_apart(payload, transform, raw_length)
            for payload, (transform, raw_length, _, _) in zip(asked, items, strict=True)
        ]
        coded = [(part.kind, part.body) for chunk in parts for part in chunk if part.kind]
        try:
            decoded = iter(_by_kind(self.gpu.decode, coded))
        except GpuFault as fault:
            seen = describe(coded[0][1]) if coded else "nothing coded"
            raise GpuFault(fault.kind, f"{fault.message} (given {seen})") from fault
        raws: list[BytesLike | None] = []
        for chunk, (transform, raw_length, _, _) in zip(parts, items, strict=True):
            made = [next(decoded) if part.kind else part.body for part in chunk]
            whole = [body for body in made if body is not None]
            full = len(whole) == len(made)
            raws.append(put_together(whole, transform, raw_length) if full else None)
        return raws


def _by_kind(
    code: Callable[[str, Sequence[BytesLike]], list[bytes]],
    buffers: Sequence[tuple[str | None, memoryview]],
) -> list[bytes | None]:
    """Codes buffers of several kinds, those of one kind in one call; keeps their order."""
    results: list[bytes | None] = [None] * len(buffers)
    for kind in sorted({kind for kind, _ in buffers if kind}):
        places = [index for index, (own, _) in enumerate(buffers) if own == kind]
        bodies = [buffers[index][1] for index in places]
        for index, made in zip(places, _as_fits(code, kind, bodies), strict=True):
            results[index] = made
    return results


def _as_fits(
    code: Callable[[str, Sequence[BytesLike]], list[bytes]], kind: str, bodies: list[memoryview]
) -> list[bytes | None]:
    """Codes all at once, else half and half: the operator's own job may hold the memory."""
    try:
        return [*code(kind, bodies)]
    except GpuFault as fault:
        if fault.kind != "memory":
            raise
    if len(bodies) == 1:
        return [None]
    middle = len(bodies) // 2
    return [*_as_fits(code, kind, bodies[:middle]), *_as_fits(code, kind, bodies[middle:])]
