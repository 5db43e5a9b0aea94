"""Payloads of the `planes` transforms: byte planes of rotated words, each coded or kept."""

import struct
from types import ModuleType

from .codecs import numpy_planes, pure_planes, zstd
from .codecs.base import Encoded
from .errors import integrity
from .native import BytesLike, numpy

WIDTHS = {"planes2": 2, "planes4": 4, "planes2of4": 4}
_COUNTS = {"planes2": 2, "planes4": 4, "planes2of4": 2}
_HEAD = struct.Struct("<BI")
_PIECES, _PIECE = 4, 4 << 10
_SAMPLE = _PIECES * _PIECE
_SAMPLED_FROM = 128 << 10


def implementation() -> ModuleType:
    """Gives the plane splitter for this box: with numpy, or the pure one."""
    return numpy_planes if numpy() is not None else pure_planes


def encode_planes(raw: BytesLike, transform: str, use: ModuleType | None = None) -> Encoded:
    """Gives the payload of a chunk read as words; `planes2of4` needs low halves of zeros."""
    width = WIDTHS[transform]
    words = len(raw) // width
    planes: list[BytesLike] = (use or implementation()).split(raw, words, transform)
    coded = [_code(plane) for plane in planes]
    bodies = [body or plane for body, plane in zip(coded, planes, strict=True)]
    heads = [
        _HEAD.pack(1 if code else 0, len(body)) for code, body in zip(coded, bodies, strict=True)
    ]
    tail = memoryview(raw)[words * width :]
    codec = "zstd" if any(coded) else "none"
    return Encoded(transform, codec, (b"".join(heads), *bodies, tail))


def _code(plane: BytesLike) -> bytes | None:
    """Gives the coded plane, or None where the plane is better kept as it is."""
    leaping = False
    if len(plane) >= _SAMPLED_FROM:
        # Mantissa planes are noise: a sample shows it at a fraction of the cost.
        view, step = memoryview(plane), len(plane) // _PIECES
        places = range(step // 2, len(plane), step)
        coded = len(zstd.huffman(b"".join([view[at : at + _PIECE] for at in places])))
        if coded >= _SAMPLE:
            return None
        # What shrinks further has runs, which a coder of single bytes would make nothing of.
        leaping = 5 * coded > _SAMPLE
    body = zstd.huffman(plane, leaping=leaping)
    return body if len(body) < len(plane) else None


def decode_planes(
    payload: memoryview,
    transform: str,
    codec: str,
    raw: memoryview,
    use: ModuleType | None = None,
) -> memoryview:
    """Writes a payload's raw bytes into `raw`, which has their length, and gives it.

    Raises INTEGRITY.
    """
    width, count = WIDTHS[transform], _COUNTS[transform]
    length = len(raw)
    words = length // width
    at = count * _HEAD.size
    if len(payload) < at:
        raise integrity("a payload too short for its planes")
    planes: list[BytesLike] = []
    for index in range(count):
        method, size = _HEAD.unpack_from(payload, index * _HEAD.size)
        body = payload[at : at + size]
        if len(body) != size:
            raise integrity("a plane ends behind its payload")
        planes.append(_decode(body, method, codec, words))
        at += size
    tail = payload[at:]
    if len(tail) != length - words * width:
        raise integrity("a tail of another length")
    if words:
        (use or implementation()).join(planes, words, transform, raw)
    raw[words * width :] = tail
    return raw


def _decode(body: memoryview, method: int, codec: str, words: int) -> BytesLike:
    if method == 0:
        if len(body) != words:
            raise integrity("a plane of another length")
        return body
    if method != 1 or codec != "zstd":
        raise integrity("a plane of unknown method")
    return zstd.decompress(body, words)
