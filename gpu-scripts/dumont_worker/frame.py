"""Frames: stored chunks that describe themselves, so that a pack can be read without its index."""

import struct
import zlib
from dataclasses import dataclass

from .codecs import zstd
from .codecs.base import Encoded
from .entry import CHUNK_MAX, CODECS, TRANSFORMS
from .errors import WorkerError, integrity
from .native import BytesLike, blake3
from .planes import decode_planes

_FIXED = struct.Struct("<4sBBBBBBHII32s")
_CRC = struct.Struct("<I")
MAGIC = b"dmtC"
HEADER = 56
HEADER_WITH_BASE = 88
HEADER_MAX = HEADER_WITH_BASE
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


def encode_frame(raw_length: int, raw_hash: bytes, encoded: Encoded) -> tuple[BytesLike, ...]:
    """Gives a frame in parts, header first; the parts live as long as those of `encoded`."""
    payload = encoded.length
    if not 0 < payload <= raw_length <= CHUNK_MAX:
        raise ValueError(f"a payload of {payload} for a chunk of {raw_length} bytes")
    fixed = _FIXED.pack(
        MAGIC,
        1,
        HEADER,
        TRANSFORMS.index(encoded.transform),
        CODECS.index(encoded.codec),
        0,
        0,
        0,
        raw_length,
        payload,
        raw_hash,
    )
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


def decode_frame(
    frame: BytesLike,
    raw_hash: bytes,
    raw_length: int,
    frame_hash: bytes | None = None,
    into: memoryview | None = None,
) -> BytesLike:
    """Gives the raw bytes of one whole frame, proven to be those with `raw_hash`; raises INTEGRITY.

    With `frame_hash` the stored bytes are proven before any of them is decoded. The result may be a
    view of `frame`, or `into`, memory of `raw_length` bytes that is used where it saves a copy.
    """
    view = memoryview(frame)
    try:
        if frame_hash is not None and blake3(view) != frame_hash:
            raise integrity("the stored bytes have changed")
        header = parse_header(view)
        if header.length != len(view):
            raise integrity("a frame of another length")
        if header.raw_hash != raw_hash or header.raw_length != raw_length:
            raise integrity("another chunk's frame")
        raw = _decode(header, view[header.header_length :], into)
        if len(raw) != raw_length or blake3(raw) != raw_hash:
            raise integrity("the decoded bytes are not the chunk's")
    except WorkerError as error:
        if error.code != "INTEGRITY":
            raise
        raise integrity(f"chunk {raw_hash.hex()[:16]}: {error.message}") from None
    return raw


def _decode(header: FrameHeader, payload: memoryview, into: memoryview | None) -> BytesLike:
    if header.base is not None or header.codec == "ans":
        raise WorkerError(
            "FORMAT_NEWER",
            f"this worker has no decoder for {header.base[0] if header.base else header.codec}",
            "use the dumont release that made the snapshot",
        )
    if header.transform != "none":
        raw = into if into is not None else memoryview(bytearray(header.raw_length))
        return decode_planes(payload, header.transform, header.codec, raw)
    if header.codec == "zstd":
        return zstd.decompress(payload, header.raw_length)
    return payload
