"""The hash of a file's content: independent of how it was cut, cheap for holes."""

from collections.abc import Iterable
from functools import lru_cache
from itertools import islice

from .native import Blake3, BytesLike, blake3, new_blake3

BLOCK = 1 << 20
"""Bytes of one hashed block."""
_PREFIX = b"dumont content 1\n"

Blocks = list[tuple[int, bytes]]
"""Block index and hash."""


def small_hash(data: BytesLike) -> bytes:
    """Gives the content hash of content that is at hand as a whole."""
    if len(data) <= BLOCK:
        return blake3(data)
    view = memoryview(data)
    blocks = (blake3(view[at : at + BLOCK]) for at in range(0, len(view), BLOCK))
    return content_hash(len(view), blocks)


def content_hash(size: int, block_hashes: Iterable[bytes]) -> bytes:
    """Gives the content hash from all block hashes in order; ValueError for a wrong number."""
    hasher = new_blake3()
    hasher.update(_PREFIX)
    hashes, count, first = iter(block_hashes), 0, b""
    while batch := list(islice(hashes, 4096)):
        first = first or batch[0]
        count += len(batch)
        hasher.update(b"".join(batch))
    if count != -(-size // BLOCK):
        raise ValueError(f"{count} block hashes for {size} bytes")
    if size > BLOCK:
        return hasher.digest()
    return first or blake3(b"")


@lru_cache(maxsize=64)
def zero_block_hash(length: int) -> bytes:
    """Gives the hash of a block of zeros, 0 … 1 MiB long."""
    return blake3(bytes(length))


class BlockHasher:
    """Hashes the blocks of one contiguous range of a file.

    Only blocks that start inside the range are produced; a block that the range leaves unfinished
    is produced only at the end of the file. Each call returns the blocks it completed.
    """

    def __init__(self, start: int) -> None:
        self._at = start
        self._skip = -start % BLOCK
        self._open: Blake3 | None = None
        # Zeros seen since the block began, while nothing else was: a hole costs no hashing.
        self._zeros = 0

    def feed(self, data: BytesLike) -> Blocks:
        """Takes the next bytes of the range."""
        view = memoryview(data)
        at = self._pass_over(len(view))
        done: Blocks = []
        while at < len(view):
            inside = self._at % BLOCK
            take = min(BLOCK - inside, len(view) - at)
            piece = view[at : at + take]
            if take == BLOCK:
                done.append((self._at // BLOCK, blake3(piece)))
            else:
                self._update(piece)
            self._at += take
            at += take
            if take != BLOCK and self._at % BLOCK == 0:
                done.append(self._close())
        return done

    def zeros(self, count: int) -> Blocks:
        """Takes a hole of `count` bytes; very long ones are better left to `zero_block_hash`."""
        left = count - self._pass_over(count)
        done: Blocks = []
        while left:
            take = min(BLOCK - self._at % BLOCK, left)
            if self._open is None:
                self._zeros += take
            else:
                self._open.update(bytes(take))
            self._at += take
            left -= take
            if self._at % BLOCK == 0:
                done.append(self._close())
        return done

    def finish(self, size: int) -> Blocks:
        """Ends the range; gives the last, short block if the range reached the end of the file."""
        if self._at != size or self._skip or self._at % BLOCK == 0:
            return []
        return [self._close()]

    def _pass_over(self, count: int) -> int:
        """Leaves out the rest of a block that began before the range; gives its length."""
        passed = min(self._skip, count)
        self._skip -= passed
        self._at += passed
        return passed

    def _update(self, piece: memoryview) -> None:
        if self._open is None:
            self._open = new_blake3()
            if self._zeros:
                self._open.update(bytes(self._zeros))
                self._zeros = 0
        self._open.update(piece)

    def _close(self) -> tuple[int, bytes]:
        index = (self._at - 1) // BLOCK
        if self._open is None:
            value, self._zeros = zero_block_hash(self._zeros), 0
        else:
            value, self._open = self._open.digest(), None
        return index, value
