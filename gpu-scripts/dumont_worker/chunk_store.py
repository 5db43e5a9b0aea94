"""One compute thread's way of storing chunks: claimed, coded, packed."""

from collections.abc import Callable
from typing import Protocol

from .base_reader import Bases
from .codecs.base import Encoded
from .create_messages import Chunk, Standing
from .delta_encoder import DeltaEncoder
from .frame import encode_frame
from .native import BytesLike, blake3
from .pack_builder import PackBuilder

Encode = Callable[[BytesLike, int | None], Encoded]
"""What the CPU makes of a chunk with an element width, as `encode_chunk` does."""
Add = Callable[[BytesLike, bytes, int | None, Encoded | None], None]
"""Stores a chunk by raw hash and width: as it is coded, or as the CPU codes it."""


class Batch(Protocol):
    """Chunks that wait for a GPU; see gpu/batch.py."""

    def take(self, data: BytesLike, raw_hash: bytes, width: int | None) -> bool:
        """Whether the chunk waits here now."""
        ...

    def flush(self) -> None:
        """Stores all that waits."""
        ...


class Desk(Protocol):
    """Who knows which chunks are stored, or about to be."""

    def claim(self, raw_hash: bytes) -> bool:
        """Whether this chunk is ours to store."""
        ...

    def claim_difference(self, raw_hash: bytes) -> bool:
        """The same for a chunk that may become a difference."""
        ...

    def standing(self, raw_hash: bytes, claims: bool) -> Standing:
        """Whether a chunk may be a base; with `claims`, ours to store whole if nobody has it."""
        ...


class ChunkStore:
    """Stores chunks that nobody else has; `on_stored` hears of each.

    With a GPU, some wait until there are enough for it, or until `flush`.
    """

    def __init__(
        self,
        desk: Desk,
        builder: PackBuilder,
        encode: Encode,
        on_stored: Callable[[Chunk], None],
        batch: Callable[[Add], Batch | None] = lambda _: None,
    ) -> None:
        self._desk = desk
        self._builder = builder
        self._encode = encode
        self._on_stored = on_stored
        self._batch = batch(self._add)
        self._deltas: DeltaEncoder | None = None
        self.passed = 0
        """Raw bytes of chunks that others store, less those stored for others."""

    def store(self, data: memoryview, width: int | None, bases: Bases | None = None) -> bytes:
        """Gives the raw hash of a chunk that is stored now, or by someone else."""
        raw_hash = blake3(data)
        if bases is None or not bases.places:
            if self._desk.claim(raw_hash):
                self._store_whole(data, raw_hash, width)
            else:
                self.passed += len(data)
        elif self._desk.claim_difference(raw_hash):
            self._store_difference(data, raw_hash, width, bases)
        else:
            self.passed += len(data)
        return raw_hash

    def flush(self) -> None:
        """Stores the chunks that wait."""
        if self._batch is not None:
            self._batch.flush()

    def _store_difference(
        self, data: memoryview, raw_hash: bytes, width: int | None, bases: Bases
    ) -> None:
        if self._deltas is None:
            self._deltas = DeltaEncoder(self._desk.standing, self._store_base)
        made = self._deltas.encode(data, raw_hash, width, bases)
        if made is None:
            self._store_whole(data, raw_hash, width)
            return
        # A base is told of before what differs from it.
        self.flush()
        place = self._builder.add([made.frame])
        self._on_stored(
            Chunk(raw_hash, len(data), *place, made.transform, made.codec, made.base, made.alone)
        )

    def _store_base(self, data: BytesLike, raw_hash: bytes, width: int) -> None:
        self._store_whole(data, raw_hash, width)
        # Its own file is still to come, and counts it then.
        self.passed -= len(data)

    def _store_whole(self, data: BytesLike, raw_hash: bytes, width: int | None) -> None:
        if self._batch is None or not self._batch.take(data, raw_hash, width):
            self._add(data, raw_hash, width, None)

    def _add(
        self, data: BytesLike, raw_hash: bytes, width: int | None, coded: Encoded | None
    ) -> None:
        encoded = coded or self._encode(data, width)
        place = self._builder.add(encode_frame(len(data), raw_hash, encoded))
        self._on_stored(Chunk(raw_hash, len(data), *place, encoded.transform, encoded.codec))
