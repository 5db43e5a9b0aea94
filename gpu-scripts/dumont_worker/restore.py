"""Restore a snapshot over a tree.

Fetch its index, look at what is there, write what differs, leave the rest alone.
"""

import ctypes
import errno
import os
import pwd
import queue
import threading
import time
from collections.abc import Callable
from typing import Any

from . import box as box_facts
from . import delete_extra, restored, target
from .access_files import is_access_file
from .compare import Action
from .engine_pool import EnginePool
from .errors import WorkerError
from .gpu.use import GpuUse, gpu_use
from .protocol import RestoreRequest
from .restore_crew import Crew, StartPool, beside_gpus, beside_parity, engine_count, engine_settings
from .restore_directories import RestoreDirectories, make_usable
from .restore_files import RestoreFiles
from .restore_holders import Holders
from .restore_index import Index, Urls, read_index
from .restore_links import RestoreLinks
from .restore_run import Run, unwritable
from .restore_runs import Runs, at_or_below
from .restore_salvage import salvage_index
from .restore_scope import WANTED, Layout, lay_out
from .restore_survey import Survey
from .restore_write import Write
from .serve import Box
from .session import Link
from .spool import Spool

# Below this id are the system's own users, whose homes hold nobody's keys.
_FIRST_USER = 1000


def run(
    link: Link, request: RestoreRequest, box: Box, start: StartPool = EnginePool
) -> dict[str, Any]:
    """Do a restore and give the fields of `result`; Cancelled, WorkerError.

    Owners are restored by number, never by name (see metadata.py). Nothing is written before
    the index is proven, the target looked at, and room for all of it found.
    """
    layout = lay_out(request.roots, request.target)
    refuse_private(layout, box)
    for asked, real in layout.resolved:
        link.warn("target", asked, f"is a symbolic link; restoring to {os.fsdecode(real)!r}")
    protected = protection(request, box)
    if request.dry_run:
        return restore(Run(link, request, layout, protected, "dry"), box, start)
    with Runs(box.private).begin(places(layout)) as run_id:
        return restore(Run(link, request, layout, protected, run_id), box, start)


def places(layout: Layout) -> tuple[bytes, ...]:
    """Return where each root goes, as absolute paths."""
    return tuple(
        target.absolute(layout.bases[where.base], where.path) for where in layout.destinations
    )


def refuse_private(layout: Layout, box: Box) -> None:
    """Refuse to write into the worker's own directory; WorkerError USAGE."""
    own = os.path.realpath(box.private.path)
    for place in places(layout):
        if at_or_below(place, own):
            raise WorkerError("USAGE", f"{os.fsdecode(place)!r} is dumont's own directory")


def protection(request: RestoreRequest, box: Box) -> Callable[[bytes], bool]:
    """Return what tells of paths that are left alone.

    Dumont's own, and those that keep the box reachable.
    """
    own = os.path.realpath(box.private.path)
    homes = {box_facts.home()}
    homes |= {
        os.fsencode(user.pw_dir)
        for user in pwd.getpwall()
        if user.pw_uid >= _FIRST_USER and user.pw_dir.strip("/")
    }

    def is_protected(path: bytes) -> bool:
        if at_or_below(path, own):
            return True
        return not request.include_access_files and is_access_file(path, homes)

    return is_protected


def restore(this: Run, box: Box, start: StartPool) -> dict[str, Any]:
    """Do all steps of a restore."""
    request = this.request
    gpu = gpu_decoding(box)
    cpus, memory = beside_gpus(box.cpus, request.memory, len(gpu.devices) if gpu else 0)
    count = engine_count(cpus, request.parts, memory)
    if request.groups is not None:
        memory = beside_parity(count, memory)
    settings = engine_settings(count, request.parts, memory)
    told = {"run": this.run_id, "privileges": request.privileges, "gpu": gpu, **settings}
    told["parity"] = request.groups is not None
    crew = Crew(this.link, count, told, box.native, start)
    spool = Spool(box.private.make("restores"))
    try:
        return Steps(this, crew, box, spool, gpu is not None).all()
    finally:
        crew.kill()
        this.close()
        spool.close()


def gpu_decoding(box: Box) -> GpuUse | None:
    """Return the GPUs that decode ANS chunks, if the box has what that takes."""
    try:
        return gpu_use("ans", box.nvcomp, box.native, box.gpus) if box.nvcomp else None
    except WorkerError:
        return None


class Steps:
    """The steps of one restore, in order, each timed."""

    def __init__(self, run: Run, crew: Crew, box: Box, spool: Spool, has_gpu: bool) -> None:
        """Work on `run`."""
        self._has_gpu = has_gpu
        self._run = run
        self._crew = crew
        self._box = box
        self._spool = spool
        self._urls = Urls(run.link)
        self._open_parity()
        self._begun = self._last = time.monotonic()
        self._seconds: dict[str, float] = {}

    def all(self) -> dict[str, Any]:
        """Do everything and give the result."""
        run = self._run
        self._read_index()
        survey = Survey(run, self._crew)
        try:
            self._survey(survey)
            if run.request.dry_run:
                return self._foretell(survey)
            self._make_bases()
            self._write(survey)
        finally:
            survey.space.close()
        self._flush()
        self._record()
        return self._result(survey)

    def _open_parity(self) -> None:
        """Let what is lost be made again, where there is anything to make it of."""
        run = self._run
        if run.request.groups is None:
            return
        from .parity_desk import ParityDesk  # noqa: PLC0415 - few snapshots have parity

        parity = ParityDesk(run.link, self._urls, run.request.snapshot, run.request.groups)
        self._urls.parity = self._crew.parity = parity

    def _lap(self, name: str) -> None:
        now = time.monotonic()
        self._seconds[name] = round(now - self._last, 3)
        self._last = now

    def _read_index(self) -> None:
        run = self._run
        run.link.progress.phase("index")
        if not run.request.dry_run:
            # They take longer to start than a small index takes to read.
            self._crew.start()
        try:
            self._read_what_is_there()
        except OSError as error:
            # A long index is kept in a file of the worker's own directory.
            raise unwritable(self._box.private.path, error) from error
        self._lap("index")

    def _read_what_is_there(self) -> None:
        run = self._run
        wanted = (run.link, run.request, self._urls, run.layout, self._spool)
        if not run.request.salvage:
            run.index = read_index_hinting(*wanted)
            return
        run.index, gaps = salvage_index(*wanted)
        for path, words in gaps:
            run.lose(path, words)

    def _survey(self, survey: Survey) -> None:
        run = self._run
        run.link.progress.phase("compare")
        run.open_bases(create=False)
        self._tell_bases()
        survey.walk()
        run.link.progress.totals(survey.totals.files, survey.totals.raw)
        survey.check_decoders(self._has_gpu)
        survey.space.check()
        self._lap("compare")

    def _tell_bases(self) -> None:
        known = [base and (base.path, base.dev, base.ino) for base in self._run.bases]
        self._crew.tell_all(("bases", known))

    def _make_bases(self) -> None:
        """Make missing targets and prove that they can be written, before anything is fetched."""
        run = self._run
        run.open_bases(create=True)
        writes = any(action in (Action.CREATE, Action.REPLACE) for action in run.actions)
        for number, path in enumerate(run.layout.bases if writes else ()):
            probe = target.temp_name(run.run_id, len(run.actions))
            try:
                if not run.request.include:
                    make_usable(run.base_fds[number], run.policy.uid)
                os.close(target.create_file(run.base_fds[number], probe))
                target.remove_quietly(run.base_fds[number], probe)
            except OSError as error:
                raise unwritable(path, error) from error
        self._tell_bases()

    def _write(self, survey: Survey) -> None:
        run = self._run
        run.link.progress.phase("write")
        files = RestoreFiles(run, self._crew, self._urls)
        directories = RestoreDirectories(run)
        try:
            Write(run, files, directories).walk()
        finally:
            # Engines first: none must make a temporary file after the last was removed.
            if files.busy:
                self._crew.kill()
                files.abandon()
        RestoreLinks(run, survey.groups).walk()
        self._lap("write")
        run.link.progress.phase("metadata")
        if run.request.delete:
            self._delete()
        directories.leave_all()
        self._lap("metadata")

    def _delete(self) -> None:
        run = self._run
        if run.counts["failed"]:
            run.link.warn("undeleted", b"", "nothing was deleted: not everything was restored")
            return
        extra = delete_extra.find_extra(run, self._box.private.node())
        if extra and delete_extra.confirm(run, extra):
            delete_extra.remove(run, extra)

    def _flush(self) -> None:
        """Wait until the disk has everything.

        A record of a complete restore must not outlive its data. WorkerError when the disk did
        not take what was written before.
        """
        for fd, path in zip(self._run.base_fds, self._run.layout.bases, strict=True):
            done: queue.SimpleQueue[OSError | None] = queue.SimpleQueue()
            thread = threading.Thread(target=report_sync, args=(fd, done), daemon=True)
            thread.start()
            while done.empty():
                self._run.link.check()
                thread.join(0.1)
            error = done.get()
            if error is not None:
                raise unwritable(path, error) from error
        self._lap("sync")

    def _record(self) -> None:
        run = self._run
        restored.record(
            self._box.private,
            run.request.lineage,
            run.request.snapshot,
            list(places(run.layout)),
            self._is_complete(),
        )

    def _is_complete(self) -> bool:
        """Tell whether the content of every chunk was proven here, written or compared."""
        run = self._run
        if run.request.include or run.counts["failed"]:
            return False
        unproven = (Action.KEEP, Action.SKIP)
        return not any(
            item.kind == "file" and item.role == WANTED and run.actions[number] in unproven
            for number, item in run.index.spool.items()
        )

    def _foretell(self, survey: Survey) -> dict[str, Any]:
        """Give the result of a dry run: what would be done."""
        run = self._run
        for number, item in run.index.spool.items():
            action = run.actions[number]
            if item.kind == "file" and item.role == WANTED:
                same = action in (Action.SAME, Action.KEEP, Action.METADATA)
                run.counts["same"] += same
                run.counts["written"] += action in (Action.CREATE, Action.REPLACE, Action.LINK)
                if action in (Action.CREATE, Action.REPLACE):
                    run.raw_written += sum(extent[3] for extent in item.extents)
        run.fetched = survey.bytes_to_fetch(Holders(run))
        if run.request.delete and not run.counts["failed"]:
            extra = delete_extra.find_extra(run, self._box.private.node())
            run.counts["deleted"] = len(extra)
        return self._result(survey)

    def _result(self, survey: Survey) -> dict[str, Any]:
        run = self._run
        totals = survey.totals
        kinds = totals.kinds
        plain = sum(kinds.get(kind, 0) for kind in ("file", "dir", "symlink"))
        self._seconds["total"] = round(time.monotonic() - self._begun, 3)
        return {
            "counts": {
                "entries": totals.entries,
                "files": totals.files,
                "dirs": kinds.get("dir", 0),
                "symlinks": kinds.get("symlink", 0),
                "others": totals.entries - plain,
            },
            "bytes": {"raw": totals.raw, "fetched": run.fetched, "written": run.raw_written},
            **run.counts,
            "failures": run.failures,
            "seconds": self._seconds,
            "warnings": dict(run.link.warnings),
            "notes": dict(run.link.notes),
        }


def read_index_hinting(*wanted: Any) -> Index:
    """Read an index as `read_index` does; where it is damaged, say what can be done."""
    try:
        return read_index(*wanted)
    except WorkerError as error:
        if error.code == "INTEGRITY":
            error.hint = "restore with --salvage brings back what the rest of the index proves"
        raise


def report_sync(fd: int, done: queue.SimpleQueue[OSError | None]) -> None:
    """Flush the file system of a directory, and say how it went."""
    error: OSError | None = None
    try:
        sync(fd)
    except OSError as failure:
        error = failure
    except BaseException as failure:
        error = OSError(errno.EIO, f"cannot be flushed: {failure}")
    done.put(error)


def sync(fd: int, syncfs: Callable[[int], int] | None = None) -> None:
    """Flush the file system of a directory to the disk.

    OSError when the disk did not take something that was written: a write only reaches memory,
    and this is where the kernel tells what became of it.
    """
    if syncfs is None:
        syncfs = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
    if syncfs is None:
        os.sync()
        return
    # O_PATH is not enough for syncfs.
    real = os.open(b".", os.O_RDONLY | os.O_DIRECTORY, dir_fd=fd)
    try:
        if syncfs(real) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
    finally:
        os.close(real)
