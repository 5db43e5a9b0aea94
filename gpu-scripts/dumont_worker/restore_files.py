"""Write files: gather them in windows, hand jobs to the engines, finish what several jobs wrote.

A file with differences is gathered when the files that hold their bases are finished.
"""

import contextlib
import errno
import os
from collections import deque
from collections.abc import Callable
from typing import Any

from . import metadata, target
from .compare import Action
from .errors import WorkerError
from .restore_crew import Crew
from .restore_holders import Holders
from .restore_index import RENEWALS, Urls
from .restore_plan import WINDOW_USES, FileState, Job, Window, message_of
from .restore_run import Run, failure_of
from .restore_waiting import Waiting
from .spool import Item

# What a file costs an engine beside its bytes, told in bytes.
_FILE_WEIGHT = 16 << 10
_KEYS_AHEAD = 32


class RestoreFiles:
    """The files of one restore that need writing."""

    def __init__(self, run: Run, crew: Crew, urls: Urls) -> None:
        """Let `crew` do the work."""
        self._run = run
        self._crew = crew
        self._urls = urls
        self._holders = Holders(run)
        self._waiting = Waiting(self._holders)
        self._window = self._new_window()
        self._jobs: deque[Job] = deque()
        # Files that may have a temporary name on the disk right now.
        self._active: dict[int, FileState] = {}

    @property
    def busy(self) -> bool:
        """Whether files are unfinished."""
        return bool(self._active)

    def add(self, number: int, item: Item) -> None:
        """Take a file in; Cancelled, or WorkerError when an engine failed."""
        if not self._waiting.add(number, item):
            self._window.add(number, item)
        elif self._waiting.uses > WINDOW_USES:
            self.finish()
        if self._window.full:
            self._plan()
            # The next window is planned while the engines still have work from the last.
            self._hand_out(keep=_KEYS_AHEAD)

    def finish(self) -> None:
        """Wait until all files are done; Cancelled, WorkerError."""
        while True:
            self._plan()
            self._hand_out(keep=0)
            if self._crew.busy:
                self._crew.wait()
            elif self._waiting.uses:
                # What they wait for comes later, or waits for them.
                self._gather(self._waiting.all())
            else:
                return

    def _gather(self, files: list[tuple[int, Item]]) -> None:
        for number, item in files:
            self._window.add(number, item)

    def _new_window(self) -> Window:
        return Window(self._run.index.chunks, self._holders)

    def _plan(self) -> None:
        """Turn the files gathered so far into jobs.

        Make the temporary file of those that several jobs write to.
        """
        window, self._window = self._window, self._new_window()
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
        ahead = (key for other in self._ahead() for key in self._keys(other))
        signed = self._urls.several(self._keys(job), list(ahead))
        message = message_of(job, signed, self._run.index.chunks, self._holders)
        weight = job.bytes + _FILE_WEIGHT * len(job.files)
        self._crew.submit("write", message, weight, self._on_written(job))

    def _keys(self, job: Job) -> list[str]:
        return [self._run.index.packs[pack].key for pack in job.packs]

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
            # Hardly ever is there anything to say of a file.
            told = job.files if failures or issues else ()
            states = {state.number: state for state in told}
            for number, code, message in failures:
                states[number].failed = True
                self._run.fail(number, states[number].item, (code, message))
            for number, code, message in issues:
                self._run.tell(states[number].item, [metadata.Issue(code, message)])
            # Told once for all: the counters have a lock.
            self._run.link.progress.add(files=sum([self._part_done(state) for state in job.files]))

        return take

    def _again(self, job: Job) -> None:
        """Repeat a job whose URL had expired, with a fresh one."""
        job.renewals += 1
        if job.renewals > RENEWALS:
            raise WorkerError("ACCESS_DENIED", "the store takes every URL for an expired one")
        for key in self._keys(job):
            self._urls.renew(key)
        self._jobs.appendleft(job)
        if self._crew.room:
            self._submit(self._jobs.popleft())

    def _part_done(self, state: FileState) -> bool:
        """Tells whether the file is now as the snapshot has it."""
        state.jobs -= 1
        if state.jobs:
            return False
        if state.identity is not None:
            try:
                self._finish_shared(state)
            except OSError as error:
                self._run.fail(state.number, state.item, failure_of(error))
        del self._active[state.number]
        self._gather(self._waiting.arrived(state.number))
        if self._run.actions[state.number] == Action.FAILED:
            return False
        self._run.count(state.item, written=True)
        return state.item.kind == "file"

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

    def abandon(self) -> None:
        """Remove every temporary file that this run may have left; the engines must be gone."""
        for state in self._active.values():
            with contextlib.suppress(OSError):
                directory, _ = self._run.directory_of(state.item)
                temp = target.temp_name(self._run.run_id, state.number)
                target.remove_quietly(directory, temp)
        self._active.clear()
