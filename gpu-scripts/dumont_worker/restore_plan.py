"""Plan downloads: which stretches of which packs, and which bytes of them go into which files.

Files are taken in windows, in path order, so that memory does not grow with the snapshot. Within a
window every chunk is fetched and decoded once, whatever number of files use it; so is the base of
differences where no file of the restore holds it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

from . import target
from .restore_holders import Place
from .restore_index import ChunkTable, Signed
from .spool import Item

JOB_BYTES = 8 << 20
# Small requests cost more than the bytes between two wanted frames.
GAP = 256 << 10
WINDOW_FILES = 8192
WINDOW_USES = 32768
WINDOW_BYTES = 256 << 20
JOB_USES = 2048

Span = tuple[int, int, int]
"""Pack of the job, first and last byte in it."""
Use = tuple[int, int, int, int]
"""File of the job, offset in the file, offset in the chunk, length."""


@dataclass(slots=True)
class FileState:
    """A file that is being written."""

    number: int
    item: Item
    jobs: int = 0
    """Jobs that have not reported yet."""
    identity: tuple[int, int] | None = None
    """Device and inode of its temporary file, when several jobs write to it."""
    failed: bool = False


@dataclass(slots=True)
class Job:
    """Chunks and the files they go into; no chunks at all for files without data.

    They are of the first of its packs, but for those that share a base; in the others lie bases.
    """

    packs: list[int] = field(default_factory=list)
    chunks: list[int] = field(default_factory=list)
    bases: list[int] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    files: list[FileState] = field(default_factory=list)
    uses: list[list[Use]] = field(default_factory=list)
    renewals: int = 0

    @property
    def bytes(self) -> int:
        """How much is fetched."""
        return sum(last - first + 1 for _, first, last in self.spans)


class Holders(Protocol):
    """Who knows the files of this restore that hold chunks."""

    def find(self, chunk: int) -> Place | None:
        """Return where a chunk lies, or will lie when its file is written."""
        ...

    def at_hand(self, chunk: int) -> Place | None:
        """Return where a chunk lies already."""
        ...


class Nobody:
    """Holds nothing."""

    def find(self, _chunk: int) -> None:
        """Return that it lies nowhere."""

    at_hand = find


class Window:
    """Files gathered for one round of jobs."""

    def __init__(self, chunks: ChunkTable, holders: Holders) -> None:
        """Start empty; what no file holds is fetched."""
        self._chunks = chunks
        self._holders = holders
        self._files: list[FileState] = []
        self._users: dict[int, list[tuple[int, int, int, int]]] = {}
        self._empty: list[FileState] = []
        self._bytes = 0
        self._uses = 0

    @property
    def full(self) -> bool:
        """Whether it is time to plan."""
        return (
            len(self._files) >= WINDOW_FILES
            or len(self._empty) >= WINDOW_FILES
            or self._uses >= WINDOW_USES
            or self._bytes >= WINDOW_BYTES
        )

    def add(self, number: int, item: Item) -> None:
        """Take a file in."""
        state = FileState(number, item)
        if not item.extents:
            self._empty.append(state)
            return
        place = len(self._files)
        self._files.append(state)
        users = self._users
        for offset, chunk, at, length in item.extents:
            if chunk not in users:
                users[chunk] = []
                self._bytes += self._chunks.stored[chunk]
            users[chunk].append((place, offset, at, length))
        self._uses += len(item.extents)

    def plan(self) -> list[Job]:
        """Return the jobs of this window, and how many each file waits for."""
        jobs = self._jobs()
        for job in jobs:
            self._fill(job)
        for start in range(0, len(self._empty), JOB_USES):
            files = self._empty[start : start + JOB_USES]
            for state in files:
                state.jobs = 1
            jobs.append(Job(files=files))
        return jobs

    def _jobs(self) -> list[Job]:
        table = self._chunks
        # Packs in the order of their first use, so that files are finished in about path order.
        order: dict[int, int] = {}
        for chunk in self._users:
            order.setdefault(table.pack[chunk], len(order))
        wanted = sorted(self._users, key=lambda chunk: (order[table.pack[chunk]], table.at[chunk]))
        jobs: list[Job] = []
        taken = uses = 0
        for base, family in self._families(wanted):
            shared = 0 if base is None else table.stored[base]
            whole = shared + sum([table.stored[chunk] for chunk in family])
            begins = True
            for chunk in family:
                count = len(self._users[chunk])
                cost = table.stored[chunk] + (shared if begins else 0)
                # What shares a base is not torn apart where it fits into one job.
                needed = whole if begins and whole <= JOB_BYTES else cost
                crowded = taken + needed > JOB_BYTES or uses + count > JOB_USES
                elsewhere = begins and bool(jobs) and jobs[-1].packs[0] != table.pack[chunk]
                if not jobs or crowded or elsewhere:
                    jobs.append(Job([table.pack[chunk]], bases=[] if base is None else [base]))
                    taken, uses, cost = 0, 0, table.stored[chunk] + shared
                elif begins and base is not None:
                    jobs[-1].bases.append(base)
                jobs[-1].chunks.append(chunk)
                taken += cost
                uses += count
                begins = False
        return jobs

    def _families(self, wanted: list[int]) -> Iterable[tuple[int | None, list[int]]]:
        """Yield chunks that share a base to be fetched, or one that needs none."""
        if not self._chunks.has_differences:
            return ((None, [chunk]) for chunk in wanted)
        families: dict[tuple[int | None, int], list[int]] = {}
        for chunk in wanted:
            base = self._fetched_base(chunk)
            families.setdefault((base, chunk if base is None else base), []).append(chunk)
        return ((base, family) for (base, _), family in families.items())

    def _fetched_base(self, chunk: int) -> int | None:
        base = self._chunks.base(chunk)
        return base if base is not None and self._holders.find(base) is None else None

    def _fill(self, job: Job) -> None:
        table = self._chunks
        places: dict[int, int] = {}
        for chunk in job.chunks:
            job.uses.append([])
            for place, offset, at, length in self._users[chunk]:
                if place not in places:
                    places[place] = len(job.files)
                    job.files.append(self._files[place])
                    self._files[place].jobs += 1
                job.uses[-1].append((places[place], offset, at, length))
        copied = {chunk for chunk in job.chunks if self._holders.at_hand(chunk) is not None}
        fetched = {*job.chunks, *job.bases} - copied
        # The other bases lie in files, but must be fetched where those have changed.
        others = (base for chunk in job.chunks if (base := table.base(chunk)) is not None)
        job.bases = list(dict.fromkeys([*job.bases, *others]))
        named = (table.pack[chunk] for chunk in (*job.chunks, *job.bases))
        job.packs = list(dict.fromkeys(named))
        job.spans = self._spans(job.packs, fetched)

    def _spans(self, packs: list[int], chunks: set[int]) -> list[Span]:
        table = self._chunks
        places = {pack: place for place, pack in enumerate(packs)}
        frames = sorted((places[table.pack[n]], table.at[n], table.stored[n]) for n in chunks)
        spans: list[Span] = []
        for place, first, stored in frames:
            last = first + stored - 1
            before, begun, ended = spans[-1] if spans else (-1, 0, 0)
            if place == before and first - ended - 1 <= GAP and last - begun < 2 * JOB_BYTES:
                spans[-1] = (place, begun, max(last, ended))
            else:
                spans.append((place, first, last))
        return spans


def message_of(
    job: Job, signed: list[Signed], table: ChunkTable, holders: Holders
) -> tuple[Any, ...]:
    """Return what an engine needs for a job, as plain values; `signed` are URLs of its packs.

    A file of this job alone comes with its metadata and is finished by the engine; of a file
    that several jobs write to only the temporary name and its identity are told.
    """
    directories: dict[tuple[int, bytes], int] = {}
    files = []
    for state in job.files:
        item = state.item
        parent, name = target.split(item.path)
        place = directories.setdefault((item.base, parent), len(directories))
        whole = None
        if state.identity is None:
            meta = (item.mode, item.uid, item.gid, item.mtime, item.xattrs)
            whole = (name, meta, item.size, item.hash, len(item.extents))
        files.append((state.number, place, state.identity, whole))
    packs = {pack: place for place, pack in enumerate(job.packs)}
    numbers = {base: number for number, base in enumerate(job.bases)}

    def frame(chunk: int) -> tuple[Any, ...]:
        where = (packs[table.pack[chunk]], table.at[chunk], table.stored[chunk])
        return (*where, table.raw[chunk], *table.hashes(chunk))

    def base(chunk: int) -> int | None:
        found = table.base(chunk)
        return None if found is None else numbers[found]

    chunks = [(frame(chunk), holders.at_hand(chunk), base(chunk)) for chunk in job.chunks]
    bases = [(frame(chunk), holders.find(chunk), None) for chunk in job.bases]
    return signed, job.spans, chunks, bases, list(directories), files, job.uses
