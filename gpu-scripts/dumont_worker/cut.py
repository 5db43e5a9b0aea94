"""Decide where files are cut into chunks: at tensor edges, by content, or every 4 MiB.

The rule for tensor files depends on the tensors' own lengths only, never on where they lie, so a
header that grows shifts nothing: the header is cut by itself; a tensor of at least 64 KiB is cut
every 4 MiB from its own start; neighbouring shorter ones, with the gaps between them, are joined in
order up to 4 MiB; what lies before, between and behind is cut every 4 MiB from where it starts.
"""

import bisect
import errno
import os
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import Any, Literal, NamedTuple

from . import native
from .entry import CHUNK_MAX, Entry
from .tensor_files import find_tensors
from .tensor_layout import Layout, Tensor

SMALL_MOST = 1 << 20
"""Files up to this length are looked up and bundled whole."""
TINY_TENSOR = 64 << 10
CDC_MIN, CDC_AVERAGE, CDC_MAX = 256 << 10, 1 << 20, CHUNK_MAX
UNIT_LENGTH = 64 << 20
"""Of tensor and fixed files: so that several engines share a big file."""
CDC_WINDOW = 256 << 20
"""Of files cut by content: cutting starts anew, so chunks find themselves again behind it."""

_APPENDED = (b".log", b".jsonl", b".ndjson", b".csv", b".out", b".err")
_APPENDED_FROM = 1 << 30
# A file with more holes than this is read as data behind them: lists stay bounded, content right.
_RANGES_MOST = 1_000_000

Range = tuple[int, int]


class Piece(NamedTuple):
    """One future chunk: where it lies, and the bytes of one element where the header says so."""

    offset: int
    length: int
    width: int | None


class CutPlan(NamedTuple):
    """How a file is cut; `pieces` tile it (tensors, fixed), None where the content decides."""

    kind: Literal["small", "tensors", "cdc", "fixed"]
    pieces: tuple[Piece, ...] | None
    layout: Layout | None = None


class Unit(NamedTuple):
    """A span one engine works on: its pieces, or `ranges` of data to cut by content (None)."""

    start: int
    end: int
    pieces: tuple[Piece, ...] | None
    whole: bool
    ranges: tuple[Range, ...]


def plan(fd: int, size: int, name: bytes) -> CutPlan:
    """Plans a file of `size` bytes by its headers and name; raises OSError."""
    if size <= SMALL_MOST:
        return CutPlan("small", None)
    layout = find_tensors(fd, size)
    if layout is not None:
        return CutPlan("tensors", tuple(_tensor_pieces(layout, size)), layout)
    if size <= CHUNK_MAX or (size > _APPENDED_FROM and name.lower().endswith(_APPENDED)):
        return CutPlan("fixed", tuple(_fixed(0, size, None)))
    return CutPlan("cdc", None)


def _fixed(start: int, end: int, width: int | None) -> Iterator[Piece]:
    for at in range(start, end, CHUNK_MAX):
        yield Piece(at, min(CHUNK_MAX, end - at), width)


def _tensor_pieces(layout: Layout, size: int) -> Iterator[Piece]:
    yield from _fixed(0, layout.header, None)
    group: list[Tensor] = []
    for region in _regions(layout, size):
        tiny = region.end - region.start < TINY_TENSOR
        if group and (not tiny or region.end - group[0].start > CHUNK_MAX):
            yield _joined(group)
            group = []
        if tiny:
            group.append(region)
        else:
            yield from _fixed(region.start, region.end, region.width)
    if group:
        yield _joined(group)


def _regions(layout: Layout, size: int) -> Iterator[Tensor]:
    """Yields tensors and gaps, nothing between them."""
    end = layout.header
    for tensor in layout.tensors:
        if end < tensor.start:
            yield Tensor(end, tensor.start, None)
        yield tensor
        end = tensor.end
    if end < size:
        yield Tensor(end, size, None)


def _joined(group: list[Tensor]) -> Piece:
    width = group[0].width
    same = all(tensor.width == width for tensor in group)
    return Piece(group[0].start, group[-1].end - group[0].start, width if same else None)


def data_ranges(fd: int, size: int) -> list[Range]:
    """Gives where a file holds data, by ascending offset: what is between are holes.

    A file system that does not tell says all is data. Raises OSError.
    """
    ranges: list[Range] = []
    at = 0
    while at < size:
        if len(ranges) == _RANGES_MOST:
            return [*ranges, (at, size)]
        try:
            start = os.lseek(fd, at, os.SEEK_DATA)
            end = os.lseek(fd, start, os.SEEK_HOLE)
        except OSError as error:
            if error.errno == errno.ENXIO:
                break
            if error.errno in (errno.EINVAL, errno.ENOTSUP):
                return [(0, size)]
            raise
        if start >= size:
            break
        if end <= start:
            # The file was cut short meanwhile; reading will tell.
            return [*ranges, (at, size)]
        ranges.append((start, min(end, size)))
        at = end
    return ranges


def units(entry: Entry, cut_plan: CutPlan, ranges: list[Range]) -> list[Unit]:
    """Divides a file into spans for the engines, in order and without gap between them.

    A file with holes is one unit. Pieces never cover a hole; those of a unit lie inside it.
    """
    size = entry.size
    sparse = ranges != [(0, size)] if size else False
    if cut_plan.pieces is None:
        length = CDC_WINDOW if cut_plan.kind == "cdc" else size
        if sparse or size <= length:
            return [Unit(0, size, None, True, tuple(ranges))]
        spans = [(at, min(at + length, size)) for at in range(0, size, length)]
        return [Unit(start, end, None, False, ((start, end),)) for start, end in spans]
    if sparse:
        pieces = tuple(clip(cut_plan.pieces, ranges))
        return [Unit(0, size, pieces, True, tuple(ranges))]
    return _spans(cut_plan.pieces, size)


def _spans(pieces: tuple[Piece, ...], size: int) -> list[Unit]:
    ends = [piece.offset + piece.length for piece in pieces]
    found: list[Unit] = []
    first = 0
    while first < len(pieces):
        start = pieces[first].offset
        last = max(bisect.bisect_right(ends, start + UNIT_LENGTH), first + 1)
        end = ends[last - 1]
        whole = start == 0 and end == size
        found.append(Unit(start, end, pieces[first:last], whole, ((start, end),)))
        first = last
    return found


def clip(pieces: Iterable[Piece], ranges: list[Range]) -> Iterator[Piece]:
    """Yields what of the pieces lies in the ranges; both are sorted."""
    at = 0
    for piece in pieces:
        end = piece.offset + piece.length
        while at < len(ranges) and ranges[at][1] <= piece.offset:
            at += 1
        inside = at
        while inside < len(ranges) and ranges[inside][0] < end:
            start = max(piece.offset, ranges[inside][0])
            yield Piece(start, min(end, ranges[inside][1]) - start, piece.width)
            inside += 1


def cut_buffer(data: bytes | bytearray | memoryview, at_end: bool = True) -> list[int]:
    """Cuts by content; gives the lengths of the chunks in order.

    With `at_end` they add up to the buffer. Otherwise more data follows, and the last cut may still
    move: what is not covered, at most 4 MiB, is to be put before that data and cut again with it.
    """
    lengths = _cutter()(data) if len(data) else []
    if not at_end and lengths:
        lengths.pop()
    return lengths


@cache
def _cutter() -> Callable[[Any], list[int]]:
    module = native.cdc()
    if module is None:
        return _cut_fixed
    fast_cdc = module.FastCDC

    def cut(data: bytes | bytearray | memoryview) -> list[int]:
        # One object must not be used by two threads at once, and making one is cheap.
        cutter = fast_cdc(CDC_AVERAGE, min_size=CDC_MIN, max_size=CDC_MAX)
        return [chunk.length for chunk in cutter.cut_buf(data)]

    return cut


def _cut_fixed(data: bytes | bytearray | memoryview) -> list[int]:
    return [min(CDC_AVERAGE, len(data) - at) for at in range(0, len(data), CDC_AVERAGE)]
