"""Differences between a chunk and its base: words of nearby numbers become words near zero.

`xor` is the exclusive or. `ordered` is the distance between numbers in the order of the floats,
which also brings those together that a carry separates: with f(x) = x, all bits but the sign
flipped where the sign is set, it is f(f(x) - f(base)). f is its own inverse and puts the bits of
floats in the order of their values; applied to the distance, it leaves sign and magnitude as a
float has them, which is what the planes expect.
"""

from types import ModuleType

from .codecs import numpy_delta, pure_delta
from .native import BytesLike, numpy


def implementation() -> ModuleType:
    """Gives the arithmetic for this box: with numpy, or the pure one."""
    return numpy_delta if numpy() is not None else pure_delta


def difference(
    raw: BytesLike, base: BytesLike, operation: str, width: int, use: ModuleType | None = None
) -> memoryview:
    """Gives what `restore` makes `raw` of; it holds until this thread's next difference.

    Words have `width` bytes; what is left of the last one stays as it is. Raises ValueError unless
    both are of one length.
    """
    if len(raw) != len(base):
        raise ValueError("a base of another length")
    out: memoryview = (use or implementation()).difference(raw, base, operation, width)
    return out


def restore(
    change: memoryview, base: BytesLike, operation: str, width: int, use: ModuleType | None = None
) -> None:
    """Turns a difference, in writable memory, into the chunk it was made of."""
    if len(change) != len(base):
        raise ValueError("a base of another length")
    (use or implementation()).restore(change, base, operation, width)
