"""From scan to units of work: unchanged files pass by, small ones are bundled, large ones cut."""

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from .create_messages import (
    ATTEMPTS,
    BaseFile,
    Bundle,
    FileStat,
    SmallDone,
    SmallFile,
    Span,
    Stretch,
    StretchDone,
)
from .create_window import Slot, Window, with_stat
from .cut import SMALL_MOST, CutPlan, Unit, data_ranges, plan, units
from .entry import CHUNK_MAX, Entry
from .file_state import Lost, lost, open_file
from .native import blake3
from .paths import join
from .roots import Root
from .siblings import Bases, Siblings

# A bundle ends at 4 MiB, or at so many files that its answer stays small.
_BUNDLE_FILES = 512
# The scan goes no further ahead of the index than this.
WINDOW_MOST = 8192
# After so many entries without work the coordinator looks at its other duties.
_TURN = 256

Work = Bundle | Stretch


@dataclass(frozen=True, slots=True)
class Helpers:
    """What the source needs from others."""

    recall: Callable[[Slot], bool]
    """Finishes a slot whose file is known from an earlier run or snapshot; asked in path order."""
    starts_group: Callable[[Entry], bool]
    """Whether later members of this file's hard-link group may follow."""
    warn: Callable[[str, bytes, str], None]
    siblings: Siblings | None = None
    """Finds what large files may be stored as differences from; None where that is not wanted."""


class UnitSource:
    """Yields the next unit of work, or None when the coordinator should do something else first."""

    def __init__(
        self,
        entries: Iterator[Entry],
        roots: list[Root],
        window: Window,
        helpers: "Helpers",
    ) -> None:
        self.exhausted = False
        """Whether the scan has ended; work may still come back to be done again."""
        self.seen = [0, 0]
        """Files and bytes scanned so far."""
        self.wasted = 0
        """Bytes read in vain since this was last looked at."""
        self._entries = entries
        self._roots = roots
        self._window = window
        self._helpers = helpers
        self._stretches: deque[Iterator[Stretch]] = deque()
        self._full: deque[Bundle] = deque()
        self._bundle: list[SmallFile] = []
        self._bundle_bytes = 0
        self._units = 0

    @property
    def is_eager(self) -> bool:
        """Whether `next` may have work without any answer coming first."""
        if self._stretches or self._full:
            return True
        at_rest = self.exhausted or len(self._window) >= WINDOW_MOST
        return bool(self._bundle) if at_rest else True

    def next(self) -> Work | None:
        """The next unit; None at the end, at a full window, and from time to time."""
        while self._stretches:
            stretch = next(self._stretches[0], None)
            if stretch is not None:
                return stretch
            self._stretches.popleft()
        if self._full:
            return self._full.popleft()
        for _ in range(_TURN):
            if len(self._window) >= WINDOW_MOST:
                return self._take_bundle()
            entry = next(self._entries, None)
            if entry is None:
                self.exhausted = True
                return self._take_bundle()
            self._admit(entry)
            if self._stretches or self._full:
                return self.next()
        return None

    def read(self, slot: Slot) -> None:
        """Puts a file on the list of what is to be read, first in line if it is large."""
        if slot.entry.size > SMALL_MOST:
            self._stretches.appendleft(self._cut(slot))
        else:
            self._put(slot)

    def again(self, slot: Slot) -> None:
        """Reads a file once more that changed while it was read."""
        root, path = self._place(slot)
        try:
            fd, found = open_file(root, path, None)
        except Lost as error:
            self.drop(slot, error.fate, error.why)
            return
        os.close(fd)
        self.wasted += _length(slot.spans)
        self.seen[1] += found.size - slot.entry.size
        slot.restart(found)
        self.read(slot)

    def drop(self, slot: Slot, code: str, why: str) -> None:
        """Leaves a file out, and says so."""
        slot.ready = slot.dropped = True
        self.seen[1] -= slot.entry.size
        self.wasted += _length(slot.spans)
        self._helpers.warn(code, join(*self._place(slot)), why)

    def finish_small(self, done: SmallDone) -> Slot:
        """Takes the answer for one small file."""
        slot = self._window[done.slot]
        if done.fate in ("vanished", "unreadable"):
            self.drop(slot, done.fate, done.error)
        elif done.fate == "changed":
            slot.restart(done.found)
            self.read(slot)
        else:
            slot.spans = done.spans
            slot.entry = with_stat(slot.entry, done.found)
            slot.torn = done.fate == "torn"
            self._finish(slot, done.hash)
        return slot

    def finish_stretch(self, done: StretchDone) -> Slot | None:
        """Takes the answer for a part of a large file; gives the slot when it was the last."""
        slot = self._window.find(done.slot)
        if slot is None or done.generation != slot.generation or slot.ready:
            self.wasted += _length(done.spans)
            return None
        if done.fate in ("vanished", "unreadable"):
            self.drop(slot, done.fate, done.error)
            return slot
        if done.fate == "changed":
            self.again(slot)
            return slot if slot.ready else None
        slot.units -= 1
        if self._helpers.siblings is not None:
            place = self._place(slot)
            self._helpers.siblings.settle(place, done.spans, self._window.is_whole)
        slot.torn = slot.torn or done.fate == "torn"
        if isinstance(slot.spans, list):
            slot.spans += done.spans
        else:
            slot.spans = list(done.spans)
        if done.blocks:
            slot.take_blocks(done.first, done.blocks)
        if slot.units:
            return None
        slot.spans = sorted(slot.spans)
        self._finish(slot, done.hash or slot.hash_from_blocks())
        return slot

    def _finish(self, slot: Slot, content: bytes) -> None:
        slot.content = content
        slot.blocks = None
        slot.ready = True
        if slot.torn:
            message = f"changed while it was read, {ATTEMPTS} times"
            self._helpers.warn("torn", join(*self._place(slot)), message)

    def _admit(self, entry: Entry) -> None:
        slot = self._window.add(entry)
        self.seen[0] += entry.kind == "file"
        if entry.kind != "file" or entry.link is not None:
            slot.ready = True
            return
        slot.starts_group = self._helpers.starts_group(entry)
        self.seen[1] += entry.size
        if entry.size == 0:
            slot.content = blake3(b"")
            slot.ready = True
        elif self._helpers.recall(slot):
            slot.ready = True
            if entry.size > SMALL_MOST and self._helpers.siblings is not None:
                file = BaseFile(*self._place(slot), expected(entry))
                self._helpers.siblings.remember(file, self._window.differences(slot))
        elif entry.size > SMALL_MOST:
            self._stretches.append(self._cut(slot))
        else:
            self._put(slot)

    def _put(self, slot: Slot) -> None:
        """Adds a small file to the open bundle, which goes out first when it is full."""
        size = slot.entry.size
        if self._bundle_bytes + size > CHUNK_MAX or len(self._bundle) >= _BUNDLE_FILES:
            full = self._take_bundle()
            if full is not None:
                self._full.append(full)
        self._bundle.append(SmallFile(slot.number, *self._place(slot), expected(slot.entry)))
        self._bundle_bytes += size

    def _take_bundle(self) -> Bundle | None:
        if not self._bundle:
            return None
        bundle = Bundle(self._next_unit(), tuple(self._bundle))
        self._bundle = []
        self._bundle_bytes = 0
        return bundle

    def _cut(self, slot: Slot) -> Iterator[Stretch]:
        """Plans a large file when its turn has come, and yields its units."""
        generation = slot.generation
        root, path = self._place(slot)
        lenient = generation + 1 >= ATTEMPTS
        expect = expected(slot.entry)
        try:
            fd, found = open_file(root, path, expect)
        except Lost as error:
            self.drop(slot, error.fate, error.why)
            return
        try:
            if not found.same_content(expect):
                # It changed between scan and reading: nothing is lost, it was not read yet.
                expect = found
                slot.entry = with_stat(slot.entry, found)
            name = path.rpartition(b"/")[2] or root.rpartition(b"/")[2]
            cut = plan(fd, found.size, name)
            spans = units(slot.entry, cut, data_ranges(fd, found.size))
        except OSError as error:
            told = lost(error)
            self.drop(slot, told.fate, told.why)
            return
        finally:
            os.close(fd)
        slot.units = len(spans)
        bases = self._bases(BaseFile(root, path, expect), cut, spans)
        for span, found_bases in zip(spans, bases, strict=True):
            if slot.generation != generation or slot.ready:
                return
            unit = self._next_unit()
            yield Stretch(
                unit, slot.number, generation, root, path, expect, span, lenient, *found_bases
            )

    def _bases(self, file: BaseFile, cut: CutPlan, spans: list[Unit]) -> list[Bases]:
        """Finds bases for every span of a file, which then is one for those that follow."""
        siblings = self._helpers.siblings
        if siblings is None or cut.layout is None:
            return [((), ())] * len(spans)
        found = [siblings.find(span.pieces or (), cut.layout) for span in spans]
        siblings.admit(file, cut.layout)
        return found

    def _next_unit(self) -> int:
        self._units += 1
        return self._units

    def _place(self, slot: Slot) -> tuple[bytes, bytes]:
        return self._roots[slot.entry.root].path, slot.entry.path


def _length(spans: Sequence[Span]) -> int:
    return sum([span.length for span in spans])


def expected(entry: Entry) -> FileStat:
    """What a file must look like for its content to be the one that was scanned."""
    stat = entry.stat
    if stat is None:
        raise ValueError("a file without stat")
    return FileStat(
        stat.dev, stat.ino, entry.size, entry.mtime, stat.ctime, entry.mode, entry.uid, entry.gid
    )
