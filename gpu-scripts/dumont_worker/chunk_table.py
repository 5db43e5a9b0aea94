"""Which chunks the store holds or is about to hold, and the numbers that the index gives them."""

import threading
from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

from .create_messages import Chunk, Span, Standing, StoredPack
from .entry import ChunkRecord, Extent
from .errors import WorkerError
from .index import IndexWriter, PackRecord
from .number_table import HASH, NumberTable

# Equal small files within one run are found among this many of the latest.
_CONTENTS_MOST = 100_000

PackId = tuple[str, int, int]
"""Where a pack comes from: ("own", engine, its number), ("journal", n, 0) or ("parent", n, 0)."""


class ParentChunks(Protocol):
    """What a create may use of its parent's chunks."""

    @property
    def packs(self) -> list[PackRecord]:
        """The parent's packs, in the order of their numbers."""
        ...

    def chunk(self, number: int) -> ChunkRecord:
        """Gives a chunk by the parent's number."""
        ...

    def by_hash(self, raw_hash: bytes) -> int | None:
        """Gives the parent's number of a usable chunk."""
        ...

    def by_content(self, size: int, content: bytes) -> tuple[Extent, ...] | None:
        """Gives where the parent has the bytes of a small file."""
        ...


@dataclass(slots=True)
class Totals:
    """Bytes of what was named and what was stored."""

    new: int = 0
    stored: int = 0
    all: int = 0
    codecs: dict[str, list[int]] = field(default_factory=dict)
    delta: list[int] = field(default_factory=lambda: [0, 0, 0])
    ans: bool = False
    """Whether any chunk that is not inherited needs nvCOMP."""

    def fields(self) -> dict[str, object]:
        """The `bytes` of the manifest, but for `raw`."""
        codecs = {name: {"raw": raw, "stored": held} for name, (raw, held) in self.codecs.items()}
        sums = {"new": self.new, "stored": self.stored, "all": self.all, "codecs": codecs}
        delta = dict(zip(("raw", "stored", "alone"), self.delta, strict=True))
        return sums | ({"delta": delta} if self.delta[0] else {})


class ChunkTable:
    """All chunks by raw hash. `claim`, `known` and `learn` are for any thread, the rest for one."""

    def __init__(self, writer: IndexWriter, parent: ParentChunks | None) -> None:
        self.totals = Totals()
        self._writer = writer
        self._parent = parent
        self._lock = threading.Lock()
        # Whether each will be stored whole for certain.
        self._claimed: dict[bytes, bool] = {}
        # Of the chunks named, those that are differences.
        self._differences: set[bytes] = set()
        self._located: dict[bytes, tuple[PackId, Chunk]] = {}
        # Numbers follow one another, so a chunk's hash lies at its number.
        self._hashes = bytearray()
        self._numbers = NumberTable(self._hashes, HASH)
        # By the parent's number: ours plus one.
        self._parent_numbers = array("I")
        self._contents: dict[bytes, tuple[Span, ...]] = {}
        self._pack_numbers: dict[PackId, int] = {}
        inherited = parent.packs if parent is not None else []
        self._packs: dict[PackId, PackRecord] = {
            ("parent", 0, number): pack for number, pack in enumerate(inherited)
        }

    def claim(self, raw_hash: bytes, whole: bool = True) -> bool:
        """Whether the asker is to store this chunk; at most one asker ever is.

        Unless he promises to store it `whole`, it cannot be a base before it is stored.
        """
        with self._lock:
            if self._is_known(raw_hash):
                return False
            self._claimed[raw_hash] = whole
            return True

    def standing(self, raw_hash: bytes, claims: bool) -> Standing:
        """Whether a chunk may be a base; `claims` takes one that nobody has, to store it whole."""
        with self._lock:
            whole = self._is_whole(raw_hash)
            if whole is None and claims:
                self._claimed[raw_hash] = True
                return "yours"
            return "whole" if whole else "no"

    def differs_in_parent(self, number: int) -> bool:
        """Whether the parent holds a chunk, by its number there, as a difference."""
        return self._parent is not None and self._parent.chunk(number).base is not None

    def known(self, contents: Iterable[tuple[int, bytes]]) -> list[tuple[Span, ...] | None]:
        """Where small files, by size and content hash, lie already; None for those unknown."""
        with self._lock:
            return [self._spans_of(size, content) for size, content in contents]

    def learn(self, content: bytes, spans: tuple[Span, ...]) -> None:
        """Remembers where a small file of this run lies."""
        with self._lock:
            self._contents[content] = spans
            if len(self._contents) > _CONTENTS_MOST:
                del self._contents[next(iter(self._contents))]

    def has(self, raw_hashes: Iterable[bytes]) -> bool:
        """Whether all these chunks can be named."""
        with self._lock:
            return all(self._is_known(raw_hash) for raw_hash in raw_hashes)

    def locate(self, source: str, owner: int, chunks: Iterable[Chunk]) -> None:
        """Notes where chunks lie that are stored, or packed and on their way."""
        with self._lock:
            for chunk in chunks:
                self._claimed.pop(chunk.hash, None)
                if chunk.base is not None and not self._is_whole(chunk.base[1]):
                    # An interrupted run has lost the base: it is as if this were lost too.
                    continue
                if chunk.hash not in self._numbers:
                    pack = (source, owner, chunk.pack)
                    self._located.setdefault(chunk.hash, (pack, chunk))

    def count_new(self, chunks: Iterable[Chunk]) -> None:
        """Counts chunks that this run has packed."""
        self.totals.new += sum([chunk.raw for chunk in chunks])

    def stored(self, engine: int, pack: StoredPack) -> None:
        """Notes the key under which an own pack lies in the store."""
        self.add_pack("own", engine, pack)
        self.totals.stored += pack.length

    def add_pack(self, source: str, owner: int, pack: StoredPack) -> None:
        """Notes a pack's key by where it comes from."""
        pin = (pack.pin_kind, pack.pin_value)
        self._packs[source, owner, pack.pack] = PackRecord(pack.key, pack.length, *pin, pack.seal)

    def number(self, raw_hash: bytes) -> int | None:
        """The chunk's number in this index, given now if it has none; None while it is in work."""
        found = self._numbers.find(raw_hash)
        if found is not None:
            return found
        located = self._located.get(raw_hash)
        if located is not None:
            pack, chunk = located
            # The line of a base stands before those of its differences.
            base = self.number(chunk.base[1]) if chunk.base is not None else None
            if chunk.base is not None and base is None:
                return None
            number = self._name(self._record(pack, chunk, base))
            if base is not None:
                # A journal does not tell what a chunk would be alone.
                told = (chunk.raw, chunk.stored, chunk.alone or chunk.stored)
                self.totals.delta = [sum(two) for two in zip(self.totals.delta, told, strict=True)]
            with self._lock:
                del self._located[raw_hash]
            return number
        inherited = self._parent.by_hash(raw_hash) if self._parent is not None else None
        return None if inherited is None else self.number_of_parent(inherited)

    def number_of_parent(self, number: int) -> int:
        """The number that a chunk of the parent has in this index."""
        numbers = self._parent_numbers
        if number < len(numbers) and numbers[number]:
            return numbers[number] - 1
        if self._parent is None:
            raise WorkerError("WORKER", "a chunk of a parent that is not there")
        record = self._parent.chunk(number)
        found = self._numbers.find(record.hash)
        if found is None:
            found = self._name(self._inherited(record))
        if number >= len(numbers):
            numbers.frombytes(bytes(4 * (number + 1 - len(numbers))))
        numbers[number] = found + 1
        return found

    def pack_list(self) -> list[PackRecord]:
        """All packs named, in the order of their numbers; raises when one never arrived."""
        missing = [pack for pack in self._pack_numbers if pack not in self._packs]
        if missing:
            raise WorkerError("WORKER", f"{len(missing)} packs were named but not stored")
        return [self._packs[pack] for pack in self._pack_numbers]

    def named_of(self, source: str) -> int:
        """How many packs of this source are named."""
        return sum([pack[0] == source for pack in self._pack_numbers])

    def _is_known(self, raw_hash: bytes) -> bool:
        return (
            raw_hash in self._numbers
            or raw_hash in self._located
            or raw_hash in self._claimed
            or (self._parent is not None and self._parent.by_hash(raw_hash) is not None)
        )

    def _is_whole(self, raw_hash: bytes) -> bool | None:
        """Whether a chunk is stored whole, or will be for certain; None when nobody has it."""
        if raw_hash in self._numbers:
            return raw_hash not in self._differences
        located = self._located.get(raw_hash)
        if located is not None:
            return located[1].base is None
        if raw_hash in self._claimed:
            return self._claimed[raw_hash]
        inherited = self._parent.by_hash(raw_hash) if self._parent is not None else None
        if self._parent is None or inherited is None:
            return None
        return self._parent.chunk(inherited).base is None

    def _spans_of(self, size: int, content: bytes) -> tuple[Span, ...] | None:
        spans = self._contents.get(content)
        if spans is not None or self._parent is None:
            return spans
        extents = self._parent.by_content(size, content)
        if extents is None:
            return None
        return tuple(
            Span(extent.offset, self._parent.chunk(extent.chunk).hash, extent.at, extent.length)
            for extent in extents
        )

    def _record(self, pack: PackId, chunk: Chunk, base: int | None) -> ChunkRecord:
        self.totals.ans = self.totals.ans or chunk.codec == "ans"
        return ChunkRecord(
            chunk.hash,
            chunk.raw,
            self._pack_number(pack),
            chunk.at,
            chunk.stored,
            chunk.frame,
            chunk.transform,
            chunk.codec,
            (chunk.base[0], base) if chunk.base is not None and base is not None else None,
        )

    def _inherited(self, record: ChunkRecord) -> ChunkRecord:
        # A delta's base is named first, even when no entry uses it.
        base = record.base and (record.base[0], self.number_of_parent(record.base[1]))
        return ChunkRecord(
            record.hash,
            record.raw,
            self._pack_number(("parent", 0, record.pack)),
            record.at,
            record.stored,
            record.frame,
            record.transform,
            record.codec,
            base,
        )

    def _pack_number(self, pack: PackId) -> int:
        return self._pack_numbers.setdefault(pack, len(self._pack_numbers))

    def _name(self, record: ChunkRecord) -> int:
        number = self._writer.chunk(record)
        with self._lock:
            self._hashes += record.hash
            self._numbers.add(number)
            if record.base is not None:
                self._differences.add(record.hash)
        totals = self.totals
        totals.all += record.stored
        coded = f"{record.transform}/{record.codec}"
        kind = coded if record.base is None else f"{record.base[0]}/{coded}"
        sums = totals.codecs.setdefault(kind, [0, 0])
        sums[0] += record.raw
        sums[1] += record.stored
        return number
