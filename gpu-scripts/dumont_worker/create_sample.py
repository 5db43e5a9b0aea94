"""A dry run: what a snapshot would hold, and how well a sample of it shrinks. Nothing is stored."""

import os
import random
import time
from contextlib import suppress
from typing import Any

from .create_window import Tally
from .cut import Piece, plan
from .entry import CHUNK_MAX, Entry
from .errors import WorkerError
from .file_state import Lost, open_file
from .gpu.choice import Choice, choose
from .gpu.measuring import measured
from .gpu.uplink import remembered
from .gpu.use import GPU_CODECS, GpuUse, gpu_use, require_able
from .protocol import CreateRequest
from .roots import Root
from .scan import Scan
from .serve import Box
from .session import Link

_MOST = 16
"""Chunks in the sample: enough to tell weights from text, little enough to take about a second."""


def run(
    link: Link, request: CreateRequest, roots: list[Root], scan: Scan, box: Box
) -> dict[str, Any]:
    """Scans all, reads a sample; gives the fields of `result` that a dry run has.

    Raises BOX_UNSUITABLE for a GPU codec that a create would refuse.
    """
    gpu, refused = _gpu_uses(request, box)
    if request.codec in GPU_CODECS:
        require_able(gpu[0]._replace(codec=request.codec), link.check)
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
    # Time may be over before the last of them, and the first are all of one file.
    random.Random(0).shuffle(chunks)
    link.check()
    uplink = remembered(box.private, request.repository)
    table = measured(
        [chunk for chunk in chunks if chunk[0]],
        gpu,
        lanes=(box.cpus, len(gpu[0].devices) if gpu else 0),
        level=request.level,
        warn=lambda why: link.warn("gpu", b"", why),
    )
    choice = choose(table, uplink) if refused is None else Choice("zstd", f"zstd: {refused}")
    return {
        "counts": tally.counts(link.warnings["unreadable"]),
        "bytes": {"raw": tally.raw},
        "seconds": {"scan": round(scanned, 3), "total": round(time.monotonic() - started, 3)},
        "sample": [one.fields() for one in table],
        **({"choice": choice.fields()} if request.codec == "auto" else {}),
        **({} if uplink is None else {"uplink": round(uplink)}),
        "warnings": dict(link.warnings),
        "notes": dict(link.notes),
    }


def _gpu_uses(request: CreateRequest, box: Box) -> tuple[list[GpuUse], str | None]:
    """Which GPU codecs to measure, all that run here; why none of them does."""
    if request.codec in ("zstd", "none"):
        return [], None
    try:
        return [gpu_use(codec, box.nvcomp, box.native, box.gpus) for codec in GPU_CODECS], None
    except WorkerError as error:
        if request.codec != "auto":
            raise
        return [], error.message.partition(" here: ")[2]


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
