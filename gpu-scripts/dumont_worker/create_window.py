"""Entries on their way into the index: finished in any order, written in path order."""

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from .chunk_table import ChunkTable
from .content_hash import BLOCK, content_hash
from .create_messages import FileStat, Span
from .entry import Entry, Extent, Stat
from .index import IndexWriter


@dataclass(slots=True)
class Slot:
    """One entry and what is known of its content so far."""

    number: int
    entry: Entry
    ready: bool = False
    torn: bool = False
    dropped: bool = False
    starts_group: bool = False
    group: tuple[int, bytes] | None = None
    """The place by which the scan names the group, when another member has become its first."""
    inherited: tuple[Extent, ...] | None = None
    """Extents by the parent's chunk numbers, of a file that was not read."""
    content: bytes | None = None
    """The content hash of a file."""
    spans: Sequence[Span] = ()
    extents: list[Extent] | None = None
    """What is named in the index so far."""
    blocks: bytearray | None = None
    """Hashes of the blocks of a large file, each at its place."""
    units: int = 0
    """Units of work still to come back."""
    generation: int = 0
    """Counts the attempts to read the file; answers of earlier ones are ignored."""

    def restart(self, found: FileStat) -> None:
        """Begins another attempt at a file that changed."""
        self.generation += 1
        self.torn = False
        self.entry = with_stat(self.entry, found)
        self.spans = ()
        self.blocks = None
        self.units = 0

    def take_blocks(self, first: int, blocks: bytes) -> None:
        """Puts block hashes of one unit where they belong."""
        if self.blocks is None:
            self.blocks = bytearray(-(-self.entry.size // BLOCK) * 32)
        self.blocks[first * 32 : first * 32 + len(blocks)] = blocks

    def hash_from_blocks(self) -> bytes:
        """The content hash, once all units are back."""
        blocks = self.blocks or b""
        hashes = (bytes(blocks[at : at + 32]) for at in range(0, len(blocks), 32))
        return content_hash(self.entry.size, hashes)


def with_stat(entry: Entry, found: FileStat) -> Entry:
    """The entry of a file as it was found when its content was read."""
    stat = entry.stat
    if (
        stat is not None
        and (stat.dev, stat.ino, entry.size, entry.mtime, stat.ctime, entry.mode) == found[:6]
        and (entry.uid, entry.gid) == found[6:]
    ):
        return entry
    fs = entry.stat.fs if entry.stat is not None else 0
    return entry._replace(
        size=found.size,
        mtime=found.mtime,
        mode=found.mode,
        uid=found.uid,
        gid=found.gid,
        # Names were looked up for the owner of the scan.
        user=entry.user if entry.uid == found.uid else None,
        group=entry.group if entry.gid == found.gid else None,
        stat=Stat(found.ctime, found.ino, found.dev, fs),
    )


@dataclass(slots=True)
class Tally:
    """What was written to the index."""

    kinds: Counter[str] = field(default_factory=Counter)
    torn: int = 0
    raw: int = 0

    def counts(self, unreadable: int) -> dict[str, int]:
        """The `counts` of the manifest."""
        kinds = self.kinds
        files, dirs, symlinks = kinds["file"], kinds["dir"], kinds["symlink"]
        return {
            "entries": kinds.total(),
            "files": files,
            "dirs": dirs,
            "symlinks": symlinks,
            "others": kinds.total() - files - dirs - symlinks,
            "torn": self.torn,
            "unreadable": unreadable,
        }


class Window:
    """Slots between scan and index; the first that is not ready holds back those behind it."""

    def __init__(self, table: ChunkTable, writer: IndexWriter) -> None:
        self.tally = Tally()
        self._table = table
        self._writer = writer
        self._slots: deque[Slot] = deque()
        self._first = 0
        # First members by the place the scan gave them; None where they were left out.
        self._groups: dict[tuple[int, bytes], Entry | None] = {}

    def __len__(self) -> int:
        """How many entries are held back."""
        return len(self._slots)

    def add(self, entry: Entry) -> Slot:
        """Takes the next entry in path order."""
        slot = Slot(self._first + len(self._slots), entry)
        self._slots.append(slot)
        return slot

    def __getitem__(self, number: int) -> Slot:
        """Gives a slot by its number; raises KeyError when it was written."""
        slot = self.find(number)
        if slot is None:
            raise KeyError(number)
        return slot

    def find(self, number: int) -> Slot | None:
        """Gives a slot by its number, None when it was written."""
        return self._slots[number - self._first] if number >= self._first else None

    def differences(self, slot: Slot) -> set[int]:
        """Gives where in a recalled file chunks begin that are stored as differences."""
        table = self._table
        if slot.inherited is not None:
            return {one.offset for one in slot.inherited if table.differs_in_parent(one.chunk)}
        return {one.offset for one in slot.spans if not self.is_whole(one.hash)}

    def is_whole(self, raw_hash: bytes) -> bool:
        """Whether a chunk is stored whole, or will be for certain."""
        return self._table.standing(raw_hash, False) == "whole"

    def write_ready(self) -> Iterator[Slot]:
        """Writes what is ready at the front.

        Yields written slots, and once each hard link whose first member was left out, or was
        another file when it was read: it becomes the first member and is to be read.
        """
        while self._slots:
            slot = self._slots[0]
            if slot.ready and not slot.dropped and self._is_orphan(slot):
                slot.group, slot.starts_group, slot.ready = slot.entry.link, True, False
                slot.entry = slot.entry._replace(link=None)
                yield slot
            if not slot.ready or not self._write(slot):
                return
            self._slots.popleft()
            self._first += 1
            yield slot

    def _is_orphan(self, slot: Slot) -> bool:
        link = slot.entry.link
        if link is None or slot.entry.kind != "file":
            return False
        first = self._groups.get(link)
        return first is None or not _same_inode(first, slot.entry)

    def _write(self, slot: Slot) -> bool:
        """Writes one slot; False while a chunk of it is in work elsewhere."""
        if slot.dropped:
            return True
        entry = slot.entry
        place = (entry.root, entry.path)
        if entry.link is not None and entry.kind == "file":
            first = self._groups[entry.link]
            if first is not None:
                link = (first.root, first.path)
                entry = first._replace(root=entry.root, path=entry.path, link=link)
        elif entry.kind == "file":
            extents = self._name_chunks(slot)
            if extents is None:
                return False
            entry = entry._replace(hash=slot.content, extents=extents, torn=slot.torn)
        if slot.starts_group:
            self._groups[slot.group or place] = entry
        self._writer.entry(entry)
        self._count(entry)
        return True

    def _name_chunks(self, slot: Slot) -> tuple[Extent, ...] | None:
        """Names the chunks of a file; None while one of them is in work elsewhere."""
        table = self._table
        extents = slot.extents = slot.extents or []
        if slot.inherited is not None:
            for extent in slot.inherited[len(extents) :]:
                number = table.number_of_parent(extent.chunk)
                extents.append(Extent(extent.offset, number, extent.at, extent.length))
            return tuple(extents)
        for span in slot.spans[len(extents) :]:
            found = table.number(span.hash)
            if found is None:
                return None
            extents.append(Extent(span.offset, found, span.at, span.length))
        return tuple(extents)

    def _count(self, entry: Entry) -> None:
        tally = self.tally
        tally.kinds[entry.kind] += 1
        tally.torn += entry.torn
        if entry.link is None:
            tally.raw += sum([extent.length for extent in entry.extents])


def _same_inode(one: Entry, other: Entry) -> bool:
    """Whether two names were of one file when they were looked at."""
    here, there = one.stat, other.stat
    if here is None or there is None:
        return False
    return (here.dev, here.ino) == (there.dev, there.ino)
