"""How a chunk is laid out for GPU coders: which buffers they code, and the payload made of them.

Codec `ans` without planes: one byte, the width (1, 2 or 4) of the words that were coded; one nvCOMP
container; the raw bytes behind the last whole word. With planes, and with `zstd`: as every other
payload of the format, each coded plane being a container or a zstd frame.
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from ..codecs.base import Encoded
from ..native import BytesLike
from ..planes import WIDTHS, implementation
from .errors import GpuFault
from .ways import ANS, Way

GpuCodecName = Literal["ans", "gzstd"]
_HEAD = struct.Struct("<BI")
_PLANES = {"planes2": 2, "planes4": 4, "planes2of4": 2}
_KIND_OF_WIDTH = {1: "u1", 2: "f2", 4: "f4"}
SMALLEST = 64 << 10
"""Chunks below this are better off on the CPU: a container alone costs kilobytes."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The buffers to be coded as `kind`, and how their payload is called.

    Buffers hold until the thread that laid them out lays out its next chunk.
    """

    kind: str
    transform: str
    codec: str
    buffers: Sequence[BytesLike]
    tail: BytesLike


class Coded(NamedTuple):
    """A buffer's place in a payload; `kind` None: kept as it was."""

    kind: str | None
    body: memoryview


def lay_out(
    raw: BytesLike, width: int | None, codec: GpuCodecName, ways: Mapping[int, Way] = ANS
) -> Layout | None:
    """Says what of a chunk to code; None for what belongs on the CPU.

    `width` is the element width of floats or of bytes without matches (1), None for anything else,
    which only zstd may have. `ways` is how `ans` codes elements; floats that hold halves are split
    in any case, for their empty halves cost nothing then.
    """
    if len(raw) < SMALLEST or (codec == "ans" and width not in ways):
        return None
    halved = width == 4 and implementation().low_halves_are_zero(raw)
    if width in (2, 4) and (codec == "gzstd" or halved or ways.get(width) == "planes"):
        transform = "planes2of4" if halved else f"planes{width}"
        return _planes(raw, width, transform, "zstd" if codec == "gzstd" else "u1")
    if codec == "gzstd":
        return Layout("zstd", "none", "zstd", (raw,), b"")
    whole = len(raw) - len(raw) % (width or 1)
    view = memoryview(raw)
    return Layout(_KIND_OF_WIDTH[width or 1], "none", "ans", (view[:whole],), view[whole:])


def _planes(raw: BytesLike, width: int, transform: str, kind: str) -> Layout:
    words = len(raw) // width
    planes = implementation().split(raw, words, transform)
    codec = "zstd" if kind == "zstd" else "ans"
    return Layout(kind, transform, codec, planes, memoryview(raw)[words * width :])


def assemble(layout: Layout, coded: Sequence[bytes | None]) -> Encoded | None:
    """Makes the payload; None when nothing was gained. `coded` None: keep that buffer as it is."""
    if all(body is None for body in coded):
        return None
    if layout.transform == "none":
        (body,) = coded
        if body is None or layout.codec == "zstd":
            return None if body is None else Encoded("none", "zstd", (body,))
        width = next(width for width, kind in _KIND_OF_WIDTH.items() if kind == layout.kind)
        encoded = Encoded("none", "ans", (bytes((width,)), body, bytes(layout.tail)))
    else:
        bodies = [
            bytes(plane) if body is None else body
            for plane, body in zip(layout.buffers, coded, strict=True)
        ]
        heads = b"".join(
            _HEAD.pack(0 if was is None else 1, len(body))
            for was, body in zip(coded, bodies, strict=True)
        )
        encoded = Encoded(layout.transform, layout.codec, (heads, *bodies, bytes(layout.tail)))
    length = sum(map(len, layout.buffers)) * _growth(layout.transform) + len(layout.tail)
    return encoded if encoded.length < length else None


def _growth(transform: str) -> int:
    return 2 if transform == "planes2of4" else 1


def take_apart(payload: memoryview, transform: str, raw_length: int) -> list[Coded]:
    """Gives the coded buffers of an `ans` payload, the tail last; raises GpuFault for nonsense."""
    if transform == "none":
        width = payload[0] if payload else 0
        if width not in _KIND_OF_WIDTH:
            raise GpuFault("library", "a payload of unknown width")
        end = len(payload) - raw_length % width
        return [Coded(_KIND_OF_WIDTH[width], payload[1:end]), Coded(None, payload[max(1, end) :])]
    count = _PLANES[transform]
    at = count * _HEAD.size
    if len(payload) < at:
        raise GpuFault("library", "a payload too short for its planes")
    found = []
    for index in range(count):
        method, length = _HEAD.unpack_from(payload, index * _HEAD.size)
        body = payload[at : at + length]
        if method > 1 or len(body) != length:
            raise GpuFault("library", "a plane of unknown method or behind its payload")
        found.append(Coded("u1" if method else None, body))
        at += length
    return [*found, Coded(None, payload[at:])]


def put_together(buffers: Sequence[BytesLike], transform: str, raw_length: int) -> BytesLike:
    """Gives the raw bytes of decoded buffers, tail last; raises GpuFault where lengths differ."""
    *planes, tail = buffers
    if transform == "none":
        raw: BytesLike = b"".join((*planes, tail))
    else:
        width = WIDTHS[transform]
        words = raw_length // width
        if any(len(plane) != words for plane in planes):
            raise GpuFault("library", "a plane of another length")
        joined = bytearray(words * width)
        implementation().join(list(planes), words, transform, memoryview(joined))
        raw = joined + bytes(tail)
    if len(raw) != raw_length:
        raise GpuFault("library", f"{len(raw)} decoded bytes instead of {raw_length}")
    return raw
