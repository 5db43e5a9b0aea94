"""Makes a zstd frame (RFC 8878) one that states its content's size, as the format wants them."""

import struct

from ..native import BytesLike

_MAGIC = b"\x28\xb5\x2f\xfd"
_SIZES = (0, 2, 4, 8)
_DICTIONARIES = (0, 1, 2, 4)


def with_content_size(frame: BytesLike, length: int) -> bytes | None:
    """Gives the frame with `length` in its header; None for what is not a frame it could be in.

    The blocks stay as they are: a frame that says its size already is given back unchanged.
    """
    view = memoryview(frame)
    if len(view) < 6 or view[:4] != _MAGIC:
        return None
    descriptor = view[4]
    single = bool(descriptor & 0x20)
    if descriptor & 0x08 or _DICTIONARIES[descriptor & 3]:
        return None
    if single or descriptor >> 6:
        return bytes(view)
    # A window descriptor and no size: say the size in four bytes, and leave the window.
    header = bytes((descriptor | 0x80, view[5])) + struct.pack("<I", length)
    return b"".join((_MAGIC, header, view[6:]))
