"""An engine of a restore: fetches stretches of packs, proves and decodes their chunks, writes files."""

import contextlib
import os
import queue
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

from . import metadata, target, transfer
from .compare import READ, Action, same_content
from .content_hash import BLOCK
from .engine import Message, Port
from .errors import WorkerError, integrity
from .frame import decode_frame
from .metadata import Meta, Policy
from .native import BytesLike, blake3
from .restore_run import Failure, failure_of
from .target import Base, Directories

_OPEN_FILES = 64
_MOST_ISSUES = 1000
_TICK_SECONDS = 0.2


@dataclass(slots=True)
class Task:
    """A job as the coordinator sent it, and what was fetched for it."""

    number: int
    signed: dict[str, Any] | None
    spans: list[tuple[int, int]]
    chunks: list[tuple[int, int, int, bytes, bytes]]
    directories: list[tuple[int, bytes]]
    files: list[tuple[int, int, tuple[int, int] | None, tuple[Any, ...] | None]]
    uses: list[list[tuple[int, int, int, int]]]
    buffers: list[memoryview] = field(default_factory=list)
    fetched: int = 0
    held: int = 0

    @property
    def bytes(self) -> int:
        """How much is to be fetched."""
        return sum(last - first + 1 for first, last in self.spans)


class Budget:
    """A bound on bytes held; whoever wants more waits."""

    def __init__(self, most: int) -> None:
        """Allow `most` bytes at a time."""
        self._most = most
        self._free = most
        self._changed = threading.Condition()

    def take(self, count: int) -> int:
        """Wait for room and return how much was taken: at most everything there is."""
        count = min(count, self._most)
        with self._changed:
            self._changed.wait_for(lambda: self._free >= count)
            self._free -= count
        return count

    def give(self, count: int) -> None:
        """Give room back."""
        with self._changed:
            self._free += count
            self._changed.notify_all()


class Engine:
    """The threads of one engine process."""

    def __init__(self, port: Port, number: int, settings: dict[str, Any]) -> None:
        """`settings`: run, privileges, parts (of this engine), memory (bytes of fetched data), decoders."""
        self.port = port
        self.first_part = number * settings["parts"]
        self.run_id: str = settings["run"]
        self.policy = Policy.of_this_process(settings["privileges"])
        self.bases: list[int] = []
        self.budget = Budget(settings["memory"])
        self.parts: int = settings["parts"]
        self.decoders: int = settings["decoders"]
        self.todo: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
        self.ready: queue.SimpleQueue[Task | Message | None] = queue.SimpleQueue()
        self.shown: dict[int, tuple[int, int, int] | None] = {}
        self.moved = [0, 0]
        self.lock = threading.Lock()

    def serve(self) -> None:
        """Work until the coordinator says end."""
        threads = [self._thread(self._fetch, n) for n in range(self.parts)]
        threads += [self._thread(self._decode, n) for n in range(self.decoders)]
        threading.Thread(target=self._tick, daemon=True).start()
        while (message := self.port.inbox.get())[0] != "end":
            self._take(message)
        for _ in range(self.parts):
            self.todo.put(None)
        for thread in threads[: self.parts]:
            thread.join()
        for _ in range(self.decoders):
            self.ready.put(None)
        for thread in threads[self.parts :]:
            thread.join()
        self._show()

    def _thread(self, work: Any, number: int) -> threading.Thread:
        def guarded() -> None:
            # An exception ends the run, not this thread alone.
            try:
                work(number)
            except BaseException as error:  # noqa: BLE001
                self.port.fail(error)

        thread = threading.Thread(target=guarded, daemon=True)
        thread.start()
        return thread

    def _take(self, message: Message) -> None:
        if message[0] == "bases":
            self._open_bases(message[1])
        elif message[0] == "write":
            task = Task(message[1], *message[2:])
            (self.todo if task.spans else self.ready).put(task)
        else:
            self.ready.put(message)

    def _open_bases(self, bases: list[tuple[bytes, int, int] | None]) -> None:
        for number, found in enumerate(bases):
            if number == len(self.bases):
                self.bases.append(-1)
            if found is not None and self.bases[number] < 0:
                self.bases[number] = target.open_base(Base(*found))

    def _fetch(self, number: int) -> None:
        part = self.first_part + number
        while (task := self.todo.get()) is not None:
            task.held = self.budget.take(task.bytes)
            try:
                self._fetch_spans(task, part)
            except transfer.UrlExpired:
                self._expired(task)
                continue
            finally:
                with self.lock:
                    self.shown[part] = None
            self.ready.put(task)

    def _expired(self, task: Task) -> None:
        task.buffers.clear()
        self.budget.give(task.held)
        self.port.send(("done", task.number, None))

    def _fetch_spans(self, task: Task, part: int) -> None:
        total = task.bytes
        before = 0
        for span in task.spans:
            length = span[1] - span[0] + 1
            try:
                task.buffers.append(self._get(task, span, part, before, total))
            except WorkerError as error:
                if error.code != "INTEGRITY":
                    raise
                # Missing or cut short: its chunks are tried one by one, and those that fail are named.
                task.buffers.append(memoryview(b""))
            before += length
        task.fetched = sum(len(buffer) for buffer in task.buffers)

    def _get(
        self, task: Task, span: tuple[int, int], part: int, before: int, total: int
    ) -> memoryview:
        seen = 0

        def show(done: int, attempt: int) -> None:
            nonlocal seen
            with self.lock:
                self.shown[part] = (before + done, total, attempt)
                self.moved[0] += done - seen
            seen = done

        assert task.signed is not None  # a job with spans has a URL
        return transfer.get(task.signed, span, None, show, self.port.failed)

    def _decode(self, _number: int) -> None:
        worker = Writer(self)
        try:
            while (work := self.ready.get()) is not None:
                if isinstance(work, Task):
                    self._write(worker, work)
                elif work[0] == "compare":
                    self.port.send(("done", work[1], worker.compare(work[2])))
                else:
                    raise WorkerError("WORKER", f"an engine was told {work[0]!r}")
        finally:
            worker.close()

    def _write(self, worker: "Writer", task: Task) -> None:
        try:
            result = worker.write(task)
        except transfer.UrlExpired:
            self._expired(task)
            return
        finally:
            task.buffers.clear()
        self.budget.give(task.held)
        self.port.send(("done", task.number, result))

    def _tick(self) -> None:
        while not self.port.failed.wait(_TICK_SECONDS):
            with contextlib.suppress(OSError):
                self._show()

    def _show(self) -> None:
        with self.lock:
            shown, self.shown = self.shown, {}
            moved, self.moved = self.moved, [0, 0]
        if shown:
            self.port.send(("parts", shown))
        if moved != [0, 0]:
            self.port.send(("moved", *moved))


class Damaged(Exception):
    """A chunk that cannot be had: missing, cut short or changed."""


class Writer:
    """One decoding thread: turns the frames of a task into files."""

    def __init__(self, engine: Engine) -> None:
        """Use the engine's bases and policy."""
        self._engine = engine
        self._policy = engine.policy
        self._directories = Directories(engine.bases)
        self._task: Task
        self._open: OrderedDict[int, int] = OrderedDict()
        self._identity: dict[int, tuple[int, int]] = {}
        self._left: list[int] = []
        self._failures: dict[int, Failure] = {}
        self._issues: list[tuple[int, str, str]] = []
        self._acls: dict[int, bool] = {}

    def close(self) -> None:
        """Close every descriptor."""
        self._directories.close()

    def write(self, task: Task) -> tuple[int, int, list[Any], list[Any]]:
        """Write a task's files; give bytes fetched and written, failures and issues by file number.

        Raises UrlExpired when a chunk has to be fetched again and the URL is too old, WorkerError when all is lost.
        """
        self._task = task
        self._left = [whole[4] if whole else -1 for _, _, _, whole in task.files]
        self._failures, self._issues, self._identity, self._acls = {}, [], {}, {}
        written = 0
        try:
            for place in range(len(task.files)):
                if self._left[place] == 0:
                    self._guard(place, lambda place=place: self._write_whole(place, None))
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
            raw = memoryview(self._chunk(number))
        except Damaged as damaged:
            for place, _, _, _ in wanted:
                self._give_up(place, ("damaged", str(damaged)))
            return 0
        written = 0
        chunk_hash = self._task.chunks[number][3]
        for place, offset, at, length in wanted:
            if place in self._failures:
                continue
            piece = raw[at : at + length]
            if self._left[place] == 1 and place not in self._identity:
                # The common case: a file whose content is at hand as a whole.
                known = length == len(raw)
                self._guard(
                    place,
                    lambda p=place, o=offset, d=piece, k=known: self._write_whole(
                        p, d, o, chunk_hash if k else None
                    ),
                )
            else:
                self._guard(place, lambda p=place, o=offset, d=piece: self._write_part(p, o, d))
            if place not in self._failures:
                written += length
        with self._engine.lock:
            self._engine.moved[1] += written
        return written

    def _chunk(self, number: int) -> BytesLike:
        """Return a proven chunk; a frame that is damaged is fetched once more, by itself."""
        at, stored, raw_length, raw_hash, frame_hash = self._task.chunks[number]
        for (first, _), buffer in zip(self._task.spans, self._task.buffers, strict=True):
            if first <= at and at + stored <= first + len(buffer):
                frame = buffer[at - first : at - first + stored]
                try:
                    return decode_frame(frame, raw_hash, raw_length, frame_hash)
                except WorkerError as error:
                    if error.code != "INTEGRITY":
                        raise
        assert self._task.signed is not None
        span = (at, at + stored - 1)
        try:
            again = transfer.get(self._task.signed, span, None, None, self._engine.port.failed)
            self._task.fetched += stored
            return decode_frame(again, raw_hash, raw_length, frame_hash)
        except WorkerError as error:
            if error.code != "INTEGRITY":
                raise
            raise Damaged(error.message) from None

    def _guard(self, place: int, step: Any) -> None:
        """Run a step of one file; what goes wrong there is that file's failure."""
        try:
            step()
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
        """Close what is open, and remove temporary files of this task alone that were not finished."""
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
        data: memoryview | None,
        offset: int = 0,
        known: bytes | None = None,
    ) -> None:
        """Create, fill and finish a file in one go; `known` is the hash of the data where it is proven already."""
        whole = self._task.files[place][3]
        assert whole is not None  # only whole files are finished here
        _, _, size, expected, _ = whole
        if data is not None and len(data) == size <= BLOCK and (known or blake3(data)) != expected:
            raise integrity("its content is not what the index says")
        directory = self._directory(place)
        fd = target.create_file(directory, self._temp(place))
        try:
            if data is not None:
                write_all(fd, data, offset)
            if data is None or offset + len(data) != size:
                os.ftruncate(fd, size)
            self._finish(place, fd, directory)
        finally:
            os.close(fd)

    def _write_part(self, place: int, offset: int, data: memoryview) -> None:
        """Write one stretch of a file with several, and finish it when it was the last and the file is ours alone."""
        directory = self._directory(place)
        fd = self._opened(place, directory)
        write_all(fd, data, offset)
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

    def _finish(self, place: int, fd: int, directory: int) -> None:
        number, group, _, whole = self._task.files[place]
        assert whole is not None
        name, meta = whole[0], Meta(*whole[1])
        acl = self._acls.get(group)
        if acl is None:
            acl = self._acls[group] = metadata.has_default_acl(target.by_descriptor(directory))
        issues = metadata.apply(fd, "file", meta, self._policy, clean=acl)
        target.put_in_place(directory, self._temp(place), name)
        self._issues += [(number, *issue) for issue in issues]

    def compare(self, files: list[tuple[Any, ...]]) -> list[int]:
        """Return for each existing file whether content and metadata are as the snapshot has them."""
        return [self._compare_one(*file) for file in files]

    def _compare_one(
        self, base: int, path: bytes, size: int, expected: bytes, fields: tuple[Any, ...]
    ) -> int:
        parent, name = target.split(path)
        try:
            directory = self._directories.open(base, parent)
            with target.pinned(directory, name, READ) as fd:
                if not same_content(fd, size, expected, self._engine.port.failed):
                    return Action.REPLACE
                meta = Meta(*fields)
                differs = metadata.differs(fd, os.fstat(fd), "file", meta, self._policy)
                return Action.METADATA if differs else Action.SAME
        except OSError:
            # What cannot be read cannot be proven: it is written again, and that names what is wrong with it.
            return Action.REPLACE


def write_all(fd: int, data: memoryview, offset: int) -> None:
    """Write all of the data at an offset."""
    while data:
        count = os.pwrite(fd, data, offset)
        data = data[count:]
        offset += count


def run(port: Port, number: int, settings: dict[str, Any]) -> None:
    """Do an engine's part of a restore until the coordinator says end."""
    engine = Engine(port, number, settings)
    engine.serve()
