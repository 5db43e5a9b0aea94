"""Reads one span of a large file, chunk by chunk, in bounded memory."""

import os
from collections.abc import Iterator
from typing import Protocol

from .base_reader import BaseReader, Bases
from .content_hash import BLOCK, BlockHasher, content_hash, zero_block_hash
from .create_messages import Span, Stretch
from .cut import cut_buffer
from .entry import CHUNK_MAX

WINDOW = 2 * CHUNK_MAX
"""Bytes of the buffer that a reader needs."""


class Store(Protocol):
    """Takes chunks of files that are read."""

    def __call__(self, data: memoryview, width: int | None, bases: Bases | None = None) -> bytes:
        """Gives the raw hash of a chunk; its memory is used again afterwards."""
        ...


class Changed(Exception):
    """The file became shorter while it was read."""


class StretchReader:
    """Reads a stretch of an open file: its chunks, and the hashes of blocks that start in it."""

    def __init__(self, fd: int, stretch: Stretch, buffer: bytearray, store: Store) -> None:
        self.spans: list[Span] = []
        self.blocks: list[tuple[int, bytes]] = []
        self.torn = False
        self._fd = fd
        self._size = stretch.expect.size
        self._span = stretch.span
        self._lenient = stretch.lenient
        self._view = memoryview(buffer)
        self._store = store
        self._at = stretch.span.start
        self._hasher = BlockHasher(self._at)
        self._bases = stretch.bases
        self._base_reader = BaseReader(stretch.base_files)

    def close(self) -> None:
        """Closes the files of bases."""
        self._base_reader.close()

    def read(self) -> None:
        """Reads all of it; raises Changed unless the stretch is lenient, OSError."""
        if self._span.pieces is None:
            for start, end in self._span.ranges:
                self._read_by_content(start, end)
        else:
            for number, (offset, length, width) in enumerate(self._span.pieces):
                bases = Bases(self._bases[number], self._base_reader) if self._bases else None
                self._take(offset, self._fill(offset, 0, length), width, bases)
        self._pass_hole(self._span.end)
        self._finish_last_block()

    def content_hash(self) -> bytes:
        """The content hash, for a span that is the whole file; blocks never met are holes."""
        return content_hash(self._size, self._all_blocks(dict(self.blocks)))

    def _all_blocks(self, known: dict[int, bytes]) -> Iterator[bytes]:
        whole = zero_block_hash(BLOCK)
        for index in range(self._size // BLOCK):
            yield known.get(index, whole)
        if self._size % BLOCK:
            yield known.get(self._size // BLOCK) or zero_block_hash(self._size % BLOCK)

    def _read_by_content(self, start: int, end: int) -> None:
        held = 0
        while start < end:
            wanted = min(WINDOW, end - start)
            self._fill(start + held, held, wanted - held)
            at = 0
            for length in cut_buffer(self._view[:wanted], start + wanted == end):
                self._take(start + at, self._view[at : at + length], None)
                at += length
            held = wanted - at
            self._view[:held] = self._view[at:wanted]
            start += at

    def _fill(self, offset: int, at: int, length: int) -> memoryview:
        """Reads `length` bytes of the file at `offset` into the buffer from `at` on."""
        wanted = self._view[at : at + length]
        done = 0
        while done < length:
            count = os.preadv(self._fd, [wanted[done:]], offset + done)
            if count == 0:
                if not self._lenient:
                    raise Changed
                # What was cut off is stored as zeros, under the mark `torn`.
                self.torn = True
                wanted[done:] = bytes(length - done)
                break
            done += count
        return wanted

    def _take(
        self, offset: int, data: memoryview, width: int | None, bases: Bases | None = None
    ) -> None:
        self._pass_hole(offset)
        self.blocks += self._hasher.feed(data)
        self.spans.append(Span(offset, self._store(data, width, bases), 0, len(data)))
        self._at += len(data)

    def _pass_hole(self, offset: int) -> None:
        """Goes on at `offset`; whole blocks inside a long hole are known without hashing."""
        if offset // BLOCK > self._at // BLOCK + 1:
            self._zeros(-self._at % BLOCK)
            self._at = offset - offset % BLOCK
            self._hasher = BlockHasher(self._at)
        self._zeros(offset - self._at)

    def _zeros(self, count: int) -> None:
        if count:
            self.blocks += self._hasher.zeros(count)
            self._at += count

    def _finish_last_block(self) -> None:
        """The last block that starts here may end in the next span: its hash is ours to make."""
        rest = min(-self._at % BLOCK, self._size - self._at)
        if rest and self._at - self._at % BLOCK >= self._span.start:
            self.blocks += self._hasher.feed(self._fill(self._at, 0, rest))
        self.blocks += self._hasher.finish(self._size)
