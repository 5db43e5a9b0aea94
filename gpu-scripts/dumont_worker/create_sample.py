"""A dry run: what a snapshot would hold, and how well a sample of it shrinks. Nothing is stored."""

import os
import time
from contextlib import suppress
from typing import Any

from .codecs.choose import encode_chunk
from .create_window import Tally
from .cut import Piece, plan
from .entry import CHUNK_MAX, Entry
from .file_state import Lost, open_file
from .protocol import CreateRequest
from .roots import Root
from .scan import Scan
from .session import Link

_MOST = 16
"""Chunks in the sample: enough to tell weights from text, little enough to take about a second."""
_CODECS = ("zstd", "none")


def run(link: Link, request: CreateRequest, roots: list[Root], scan: Scan) -> dict[str, Any]:
    """Scans all, reads a sample; gives the fields of `result` that a dry run has."""
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
        "sample": [_measured(link, chunks, codec, request.level) for codec in _CODECS],
        "warnings": dict(link.warnings),
        "notes": dict(link.notes),
    }


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
