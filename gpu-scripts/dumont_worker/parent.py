"""The parent snapshot beside the scan: what is unchanged, and which chunks are stored already."""

import struct
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from .cut import SMALL_MOST
from .entry import CODECS, TRANSFORMS, ChunkRecord, Entry, Extent, path_key
from .errors import integrity
from .index import PackRecord, read_chunks, read_segment
from .number_table import NumberTable

SETTLED_NS = 60_000_000_000
"""A file that changed less than this before the parent's scan may have changed again unseen."""
ALIVE_LEAST = 0.25
"""Packs of which less than this share is named are left to be removed: their chunks go anew."""

_CACHED_SEGMENTS = 32 << 20
_CONTENTS_MOST = 1_000_000
_RECORD = struct.Struct("<32s32sLLLLBB")
# Content hash, chunk, place in it: of a small file, which lies in one piece.
_CONTENT = struct.Struct("<32sLLL")

Extents = tuple[Extent, ...]


def unchanged(entry: Entry, parent: Entry, scanned_at: int) -> bool:
    """Whether a file need not be read again, if both snapshots are of the same box.

    `scanned_at` is when the parent's scan began, in ns by the box's file-system clock.
    """
    now, then = entry.stat, parent.stat
    if entry.kind != "file" or parent.kind != "file" or parent.torn or now is None or then is None:
        return False
    return (
        entry.size == parent.size
        and entry.mtime == parent.mtime < scanned_at - SETTLED_NS
        and now.ctime == then.ctime < scanned_at - SETTLED_NS
        and now.ino == then.ino
        and now.fs == then.fs
    )


@dataclass(frozen=True, slots=True)
class Source:
    """Where the parent's index comes from.

    `fetch(n)` gives segment n, already checked against the manifest's SHA-256. `roots` are the
    parent's root paths in its order. `unusable` are keys of packs that must not be named again;
    with `reuse` false none may be, with `ans` false no chunk that nvCOMP's ANS coded.
    """

    snapshot: str
    segments: int
    fetch: Callable[[int], bytes]
    packs: list[PackRecord]
    roots: list[bytes]
    reuse: bool = True
    unusable: Collection[str] = ()
    ans: bool = True


class ParentIndex:
    """The parent's chunks, held compactly, and its entries, streamed once in path order.

    Chunk numbers are the parent's. Memory: about 100 bytes a chunk; 60 for each content of small
    files, and only when they are asked for. Raises INTEGRITY for an index that contradicts itself.
    """

    def __init__(self, source: Source, roots: list[bytes]) -> None:
        """Reads the chunks of all segments; `roots` are the paths of the roots scanned now."""
        self._source = source
        self._kept: dict[int, bytes] = {}
        self._records = bytearray()
        self._bases: dict[int, tuple[str, int]] = {}
        self.scanned_at = 0
        """When the parent's scan began, in ns by the box's file-system clock."""
        alive = self._load_chunks()
        self._dead_packs = self._find_dead(alive)
        self._numbers = self._find_usable()
        self._pieces = bytearray()
        self._contents: NumberTable | None = None
        self._asked = (-1, 0)
        here = {path: number for number, path in enumerate(roots)}
        self._roots = {n: here[path] for n, path in enumerate(source.roots) if path in here}
        self._entries = self._stream()
        self._next: tuple[int, tuple[bytes, ...]] | None = (-1, ())
        self._entry: Entry | None = None

    @property
    def chunk_count(self) -> int:
        """How many chunks there are, usable or not."""
        return len(self._records) // _RECORD.size

    @property
    def packs(self) -> list[PackRecord]:
        """The parent's packs, which chunk records number."""
        return self._source.packs

    def find(self, entry: Entry) -> Entry | None:
        """Gives the parent's entry at the same place; ask in index order, else it is not found.

        Its extents name the parent's chunks, which need not be usable.
        """
        wanted = (entry.root, path_key(entry.path))
        while self._next is not None and self._next < wanted:
            self._advance()
        return self._entry if self._next == wanted else None

    def chunk(self, number: int) -> ChunkRecord:
        """Gives a chunk by the parent's number."""
        size = _RECORD.size
        raw_hash, frame, raw, pack, at, stored, transform, codec = _RECORD.unpack_from(
            self._records, number * size
        )
        return ChunkRecord(
            raw_hash,
            raw,
            pack,
            at,
            stored,
            frame,
            TRANSFORMS[transform],
            CODECS[codec],
            self._bases.get(number),
        )

    def by_hash(self, raw_hash: bytes) -> int | None:
        """Gives the number of a usable chunk."""
        return self._numbers.find(raw_hash)

    def by_content(self, size: int, content: bytes) -> Extents | None:
        """Gives where the parent holds a small file's content in usable chunks, under any path."""
        if not 0 < size <= SMALL_MOST:
            return None
        if self._contents is None:
            self._contents = self._load_contents()
        found = self._contents.find(content)
        if found is None:
            return None
        _, chunk, at, length = _CONTENT.unpack_from(self._pieces, found * _CONTENT.size)
        return (Extent(0, chunk, at, length),) if length == size else None

    def usable(self, extents: Extents) -> bool:
        """Whether all chunks of extents may be named again, and hold what the extents say."""
        for _, chunk, at, length in extents:  # noqa: SIM110 - a generator costs more than its work
            if at + length > self._usable_length(chunk):
                return False
        return True

    def _usable_length(self, number: int) -> int:
        """Bytes of a chunk that may be named; none may of one that is not there or not usable."""
        # Small files share chunks, and come in the order of their chunks.
        if number != self._asked[0]:
            length = 0
            if number < self.chunk_count:
                chunk = self.chunk(number)
                length = chunk.raw if chunk.hash in self._numbers else 0
            self._asked = (number, length)
        return self._asked[1]

    def _segment(self, number: int) -> bytes:
        data = self._kept.get(number)
        if data is None:
            data = self._source.fetch(number)
            if sum(map(len, self._kept.values())) + len(data) <= _CACHED_SEGMENTS:
                self._kept[number] = data
        return data

    def _load_chunks(self) -> list[int]:
        """Reads all chunk lines; gives the bytes named of each pack."""
        alive = [0] * len(self._source.packs)
        expected = 0
        for number in range(self._source.segments):
            scanned_at, chunks = read_chunks(self._segment(number), self._source.snapshot)
            if number == 0:
                self.scanned_at = scanned_at
            for found, record in chunks:
                if found != expected or record.pack >= len(alive):
                    raise integrity(f"index of {self._source.snapshot}: chunks do not fit")
                self._keep(found, record)
                alive[record.pack] += record.stored
                expected += 1
        return alive

    def _keep(self, number: int, record: ChunkRecord) -> None:
        self._records += _RECORD.pack(
            record.hash,
            record.frame,
            record.raw,
            record.pack,
            record.at,
            record.stored,
            TRANSFORMS.index(record.transform),
            CODECS.index(record.codec),
        )
        if record.base is not None:
            self._bases[number] = record.base

    def _find_dead(self, alive: list[int]) -> set[int]:
        source = self._source
        if not source.reuse:
            return set(range(len(source.packs)))
        unusable = frozenset(source.unusable)
        return {
            number
            for number, pack in enumerate(source.packs)
            if pack.key in unusable or alive[number] < ALIVE_LEAST * pack.length
        }

    def _find_usable(self) -> NumberTable:
        numbers = NumberTable(self._records, _RECORD.size)
        foreign = None if self._source.ans else CODECS.index("ans")
        for number, fields in enumerate(_RECORD.iter_unpack(self._records)):
            if fields[3] in self._dead_packs or fields[7] == foreign:
                continue
            base = self._bases.get(number)
            # A delta is worth as much as what it leans on; the base's own line stands before it.
            if base is None or self.chunk(base[1]).hash in numbers:
                numbers.add(number)
        return numbers

    def _load_contents(self) -> NumberTable:
        pieces = self._pieces
        contents = NumberTable(pieces, _CONTENT.size)
        for entry in self._all_entries():
            if len(contents) >= _CONTENTS_MOST:
                break
            if not (0 < entry.size <= SMALL_MOST and entry.hash) or entry.torn:
                continue
            if len(entry.extents) != 1 or entry.hash in contents:
                continue
            [(_, chunk, at, length)] = entry.extents
            if length == entry.size and self.usable(entry.extents):
                pieces += _CONTENT.pack(entry.hash, chunk, at, length)
                contents.add(len(pieces) // _CONTENT.size - 1)
        return contents

    def _all_entries(self) -> Iterator[Entry]:
        for number in range(self._source.segments):
            for line in read_segment(self._segment(number)):
                if isinstance(line, Entry):
                    yield line

    def _stream(self) -> Iterator[tuple[int, Entry]]:
        for entry in self._all_entries():
            root = self._roots.get(entry.root)
            if root is not None:
                yield root, entry

    def _advance(self) -> None:
        following = next(self._entries, None)
        if following is None:
            self._next = self._entry = None
        else:
            root, self._entry = following
            self._next = (root, path_key(self._entry.path))
