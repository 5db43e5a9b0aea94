"""Read packs of a snapshot and say what is wrong with them.

That is this box's word: it saves the operator's machine the reading, and proves nothing to it.
"""

import queue
import threading
import time
from contextlib import ExitStack
from functools import partial
from typing import Any

from . import transfer
from .entry import Entry
from .errors import WorkerError
from .frame import decode_ans_with, decode_frame, open_frame
from .index import IndexReader, decode_packs
from .memory_plan import COORDINATOR, MIB
from .native import BytesLike
from .pack_verdict import Bases, Found, given, has_pin, numbers_of
from .protocol import VerifyRequest
from .restore import gpu_decoding
from .restore_index import RENEWALS, ChunkTable, Signed, Urls, fetch_object
from .seal import opener
from .serve import Box
from .session import Link
from .team import Team

_THREADS_MOST = 16
_DECODING = 20 * MIB
"""A frame, a chunk in every shape that it takes, and what it differs from."""
_AHEAD = 32
_MOST_TOLD = 5000
"""Chunks named in one message; where more are damaged, all of the pack count."""


def run(link: Link, request: VerifyRequest, box: Box) -> dict[str, Any]:
    """Tell of each pack that was asked for with `checked`; give the fields of `result`.

    Cancelled, and WorkerError: INTEGRITY for a damaged index, BOX_UNSUITABLE, UNREACHABLE.
    """
    started = time.monotonic()
    link.progress.phase("index")
    with ExitStack() as stack:
        verify = _Verify(link, request)
        if request.decode and verify.needs_gpu():
            gpu = gpu_decoding(box)
            if gpu is None:
                raise WorkerError(
                    "BOX_UNSUITABLE",
                    "the snapshot needs an NVIDIA GPU with nvCOMP to be decoded",
                    "choose a box with one, or give --level stored",
                )
            from .gpu.decoder import AnsDecoder  # noqa: PLC0415 - few snapshots need it

            decoder = AnsDecoder(gpu.setting(0))
            stack.callback(decoder.close)
            decode_ans_with(decoder)
        link.progress.phase("transfer")
        verify.all()
    return verify.totals | {"seconds": round(time.monotonic() - started, 3)}


class _Verify:
    def __init__(self, link: Link, request: VerifyRequest) -> None:
        self._link = link
        self._request = request
        self._urls = Urls(link)
        self._asking = threading.Lock()
        self._team = Team(link)
        self._told = threading.Lock()
        self.totals = {"packs": 0, "bytes": 0, "besides": 0}
        ahead = [ref.key for ref in request.segments]
        self._urls.get(request.packs.key, ahead)
        listed = fetch_object(link, self._urls, request.packs, "packs")
        self._packs = decode_packs(listed, request.snapshot, self._urls.sealed)
        self._table = ChunkTable()
        segments = (fetch_object(link, self._urls, ref, "segment") for ref in request.segments)
        for line in IndexReader(segments, request.snapshot, self._packs):
            if not isinstance(line, Entry):
                self._table.add(line[1])
            if len(self._table) % 1024 == 0:
                link.check()
        self._todo = numbers_of(request.ranges, len(self._packs))
        wanted = set(self._todo)
        self._chunks: dict[int, list[int]] = {pack: [] for pack in self._todo}
        for chunk, pack in enumerate(self._table.pack):
            if pack in wanted:
                self._chunks[pack].append(chunk)

    def needs_gpu(self) -> bool:
        """Tell whether only nvCOMP decodes some of what is to be read."""
        return any(self._table.needs_gpu(one) for some in self._chunks.values() for one in some)

    def all(self) -> None:
        """Read every pack that was asked for; raises the first failure that is not damage."""
        todo: queue.SimpleQueue[int] = queue.SimpleQueue()
        for place in range(len(self._todo)):
            todo.put(place)
        largest = max((self._packs[pack].length for pack in self._todo), default=0)
        room = (self._request.memory - COORDINATOR) // (largest + _DECODING)
        count = max(1, min(_THREADS_MOST, self._request.parts, room, len(self._todo)))
        self._team.work(count, lambda part: self._work(part, todo))

    def _work(self, part: int, todo: queue.SimpleQueue[int]) -> None:
        while not self._team.ended.is_set():
            try:
                place = todo.get_nowait()
            except queue.Empty:
                return
            self._look(part, place)

    def _look(self, part: int, place: int) -> None:
        number = self._todo[place]
        pack, chunks = self._packs[number], self._chunks[number]
        besides = 0
        try:
            ahead = [self._packs[n].key for n in self._todo[place + 1 : place + 1 + _AHEAD]]
            signed, data = self._fetch(number, (0, pack.length - 1), part, ahead)
        except WorkerError as error:
            if error.code != "INTEGRITY":
                raise
            found = Found(error.message, list(chunks))
        else:
            found, besides = self._check(number, signed, data)
        finally:
            self._link.progress.idle(part)
        self._link.progress.add(raw=pack.length, transferred=pack.length)
        with self._told:
            self.totals["packs"] += 1
            self.totals["bytes"] += pack.length
            self.totals["besides"] += besides
        self._link.send(
            "checked",
            pack=number,
            reason=found.reason and found.reason[:500],
            chunks=found.chunks if len(found.chunks) <= _MOST_TOLD else None,
            bases=sorted(found.bases)[:_MOST_TOLD],
        )

    def _fetch(
        self,
        number: int,
        span: tuple[int, int],
        part: int | None = None,
        ahead: list[str] | None = None,
    ) -> tuple[Signed, memoryview]:
        """Give bytes of a pack, with the URL that they came by; WorkerError as `transfer.get`."""
        key = self._packs[number].key

        def show(done: int, attempt: int) -> None:
            if part is not None:
                self._link.progress.part(part, done, span[1] - span[0] + 1, attempt)

        for _ in range(RENEWALS):
            with self._asking:
                signed = self._urls.get(key, ahead)
            try:
                return signed, transfer.get(signed, span, None, show, self._team.ended)
            except transfer.UrlExpired:
                with self._asking:
                    self._urls.renew(key)
        raise WorkerError("ACCESS_DENIED", "the store takes every URL for an expired one")

    def _check(self, number: int, signed: Signed, data: memoryview) -> tuple[Found, int]:
        """Look at one pack's bytes; give what is wrong, and how much was read of other packs."""
        found = Found()
        bases = Bases(self._base)
        # Before anything else: decoding may use the frame's own memory.
        is_whole = has_pin(self._packs[number], data)
        chunks = self._chunks[number]
        # Those that differ from the same chunk follow one another, so that it is read once.
        for chunk in sorted(chunks, key=lambda one: (self._table.base(one) or 0, one)):
            if self._team.ended.is_set():
                break
            flaw = self._flaw(chunk, signed, data, bases)
            if flaw == "damaged":
                found.chunks.append(chunk)
            elif flaw == "base":
                found.bases.add(self._table.base(chunk) or 0)
        if found.chunks:
            found.reason = f"{len(found.chunks)} of {len(chunks)} chunks are damaged"
        elif not is_whole:
            found.reason = "its bytes have changed outside the chunks in use"
        return found, bases.read

    def _flaw(self, chunk: int, signed: Signed, data: memoryview, bases: "Bases") -> str | None:
        base = self._table.base(chunk)
        frame = self._frame(chunk, data)
        raw_hash, frame_hash = self._table.hashes(chunk)
        try:
            if not self._request.decode:
                open_frame(frame, raw_hash, frame_hash, None)
                return None
            raw_base = None if base is None else bases.get(base)
            if base is not None and raw_base is None:
                open_frame(frame, raw_hash, frame_hash, None)
                return "base"
            self._decode(chunk, signed, frame, raw_base)
        except WorkerError as error:
            if error.code != "INTEGRITY":
                raise
            return "damaged"
        return None

    def _base(self, chunk: int) -> tuple[int, BytesLike | None]:
        """Give how many bytes of the store a chunk took, and the chunk where it is whole."""
        first, stored = self._table.at[chunk], self._table.stored[chunk]
        span = (first, first + stored - 1)
        try:
            signed, frame = self._fetch(self._table.pack[chunk], span)
            return stored, self._decode(chunk, signed, frame, None)
        except WorkerError as error:
            if error.code != "INTEGRITY":
                raise
            return 0, None

    def _frame(self, chunk: int, data: memoryview) -> memoryview:
        at = self._table.at[chunk]
        return data[at : at + self._table.stored[chunk]]

    def _decode(
        self, chunk: int, signed: Signed, frame: memoryview, base: BytesLike | None
    ) -> BytesLike:
        raw_hash, frame_hash = self._table.hashes(chunk)
        seal = signed["seal"]
        unseal = seal and partial(opener(seal, "pack").open, self._table.at[chunk])
        find = partial(given, base)
        length = self._table.raw[chunk]
        return decode_frame(frame, raw_hash, length, frame_hash, find_base=find, unseal=unseal)
