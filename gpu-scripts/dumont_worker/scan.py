"""Walk the workspace in path order and describe what is there, without reading any content."""

import os
import stat
import tempfile
from collections.abc import Collection, Iterator

from .describe import Describer
from .directory_stack import DirectoryStack, Frame
from .entry import Entry
from .errors import WorkerError
from .findings import GONE, Findings, LeftOut, Listener
from .mount_probe import probe
from .mounts import Mount, MountTable, is_at_or_below, read_mounts
from .paths import DIRECTORY_FLAGS, join
from .roots import Root, resolve_roots
from .rules import CACHE_TAG, IGNORE_FILE, Rules, cache_kind, is_precious, read_small

__all__ = ["LeftOut", "Listener", "Root", "Scan", "file_system_clock", "resolve_roots", "scan"]

_KINDS = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "dir",
    stat.S_IFLNK: "symlink",
    stat.S_IFIFO: "fifo",
    stat.S_IFCHR: "char",
    stat.S_IFBLK: "block",
}


class Scan:
    """One walk over all roots; iterate it once. The totals are complete after the iteration.

    `protect` holds (device, inode) of what is never read. Warnings: `unreadable`, `vanished`,
    `mount`, `xattr`, `ignore-file`. Notes: `socket`, `excluded`, `cache`, `protected`, `mount`.
    """

    def __init__(  # noqa: PLR0913 - what the request says
        self,
        roots: list[Root],
        rules: Rules,
        link: Listener,
        *,
        protect: Collection[tuple[int, int]] = (),
        cross_mounts: bool = False,
        mounts: MountTable | None = None,
    ) -> None:
        self._roots = roots
        self._rules = rules
        self._protect = frozenset(protect)
        self._cross_mounts = cross_mounts
        self._mounts = read_mounts() if mounts is None else mounts
        self._findings = Findings(link)
        self._describe = Describer(roots, self._findings)
        self._root = Root(b"/")
        self._below = MountTable(())
        self._stack = DirectoryStack(self._lost_directory)

    @property
    def skipped_mounts(self) -> list[bytes]:
        """Mount points left out though they hold something, or may."""
        return self._findings.skipped_mounts

    @property
    def left_out(self) -> dict[str, LeftOut]:
        """What was left out on purpose, by the code of its note."""
        return self._findings.left_out

    def starts_group(self, entry: Entry) -> bool:
        """Whether later members of its hard-link group may follow; ask when it is yielded."""
        return self._describe.starts_group(entry)

    def __iter__(self) -> Iterator[Entry]:
        """Yields entries in index order: files have size, stat and link, but no hash or extents.

        Raises USAGE for a root that is gone or is dumont's own.
        """
        for number, root in enumerate(self._roots):
            self._root = self._findings.root = root
            self._describe.number = number
            self._below = self._mounts.below(root.path)
            if root.kind == "file":
                yield self._file_root()
                continue
            try:
                yield from self._walk()
            finally:
                self._stack.close()

    def _file_root(self) -> Entry:
        found = self._look_at_root()
        entry = None
        if stat.S_ISREG(found.st_mode):
            entry = self._describe.other("file", b"", found, self._root.path)
        if entry is None:
            raise WorkerError("WORKER", "a file to save turned into something else", retry=True)
        return entry

    def _look_at_root(self) -> os.stat_result:
        try:
            found = os.lstat(self._root.path)
        except OSError as error:
            raise self._lost_root(error) from None
        if self._is_protected(found):
            raise WorkerError("USAGE", f"{self._root.shown} is dumont's own store or directory")
        return found

    def _lost_root(self, error: OSError) -> WorkerError:
        return WorkerError("USAGE", f"{self._root.shown} cannot be read: {error.strerror}")

    def _is_protected(self, found: os.stat_result) -> bool:
        return (found.st_dev, found.st_ino) in self._protect

    def _lost_directory(self, frame: Frame) -> None:
        unread = f"was moved or replaced during the scan; {len(frame.names)} names were not read"
        # What it holds may still be there, under a name the walk has passed: that is a gap.
        self._findings.say("unreadable" if frame.names else "vanished", frame.path, unread)

    def _walk(self) -> Iterator[Entry]:
        found = self._look_at_root()
        try:
            fd = os.open(self._root.path, DIRECTORY_FLAGS)
        except PermissionError as error:
            self._findings.warn("unreadable", b"", error)
            yield self._describe.directory(b"", found, None)
            return
        except OSError as error:
            raise self._lost_root(error) from None
        top, own = self._enter(b"", fd, self._rules, "")
        self._stack.push(top)
        yield own
        while self._stack:
            frame = self._stack.top
            # A directory that was entered is the new top, and comes first.
            while frame.names and frame is self._stack.top:
                name = frame.names.pop()
                path = frame.path + b"/" + name if frame.path else name
                if self._below and (mount := self._mount_to_skip(path)) is not None:
                    yield from self._skip(mount, frame, path)
                elif (seen := self._look(frame, name, path)) is None:
                    continue
                elif stat.S_ISDIR(seen.st_mode):
                    yield from self._visit_directory(frame, path, seen)
                elif (entry := self._visit(frame, name, path, seen)) is not None:
                    yield entry
            if frame is self._stack.top:
                self._stack.pop()

    def _look(self, frame: Frame, name: bytes, path: bytes) -> os.stat_result | None:
        try:
            found = os.stat(name, dir_fd=frame.fd, follow_symlinks=False)
        except OSError as error:
            self._findings.failed(path, error)
            return None
        if self._protect and self._is_protected(found):
            self._findings.leave_out("protected", path)
            return None
        return found

    def _visit(self, frame: Frame, name: bytes, path: bytes, found: os.stat_result) -> Entry | None:
        """Gives the entry of what is no directory; None where it is left out."""
        kind = _KINDS.get(stat.S_IFMT(found.st_mode))
        if kind is None:
            self._findings.leave_out("socket", path)
        elif frame.rules.decide(path, False) == "excluded":
            self._findings.leave_out("excluded", path, _share(found))
        elif frame.cache and not (frame.keeps_tag and name == CACHE_TAG):
            self._findings.count("cache", 0, _share(found))
        else:
            return self._describe.other(kind, path, found, frame.prefix + name)
        return None

    def _visit_directory(self, frame: Frame, path: bytes, found: os.stat_result) -> Iterator[Entry]:
        decision = frame.rules.decide(path, True)
        if decision == "excluded":
            self._findings.leave_out("excluded", path, 0)
            return
        cache = frame.cache or ("bytecode" if decision == "cache" else "")
        yield from self._descend(frame, path, found, cache)

    def _descend(
        self, frame: Frame, path: bytes, found: os.stat_result, cache: str
    ) -> Iterator[Entry]:
        name = path.rpartition(b"/")[2]
        try:
            fd = os.open(name, DIRECTORY_FLAGS, dir_fd=frame.fd)
        except OSError as error:
            self._findings.failed(path, error)
            if error.errno not in GONE and not cache:
                yield self._describe.directory(path, found, frame.prefix + name)
            return
        if self._protect and self._is_protected(os.fstat(fd)):
            os.close(fd)
            self._findings.leave_out("protected", path)
            return
        inner, entry = self._enter(path, fd, frame.rules, cache)
        self._stack.push(inner)
        if inner.cache and not frame.cache:
            self._findings.leave_out("cache", path)
        if inner.cache and cache:
            inner.pending = entry
            return
        if frame.cache:
            yield from self._stack.pending()
        yield entry

    def _enter(self, path: bytes, fd: int, rules: Rules, cache: str) -> tuple[Frame, Entry]:
        """Lists an open directory and sees what it is; takes the descriptor over."""
        try:
            found = os.fstat(fd)
            names = self._names(fd, path)
            above = cache
            if rules.exclude_caches and cache in ("", "tagged"):
                absolute = join(self._root.path, path)
                if is_precious(absolute, names):
                    rules, cache = rules.without_caches(), ""
                elif path:
                    cache = cache or self._cache_kind(fd, absolute, names)
            if not cache and IGNORE_FILE in names:
                rules = self._with_ignore_file(rules, fd, path)
            entry = self._describe.directory(path, found, fd)
        except BaseException:
            os.close(fd)
            raise
        names.sort(reverse=True)
        frame = Frame(path, fd, (found.st_dev, found.st_ino), names, rules, cache)
        frame.keeps_tag = cache == "tagged" and not above
        return frame, entry

    def _names(self, fd: int, path: bytes) -> list[bytes]:
        try:
            return [os.fsencode(name) for name in os.listdir(fd)]
        except OSError as error:
            self._findings.failed(path, error)
            return []

    def _cache_kind(self, fd: int, absolute: bytes, names: list[bytes]) -> str:
        try:
            return cache_kind(fd, absolute, names)
        except OSError:
            # A tag that cannot be read proves nothing.
            return ""

    def _with_ignore_file(self, rules: Rules, fd: int, path: bytes) -> Rules:
        file = path + b"/" + IGNORE_FILE if path else IGNORE_FILE
        try:
            text = read_small(fd, IGNORE_FILE)
        except OSError as error:
            if error.errno not in GONE:
                self._findings.failed(file, error)
                return rules
            text = None
        if text is None:
            # As in git: who could place a link there could else make it point anywhere.
            self._findings.say("ignore-file", file, "is not honoured: it is no regular file")
            return rules
        return rules.below(path, text)

    def _mount_to_skip(self, path: bytes) -> Mount | None:
        absolute = join(self._root.path, path)
        mount = self._below.at(absolute)
        if mount is None or mount.pseudo:
            return mount
        named = any(is_at_or_below(wanted, absolute) for wanted in self._root.named)
        return None if self._cross_mounts or named else mount

    def _skip(self, mount: Mount, frame: Frame, path: bytes) -> Iterator[Entry]:
        """Says what is left out at a mount point, and yields the directory itself."""
        if frame.rules.decide(path, True) == "excluded":
            self._findings.leave_out("excluded", path)
            return
        looked = probe(mount.point)
        if looked is not None and self._is_protected(looked.found):
            self._findings.leave_out("protected", path)
            return
        if mount.pseudo or (looked is not None and not looked.holds):
            self._findings.leave_out("mount", path)
        else:
            self._findings.skip_mount(path, looked is not None)
        if looked is not None and stat.S_ISDIR(looked.found.st_mode) and not frame.cache:
            yield self._describe.directory(path, looked.found, None)


def scan(
    roots: list[Root],
    rules: Rules,
    link: Listener,
    *,
    protect: Collection[tuple[int, int]] = (),
    cross_mounts: bool = False,
) -> Scan:
    """Gives the walk over all roots, which starts when it is iterated."""
    return Scan(roots, rules, link, protect=protect, cross_mounts=cross_mounts)


def file_system_clock(private: bytes) -> int:
    """Gives the time in ns as the box's file systems stamp it, by a file made and removed."""
    with tempfile.TemporaryFile(dir=private) as file:
        os.utime(file.fileno())
        return os.fstat(file.fileno()).st_mtime_ns


def _share(found: os.stat_result) -> int:
    """Gives what leaving a file out saves: of a hard-linked one its share."""
    return found.st_size // max(1, found.st_nlink)
