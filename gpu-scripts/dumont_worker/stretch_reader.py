"""Reads one span of a large file, chunk by chunk, in bounded memory."""

import mmap
import os
from collections.abc import Iterator
from typing import Protocol

from .base_reader import BaseReader, Bases
from .content_hash import BLOCK, BlockHasher, content_hash, zero_block_hash
from .create_messages import Span, Stretch
from .cut import cut_buffer
from .direct import BLOCK as PAGE
from .direct import WORD, is_cached, read_blocks, takes_direct
from .entry import CHUNK_MAX

WINDOW = 2 * CHUNK_MAX
"""Bytes of the buffer that a reader needs, from a page's begin."""


Buffer = bytearray | mmap.mmap


class Store(Protocol):
    """Takes chunks of files that are read."""

    def __call__(self, data: memoryview, width: int | None, bases: Bases | None = None) -> bytes:
        """Gives the raw hash of a chunk; its memory is used again afterwards."""
        ...


class Changed(Exception):
    """The file became shorter while it was read."""


class StretchReader:
    """Reads a stretch of an open file: its chunks, and the hashes of blocks that start in it."""

    def __init__(self, fd: int, stretch: Stretch, buffer: Buffer, store: Store) -> None:
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
        # What has relatives is hardly needed again, and leaves the cache to what they differ from.
        self._direct = takes_direct(fd) and not is_cached(fd, self._span.start, self._span.end)

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
                at = offset % PAGE if offset % WORD == 0 else 0
                self._take(offset, self._fill(offset, at, length), width, bases)
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
            # Everything lies in memory as far behind a page's begin as in the file, and a window
            # that is not the last ends with a page: so the next one begins with what was not read.
            at = start % PAGE
            last = min(WINDOW, at + end - start)
            self._fill(start + held, at + held, last - at - held)
            for length in cut_buffer(self._view[at:last], start + last - at == end):
                self._take(start, self._view[at : at + length], None)
                at += length
                start += length
            held = last - at
            self._view[start % PAGE : start % PAGE + held] = self._view[at:last]

    def _fill(self, offset: int, at: int, length: int) -> memoryview:
        """Reads `length` bytes of the file at `offset` into the buffer from `at` on.

        What lies in the buffer within a page of them may be lost, unless `offset` begins one.
        """
        wanted = self._view[at : at + length]
        done = self._fill_direct(offset, at, length) if self._direct else 0
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

    def _fill_direct(self, offset: int, at: int, length: int) -> int:
        """Reads what it can past the page cache, and gives how much of it is there now."""
        before = offset % PAGE
        if at % PAGE != before:
            return 0
        end = at + length
        room = self._view[at - before : end + -end % PAGE]
        count = read_blocks(self._fd, room, offset - before)
        self._direct = count > 0
        return max(0, min(count - before, length))

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
