"""What the first bytes of an nvCOMP container tell: for messages only, the layout is undocumented.

Seen in containers of nvCOMP's own: 5.x begins with `26 13 91 52`, 6.0 with `27 13 91 52`; then come
the library's major and minor version and the codec.
"""

from typing import NamedTuple

from ..native import BytesLike

_MAGICS = (b"\x26\x13\x91\x52", b"\x27\x13\x91\x52")
_CODECS = (
    "LZ4",
    "Snappy",
    "ANS",
    "GDeflate",
    "Cascaded",
    "Bitcomp",
    "Zstd",
    "Deflate",
    "Gzip",
)


class Container(NamedTuple):
    """Which nvCOMP wrote a container, and with which codec (None: one not known here)."""

    major: int
    minor: int
    codec: str | None


def sniff(data: BytesLike) -> Container | None:
    """Gives what a container says of itself, None for anything else."""
    head = bytes(memoryview(data)[:7])
    if len(head) < 7 or not head.startswith(_MAGICS):
        return None
    codec = _CODECS[head[6]] if head[6] < len(_CODECS) else None
    return Container(head[4], head[5], codec)


def describe(data: BytesLike) -> str:
    """Says what a buffer seems to be, for a message about one that could not be decoded."""
    found = sniff(data)
    if found is None:
        return "no nvCOMP container"
    return f"a container of nvCOMP {found.major}.{found.minor}, {found.codec or 'unknown codec'}"
