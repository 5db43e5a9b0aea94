"""Carries out units of work: reads files, says what became of them and of their chunks."""

import os
from collections.abc import Callable
from typing import NamedTuple

from .content_hash import BLOCK, small_hash
from .create_messages import (
    ATTEMPTS,
    Bundle,
    BundleDone,
    Chunk,
    Fate,
    FileStat,
    SmallDone,
    SmallFile,
    Span,
    Stretch,
    StretchDone,
)
from .cut import data_ranges
from .direct import aligned
from .engine_desk import EngineDesk
from .entry import CHUNK_MAX
from .file_state import Lost, fstat, lost, open_file
from .stretch_reader import WINDOW, Changed, Store, StretchReader


class UnitReader:
    """One compute thread's reader: `store` gets every chunk, `chunks` are those newly stored.

    Before a unit is done, `flush` stores what still waits.
    """

    def __init__(
        self, desk: EngineDesk, store: Store, flush: Callable[[], None] = lambda: None
    ) -> None:
        self.chunks: list[Chunk] = []
        self.uncounted = 0
        """Bytes of known files, which no chunk was made of, less those read in vain."""
        self._desk = desk
        self._store = store
        self._flush = flush
        self._buffer = aligned(WINDOW)

    def read(self, unit: Bundle | Stretch) -> BundleDone | StretchDone:
        """Does one unit; raises only what ends the run."""
        self.chunks.clear()
        self.uncounted = 0
        done = self._bundle(unit) if isinstance(unit, Bundle) else self._stretch(unit)
        self._flush()
        return done._replace(chunks=tuple(self.chunks))

    def _bundle(self, bundle: Bundle) -> BundleDone:
        done: list[SmallDone] = []
        held: list[_Held] = []
        at = 0
        for file in bundle.files:
            room = memoryview(self._buffer)[at : at + CHUNK_MAX]
            try:
                fate, found, ranges = _read_small(file, room)
            except Lost as error:
                done.append(SmallDone(file.slot, error.fate, file.expect, b"", (), error.why))
                continue
            if fate == "changed":
                done.append(SmallDone(file.slot, fate, found, b"", (), ""))
                continue
            held.append(_Held(file, fate, found, room[: found.size], ranges))
            at += found.size
            if at > CHUNK_MAX:
                # Files grew since the scan: what is held so far goes first.
                done += self._store_held(held)
                held, at = [], 0
        done += self._store_held(held)
        return BundleDone(bundle.unit, tuple(done), ())

    def _store_held(self, held: list["_Held"]) -> list[SmallDone]:
        """Stores the unknown ones of the files held, which lie in path order in the buffer."""
        hashes = [small_hash(file.data) for file in held]
        places: dict[bytes, tuple[int, int]] = {}
        shared: list[bytearray] = [bytearray()]
        known = self._known(held, hashes)
        for file, found, spans in zip(held, hashes, known, strict=True):
            if spans is None and file.ranges and found not in places:
                if len(shared[-1]) + len(file.data) > CHUNK_MAX:
                    shared.append(bytearray())
                places[found] = (len(shared) - 1, len(shared[-1]))
                shared[-1] += file.data
        chunks = [self._store(memoryview(chunk), None) for chunk in shared if chunk]
        done = []
        for file, found, spans in zip(held, hashes, known, strict=True):
            if spans is None and file.ranges:
                number, at = places[found]
                spans = file.spans(chunks[number], at)  # noqa: PLW2901
            else:
                self.uncounted += len(file.data)
            stored = spans or ()
            done.append(SmallDone(file.file.slot, file.fate, file.stat, found, stored, ""))
        return done

    def _known(self, held: list["_Held"], hashes: list[bytes]) -> list[tuple[Span, ...] | None]:
        """Where each content lies already; files with holes need spans of their own."""
        asked = [number for number, file in enumerate(held) if not file.has_holes]
        answers = self._desk.known([(len(held[n].data), hashes[n]) for n in asked]) if asked else []
        known: list[tuple[Span, ...] | None] = [None] * len(held)
        for number, spans in zip(asked, answers, strict=True):
            known[number] = spans
        return known

    def _stretch(self, stretch: Stretch) -> StretchDone:
        try:
            fd, found = open_file(stretch.root, stretch.path, stretch.expect)
        except Lost as error:
            return self._stretch_lost(stretch, error)
        reader = None
        try:
            torn = not found.same_content(stretch.expect)
            if torn and not stretch.lenient:
                raise Changed
            reader = StretchReader(fd, stretch, self._buffer, self._store)
            reader.read()
            torn = torn or reader.torn or not fstat(fd).same_content(stretch.expect)
            if torn and not stretch.lenient:
                raise Changed
            return self._stretch_done(stretch, "torn" if torn else "ok", reader)
        except Changed:
            self._take_back(reader)
            return self._stretch_done(stretch, "changed")
        except OSError as error:
            self._take_back(reader)
            return self._stretch_lost(stretch, lost(error))
        finally:
            if reader is not None:
                reader.close()
            os.close(fd)

    def _take_back(self, reader: StretchReader | None) -> None:
        if reader is not None:
            self.uncounted -= sum([span.length for span in reader.spans])

    def _stretch_lost(self, stretch: Stretch, error: Lost) -> StretchDone:
        return self._stretch_done(stretch, error.fate)._replace(error=error.why)

    def _stretch_done(
        self, stretch: Stretch, fate: Fate, reader: StretchReader | None = None
    ) -> StretchDone:
        first, blocks, whole = 0, b"", b""
        if reader is not None and stretch.span.whole:
            whole = reader.content_hash()
        elif reader is not None and reader.blocks:
            first = reader.blocks[0][0]
            blocks = b"".join([digest for _, digest in reader.blocks])
        return StretchDone(
            stretch.unit,
            stretch.slot,
            stretch.generation,
            fate,
            first,
            blocks,
            tuple(reader.spans) if reader is not None else (),
            (),
            whole,
            "",
        )


class _Held(NamedTuple):
    """A small file in the buffer; `ranges` is where it has data, start and end."""

    file: SmallFile
    fate: Fate
    stat: FileStat
    data: memoryview
    ranges: list[tuple[int, int]]

    @property
    def has_holes(self) -> bool:
        return self.ranges != [(0, len(self.data))]

    def spans(self, chunk: bytes, at: int) -> tuple[Span, ...]:
        """Where its data lies in the chunk that holds it from `at` on; holes are not covered."""
        return tuple(Span(start, chunk, at + start, end - start) for start, end in self.ranges)


def _read_small(file: SmallFile, room: memoryview) -> tuple[Fate, FileStat, list[tuple[int, int]]]:
    """Reads a small file whole, again when it changes meanwhile; raises Lost.

    The fate `changed` says that it has outgrown what fits: it is a large file now.
    """
    expect: FileStat | None = file.expect
    for attempt in range(1, ATTEMPTS + 1):
        fd, before = open_file(file.root, file.path, expect)
        try:
            if before.size > BLOCK:
                return "changed", before, []
            size = _read_all(fd, room[: before.size])
            ranges = data_ranges(fd, size)
            after = fstat(fd)
        except OSError as error:
            raise lost(error) from error
        finally:
            os.close(fd)
        if after.same_content(before) and size == before.size:
            return "ok", before, ranges
        if attempt == ATTEMPTS:
            # What was read last is what is stored, so its length is what the entry says.
            return "torn", before._replace(size=size), ranges
        expect = None
    raise AssertionError("unreachable")


def _read_all(fd: int, room: memoryview) -> int:
    done = 0
    while done < len(room) and (count := os.preadv(fd, [room[done:]], done)):
        done += count
    return done
