"""Chunks that wait until there are enough of them to be worth a trip to the GPU."""

from ..chunk_store import Add
from ..codecs.choose import element_width
from ..entry import CHUNK_MAX
from ..native import BytesLike
from .codec import Chunk, GpuCodec
from .payload import SMALLEST

HELD_MOST = 8 * CHUNK_MAX
"""Bytes of chunks that wait: what a codec sends at a time."""
_COUNT_MOST = 256


class Batch:
    """One compute thread's chunks for the GPU.

    `add` gets every chunk that was taken, with None where the CPU is to encode it.
    """

    def __init__(self, codec: GpuCodec, add: Add) -> None:
        self._codec = codec
        self._add = add
        self._chunks: list[Chunk] = []
        self._told: list[int | None] = []
        self._held = 0

    def take(self, data: BytesLike, raw_hash: bytes, width: int | None) -> bool:
        """Keeps a copy of a chunk that the GPU is to code; False for what belongs on the CPU."""
        if self._codec.off is not None or len(data) < SMALLEST:
            return False
        found = element_width(data, width)
        if not self._codec.takes(found):
            return False
        if self._held + len(data) > HELD_MOST or len(self._chunks) == _COUNT_MOST:
            self.flush()
        self._chunks.append(Chunk(bytes(data), raw_hash, found))
        self._told.append(width)
        self._held += len(data)
        return True

    def flush(self) -> None:
        """Codes what waits; raises what the codec and `add` raise."""
        chunks, told = self._chunks, self._told
        self._chunks, self._told, self._held = [], [], 0
        if chunks:
            for chunk, width, coded in zip(chunks, told, self._codec.encode(chunks), strict=True):
                self._add(chunk.raw, chunk.raw_hash, width, coded)
