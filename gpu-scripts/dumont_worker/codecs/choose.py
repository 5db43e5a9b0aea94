"""Which transform and codec a chunk gets: by its element width, else by statistics of a sample."""

import math
from typing import Any

from ..native import BytesLike
from ..planes import encode_planes, implementation
from . import zstd
from .base import Encoded
from .numpy_planes import spread_of

_SMALL = 4096
_PIECES, _PIECE = 16, 4096
_BIAS = 144
"""Bits by which the entropy of a small sample falls short, for 256 values."""


def encode_chunk(raw: BytesLike, width: int | None, codec: str, level: int) -> Encoded:
    """Gives the smallest payload that the fast codecs find; never longer than the raw bytes.

    `width` is the element width in bytes if the file's header tells it; `codec` is `auto`, `zstd`
    or `none`; `level` is zstd's for what is not floating-point numbers. Mind the life of the parts
    (`Encoded`).
    """
    if codec == "none":
        return Encoded("none", "none", (raw,))
    encoded = _encode(raw, width, level)
    return encoded if encoded.length < len(raw) else Encoded("none", "none", (raw,))


def _encode(raw: BytesLike, width: int | None, level: int) -> Encoded:
    if len(raw) < _SMALL:
        return _plain(zstd.compress(raw, level))
    sample = _sample(raw)
    found = width_of(sample, width)
    if found == 1:
        return _bytes(raw, sample, level)
    if found is None:
        return _plain(zstd.compress(raw, level))
    return encode_planes(raw, transform_of(raw, found))


def element_width(raw: BytesLike, width: int | None) -> int | None:
    """Gives the element width that a chunk is best coded by, None for what has matches."""
    return width_of(_sample(raw), width)


def width_of(sample: BytesLike, width: int | None) -> int | None:
    """Gives the element width that a sample is best coded by, None for what has matches.

    `width` is what the file's header tells.
    """
    if width in (2, 4) and len(zstd.compress(sample, 1)) > 0.6 * len(sample):
        return width
    # Numbers that shrink this well by matching are hardly weights: let the sample decide.
    return detect(sample)


def transform_of(raw: BytesLike, width: int) -> str:
    """Gives the transform for words of two or four bytes."""
    if width == 2:
        return "planes2"
    return "planes2of4" if implementation().low_halves_are_zero(raw) else "planes4"


def _bytes(raw: BytesLike, sample: BytesLike, level: int) -> Encoded:
    by_huffman = len(zstd.huffman(sample))
    if by_huffman >= 0.98 * len(sample):
        # It looks like noise. A sample must not decide that alone; level 1 runs fast through noise.
        return _plain(zstd.compress(raw, 1))
    if by_huffman <= len(zstd.compress(sample, level)):
        return _plain(zstd.huffman(raw))
    return _plain(zstd.compress(raw, level))


def _plain(frame: bytes) -> Encoded:
    return Encoded("none", "zstd", (frame,))


def _sample(raw: BytesLike) -> BytesLike:
    view = memoryview(raw)
    if len(view) <= _PIECES * _PIECE:
        return view
    return b"".join([view[at : at + length] for at, length in sample_places(len(view))])


def sample_places(length: int, piece: int = _PIECE) -> list[tuple[int, int]]:
    """Gives offsets and lengths of a sample from all over a chunk; elements stay whole."""
    if length <= _PIECES * piece:
        return [(0, length)]
    # Pieces begin at multiples of 8, so that elements stay whole.
    step = (length - piece) // (_PIECES - 1) & ~7
    return [(at, piece) for at in range(0, _PIECES * step, step)]


def detect(sample: BytesLike) -> int | None:
    """Gives the element width of what is best coded byte by byte, None for what has matches."""
    data = bytes(sample)
    end = len(data) & ~3
    by_four = [implementation().histogram(data[index:end:4]) for index in range(4)]
    by_two = [_sum(by_four[0], by_four[2]), _sum(by_four[1], by_four[3])]
    by_one = _sum(*by_two)
    h1 = _entropy(by_one, end)
    h2 = sum(_entropy(one, end // 2) for one in by_two) / 2
    h4 = sum(_entropy(one, end // 4) for one in by_four) / 4
    # A wider split must earn its keep: on data without that width it gains only by chance.
    best, width = min((h1, 1), (h2 + 0.08, 2), (h4 + 0.16, 4))
    matched = 8 * len(zstd.compress(sample, 1)) / len(data)
    return None if matched < best - 0.15 else width


def _sum(one: Any, other: Any) -> Any:
    if isinstance(one, list):
        return [a + b for a, b in zip(one, other, strict=True)]
    return one + other


def _entropy(counts: Any, total: int) -> float:
    """Gives the order-0 entropy in bits a byte, corrected for the sample's size."""
    if isinstance(counts, list):
        spread: float = sum([count * math.log2(count) for count in counts if count])
    else:
        spread = spread_of(counts)
    return math.log2(total) - spread / total + _BIAS / total
