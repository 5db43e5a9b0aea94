"""One decoding thread of a restore: turns frames into proven chunks, and chunks into files."""

import contextlib
import os
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from . import metadata, target, transfer
from .cancellation import Flag
from .compare import READ, Action, same_content
from .content_hash import BLOCK
from .direct import DirectWriter
from .errors import WorkerError, integrity
from .frame import Unseal, decode_frame
from .metadata import Meta, Policy
from .native import BytesLike, blake3
from .newborn import Newborn
from .restore_bases import Bases
from .restore_holders import Place
from .restore_run import Failure, failure_of
from .seal import SealedObject, opener
from .target import Directories

if TYPE_CHECKING:
    from .restore_ahead import Ahead

_OPEN_FILES = 64
_MOST_ISSUES = 1000


Frame = tuple[int, int, int, int, bytes, bytes]
"""Pack of the task, offset in it, length, length of the chunk, raw hash and frame hash."""
Source = tuple[Frame, Place | None, int | None]
"""Where to get a chunk: its frame, a file that holds it, and the number of its base."""


@dataclass(slots=True)
class Task:
    """A job as the coordinator sent it, and what was fetched for it."""

    number: int
    signed: list[dict[str, Any]]
    spans: list[tuple[int, int, int]]
    chunks: list[Source]
    bases: list[Source]
    directories: list[tuple[int, bytes]]
    files: list[tuple[int, int, tuple[int, int] | None, tuple[Any, ...] | None]]
    uses: list[list[tuple[int, int, int, int]]]
    buffers: list[memoryview] = field(default_factory=list)
    memory: memoryview | None = None
    """What the buffers lie in."""
    fetched: int = 0
    held: int = 0
    openers: dict[int, SealedObject] = field(default_factory=dict)

    @property
    def bytes(self) -> int:
        """How much is to be fetched."""
        return sum(last - first + 1 for _, first, last in self.spans)

    def frame(self, pack: int, at: int, stored: int) -> memoryview | None:
        """Return a frame as it was fetched; None where it was not."""
        for (of, first, _), buffer in zip(self.spans, self.buffers, strict=True):
            if of == pack and first <= at and at + stored <= first + len(buffer):
                return buffer[at - first : at - first + stored]
        return None

    def unseal(self, pack: int, at: int) -> Unseal | None:
        """Return what opens a record; None where nothing is sealed."""
        seal = self.signed[pack]["seal"]
        if seal is None:
            return None
        if pack not in self.openers:
            self.openers[pack] = opener(seal, "pack")
        return partial(self.openers[pack].open, at)


Piece = tuple[memoryview, int, int, int]
"""A chunk, where in it a stretch begins, its length, and its offset in the file."""


class Desk(Protocol):
    """What a writer needs of its engine."""

    run_id: str
    policy: Policy
    bases: list[int]
    cancelled: Flag

    def rebuild(
        self, signed: dict[str, Any], at: int, stored: int, frame_hash: bytes
    ) -> BytesLike | None:
        """Return a frame of a pack made from parity, None where there is none; INTEGRITY."""
        ...

    def wrote(self, count: int) -> None:
        """Take note of raw bytes that are in their files."""
        ...


class Damaged(Exception):
    """A chunk that cannot be had: missing, cut short or changed."""


class Writer:
    """One decoding thread: turns the frames of a task into files."""

    def __init__(self, engine: Desk, ahead: "Ahead | None" = None) -> None:
        """Use the engine's bases and policy, and what `ahead` has decoded."""
        self._engine = engine
        self._ahead = ahead
        self._policy = engine.policy
        self._directories = Directories(engine.bases)
        self._direct = DirectWriter()
        self._bases = Bases(self._directories)
        self._task: Task
        self._open: OrderedDict[int, int] = OrderedDict()
        self._identity: dict[int, tuple[int, int]] = {}
        self._left: list[int] = []
        self._failures: dict[int, Failure] = {}
        self._issues: list[tuple[int, str, str]] = []
        self._newborn = Newborn()

    def close(self) -> None:
        """Close every descriptor."""
        self._bases.close()
        self._directories.close()

    def write(self, task: Task) -> tuple[int, int, list[Any], list[Any]]:
        """Write a task's files; give bytes fetched and written, failures and issues by file number.

        Raises UrlExpired when a chunk has to be fetched again and the URL is too old,
        WorkerError when all is lost.
        """
        self._task = task
        self._left = [whole[4] if whole else -1 for _, _, _, whole in task.files]
        self._failures, self._issues, self._identity = {}, [], {}
        self._newborn = Newborn()
        written = 0
        try:
            for place in range(len(task.files)):
                if self._left[place] == 0:
                    with self._guarded(place):
                        self._write_whole(place, None)
            for number, uses in enumerate(task.uses):
                written += self._write_chunk(number, uses)
        finally:
            self._abandon()
        failures = [(task.files[p][0], *f) for p, f in self._failures.items()]
        return task.fetched, written, failures, self._issues[:_MOST_ISSUES]

    def _write_chunk(self, number: int, uses: list[tuple[int, int, int, int]]) -> int:
        wanted = [use for use in uses if use[0] not in self._failures]
        if not wanted:
            return 0
        try:
            _, offset, at, _ = wanted[0]
            raw = memoryview(self._chunk(number, offset - at))
        except Damaged as damaged:
            for place, _, _, _ in wanted:
                self._give_up(place, ("damaged", str(damaged)))
            return 0
        written = 0
        chunk_hash = self._task.chunks[number][0][4]
        for place, offset, at, length in wanted:
            if place in self._failures:
                continue
            with self._guarded(place):
                if self._left[place] == 1 and place not in self._identity:
                    # The common case: a file whose content is at hand as a whole.
                    known = chunk_hash if length == len(raw) else None
                    self._write_whole(place, (raw, at, length, offset), known)
                else:
                    self._write_part(place, (raw, at, length, offset))
            if place not in self._failures:
                written += length
        self._engine.wrote(written)
        return written

    def _chunk(self, number: int, offset: int) -> BytesLike:
        """Return a proven chunk whose first byte goes to this offset of a file."""
        frame, place, base = self._task.chunks[number]
        room = self._direct.room(frame[3], offset)
        if place is not None and self._bases.read(place, room) and blake3(room) == frame[4]:
            return room
        return self._proven(frame, room, base)

    def _proven(self, frame: Frame, room: memoryview, base: int | None = None) -> BytesLike:
        """Return the chunk of a frame; one that is damaged is fetched once more, by itself."""
        pack, at, stored, raw_length, raw_hash, frame_hash = frame
        if self._ahead is not None and (found := self._ahead.take(raw_hash)) is not None:
            return found
        what = (raw_hash, raw_length, frame_hash, room)
        data, unseal = self._task.frame(pack, at, stored), self._task.unseal(pack, at)
        if data is not None:
            find = partial(self._base, base, True)
            try:
                return decode_frame(data, *what, find_base=find, unseal=unseal)
            except WorkerError as error:
                if error.code != "INTEGRITY":
                    raise
        signed, span = self._task.signed[pack], (at, at + stored - 1)
        find = partial(self._base, base, False)
        try:
            again = transfer.get(signed, span, None, None, self._engine.cancelled)
            self._task.fetched += stored
            return decode_frame(again, *what, find_base=find, unseal=unseal)
        except WorkerError as error:
            if error.code != "INTEGRITY":
                raise
            lost = error.message
        try:
            made = self._engine.rebuild(signed, at, stored, frame_hash)
            if made is None:
                raise Damaged(lost)
            return decode_frame(made, *what, find_base=find, unseal=unseal)
        except WorkerError as error:
            if error.code != "INTEGRITY":
                raise
            raise Damaged(f"{lost}; {error.message}") from None

    def _base(self, number: int | None, from_file: bool, _hash: bytes) -> BytesLike:
        """Return what a chunk differs from: of a file, which the caller has to prove, or decoded.

        Raises Damaged when it cannot be had.
        """
        if number is None:
            raise integrity("a difference that the index does not tell of")
        frame, place, _ = self._task.bases[number]
        raw_length, raw_hash = frame[3], frame[4]
        kept = self._bases.kept(raw_hash)
        if kept is not None:
            return kept
        room = self._bases.room(raw_length)
        if from_file and place is not None and self._bases.read(place, room):
            return room
        return self._bases.keep(raw_hash, self._proven(frame, room))

    @contextlib.contextmanager
    def _guarded(self, place: int) -> Iterator[None]:
        """Make what goes wrong in a step of one file that file's failure."""
        try:
            yield
        except OSError as error:
            self._give_up(place, failure_of(error))
        except WorkerError as error:
            if error.code != "INTEGRITY":
                raise
            self._give_up(place, ("damaged", error.message))

    def _give_up(self, place: int, failure: Failure) -> None:
        if place in self._failures:
            return
        self._failures[place] = failure
        fd = self._open.pop(place, None)
        if fd is not None:
            os.close(fd)
        if self._task.files[place][3] is not None:
            self._remove_temp(place)

    def _remove_temp(self, place: int) -> None:
        with contextlib.suppress(OSError):
            target.remove_quietly(self._directory(place), self._temp(place))

    def _abandon(self) -> None:
        """Close what is open, and remove unfinished files of this task alone."""
        for place, fd in self._open.items():
            os.close(fd)
            if self._task.files[place][3] is not None:
                self._remove_temp(place)
        self._open.clear()

    def _directory(self, place: int) -> int:
        base, path = self._task.directories[self._task.files[place][1]]
        return self._directories.open(base, path)

    def _temp(self, place: int) -> bytes:
        return target.temp_name(self._engine.run_id, self._task.files[place][0])

    def _write_whole(
        self,
        place: int,
        piece: Piece | None,
        known: bytes | None = None,
    ) -> None:
        """Create, fill and finish a file in one go.

        `known` is the hash of the data where it is proven already.
        """
        _, group, _, whole = self._task.files[place]
        assert whole is not None  # only whole files are finished here
        _, fields, size, expected, _ = whole
        data, at, length, offset = piece or (memoryview(b""), 0, 0, 0)
        if (
            piece
            and length == size <= BLOCK
            and (known or blake3(data[at : at + length])) != expected
        ):
            raise integrity("its content is not what the index says")
        directory = self._directory(place)
        temp, meta = self._temp(place), Meta(*fields)
        fd, has_all = self._newborn.create(group, directory, temp, meta)
        try:
            self._direct.write(fd, data, at, length, offset)
            if offset + length != size:
                os.ftruncate(fd, size)
            self._finish(place, fd, directory, has_all)
        finally:
            os.close(fd)

    def _write_part(self, place: int, piece: Piece) -> None:
        """Write one stretch of several; after the last, finish a file of this task alone."""
        directory = self._directory(place)
        fd = self._opened(place, directory)
        self._direct.write(fd, *piece)
        if self._left[place] < 0:
            return
        self._left[place] -= 1
        if self._left[place] == 0:
            self._open.pop(place)
            try:
                self._finish(place, fd, directory)
            finally:
                os.close(fd)

    def _opened(self, place: int, directory: int) -> int:
        fd = self._open.get(place)
        if fd is not None:
            self._open.move_to_end(place)
            return fd
        _, _, shared, whole = self._task.files[place]
        identity = shared or self._identity.get(place)
        if identity is not None:
            fd = target.reopen_file(directory, self._temp(place), identity)
        else:
            fd = target.create_file(directory, self._temp(place))
            found = os.fstat(fd)
            self._identity[place] = (found.st_dev, found.st_ino)
        self._open[place] = fd
        if identity is None and whole is not None:
            os.ftruncate(fd, whole[2])
        if len(self._open) > _OPEN_FILES:
            _, oldest = self._open.popitem(last=False)
            os.close(oldest)
        return fd

    def _finish(self, place: int, fd: int, directory: int, has_all: bool = False) -> None:
        """Set a file's metadata, or its times where it `has_all` else, and put it in place."""
        number, group, _, whole = self._task.files[place]
        assert whole is not None
        name, meta = whole[0], Meta(*whole[1])
        if has_all:
            os.utime(fd, ns=(meta.mtime, meta.mtime))
            target.put_in_place(directory, self._temp(place), name)
            return
        clean = self._newborn.inherits(group, directory)
        issues = metadata.apply(fd, "file", meta, self._policy, clean=clean)
        target.put_in_place(directory, self._temp(place), name)
        self._issues += [(number, *issue) for issue in issues]

    def compare(self, files: list[tuple[Any, ...]]) -> list[int]:
        """Return for each file whether content and metadata are as the snapshot has them."""
        return [self._compare_one(*file) for file in files]

    def _compare_one(
        self, base: int, path: bytes, size: int, expected: bytes, fields: tuple[Any, ...]
    ) -> int:
        parent, name = target.split(path)
        try:
            directory = self._directories.open(base, parent)
            fd = os.open(name, READ, dir_fd=directory)
            try:
                if not same_content(fd, size, expected, self._engine.cancelled):
                    return Action.REPLACE
                meta = Meta(*fields)
                differs = metadata.differs(fd, os.fstat(fd), "file", meta, self._policy)
                return Action.METADATA if differs else Action.SAME
            finally:
                os.close(fd)
        except OSError:
            # What cannot be read cannot be proven: it is written again, and that names what is
            # wrong with it.
            return Action.REPLACE
