"""What a GPU must code and give back before anything of the workspace is trusted to it."""

import random
from collections.abc import Iterator
from typing import NamedTuple

from .payload import GpuCodecName

_MIB = 1 << 20
_KINDS = {"ans": (("f2", 2), ("f4", 4), ("u1", 1)), "gzstd": (("zstd", 1),)}


class Trial(NamedTuple):
    """A buffer, and as what it is coded."""

    name: str
    kind: str
    width: int
    raw: bytes


def trials(codec: GpuCodecName) -> Iterator[Trial]:
    """Gives every trial for a codec, small ones first: most of what is broken shows at once."""
    weights = _weights(_MIB)
    # A chunk has 4 MiB at most, and no frame a larger window; ANS goes by blocks anyway.
    most = 16 if codec == "ans" else 4
    shapes = (
        ("16 bytes", bytes(range(16))),
        ("zeros", bytes(_MIB)),
        ("noise", random.Random(1).randbytes(_MIB)),
        ("a ramp", bytes(range(256)) * (_MIB // 256)),
        ("weights", weights),
        (f"{most} MiB", weights * most),
        (f"{most} MiB less 16 bytes", (weights * most)[16:]),
        *([("16 MiB and 16 bytes", weights * most + bytes(range(16)))] if most > 4 else []),
    )
    for name, raw in shapes:
        for kind, width in _KINDS[codec]:
            yield Trial(f"{name} as {kind}", kind, width, raw)


def _weights(length: int) -> bytes:
    """Gives what looks like bf16 weights: noise in the low byte, few exponents in the high one."""
    source = random.Random(2)
    # Half of all values have the commonest exponent, a quarter the next, and so on down.
    exponents = bytes(0x3E - min(8, (256 - value).bit_length()) for value in range(256))
    raw = bytearray(length)
    raw[0::2] = source.randbytes(length // 2)
    raw[1::2] = source.randbytes(length // 2).translate(exponents)
    return bytes(raw)
