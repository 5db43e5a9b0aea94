"""A dry run: what a snapshot would hold, and how well a sample of it shrinks. Nothing is stored."""

import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from .codecs.base import Encoded
from .codecs.choose import encode_chunk
from .create_window import Tally
from .cut import Piece, plan
from .entry import CHUNK_MAX, Entry
from .errors import WorkerError
from .file_state import Lost, open_file
from .gpu.use import GpuUse, gpu_use
from .native import BytesLike, blake3
from .protocol import CreateRequest
from .roots import Root
from .scan import Scan
from .serve import Box
from .session import Link

if TYPE_CHECKING:
    from .gpu.payload import GpuCodecName

_MOST = 16
"""Chunks in the sample: enough to tell weights from text, little enough to take about a second."""
_CODECS = ("zstd", "none")
_GPU_CODECS: "tuple[GpuCodecName, ...]" = ("gzstd", "ans")


def run(
    link: Link, request: CreateRequest, roots: list[Root], scan: Scan, box: Box
) -> dict[str, Any]:
    """Scans all, reads a sample; gives the fields of `result` that a dry run has.

    Raises BOX_UNSUITABLE for a GPU codec that a create would refuse.
    """
    gpu = _gpu_uses(request, box)
    started = time.monotonic()
    tally = Tally()
    files = 0
    # The largest files make the bytes: a sample of them tells most.
    largest: list[tuple[int, int, Entry]] = []
    for number, entry in enumerate(scan):
        if number % 256 == 0:
            link.check()
        tally.kinds[entry.kind] += 1
        if entry.kind == "file" and entry.link is None:
            files += 1
            tally.raw += entry.size
            link.progress.add(files=1)
            largest.append((entry.size, -number, entry))
            if len(largest) > 4 * _MOST:
                largest = sorted(largest, reverse=True)[:_MOST]
    scanned = time.monotonic() - started
    entries = [entry for _, _, entry in sorted(largest, reverse=True)[:_MOST]]
    chunks = [chunk for entry in entries for chunk in _chunks(roots, entry, len(entries))]
    link.check()
    return {
        "counts": tally.counts(link.warnings["unreadable"]),
        "bytes": {"raw": tally.raw},
        "seconds": {"scan": round(scanned, 3), "total": round(time.monotonic() - started, 3)},
        "sample": [
            *(_measured(link, chunks, codec, request.level) for codec in _CODECS),
            *(row for use in gpu if (row := _on_gpu(link, chunks, use, request.level))),
        ],
        "warnings": dict(link.warnings),
        "notes": dict(link.notes),
    }


def _gpu_uses(request: CreateRequest, box: Box) -> list[GpuUse]:
    """Which GPU codecs to measure: all that run here, and the one asked for."""
    if request.codec in ("zstd", "none"):
        return []
    try:
        return [gpu_use(codec, box.nvcomp, box.native, box.gpus) for codec in _GPU_CODECS]
    except WorkerError:
        if request.codec != "auto":
            raise
        return []


def _on_gpu(
    link: Link, chunks: list[tuple[bytes, int | None]], use: GpuUse, level: int
) -> dict[str, Any] | None:
    """Measures a GPU codec, the CPU's part in it included; None for one that does not work."""
    from .gpu.batch import Batch  # noqa: PLC0415 - few boxes have a GPU
    from .gpu.codec import GpuCodec  # noqa: PLC0415

    stored = 0

    def add(data: BytesLike, _: bytes, width: int | None, coded: Encoded | None) -> None:
        nonlocal stored
        stored += (coded or encode_chunk(data, width, "auto", level)).length

    codec = GpuCodec(use.setting(0), use.codec, lambda why: link.warn("gpu", b"", why))
    try:
        if codec.ready() is not None:
            return None
        started = time.monotonic()
        batch = Batch(codec, add)
        for data, width in chunks:
            link.check()
            raw_hash = blake3(data)
            if data and not batch.take(data, raw_hash, width):
                add(data, raw_hash, width, None)
        batch.flush()
    finally:
        codec.close()
    seconds = round(time.monotonic() - started, 3)
    raw = sum(len(data) for data, _ in chunks)
    return {"codec": use.codec, "raw": raw, "stored": stored, "seconds": seconds}


def _chunks(roots: list[Root], entry: Entry, files: int) -> list[tuple[bytes, int | None]]:
    """Reads pieces from all over a file."""
    root = roots[entry.root].path
    name = entry.path.rpartition(b"/")[2]
    # What cannot be read here will be told by the create itself.
    with suppress(Lost, OSError):
        fd, found = open_file(root, entry.path, None)
        try:
            cut = plan(fd, found.size, name)
            pieces = cut.pieces or tuple(
                Piece(at, min(CHUNK_MAX, found.size - at), None)
                for at in range(0, found.size, CHUNK_MAX)
            )
            step = max(1, len(pieces) * files // _MOST)
            return [(os.pread(fd, p.length, p.offset), p.width) for p in pieces[::step]]
        finally:
            os.close(fd)
    return []


def _measured(
    link: Link, chunks: list[tuple[bytes, int | None]], codec: str, level: int
) -> dict[str, Any]:
    raw = stored = 0
    started = time.monotonic()
    for data, width in chunks:
        link.check()
        if data:
            raw += len(data)
            stored += encode_chunk(data, width, codec, level).length
    seconds = round(time.monotonic() - started, 3)
    return {"codec": codec, "raw": raw, "stored": stored, "seconds": seconds}
