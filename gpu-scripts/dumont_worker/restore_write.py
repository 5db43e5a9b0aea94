"""Write what the survey decided: directories first, files through the engines, then further names, then directories' metadata."""

import contextlib
import errno
import os
import stat
from collections import deque
from collections.abc import Callable
from typing import Any

from . import metadata, target
from .compare import WRITES, Action
from .errors import WorkerError
from .restore_crew import Crew
from .restore_index import RENEWALS, Urls
from .restore_plan import FileState, Job, Window, message_of
from .restore_run import Failure, Run, failure_of
from .restore_scope import PARENT, WANTED, WAY
from .restore_survey import Survey, inside
from .spool import Item

# What a job costs an engine beside its bytes, in bytes: files take time too.
_FILE_WEIGHT = 16 << 10
_COPY_BYTES = 4 << 20
_KEYS_AHEAD = 32


class Write:
    """The part of a restore that changes the target."""

    def __init__(self, run: Run, survey: Survey, crew: Crew, urls: Urls) -> None:
        """Do what `survey` decided."""
        self._run = run
        self._survey = survey
        self._crew = crew
        self._urls = urls
        self._window = Window(run.index.chunks)
        self._jobs: deque[Job] = deque()
        # Files that may have a temporary name on the disk right now.
        self._active: dict[int, FileState] = {}
        self._blocked: tuple[int, bytes] | None = None
        self._made: set[int] = set()

    @property
    def busy(self) -> bool:
        """Whether files are unfinished."""
        return bool(self._active)

    def write(self) -> None:
        """Bring everything but further names and directories' metadata into place; Cancelled, WorkerError."""
        run = self._run
        for number, item in run.index.spool.items():
            if number % 256 == 0:
                run.link.check()
            try:
                self._take(number, item)
            except OSError as error:
                self._fail(number, item, failure_of(error))
            if self._window.full:
                self._plan()
                # The next window is planned while the engines still have work from the last.
                self._hand_out(keep=_KEYS_AHEAD)
        self._plan()
        self._hand_out(keep=0)
        self._crew.drain()

    def _take(self, number: int, item: Item) -> None:
        action = self._run.actions[number]
        if self._blocked is not None and inside(item, self._blocked):
            if action not in (Action.FAILED, Action.SKIP):
                self._fail(number, item, ("type-conflict", "its directory cannot be made"))
        elif item.kind == "dir":
            self._take_directory(number, item, action)
        elif action in (Action.SAME, Action.KEEP):
            self._run.done(number, item, written=False)
        elif action == Action.METADATA:
            self._set_metadata(number, item)
        elif action in WRITES:
            if item.kind == "file":
                self._window.add(number, item)
            else:
                self._make_special(number, item)

    def _fail(self, number: int, item: Item, failure: Failure) -> None:
        self._run.fail(number, item, failure)
        if item.kind == "dir":
            self._blocked = (item.base, item.path)

    def _take_directory(self, number: int, item: Item, action: int) -> None:
        if not item.path:
            if self._run.bases[item.base] is not None:
                self._make_usable(self._run.base_fds[item.base], item)
            return
        directory, name = self._run.directory_of(item)
        if action == Action.REPLACE:
            os.unlink(name, dir_fd=directory)
            self._run.directories.forget(item.base, item.path)
        if action in WRITES:
            # Closed to others until its content is there; a way station has no metadata of its own to wait for.
            mode = item.mode if item.role == WAY else target.PRIVATE_MODE
            os.close(target.make_directory(directory, name, mode))
            self._made.add(number)
            if item.role == PARENT:
                self._finish_directory(item, usable=True)
        elif action == Action.METADATA:
            self._make_usable(self._run.directories.open(item.base, item.path), item)

    def _make_usable(self, fd: int, item: Item) -> None:
        """Let an unprivileged owner write into a read-only directory; its mode is set again at the end."""
        policy = self._run.policy
        found = os.fstat(fd)
        if item.role == WANTED and policy.uid not in (0,) and found.st_uid == policy.uid:
            mode = stat.S_IMODE(found.st_mode)
            if mode & 0o700 != 0o700:
                os.chmod(target.by_descriptor(fd), mode | 0o700)

    def _set_metadata(self, number: int, item: Item) -> None:
        directory, name = self._run.directory_of(item)
        meta, policy = metadata.of_item(item), self._run.policy
        if item.kind == "symlink":
            issues = metadata.apply_to_link(directory, name, meta, policy)
        else:
            with target.pinned(directory, name) as fd:
                # Checked on the very object that is changed: another may have taken the name since the survey.
                found = os.fstat(fd)
                if found.st_nlink > 1 or stat.S_IFMT(found.st_mode) != _FORMATS[item.kind]:
                    raise OSError(errno.EEXIST, "something else stands there now")
                handle = target.by_descriptor(fd)
                issues = metadata.apply(handle, item.kind, meta, policy, clean=True)
        self._run.tell(item, issues)
        self._run.done(number, item, written=False)

    def _make_special(self, number: int, item: Item) -> None:
        directory, name = self._run.directory_of(item)
        temp = target.temp_name(self._run.run_id, number)
        meta, policy = metadata.of_item(item), self._run.policy
        try:
            if item.kind == "symlink":
                assert item.target is not None  # the index reader refuses a link without target
                os.symlink(item.target, temp, dir_fd=directory)
                issues = metadata.apply_to_link(directory, temp, meta, policy)
            else:
                make_node(directory, temp, item)
                with target.pinned(directory, temp) as fd:
                    handle = target.by_descriptor(fd)
                    issues = metadata.apply(handle, item.kind, meta, policy, clean=True)
            target.put_in_place(directory, temp, name)
        except OSError:
            target.remove_quietly(directory, temp)
            raise
        self._run.tell(item, issues)
        self._run.done(number, item, written=True)

    def _plan(self) -> None:
        """Turn the files gathered so far into jobs; make the temporary file of those that several jobs write to."""
        window, self._window = self._window, Window(self._run.index.chunks)
        jobs = window.plan()
        for job in jobs:
            for state in job.files:
                if state.number not in self._active:
                    self._active[state.number] = state
                    if state.jobs > 1:
                        self._prepare(state)
        self._jobs.extend(jobs)

    def _prepare(self, state: FileState) -> None:
        item = state.item
        try:
            directory, _ = self._run.directory_of(item)
            fd = target.create_file(directory, target.temp_name(self._run.run_id, state.number))
            try:
                os.ftruncate(fd, item.size)
                found = os.fstat(fd)
            finally:
                os.close(fd)
            state.identity = (found.st_dev, found.st_ino)
        except OSError as error:
            state.failed = True
            # Never equal to a real one: no engine writes to whatever stands there.
            state.identity = (-1, -1)
            self._run.fail(state.number, item, failure_of(error))

    def _hand_out(self, keep: int) -> None:
        """Give jobs to the engines until only `keep` are left."""
        while len(self._jobs) > keep:
            self._submit(self._jobs.popleft())

    def _submit(self, job: Job) -> None:
        packs = self._run.index.packs
        signed = None
        if job.spans:
            ahead = {packs[other.pack].key: None for other in self._ahead() if other.spans}
            signed = self._urls.get(packs[job.pack].key, list(ahead))
        message = message_of(job, signed, self._run.index.chunks)
        weight = job.bytes + _FILE_WEIGHT * len(job.files)
        self._crew.submit("write", message, weight, self._on_written(job))

    def _ahead(self) -> list[Job]:
        return [self._jobs[n] for n in range(min(len(self._jobs), _KEYS_AHEAD))]

    def _on_written(self, job: Job) -> Callable[[Any], None]:
        def take(result: tuple[int, int, list[Any], list[Any]] | None) -> None:
            if result is None:
                self._again(job)
                return
            fetched, written, failures, issues = result
            self._run.fetched += fetched
            self._run.raw_written += written
            states = {state.number: state for state in job.files}
            for number, code, message in failures:
                states[number].failed = True
                self._run.fail(number, states[number].item, (code, message))
            for number, code, message in issues:
                self._run.tell(states[number].item, [metadata.Issue(code, message)])
            for state in job.files:
                self._part_done(state)

        return take

    def _again(self, job: Job) -> None:
        """Repeat a job whose URL had expired, with a fresh one."""
        job.renewals += 1
        if job.renewals > RENEWALS:
            raise WorkerError("ACCESS_DENIED", "the store takes every URL for an expired one")
        self._urls.renew(self._run.index.packs[job.pack].key)
        self._jobs.appendleft(job)
        if self._crew.room:
            self._submit(self._jobs.popleft())

    def _part_done(self, state: FileState) -> None:
        state.jobs -= 1
        if state.jobs:
            return
        if state.identity is not None:
            try:
                self._finish_shared(state)
            except OSError as error:
                self._run.fail(state.number, state.item, failure_of(error))
        del self._active[state.number]
        if self._run.actions[state.number] != Action.FAILED:
            self._run.done(state.number, state.item, written=True)

    def _finish_shared(self, state: FileState) -> None:
        """Finish a file that several jobs wrote to, or remove what there is of it."""
        item = state.item
        directory, name = self._run.directory_of(item)
        temp = target.temp_name(self._run.run_id, state.number)
        try:
            if state.failed or state.identity is None:
                raise FileNotFoundError
            fd = target.reopen_file(directory, temp, state.identity)
            try:
                if os.fstat(fd).st_size != item.size:
                    raise OSError(errno.ESTALE, "its temporary file was changed")
                policy = self._run.policy
                issues = metadata.apply(fd, "file", metadata.of_item(item), policy, clean=True)
            finally:
                os.close(fd)
            target.put_in_place(directory, temp, name)
        except OSError:
            if state.identity != (-1, -1):
                target.remove_quietly(directory, temp)
            if state.failed:
                return
            raise
        self._run.tell(item, issues)

    def link(self) -> None:
        """Give files their further names."""
        run = self._run
        leaders = self._leaders()
        for number, item in run.index.spool.items():
            if run.actions[number] == Action.LINK:
                run.link.check()
                place = item.link or (item.base, item.path)
                try:
                    self._link_one(number, item, *leaders[place])
                except OSError as error:
                    run.fail(number, item, failure_of(error))

    def _leaders(self) -> dict[tuple[int, bytes], tuple[int, Item]]:
        wanted = {number: place for place, number in self._survey.groups.items()}
        found = {}
        if wanted:
            for number, item in self._run.index.spool.items():
                if number in wanted:
                    found[wanted[number]] = (number, item)
        return found

    def _link_one(self, number: int, item: Item, leader: int, first: Item) -> None:
        run = self._run
        if run.actions[leader] == Action.FAILED:
            run.fail(
                number, item, ("damaged", "the file that it is another name of was not restored")
            )
            return
        parent, source = target.split(first.path)
        # Two directories at a time: the second may push the first out of the cache, so the first is kept open here.
        held = os.dup(run.directories.open(first.base, parent))
        try:
            directory, name = run.directory_of(item)
            wanted = target.look(held, source)
            there = target.look(directory, name)
            if wanted is None or stat.S_IFMT(wanted.st_mode) != _FORMATS[item.kind]:
                raise OSError(errno.EEXIST, "the file that it is another name of was replaced")
            if there is not None and os.path.samestat(wanted, there):
                run.done(number, item, written=False)
                return
            temp = target.temp_name(run.run_id, number)
            self._link_or_copy(item, held, source, directory, temp)
            target.put_in_place(directory, temp, name)
        finally:
            os.close(held)
        run.done(number, item, written=True)

    def _link_or_copy(
        self, item: Item, held: int, source: bytes, directory: int, temp: bytes
    ) -> None:
        try:
            os.link(source, temp, src_dir_fd=held, dst_dir_fd=directory, follow_symlinks=False)
        except OSError as error:
            if item.kind != "file" or error.errno not in _NO_LINKS:
                raise
            self._run.link.warn("link", self._run.where(item), "a copy instead of a hard link")
            self._copy(item, held, source, directory, temp)

    def _copy(self, item: Item, held: int, source: bytes, directory: int, temp: bytes) -> None:
        """Write a second file where a hard link is impossible: the group is spread over two file systems."""
        out = target.create_file(directory, temp)
        try:
            with target.pinned(held, source, os.O_RDONLY | os.O_NONBLOCK) as fd:
                for offset, _, _, length in item.extents:
                    for at in range(offset, offset + length, _COPY_BYTES):
                        self._run.link.check()
                        count = min(_COPY_BYTES, offset + length - at)
                        data = memoryview(os.pread(fd, count, at))
                        while data:
                            at += (done := os.pwrite(out, data, at))
                            data = data[done:]
            os.ftruncate(out, item.size)
            policy = self._run.policy
            issues = metadata.apply(out, "file", metadata.of_item(item), policy, clean=True)
            self._run.tell(item, issues)
        except BaseException:
            target.remove_quietly(directory, temp)
            raise
        finally:
            os.close(out)

    def finish_directories(self) -> None:
        """Set directories' metadata, the deepest first, after everything in them is done."""
        stack: list[tuple[int, Item]] = []
        for number, item in self._run.index.spool.items():
            while stack and not inside(item, (stack[-1][1].base, stack[-1][1].path)):
                self._leave(*stack.pop())
            if item.kind == "dir":
                stack.append((number, item))
        while stack:
            self._leave(*stack.pop())

    def _leave(self, number: int, item: Item) -> None:
        action = self._run.actions[number]
        made = number in self._made
        if item.role == WAY or action in (Action.FAILED, Action.SKIP, Action.KEEP):
            return
        if item.role == PARENT and not made:
            return
        try:
            self._finish_directory(item, usable=False)
        except OSError as error:
            self._run.fail(number, item, failure_of(error))

    def _finish_directory(self, item: Item, usable: bool) -> None:
        """Set a directory's metadata; `usable` leaves it open to its owner for now."""
        fd = self._run.directories.open(item.base, item.path)
        handle = target.by_descriptor(fd)
        meta, policy = metadata.of_item(item), self._run.policy
        if usable:
            meta = meta._replace(mode=meta.mode | 0o700)
        elif not metadata.differs(handle, os.fstat(fd), "dir", meta, policy):
            return
        issues = metadata.apply(handle, "dir", meta, policy, clean=True)
        if not usable:
            self._run.tell(item, issues)

    def abandon(self) -> None:
        """Remove every temporary file that this run may have left; the engines must be gone."""
        for state in self._active.values():
            with contextlib.suppress(OSError):
                directory, _ = self._run.directory_of(state.item)
                temp = target.temp_name(self._run.run_id, state.number)
                target.remove_quietly(directory, temp)
        self._active.clear()


_FORMATS = {
    "file": stat.S_IFREG,
    "fifo": stat.S_IFIFO,
    "char": stat.S_IFCHR,
    "block": stat.S_IFBLK,
}
# Another file system, no links at all, or as many as an inode can have.
_NO_LINKS = frozenset({errno.EPERM, errno.EXDEV, errno.EMLINK, errno.ENOTSUP})


def make_node(directory: int, name: bytes, item: Item) -> None:
    """Make a FIFO or a device node that nobody else can open yet."""
    if item.kind == "fifo":
        os.mkfifo(name, 0o600, dir_fd=directory)
        return
    assert item.device is not None  # the index reader refuses a device without numbers
    os.mknod(name, _FORMATS[item.kind] | 0o600, os.makedev(*item.device), dir_fd=directory)
