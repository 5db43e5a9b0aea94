"""Plan downloads: which stretches of which packs, and which bytes of them go into which files.

Files are taken in windows, in path order, so that memory does not grow with the snapshot. Within a
window every chunk is fetched and decoded once, whatever number of files use it.
"""

from dataclasses import dataclass, field
from typing import Any

from . import target
from .restore_index import ChunkTable
from .spool import Item

JOB_BYTES = 8 << 20
# Small requests cost more than the bytes between two wanted frames.
GAP = 256 << 10
WINDOW_FILES = 8192
WINDOW_USES = 32768
WINDOW_BYTES = 256 << 20
JOB_USES = 2048

Span = tuple[int, int]
"""First and last byte in a pack."""
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
    """Chunks of one pack and the files they go into; no chunks at all for files without data."""

    pack: int
    chunks: list[int] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    files: list[FileState] = field(default_factory=list)
    uses: list[list[Use]] = field(default_factory=list)
    renewals: int = 0

    @property
    def bytes(self) -> int:
        """How much is fetched."""
        return sum(last - first + 1 for first, last in self.spans)


class Window:
    """Files gathered for one round of jobs."""

    def __init__(self, chunks: ChunkTable) -> None:
        """Start empty."""
        self._chunks = chunks
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
            jobs.append(Job(-1, files=files))
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
        for chunk in wanted:
            pack, stored = table.pack[chunk], table.stored[chunk]
            count = len(self._users[chunk])
            crowded = taken + stored > JOB_BYTES or uses + count > JOB_USES
            if not jobs or jobs[-1].pack != pack or crowded:
                jobs.append(Job(pack))
                taken = uses = 0
            jobs[-1].chunks.append(chunk)
            taken += stored
            uses += count
        return jobs

    def _fill(self, job: Job) -> None:
        places: dict[int, int] = {}
        for chunk in job.chunks:
            job.uses.append([])
            for place, offset, at, length in self._users[chunk]:
                if place not in places:
                    places[place] = len(job.files)
                    job.files.append(self._files[place])
                    self._files[place].jobs += 1
                job.uses[-1].append((places[place], offset, at, length))
        job.spans = self._spans(job.chunks)

    def _spans(self, chunks: list[int]) -> list[Span]:
        spans: list[Span] = []
        for chunk in chunks:
            first = self._chunks.at[chunk]
            last = first + self._chunks.stored[chunk] - 1
            if spans and first - spans[-1][1] - 1 <= GAP and last - spans[-1][0] < 2 * JOB_BYTES:
                spans[-1] = (spans[-1][0], max(last, spans[-1][1]))
            else:
                spans.append((first, last))
        return spans


def message_of(job: Job, signed: dict[str, Any] | None, table: ChunkTable) -> tuple[Any, ...]:
    """Return what an engine needs for a job, as plain values.

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
    chunks = [
        (table.at[chunk], table.stored[chunk], table.raw[chunk], *table.hashes(chunk))
        for chunk in job.chunks
    ]
    return signed, job.spans, chunks, list(directories), files, job.uses
