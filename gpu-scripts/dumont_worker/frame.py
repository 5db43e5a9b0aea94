"""Frames: stored chunks that describe themselves, so that a pack can be read without its index."""

import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from . import delta
from .codecs import zstd
from .codecs.base import Encoded
from .entry import CHUNK_MAX, CODECS, TRANSFORMS
from .errors import WorkerError, integrity
from .native import BytesLike, blake3
from .planes import WIDTHS, decode_planes

_FIXED = struct.Struct("<4sBBBBBBHII32s")
_CRC = struct.Struct("<I")
MAGIC = b"dmtC"
HEADER = 56
HEADER_WITH_BASE = 88
_DELTAS = (None, "xor", "ordered")


@dataclass(frozen=True, slots=True)
class FrameHeader:
    """What a frame says of itself; `base` is a delta's operation and the raw hash of its base."""

    header_length: int
    transform: str
    codec: str
    raw_length: int
    payload_length: int
    raw_hash: bytes
    base: tuple[str, bytes] | None = None

    @property
    def length(self) -> int:
        """Bytes of the whole frame."""
        return self.header_length + self.payload_length


FindBase = Callable[[bytes], BytesLike]
"""Gives the raw bytes of the base with a raw hash; raises INTEGRITY when they cannot be had."""


Unseal = Callable[[memoryview], BytesLike]
"""Gives the frame in a sealed record; raises INTEGRITY."""


DecodeAns = Callable[[BytesLike, str, int, bytes], BytesLike]
"""Gives raw bytes by payload, transform, raw length and raw hash; raises BOX_UNSUITABLE."""
_decoders: dict[str, DecodeAns] = {}


def decode_ans_with(decoder: DecodeAns) -> None:
    """Has this process decode ANS chunks with the GPU behind `decoder`."""
    _decoders["ans"] = decoder


def encode_frame(
    raw_length: int, raw_hash: bytes, encoded: Encoded, base: tuple[str, bytes] | None = None
) -> tuple[BytesLike, ...]:
    """Gives a frame in parts, header first; the parts live as long as those of `encoded`.

    With `base`, an operation and a raw hash, `encoded` is what the chunk differs by.
    """
    payload = encoded.length
    if not 0 < payload <= raw_length <= CHUNK_MAX:
        raise ValueError(f"a payload of {payload} for a chunk of {raw_length} bytes")
    fixed = _FIXED.pack(
        MAGIC,
        1,
        HEADER if base is None else HEADER_WITH_BASE,
        TRANSFORMS.index(encoded.transform),
        CODECS.index(encoded.codec),
        0 if base is None else _DELTAS.index(base[0]),
        0,
        0,
        raw_length,
        payload,
        raw_hash,
    )
    if base is not None:
        fixed += base[1]
    return (fixed + _CRC.pack(zlib.crc32(fixed)), *encoded.parts)


def parse_header(data: BytesLike) -> FrameHeader:
    """Reads the header at the start of `data`; raises INTEGRITY, FORMAT_NEWER for a later one."""
    if len(data) < HEADER:
        raise integrity("a frame shorter than its header")
    (magic, version, length, transform, codec, delta, encryption, zero, raw, payload, raw_hash) = (
        _FIXED.unpack_from(data)
    )
    if magic != MAGIC:
        raise integrity("not a frame")
    if length not in (HEADER, HEADER_WITH_BASE) or len(data) < length:
        raise integrity("a frame header of impossible length")
    # The checksum first: a damaged header must not look like a newer format.
    if _CRC.unpack_from(data, length - 4)[0] != zlib.crc32(memoryview(data)[: length - 4]):
        raise integrity("a damaged frame header")
    if version != 1 or encryption:
        raise WorkerError(
            "FORMAT_NEWER",
            f"a frame of version {version} with encryption {encryption}",
            "use the dumont release that made it",
        )
    if transform >= len(TRANSFORMS) or codec >= len(CODECS) or delta >= len(_DELTAS) or zero:
        raise integrity("a frame with an unknown transform, codec or delta")
    if (length == HEADER_WITH_BASE) != (delta != 0):
        raise integrity("a frame header of impossible length")
    if not 0 < payload <= raw <= CHUNK_MAX:
        raise integrity("a frame of impossible length")
    operation = _DELTAS[delta]
    base = (operation, bytes(data[52:84])) if operation else None
    return FrameHeader(length, TRANSFORMS[transform], CODECS[codec], raw, payload, raw_hash, base)


def open_frame(
    stored: BytesLike, raw_hash: bytes, frame_hash: bytes | None, unseal: Unseal | None
) -> memoryview:
    """Gives one frame out of what is stored, which is proven first; raises INTEGRITY."""
    view = memoryview(stored)
    with _naming(raw_hash):
        if frame_hash is not None and blake3(view) != frame_hash:
            raise integrity("the stored bytes have changed")
        return view if unseal is None else memoryview(unseal(view))


def decode_frame(  # noqa: PLR0913
    frame: BytesLike,
    raw_hash: bytes,
    raw_length: int,
    frame_hash: bytes | None = None,
    into: memoryview | None = None,
    *,
    find_base: FindBase | None = None,
    unseal: Unseal | None = None,
    base_is_proven: bool = False,
) -> BytesLike:
    """Gives the raw bytes of one whole frame, proven to be those with `raw_hash`; raises INTEGRITY.

    With `frame_hash` the stored bytes are proven before any of them is decoded, with `unseal` they
    are a record that holds the frame. The result may be a
    view of `frame`, or `into`, memory of `raw_length` bytes that is used where it saves a copy.
    What `find_base` gives is proven too, for a difference from anything else is nothing, unless
    the caller has done so.
    """
    view = open_frame(frame, raw_hash, frame_hash, unseal)
    with _naming(raw_hash):
        header = parse_header(view)
        if header.length != len(view):
            raise integrity("a frame of another length")
        if header.raw_hash != raw_hash or header.raw_length != raw_length:
            raise integrity("another chunk's frame")
        raw = _decode(header, view[header.header_length :], into)
        if header.base is not None:
            raw = _undo(header, raw, header.base, find_base, base_is_proven)
        if len(raw) != raw_length or blake3(raw) != raw_hash:
            raise integrity("the decoded bytes are not the chunk's")
    return raw


@contextmanager
def _naming(raw_hash: bytes) -> Iterator[None]:
    """Has what is wrong with a chunk say which."""
    try:
        yield
    except WorkerError as error:
        if error.code != "INTEGRITY":
            raise
        raise integrity(f"chunk {raw_hash.hex()[:16]}: {error.message}") from None


def _decode(header: FrameHeader, payload: memoryview, into: memoryview | None) -> BytesLike:
    if header.codec == "ans":
        if "ans" not in _decoders:
            raise WorkerError(
                "BOX_UNSUITABLE",
                "a chunk needs an NVIDIA GPU to be decoded",
                "use a box with one, or transcode the snapshot there (dumont snapshot transcode)",
            )
        return _decoders["ans"](payload, header.transform, header.raw_length, header.raw_hash)
    if header.transform != "none":
        raw = into if into is not None else memoryview(bytearray(header.raw_length))
        return decode_planes(payload, header.transform, header.codec, raw)
    if header.codec == "zstd":
        return zstd.decompress(payload, header.raw_length)
    return payload


def _undo(
    header: FrameHeader,
    change: BytesLike,
    base: tuple[str, bytes],
    find_base: FindBase | None,
    is_proven: bool,
) -> memoryview:
    """Gives the chunk that differs from its base by `change`."""
    operation, base_hash = base
    width = WIDTHS.get(header.transform, 1)
    if operation == "ordered" and width == 1:
        raise integrity("a difference of numbers without their width")
    if find_base is None:
        raise integrity("the chunk that it differs from is not at hand")
    found = find_base(base_hash)
    if len(found) != header.raw_length or not (is_proven or blake3(found) == base_hash):
        raise integrity("the chunk that it differs from has changed")
    raw = memoryview(change)
    if raw.readonly or len(raw) != header.raw_length:
        raw = memoryview(bytearray(raw[: header.raw_length]))
    if len(raw) != header.raw_length:
        raise integrity("the decoded bytes are not the chunk's")
    delta.restore(raw, found, operation, width)
    return raw
