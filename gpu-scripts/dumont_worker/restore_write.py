"""Write what the survey decided, in path order: directories, files through engines, the rest."""

from . import metadata, target
from .compare import WRITES, Action
from .restore_directories import RestoreDirectories
from .restore_files import RestoreFiles
from .restore_run import Failure, Run, failure_of
from .restore_scope import Place, inside
from .restore_special import check_identity, make_special
from .restore_survey import data_bytes
from .spool import Item


class Write:
    """The walk that changes the target: everything but further names of files."""

    def __init__(self, run: Run, files: RestoreFiles, directories: RestoreDirectories) -> None:
        """Hand files to `files` and directories to `directories`."""
        self._run = run
        self._files = files
        self._directories = directories
        self._blocked: Place | None = None

    def walk(self) -> None:
        """Bring everything into place and wait for the engines; Cancelled, WorkerError."""
        for number, item in self._run.index.spool.items():
            if number % 256 == 0:
                self._run.link.check()
            try:
                self._take(number, item)
            except OSError as error:
                self._fail(number, item, failure_of(error))
        self._files.finish()

    def _take(self, number: int, item: Item) -> None:
        action = self._run.actions[number]
        if self._blocked is not None and inside(item.base, item.path, self._blocked):
            if action not in (Action.FAILED, Action.SKIP):
                self._fail(number, item, ("type-conflict", "its directory cannot be made"))
        elif item.kind == "dir":
            self._directories.enter(number, item, action)
        elif action in (Action.SAME, Action.KEEP):
            if action == Action.KEEP:
                self._run.link.progress.add(raw=data_bytes(item))
            self._run.done(number, item, written=False)
        elif action == Action.METADATA:
            self._set_metadata(number, item)
        elif action in WRITES:
            if item.kind == "file":
                self._files.add(number, item)
            else:
                self._run.tell(item, make_special(self._run, number, item))
                self._run.done(number, item, written=True)

    def _fail(self, number: int, item: Item, failure: Failure) -> None:
        self._run.fail(number, item, failure)
        if item.kind == "dir":
            self._blocked = (item.base, item.path)

    def _set_metadata(self, number: int, item: Item) -> None:
        directory, name = self._run.directory_of(item)
        with target.pinned(directory, name) as fd:
            check_identity(fd, item)
            handle, meta = target.by_descriptor(fd), metadata.of_item(item)
            issues = metadata.apply(handle, item.kind, meta, self._run.policy, clean=True)
        self._run.tell(item, issues)
        self._run.done(number, item, written=False)
