"""Differences with numpy, in blocks that stay in the second-level cache."""

import threading
from typing import Any

from ..native import BytesLike, numpy

_BLOCK = 64 << 10
"""Words at a time."""

_threads = threading.local()


def difference(raw: BytesLike, base: BytesLike, operation: str, width: int) -> memoryview:
    """Gives the difference in a buffer of this thread's own."""
    out = _buffer(len(raw))
    end = len(raw) - len(raw) % width
    _each_block(memoryview(raw), memoryview(base), out, operation, width)
    out[end:] = memoryview(raw)[end:]
    return out


def restore(change: memoryview, base: BytesLike, operation: str, width: int) -> None:
    """Turns the difference into the chunk, in its place."""
    undo = "unordered" if operation == "ordered" else operation
    _each_block(change, memoryview(base), change, undo, width)


def _each_block(
    one: memoryview, base: memoryview, out: memoryview, operation: str, width: int
) -> None:
    np: Any = numpy()
    words = len(one) // width
    # Signed, so that a shift spreads the sign.
    sources = [np.frombuffer(data, dtype=f"<i{width}", count=words) for data in (one, base, out)]
    scratch = [np.empty(min(words, _BLOCK), dtype=f"<i{width}") for _ in range(2)]
    for start in range(0, words, _BLOCK):
        here, there, to = (source[start : start + _BLOCK] for source in sources)
        first, second = (area[: len(here)] for area in scratch)
        if operation == "xor":
            np.bitwise_xor(here, there, out=to)
        else:
            _fold(np, here, first, to, width)
            _fold(np, there, first, second, width)
            if operation == "ordered":
                np.subtract(to, second, out=to)
            else:
                np.add(to, second, out=to)
            _fold(np, to, first, to, width)


def _fold(np: Any, words: Any, scratch: Any, out: Any, width: int) -> None:
    """Flips all bits but the sign of negative words: its own inverse."""
    np.right_shift(words, 8 * width - 1, out=scratch)
    np.bitwise_and(scratch, (1 << (8 * width - 1)) - 1, out=scratch)
    np.bitwise_xor(words, scratch, out=out)


def _buffer(length: int) -> memoryview:
    np: Any = numpy()
    buffer = getattr(_threads, "difference", None)
    if buffer is None or len(buffer) < length:
        buffer = _threads.difference = np.empty(max(length, 4 << 20), dtype="u1")
    return memoryview(buffer)[:length]
