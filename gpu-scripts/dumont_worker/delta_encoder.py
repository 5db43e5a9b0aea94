"""Stores a chunk as its difference from another version of it, where that is much smaller."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from . import delta
from .base_reader import BaseReader, Bases
from .codecs.base import Encoded
from .codecs.choose import sample_places, transform_of, width_of
from .create_messages import Base, Standing
from .entry import CHUNK_MAX, DELTAS
from .errors import WorkerError
from .frame import decode_frame, encode_frame
from .native import BytesLike, blake3
from .planes import encode_planes

_LEAST = 64 << 10
"""Below this a frame's header and tables weigh too much."""
_WORTH = 0.8
"""A difference is kept when it needs at most so much of what the chunk needs alone."""
_PIECES, _PIECE, _PIECE_MOST = 16, 1 << 10, 4 << 10
"""A sample has so many pieces, which together are a 32nd of a chunk or as near as that may be."""


class Made(NamedTuple):
    """A chunk as a difference: its frame, proven, and about how long it would be alone."""

    frame: bytes
    transform: str
    codec: str
    base: tuple[str, bytes]
    alone: int


class _Candidate(NamedTuple):
    estimate: float
    operation: str
    base: Base


class DeltaEncoder:
    """One compute thread's encoder of differences.

    `standing` tells whether a chunk may be a base, and claims it for us if we ask it to and nobody
    has it; `store_whole` stores what is ours so.
    """

    def __init__(
        self,
        standing: Callable[[bytes, bool], Standing],
        store_whole: Callable[[BytesLike, bytes, int], None],
    ) -> None:
        self._standing = standing
        self._store_whole = store_whole
        self._buffer = memoryview(bytearray(CHUNK_MAX))
        self._proof = memoryview(bytearray(CHUNK_MAX))

    def encode(
        self, raw: memoryview, raw_hash: bytes, width: int | None, bases: Bases
    ) -> Made | None:
        """Gives a chunk as its difference from the best of its bases, None if alone is better."""
        if len(raw) < _LEAST:
            return None
        places = sample_places(len(raw), _piece(len(raw)))
        sample = b"".join([raw[at : at + length] for at, length in places])
        found = width_of(sample, width)
        if found not in (2, 4):
            return None
        alone = encode_planes(sample, transform_of(sample, found)).length / len(sample)
        ranked = sorted(
            candidate
            for base in bases.places
            for candidate in self._best(sample, found, base, places, bases.reader)
            if candidate.estimate <= _WORTH * alone
        )
        for _, operation, base in ranked:
            # Only the first of all versions is stored whole for others to lean on. One in between
            # shall become a difference itself, whoever is first to come across it.
            is_first = base == bases.places[-1]
            whole = self._base(base, is_first, len(raw), found, bases.reader)
            if whole is None:
                continue
            made = self._made(raw, raw_hash, whole, (operation, found))
            most = int(alone * len(raw))
            if made is None or len(made[0]) > _WORTH * most:
                return None
            frame, encoded = made
            return Made(frame, encoded.transform, encoded.codec, (operation, whole[1]), most)
        return None

    def _best(
        self,
        sample: bytes,
        width: int,
        base: Base,
        places: Sequence[tuple[int, int]],
        reader: BaseReader,
    ) -> list[_Candidate]:
        """The better operation, and how much of the raw bytes it would need, by the sample."""
        room = self._buffer[: len(sample)]
        if not reader.read(base, places, room):
            return []
        sizes = []
        for operation in DELTAS:
            change = delta.difference(sample, room, operation, width)
            length = encode_planes(change, transform_of(change, width)).length
            sizes.append(_Candidate(length / len(sample), operation, base))
        return [min(sizes)]

    def _base(
        self, base: Base, is_first: bool, length: int, width: int, reader: BaseReader
    ) -> tuple[memoryview, bytes] | None:
        """Gives a base that is stored whole, and its hash; None where it may not be one."""
        room = self._buffer[:length]
        if not reader.read(base, [(0, length)], room):
            return None
        base_hash = blake3(room)
        standing = self._standing(base_hash, is_first)
        if standing == "yours":
            self._store_whole(room, base_hash, width)
        return None if standing == "no" else (room, base_hash)

    def _made(
        self,
        raw: memoryview,
        raw_hash: bytes,
        base: tuple[memoryview, bytes],
        how: tuple[str, int],
    ) -> tuple[bytes, Encoded] | None:
        """Gives the frame, decoded again from its bytes and from its base, hashed anew."""
        whole, base_hash = base
        operation, width = how
        change = delta.difference(raw, whole, operation, width)
        encoded = encode_planes(change, transform_of(change, width))
        frame = b"".join(encode_frame(len(raw), raw_hash, encoded, (operation, base_hash)))
        try:
            room = self._proof[: len(raw)]
            decode_frame(
                frame,
                raw_hash,
                len(raw),
                into=room,
                find_base=lambda _: whole,
                # It was hashed as it was read, and nobody else has its memory.
                base_is_proven=True,
            )
        except WorkerError as error:
            if error.code != "INTEGRITY":
                raise
            # Whatever spoilt it, the chunk alone is stored instead.
            return None
        return frame, encoded


def _piece(length: int) -> int:
    """How long the pieces of a chunk's sample are; elements stay whole."""
    return min(max(_PIECE, length // (32 * _PIECES) & ~7), _PIECE_MOST)
