"""Look at the target before anything is changed.

Decide about every entry, and add up what it will take.
"""

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, field

from . import metadata, target
from .compare import WRITES, Action, decide
from .errors import WorkerError
from .restore_crew import Crew
from .restore_holders import Holders
from .restore_run import DAMAGED, Run, failure_of
from .restore_scope import WANTED, WAY, Place, inside
from .restore_space import Space
from .spool import Item

_BATCH_FILES = 256
_BATCH_BYTES = 64 << 20

Found = os.stat_result
Decision = tuple[Action, Found | None]


@dataclass(slots=True)
class Totals:
    """What a restore is about, and what it will do."""

    entries: int = 0
    files: int = 0
    raw: int = 0
    kinds: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class _Batch:
    numbers: list[tuple[int, Item, Found]] = field(default_factory=list)
    bytes: int = 0


class Survey:
    """One walk over the spooled entries beside the target."""

    def __init__(self, run: Run, crew: Crew) -> None:
        """Content is compared by `crew`."""
        self._run = run
        self._crew = crew
        self.totals = Totals()
        self.needed = bytearray(len(run.index.chunks))
        """One byte a chunk: whether it must be fetched."""
        self.space = Space(run)
        self._absent: Place | None = None
        self._blocked: Place | None = None
        self._batch = _Batch()
        # First member in scope of each hard-link group, and groups by inode of files that have
        # several names.
        self.groups: dict[tuple[int, bytes], int] = {}
        self._inodes: dict[tuple[int, int], tuple[int, bytes]] = {}

    def walk(self) -> None:
        """Decide about every entry; Cancelled."""
        run = self._run
        run.actions = bytearray(len(run.index.spool))
        for number, item in run.index.spool.items():
            if number % 512 == 0:
                run.link.check()
            self._count(item)
            action, found = self._decide(number, item)
            run.actions[number] = action
            if action in WRITES:
                self._will_write(number, item, found)
            elif action == Action.COMPARE and found is not None:
                self._gather(number, item, found)
        self._compare()
        self._crew.drain()

    def _count(self, item: Item) -> None:
        if item.role != WANTED:
            return
        totals = self.totals
        totals.entries += 1
        totals.kinds[item.kind] = totals.kinds.get(item.kind, 0) + 1
        if item.kind == "file":
            totals.files += 1
            totals.raw += data_bytes(item)

    def _decide(self, number: int, item: Item) -> Decision:
        run = self._run
        if self._blocked is not None and inside(item.base, item.path, self._blocked):
            run.fail(number, item, ("type-conflict", "the directory that holds it cannot be made"))
            return Action.FAILED, None
        if run.is_protected(run.where(item)):
            run.link.note("protected", run.where(item))
            return Action.SKIP, None
        if item.kind in ("char", "block") and not (run.request.devices and run.policy.uid == 0):
            run.link.note("device", run.where(item))
            return Action.SKIP, None
        try:
            found = self._look(item)
        except OSError as error:
            run.fail(number, item, failure_of(error))
            if item.kind == "dir":
                self._blocked = (item.base, item.path)
            return Action.FAILED, None
        return self._decide_found(number, item, found), found

    def _look(self, item: Item) -> Found | None:
        """Return what stands at an item's place, and remember directories that are missing."""
        if self._absent is not None and inside(item.base, item.path, self._absent):
            return None
        if self._run.bases[item.base] is None:
            return None
        if not item.path:
            return os.fstat(self._run.base_fds[item.base])
        directory, name = self._run.directory_of(item)
        found = target.look(directory, name)
        if item.kind == "dir" and (found is None or not stat.S_ISDIR(found.st_mode)):
            self._absent = (item.base, item.path)
        return found

    def _decide_found(self, number: int, item: Item, found: Found | None) -> Action:
        run = self._run
        overwrite = "if-changed" if item.role == WAY else run.request.overwrite
        action = decide(item, found, overwrite)
        if item.kind == "dir" and item.role != WANTED and action == Action.METADATA:
            return Action.KEEP
        if action == Action.FAILED:
            assert found is not None  # nothing there is never a conflict
            run.fail(number, item, ("type-conflict", f"{describe(found)} stands there"))
            if item.kind == "dir":
                self._blocked = (item.base, item.path)
            return action
        if item.kind == "dir" or action in (Action.KEEP, Action.SKIP):
            return action
        if self._is_further_name(number, item):
            return Action.LINK
        if found is None:
            return action
        return self._decide_existing(item, found, action)

    def _is_further_name(self, number: int, item: Item) -> bool:
        """Tell whether an item is a link to another that is restored.

        Else it leads its group from now on.
        """
        place = item.link or (item.base, item.path)
        if item.link is None and place not in self._run.index.linked:
            return False
        leader = self.groups.setdefault(place, number)
        return leader != number

    def _decide_existing(self, item: Item, found: Found, action: Action) -> Action:
        if action == Action.REPLACE:
            return action
        if item.kind != "file":
            return self._compare_special(item, found)
        if found.st_nlink > 1:
            # Two files that the snapshot holds apart must not stay one inode here.
            group = item.link or (item.base, item.path)
            if self._inodes.setdefault((found.st_dev, found.st_ino), group) != group:
                return Action.REPLACE
        return Action.COMPARE

    def _gather(self, number: int, item: Item, found: Found) -> None:
        batch = self._batch
        batch.numbers.append((number, item, found))
        batch.bytes += item.size
        if len(batch.numbers) >= _BATCH_FILES or batch.bytes >= _BATCH_BYTES:
            self._compare()

    def _compare_special(self, item: Item, found: Found) -> Action:
        directory, name = self._run.directory_of(item)
        if item.kind == "symlink" and os.readlink(name, dir_fd=directory) != item.target:
            return Action.REPLACE
        with target.pinned(directory, name) as fd:
            handle, meta = target.by_descriptor(fd), metadata.of_item(item)
            differs = metadata.differs(handle, found, item.kind, meta, self._run.policy)
        if not differs:
            return Action.SAME
        # Other names of the same object keep their metadata.
        return Action.METADATA if found.st_nlink == 1 else Action.REPLACE

    def _compare(self) -> None:
        """Send the files gathered so far to an engine."""
        batch, self._batch = self._batch, _Batch()
        if not batch.numbers:
            return
        files = [
            (item.base, item.path, item.size, item.hash, tuple(metadata.of_item(item)))
            for _, item, _ in batch.numbers
        ]
        self._crew.submit("compare", (files,), batch.bytes, self._on_compared(batch))

    def _on_compared(self, batch: _Batch) -> Callable[[list[int]], None]:
        def take(verdicts: list[int]) -> None:
            for (number, item, found), verdict in zip(batch.numbers, verdicts, strict=True):
                action = Action(verdict)
                # A file with other names keeps its metadata for their sake: the entry gets an
                # inode of its own.
                if action == Action.METADATA and found.st_nlink > 1:
                    action = Action.REPLACE
                self._run.actions[number] = action
                if action == Action.REPLACE:
                    self._will_write(number, item, found)
                else:
                    self._run.link.progress.add(raw=data_bytes(item))

        return take

    def _will_write(self, number: int, item: Item, found: Found | None) -> None:
        lost = self._run.index.chunks.lost
        if lost and any(extent[1] in lost for extent in item.extents):
            words = "where its content lies was told by a part of the index that is lost"
            self._run.fail(number, item, (DAMAGED, words))
            return
        for _, chunk, _, _ in item.extents:
            self.needed[chunk] = 1
        self.space.add(item, found, self._absent)

    def check_decoders(self, has_gpu: bool) -> None:
        """Refuse what this worker cannot decode, before anything is fetched.

        A salvage goes on without the files that need it.
        """
        chunks = self._run.index.chunks
        if self._run.request.salvage:
            self._leave_out(lambda chunk: not chunks.decodable(chunk))
            if not has_gpu:
                self._leave_out(chunks.needs_gpu)
            return
        needs_gpu = (chunks.needs_gpu(chunk) for chunk, wanted in enumerate(self.needed) if wanted)
        if not has_gpu and any(needs_gpu):
            raise WorkerError(
                "BOX_UNSUITABLE",
                "the snapshot needs an NVIDIA GPU with nvCOMP to be decoded",
                "restore to a box with one, or transcode the snapshot there",
            )
        for chunk, wanted in enumerate(self.needed):
            if wanted and not chunks.decodable(chunk):
                raise WorkerError(
                    "BOX_UNSUITABLE",
                    "this worker lacks a decoder that the snapshot needs",
                    "restore with the dumont release that made the snapshot",
                )

    def _leave_out(self, is_foreign: Callable[[int], bool]) -> None:
        run = self._run
        for number, item in run.index.spool.items():
            if run.actions[number] in WRITES and any(is_foreign(e[1]) for e in item.extents):
                run.fail(number, item, ("undecodable", "this box cannot decode its content"))

    def bytes_to_fetch(self, holders: Holders) -> int:
        """Return the stored bytes of all chunks that must be fetched, bases included."""
        table = self._run.index.chunks
        chunks = {chunk for chunk, wanted in enumerate(self.needed) if wanted}
        bases = {table.base(chunk) for chunk in chunks} - {None}
        chunks.update(base for base in bases if base is not None and holders.find(base) is None)
        return sum(table.stored[chunk] for chunk in chunks)


def data_bytes(item: Item) -> int:
    """Return the bytes of a file that are not holes; further names of a file count nothing."""
    return 0 if item.link else sum(extent[3] for extent in item.extents)


def describe(found: Found) -> str:
    """Say what kind of thing stands somewhere."""
    names = {stat.S_IFDIR: "a directory", stat.S_IFREG: "a file", stat.S_IFLNK: "a symbolic link"}
    return names.get(stat.S_IFMT(found.st_mode), "a special file")
