"""Byte planes with numpy, in blocks that stay in the second-level cache."""

import threading
from typing import Any

from ..native import BytesLike, numpy

_BLOCK = 128 << 10
"""Words at a time."""

# Rotating a word left by one and taking byte i is a right shift by 8i - 1 and a cast; only the
# lowest byte needs two terms, the word's low byte shifted left and its sign. With `planes2of4` the
# low half is known to be zero.
_SHIFTS = {"planes2": (7,), "planes4": (7, 15, 23), "planes2of4": (23,)}


def split(raw: BytesLike, words: int, transform: str) -> list[BytesLike]:
    """Gives the planes of the first `words` words; they hold until this thread's next split."""
    np: Any = numpy()
    width = 2 if transform == "planes2" else 4
    source = np.frombuffer(raw, dtype=f"<u{width}", count=words)
    shifts = _SHIFTS[transform]
    planes = _planes(np, words, len(shifts) + 1)
    wide, narrow = _block(np, width)
    half = transform == "planes2of4"
    for start in range(0, words, _BLOCK):
        block = source[start : start + _BLOCK]
        end = start + len(block)
        term, byte, lowest = wide[: len(block)], narrow[: len(block)], planes[0][start:end]
        if half:
            np.right_shift(block, 15, out=term)
            np.copyto(lowest, term, casting="unsafe")
        else:
            np.copyto(byte, block, casting="unsafe")
            np.add(byte, byte, out=lowest)
        np.right_shift(block, 8 * width - 1, out=term)
        np.copyto(byte, term, casting="unsafe")
        np.bitwise_or(lowest, byte, out=lowest)
        for plane, shift in zip(planes[1:], shifts, strict=True):
            np.right_shift(block, shift, out=term)
            np.copyto(plane[start:end], term, casting="unsafe")
    return [memoryview(plane) for plane in planes]


def join(planes: list[BytesLike], words: int, transform: str, out: memoryview) -> None:
    """Writes the words that these planes were made of."""
    np: Any = numpy()
    width = 2 if transform == "planes2" else 4
    target = np.frombuffer(out, dtype=f"<u{width}", count=words)
    sources = [np.frombuffer(plane, dtype="u1", count=words) for plane in planes]
    shifts = _SHIFTS[transform]
    wide, narrow = _block(np, width)
    half = transform == "planes2of4"
    for start in range(0, words, _BLOCK):
        block = target[start : start + _BLOCK]
        end = start + len(block)
        term, byte, lowest = wide[: len(block)], narrow[: len(block)], sources[0][start:end]
        np.copyto(block, lowest)
        np.left_shift(block, 8 * width - 1, out=block)
        if half:
            np.bitwise_and(lowest, 0xFE, out=byte)
            np.copyto(term, byte)
            np.left_shift(term, 15, out=term)
        else:
            np.right_shift(lowest, 1, out=byte)
            np.copyto(term, byte)
        np.bitwise_or(block, term, out=block)
        for source, shift in zip(sources[1:], shifts, strict=True):
            np.copyto(term, source[start:end])
            np.left_shift(term, shift, out=term)
            np.bitwise_or(block, term, out=block)


def low_halves_are_zero(raw: BytesLike) -> bool:
    """Whether every whole 4-byte word has zeros in its low 16 bits."""
    np: Any = numpy()
    words = np.frombuffer(raw, dtype="<u4", count=len(raw) // 4)
    # Most chunks say no in their first words.
    if (words[:1024] & 0xFFFF).any():
        return False
    return not int(np.bitwise_or.reduce(words, initial=0)) & 0xFFFF


def histogram(sample: BytesLike) -> Any:
    """Counts each byte value."""
    np: Any = numpy()
    return np.bincount(np.frombuffer(sample, dtype="u1"), minlength=256)


def spread_of(counts: Any) -> float:
    """Sums count · log2(count) over the counts of a histogram."""
    np: Any = numpy()
    return float(np.dot(counts, np.log2(np.maximum(counts, 1))))


_threads = threading.local()


def _planes(np: Any, words: int, count: int) -> list[Any]:
    buffer = getattr(_threads, "planes", None)
    if buffer is None or len(buffer) < words * count:
        buffer = _threads.planes = np.empty(max(words * count, 4 << 20), dtype="u1")
    return [buffer[index * words : (index + 1) * words] for index in range(count)]


def _block(np: Any, width: int) -> tuple[Any, Any]:
    """Scratch for one block: a word and a byte for each of its words."""
    try:
        wide, narrow = _threads.block
    except AttributeError:
        wide, narrow = _threads.block = np.empty(_BLOCK, dtype="<u4"), np.empty(_BLOCK, dtype="u1")
    return wide.view(f"<u{width}")[:_BLOCK], narrow
