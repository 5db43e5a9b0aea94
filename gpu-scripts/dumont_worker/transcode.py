"""Makes a snapshot of the same content that restores anywhere: what ANS coded, zstd codes."""

import itertools
import queue
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

from . import transfer
from .chunk_table import Totals
from .codecs.choose import encode_chunk
from .create_messages import Chunk
from .entry import ChunkRecord, Entry
from .errors import WorkerError
from .frame import HEADER, decode_ans_with, decode_frame, encode_frame, open_frame, parse_header
from .gpu.batch import HELD_MOST
from .gpu.codec import Payload
from .gpu.decoder import AnsDecoder
from .gpu.use import gpu_use
from .index import IndexReader, IndexSummary, IndexWriter, PackRecord, decode_packs, encode_packs
from .index_upload import IndexUpload
from .inheritance import fetch_checked
from .memory_plan import COORDINATOR, GPU_CODEC, LARGEST_PACK, MIB
from .native import BytesLike
from .operator_desk import OperatorDesk
from .pack_builder import BufferPool, PackBuilder, SealedPack
from .planes import WIDTHS
from .protocol import TranscodeRequest
from .seal import Sealer, opener
from .serve import Box
from .session import Link
from .team import Team
from .transcode_groups import Group, grouped, span_of
from .upload import upload

_THREADS_MOST = 8
_THREAD = 2 * LARGEST_PACK + HELD_MOST + 12 * MIB
"""What is fetched, what was decoded, a chunk in the shapes that it takes, and a pack."""
_URLS = 3


def run(link: Link, request: TranscodeRequest, box: Box) -> dict[str, Any]:
    """Makes the snapshot, all but its manifest; gives the fields of `result`.

    Raises WorkerError: BOX_UNSUITABLE, INTEGRITY for what is not as it was stored; Cancelled.
    """
    started = time.monotonic()
    sealer = Sealer(request.seal) if request.seal is not None else None
    gpu = gpu_use("ans", box.nvcomp, box.native, box.gpus)
    decoder = AnsDecoder(gpu.setting(0))
    decode_ans_with(decoder)
    try:
        link.progress.phase("transfer")
        return _Transcode(link, request, sealer, decoder).run() | {
            "seconds": round(time.monotonic() - started, 3)
        }
    finally:
        decoder.close()


class _Transcode:
    def __init__(
        self, link: Link, request: TranscodeRequest, sealer: Sealer | None, decoder: AnsDecoder
    ) -> None:
        self._link = link
        self._request = request
        self._sealer = sealer
        self._decoder = decoder
        self._desk = OperatorDesk(link, sealer is not None)
        self._todo: queue.SimpleQueue[Group] = queue.SimpleQueue()
        self._team = Team(link)
        self._numbers = itertools.count()
        self._own: dict[int, PackRecord] = {}
        self._moved: dict[int, Chunk] = {}
        source = request.source
        listed = fetch_checked(self._desk, source.packs, "packs", link.cancelled)
        self._packs = decode_packs(listed, source.id, sealer is not None)

    def run(self) -> dict[str, Any]:
        """Codes anew what needs it, then writes the index."""
        reader = self._read()
        found: Group = []
        for line in reader:
            self._link.check()
            if not isinstance(line, Entry) and line[1].codec == "ans":
                found.append(line)
        for group in grouped(found):
            self._todo.put(group)
        self._code()
        self._link.progress.phase("index")
        return self._write(reader.scanned_at)

    def _read(self) -> IndexReader:
        source, cancelled = self._request.source, self._link.cancelled
        segments = (fetch_checked(self._desk, ref, "segment", cancelled) for ref in source.segments)
        return IndexReader(segments, source.id, self._packs)

    def _code(self) -> None:
        """Works with several threads until nothing is left to do; raises the first failure."""
        room = (self._request.memory - COORDINATOR - GPU_CODEC) // _THREAD
        count = max(1, min(_THREADS_MOST, self._request.parts, room))
        pool = BufferPool(count, LARGEST_PACK)
        self._team.work(count, lambda part: self._work(part, pool))

    def _work(self, part: int, pool: BufferPool) -> None:
        def send(sealed: SealedPack) -> None:
            kind, value = sealed.pin_kind, sealed.pin_value
            pin = {"kind": kind, "value": value}
            wanted = {"kind": "pack", "part": part, "length": sealed.length, "pin": pin}
            content = sealed.content()
            key = upload(self._desk, wanted, [content], None, self._team.ended)
            content.release()
            pool.give_back(sealed.buffer)
            self._own[sealed.number] = PackRecord(key, sealed.length, kind, value, sealed.seal)
            self._link.progress.add(transferred=sealed.length)

        numbers = self._numbers
        builder = PackBuilder(pool, self._request.pin, lambda: next(numbers), send, self._sealer)
        while not self._team.ended.is_set():
            try:
                group = self._todo.get_nowait()
            except queue.Empty:
                builder.seal()
                return
            for (number, record), frame, raw in self._decoded(group):
                # Without planes a payload begins with the width that was coded.
                width = WIDTHS.get(record.transform) or frame[HEADER]
                encoded = encode_chunk(raw, width, "auto", self._request.level)
                place = builder.add(encode_frame(record.raw, record.hash, encoded))
                self._moved[number] = Chunk(
                    record.hash, record.raw, *place, encoded.transform, encoded.codec
                )
                self._link.progress.add(raw=record.raw, stored=place.stored)

    def _decoded(
        self, group: Group
    ) -> Iterator[tuple[tuple[int, ChunkRecord], memoryview, BytesLike]]:
        """Gives each chunk of a group, its frame and its proven raw bytes."""
        frames = self._fetch(group)
        payloads: dict[bytes, Payload] = {}
        for (_, record), frame in zip(group, frames, strict=True):
            header = parse_header(frame)
            # Of what is not as the index says, decoding it alone will tell.
            if (header.codec, header.length, header.raw_length) == ("ans", len(frame), record.raw):
                data = frame[header.header_length :]
                payloads[record.hash] = Payload(data, header.transform, record.raw)
        raws = self._decoder.together(payloads)
        for one, frame in zip(group, frames, strict=True):
            record = one[1]
            raw: BytesLike | None = raws.pop(record.hash, None)
            yield one, frame, raw or decode_frame(frame, record.hash, record.raw)

    def _fetch(self, group: Group) -> list[memoryview]:
        """Gives the frames of a group, each proven to be the one that was stored."""
        key, (start, end) = self._packs[group[0][1].pack].key, span_of(group)
        for _ in range(_URLS):
            try:
                signed = self._desk.fetch(key)
                stored = memoryview(
                    transfer.get(signed, (start, end - 1), None, None, self._team.ended)
                )
            except transfer.UrlExpired:
                continue
            sealed = opener(signed["seal"], "pack") if signed["seal"] else None
            return [
                open_frame(
                    stored[one.at - start : one.at - start + one.stored],
                    one.hash,
                    one.frame,
                    None if sealed is None else partial(sealed.open, one.at),
                )
                for _, one in group
            ]
        raise WorkerError("ACCESS_DENIED", "the store takes every URL for an expired one")

    def _write(self, scanned_at: int) -> dict[str, Any]:
        request = self._request
        send = IndexUpload(self._desk, request.pin, self._link.cancelled, self._sealer)
        packs: dict[PackRecord, int] = {}
        totals = Totals(stored=sum(pack.length for pack in self._own.values()))
        try:
            writer = IndexWriter(request.snapshot, scanned_at, send.emit)
            for line in self._read():
                self._link.check()
                if isinstance(line, Entry):
                    writer.entry(line)
                    continue
                record = self._placed(*line, packs)
                totals.all += record.stored
                writer.chunk(record)
            summary = writer.close()
            send.finish()
            listed = send.send("packs", len(send.segments), encode_packs(request.snapshot, packs))
        finally:
            send.abandon()
        totals.new = sum(chunk.raw for chunk in self._moved.values())
        return _result(summary, totals, {"segments": send.segments, "packs": listed})

    def _placed(
        self, number: int, record: ChunkRecord, packs: dict[PackRecord, int]
    ) -> ChunkRecord:
        """Gives a chunk's record in the new index, whose packs are numbered as they come."""
        moved = self._moved.get(number)
        if moved is None:
            pack = packs.setdefault(self._packs[record.pack], len(packs))
            return record._replace(pack=pack)
        pack = packs.setdefault(self._own[moved.pack], len(packs))
        return record._replace(
            pack=pack,
            at=moved.at,
            stored=moved.stored,
            frame=moved.frame,
            transform=moved.transform,
            codec=moved.codec,
        )


def _result(summary: IndexSummary, totals: Totals, objects: dict[str, Any]) -> dict[str, Any]:
    counts = {"entries": summary.entries, "chunks": summary.chunks, "merkle": summary.merkle}
    sums = {"new": totals.new, "stored": totals.stored, "all": totals.all}
    return {"index": objects | counts, "decoders": list(summary.decoders), "bytes": sums}
