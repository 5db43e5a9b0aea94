"""Read an index of which segments are damaged or missing, for what the others prove.

Each segment is proven by its own digest. What a lost one described is unknown: entries, chunks,
and directories and first names that later entries rest on.
"""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from .entry import CHUNK_MAX, LINKABLE, ChunkRecord, Entry, path_key
from .errors import WorkerError, integrity
from .index import IndexReader, PackRecord, decode_packs, read_segment
from .protocol import ObjectRef, RestoreRequest
from .restore_index import ChunkTable, Index, Urls, add_to, fetch_object
from .restore_scope import WAY, Layout, Scope, include_rule
from .session import Link
from .spool import Spool
from .target import absolute, join

# A segment of at most 64 MiB before compression, and no line of a chunk below 100 bytes.
_CHUNKS_A_SEGMENT = (64 << 20) // 100
_MODE = 0o755

Line = tuple[int, ChunkRecord | None] | Entry
"""A chunk and its number, None for one that is lost, or an entry."""


@dataclass(slots=True)
class Gap:
    """A lost segment; root and path of the entries before and behind it, where there are any."""

    segment: int
    before: tuple[int, bytes] | None
    behind: tuple[int, bytes] | None = None


class SalvageReader(IndexReader):
    """Reads the segments that are there, with every check that is still possible; INTEGRITY."""

    def __init__(
        self,
        segments: Iterable[bytes | None],
        snapshot: str,
        packs: list[PackRecord],
        roots: int,
    ) -> None:
        """Read segments in order, None for one that is lost, of a snapshot with so many roots."""
        super().__init__((), snapshot, packs)
        self._pieces = segments
        self._listed = packs
        self._roots = roots
        self._seen: Entry | None = None
        self._is_torn = False
        self._spare = 0
        self._moved: dict[tuple[int, bytes], tuple[int, bytes]] = {}
        self.gaps: list[Gap] = []
        self.made: set[tuple[int, bytes]] = set()
        """Roots and paths of directories that were lost and that something lies in."""

    def lines(self) -> Iterator[Line]:
        """Yield what is there, directories that are missing made up."""
        for number, data in enumerate(self._pieces):
            if data is None:
                self._spare += _CHUNKS_A_SEGMENT
                self._is_torn = True
                self.gaps.append(Gap(number, self._place()))
                continue
            for line in read_segment(data):
                if isinstance(line, Entry):
                    yield from self._entry(line)
                else:
                    yield from self._chunk(*line)

    def _place(self) -> tuple[int, bytes] | None:
        return None if self._seen is None else (self._seen.root, self._seen.path)

    def _chunk(self, number: int, record: ChunkRecord) -> Iterator[Line]:
        if number < len(self._lengths):
            raise integrity("chunk numbers jump")
        yield from self._lose_until(number)
        pack = self._listed[record.pack] if record.pack < len(self._listed) else None
        if pack is None or record.at + record.stored > pack.length:
            raise integrity("a chunk lies outside the listed packs")
        self._lengths.append(record.raw)
        yield number, record

    def _lose_until(self, number: int) -> Iterator[Line]:
        count = number - len(self._lengths)
        if count > self._spare:
            raise integrity("chunk numbers jump")
        self._spare -= count
        for lost in range(len(self._lengths), number):
            self._lengths.append(CHUNK_MAX)
            yield lost, None

    def _entry(self, entry: Entry) -> Iterator[Line]:
        if entry.extents and self._spare:
            named = 1 + max(extent.chunk for extent in entry.extents)
            yield from self._lose_until(max(named, len(self._lengths)))
        if self._is_torn:
            yield from self._bridge(entry)
        if self.gaps and entry.kind in LINKABLE and entry.link is not None:
            entry = self._relinked(entry, entry.link)
        yield self._take_entry(entry)
        self._seen = entry

    def _bridge(self, entry: Entry) -> Iterator[Line]:
        """Yield the directories above the first entry behind a gap that nobody has told of."""
        self._is_torn = False
        for gap in self.gaps:
            gap.behind = gap.behind or (entry.root, entry.path)
        seen, key = self._seen, path_key(entry.path)
        if entry.root >= self._roots or (
            seen is not None and (entry.root, key) <= (seen.root, path_key(seen.path))
        ):
            raise integrity("entries are not in path order")
        order = type(self._order)()
        for root in range(entry.root):
            order.take(_directory(root, b"", entry.mtime))
        for depth in range(len(key)):
            above = _directory(entry.root, b"/".join(key[:depth]), entry.mtime)
            order.take(above)
            if not self._has_told(above.root, key[:depth]):
                self.made.add((above.root, above.path))
                yield above
        self._order = order

    def _has_told(self, root: int, key: tuple[bytes, ...]) -> bool:
        """Tell whether a directory stands before the gap: the last entry is in it, or is it."""
        seen = self._seen
        if seen is None or seen.root != root:
            return False
        last = path_key(seen.path)
        return last[: len(key)] == key and (len(key) < len(last) or seen.kind == "dir")

    def _relinked(self, entry: Entry, link: tuple[int, bytes]) -> Entry:
        """Give a further name of a lost file as one of the first name that is left of it."""
        if link in self._moved:
            return entry._replace(link=self._moved[link])
        if self._has_first(entry):
            return entry
        self._moved[link] = (entry.root, entry.path)
        return entry._replace(link=None)


class SalvageTable(ChunkTable):
    """Chunks of which some are lost, and those that differ from them with them."""

    def add(self, record: ChunkRecord | None) -> None:
        """Append the next chunk; None for one of which nothing is known."""
        if record is None or (record.base is not None and record.base[1] in self.lost):
            self.lost.add(len(self))
            record = _LOST
        super().add(record)


_LOST = ChunkRecord(bytes(32), 0, 0, 0, 0, bytes(32), "none", "none")


def salvage_index(
    link: Link, request: RestoreRequest, urls: Urls, layout: Layout, spool: Spool
) -> tuple[Index, list[tuple[bytes, str]]]:
    """Read what is left of an index; give it, and a place and words for each lost segment.

    INTEGRITY when the list of packs is damaged: without it no chunk can be found.
    """
    ahead = [segment.key for segment in request.segments]
    urls.get(request.packs.key, ahead)
    listed = fetch_object(link, urls, request.packs, "packs")
    packs = decode_packs(listed, request.snapshot, urls.sealed)
    table = SalvageTable()
    index = Index(packs, table, spool, set())
    scope = Scope(request.roots, layout, include_rule(request.include))
    segments = (_fetched(link, urls, wanted) for wanted in request.segments)
    reader = SalvageReader(segments, request.snapshot, packs, len(request.roots))
    for line in reader.lines():
        if isinstance(line, Entry):
            for placed in scope.place(line):
                is_made = (placed.entry.root, placed.entry.path) in reader.made
                add_to(index, layout, replace(placed, role=WAY) if is_made else placed)
        else:
            table.add(line[1])
            if len(table) % 1024 == 0:
                link.check()
    return index, [_told(gap, request, layout) for gap in reader.gaps]


def _fetched(link: Link, urls: Urls, wanted: ObjectRef) -> bytes | None:
    try:
        return fetch_object(link, urls, wanted, "segment")
    except WorkerError as error:
        if error.code != "INTEGRITY":
            raise
        return None


def _told(gap: Gap, request: RestoreRequest, layout: Layout) -> tuple[bytes, str]:
    def place(found: tuple[int, bytes]) -> bytes:
        where = layout.destinations[found[0]]
        return absolute(layout.bases[where.base], join(where.path, found[1]))

    begin = place(gap.before or (0, b""))
    until = "" if gap.behind is None else f" up to {os.fsdecode(place(gap.behind))!r}"
    key = request.segments[gap.segment].key
    return begin, f"{key} is damaged or missing: what it held behind this{until} is not known"


def _directory(root: int, path: bytes, mtime: int) -> Entry:
    return Entry("dir", root, path, _MODE, os.getuid(), os.getgid(), None, None, mtime)
