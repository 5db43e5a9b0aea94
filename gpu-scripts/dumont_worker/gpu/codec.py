"""The GPU as a codec of chunks: one process encodes, another proves; any doubt means the CPU."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from ..codecs import zstd
from ..codecs.base import Encoded
from ..errors import WorkerError
from ..frame import decode_frame, encode_frame
from ..native import BytesLike, blake3
from .area import Span, needed
from .child import GpuProcess, GpuSetting
from .errors import GpuFault
from .payload import GpuCodecName, Layout, assemble, lay_out
from .requirement import Library
from .self_test import Trial, trials
from .ways import ANS, Way
from .zstd_frame import with_content_size

FAULTS_MOST = 2
"""Faults in a run after which the GPU is left alone: each has cost a start and a self-test."""
_BUFFERS_MOST = 5


class Chunk(NamedTuple):
    """A chunk to encode: its bytes, their hash, the element width of what has no matches."""

    raw: BytesLike
    raw_hash: bytes
    width: int | None


class Payload(NamedTuple):
    """An `ans` chunk to decode: payload, transform and raw length of its frame."""

    data: BytesLike
    transform: str
    raw_length: int


class GpuCodec:
    """One GPU codec of one run; may be used by several threads at once.

    `warn` is called once, with what went wrong first. `off` says why the GPU is not used any more.
    """

    def __init__(
        self,
        setting: GpuSetting,
        codec: GpuCodecName,
        warn: Callable[[str], None],
        ways: Mapping[int, Way] = ANS,
    ) -> None:
        self.off: str | None = None
        self.name: GpuCodecName = codec
        self.faults = 0
        self.library: Library | None = None
        self._setting = setting
        self._warn = warn
        self._ways = ways
        self._encoder = _Side(setting)
        self._prover = _Side(setting)
        self._lock = threading.Lock()
        self._proven = False

    def ready(self) -> str | None:
        """Starts and self-tests what is not running yet; gives None, or why it is of no use."""
        with self._lock:
            if self.off is None and not self._proven:
                try:
                    for trial in trials(self.name):
                        self._try(trial)
                    self._proven = True
                except GpuFault as fault:
                    self._lost(GpuFault("off", f"self-test: {fault.message}"))
            return self.off

    def takes(self, width: int | None) -> bool:
        """Whether elements of a width are for this codec; None: what has matches."""
        return self.name == "gzstd" or width in self._ways

    def encode(self, chunks: Sequence[Chunk]) -> list[Encoded | None]:
        """Gives proven payloads smaller than their chunks; None where the CPU is to encode.

        Raises INTEGRITY only when a chunk does not have its own hash any more.
        """
        results: list[Encoded | None] = [None] * len(chunks)
        for tile in self._tiles([len(chunk.raw) for chunk in chunks]):
            if self.ready() is not None:
                break
            try:
                made = self._encode_tile([chunks[index] for index in tile])
                self._prove([chunks[index] for index in tile], made)
            except GpuFault as fault:
                self._lost_in_use(fault)
                continue
            for index, encoded in zip(tile, made, strict=True):
                results[index] = encoded
        return results

    def decode(self, payloads: Sequence[Payload]) -> list[bytes]:
        """Gives raw bytes, for the caller to check against their hashes; raises GpuFault.

        Needs no self-test: whatever comes back is known by its hash.
        """
        raws: list[bytes] = []
        for tile in self._tiles([payload.raw_length for payload in payloads]):
            if self.off is not None:
                raise GpuFault("off", self.off)
            try:
                raws += self._decode_tile([payloads[index] for index in tile])
            except GpuFault as fault:
                self._lost_in_use(fault)
                raise
        return raws

    def mistrust(self, why: str) -> None:
        """Takes note that what was decoded is not what was encoded."""
        self._lost_in_use(GpuFault("library", why))

    def close(self) -> None:
        """Ends both processes; returns when they are gone. Idempotent."""
        self.off = self.off or "closed"
        for side in (self._encoder, self._prover):
            with side.lock:
                side.closed = True
                side.end()

    def _encode_tile(self, chunks: Sequence[Chunk]) -> list[Encoded | None]:
        results: list[Encoded | None] = [None] * len(chunks)
        with self._encoder.lock:
            process = self._encoder.process()
            self.library = process.library
            area = process.area
            area.asked.clear()
            laid: list[tuple[int, Layout]] = []
            items: list[list[object]] = []
            for index, (raw, _, width) in enumerate(chunks):
                layout = lay_out(raw, width, self.name, self._ways)
                if layout is None:
                    continue
                spans = [area.asked.put(buffer) for buffer in layout.buffers]
                items += [[layout.kind, *span] for span in spans]
                # Split planes hold until the next split: from here on they are the copies.
                copies = [area.asked.get(span) for span in spans]
                laid.append((index, replace(layout, buffers=copies)))
            if items:
                answer = process.items({"do": "encode", "items": items}, len(items))
                bodies = iter([self._body(process, span) for span in answer])
                for index, layout in laid:
                    coded = [next(bodies) for _ in layout.buffers]
                    if layout.codec == "zstd":
                        coded = [
                            with_content_size(body, len(buffer)) if body else None
                            for body, buffer in zip(coded, layout.buffers, strict=True)
                        ]
                    results[index] = assemble(layout, coded)
        return results

    def _prove(self, chunks: Sequence[Chunk], made: list[Encoded | None]) -> None:
        """Decodes all that was made; raises GpuFault when any of it is not its chunk."""
        if self.name == "gzstd":
            for chunk, encoded in zip(chunks, made, strict=True):
                if encoded is not None and not _decodes(encoded, chunk):
                    _mistrust(chunk)
            return
        places = [index for index, encoded in enumerate(made) if encoded is not None]
        payloads = [
            Payload(b"".join(encoded.parts), encoded.transform, len(chunk.raw))
            for encoded, chunk in zip(made, chunks, strict=True)
            if encoded is not None
        ]
        for index, digest in zip(places, self._digests(payloads), strict=True):
            if digest is None:
                made[index] = None
            elif digest != chunks[index].raw_hash:
                _mistrust(chunks[index])

    def _digests(self, payloads: Sequence[Payload]) -> list[bytes | None]:
        if not payloads:
            return []
        with self._prover.lock:
            process = self._prover.process()
            answer = process.items(_request("digest", process, payloads), len(payloads))
        return [None if digest is None else bytes.fromhex(digest) for digest in answer]

    def _decode_tile(self, payloads: Sequence[Payload]) -> list[bytes]:
        with self._prover.lock:
            process = self._prover.process()
            answer = process.items(_request("decode", process, payloads), len(payloads))
            raws = [self._body(process, span) for span in answer]
        found = [raw for raw in raws if raw is not None]
        if len(found) < len(payloads):
            raise GpuFault("memory", "the GPU has too little free memory to decode a chunk")
        return found

    def _try(self, trial: Trial) -> None:
        """Sends one buffer there and back; raises GpuFault unless it comes back whole."""
        with self._encoder.lock:
            process = self._encoder.process()
            self.library = process.library
            process.area.asked.clear()
            item = [trial.kind, *process.area.asked.put(trial.raw)]
            (span,) = process.items({"do": "encode all", "items": [item]}, 1)
            body = self._body(process, span)
        if body is None:
            raise GpuFault("memory", "too little free memory on the GPU")
        if trial.kind == "zstd":
            same = _content(body, len(trial.raw)) == trial.raw
        else:
            payload = bytes((trial.width,)) + body
            same = self._digests([Payload(payload, "none", len(trial.raw))]) == [blake3(trial.raw)]
        if not same:
            raise GpuFault("mismatch", f"{trial.name} did not come back as it was")

    def _body(self, process: GpuProcess, span: list[int] | None) -> bytes | None:
        """Takes bytes out of the shared memory: what is proven must be what is stored."""
        return None if span is None else bytes(process.area.answer.get(Span(*span)))

    def _tiles(self, lengths: Sequence[int]) -> list[list[int]]:
        return tiles([length + _BUFFERS_MOST * needed(0) for length in lengths], self._setting.room)

    def _lost_in_use(self, fault: GpuFault) -> None:
        with self._lock:
            self._lost(fault)

    def _lost(self, fault: GpuFault) -> None:
        for side in (self._encoder, self._prover):
            with side.lock:
                side.end()
        self._proven = False
        self.faults += 1
        if self.faults == 1 and self.off is None:
            self._warn(f"the GPU codec failed, the CPU goes on: {fault.message}")
        # What decodes to something else, or fails its self-test, will not be trusted again.
        if fault.kind in ("mismatch", "off") or self.faults > FAULTS_MOST:
            self.off = self.off or fault.message


class _Side:
    """A process that is started when first needed, and anew after a fault."""

    def __init__(self, setting: GpuSetting) -> None:
        self.lock = threading.Lock()
        self.closed = False
        self._setting = setting
        self._process: GpuProcess | None = None

    def process(self) -> GpuProcess:
        if self.closed:
            raise GpuFault("off", "closed")
        # Another thread may have met its end, and not have taken note of it yet.
        if self._process is not None and self._process.is_dead:
            self.end()
        if self._process is None:
            self._process = GpuProcess(self._setting)
        return self._process

    def end(self) -> None:
        if self._process is not None:
            self._process.close()
            self._process = None


def tiles(lengths: Sequence[int], room: int) -> list[list[int]]:
    """Groups indexes so that each group's lengths fit `room`; what never fits is left out."""
    groups: list[list[int]] = []
    left = 0
    for index, length in enumerate(lengths):
        if length > room:
            continue
        if length > left or not groups:
            groups.append([])
            left = room
        groups[-1].append(index)
        left -= length
    return groups


def _request(deed: str, process: GpuProcess, payloads: Sequence[Payload]) -> dict[str, object]:
    process.area.asked.clear()
    items = [
        [transform, raw_length, *process.area.asked.put(data)]
        for data, transform, raw_length in payloads
    ]
    return {"do": deed, "items": items}


def _decodes(encoded: Encoded, chunk: Chunk) -> bool:
    """Whether a restore would get the chunk back, asked of the decoder that it uses."""
    length = len(chunk.raw)
    frame = b"".join(encode_frame(length, chunk.raw_hash, encoded))
    try:
        decode_frame(frame, chunk.raw_hash, length)
    except WorkerError:
        return False
    return True


def _content(frame: bytes, length: int) -> bytes | None:
    try:
        return zstd.decompress(with_content_size(frame, length) or b"", length)
    except WorkerError:
        return None


def _mistrust(chunk: Chunk) -> None:
    """Raises GpuFault for a chunk that did not come back."""
    # The buffer is a witness only while it hashes to what the cutter saw.
    if blake3(chunk.raw) != chunk.raw_hash:
        raise WorkerError("INTEGRITY", "a chunk changed in memory", None, True)
    raise GpuFault("mismatch", "a chunk did not come back as it was")
