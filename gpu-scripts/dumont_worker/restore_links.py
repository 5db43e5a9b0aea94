"""Give restored files their further names."""

import errno
import os
import stat
from collections.abc import Iterator

from . import metadata, target
from .compare import Action, read_exactly
from .restore_run import DAMAGED, Run, failure_of
from .restore_scope import Place
from .restore_special import FORMATS
from .spool import Item

# Another file system, no links at all, or as many as an inode can have.
_NO_LINKS = frozenset({errno.EPERM, errno.EXDEV, errno.EMLINK, errno.ENOTSUP})
_COPY_BYTES = 4 << 20


class RestoreLinks:
    """The hard links of one restore, made after every file is in place."""

    def __init__(self, run: Run, groups: dict[Place, int]) -> None:
        """`groups` has the number of the entry that leads each group."""
        self._run = run
        self._groups = groups

    def walk(self) -> None:
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
        wanted = {number: place for place, number in self._groups.items()}
        found = {}
        if wanted:
            for number, item in self._run.index.spool.items():
                if number in wanted:
                    found[wanted[number]] = (number, item)
        return found

    def _link_one(self, number: int, item: Item, leader: int, first: Item) -> None:
        run = self._run
        if run.actions[leader] == Action.FAILED:
            code = DAMAGED if leader in run.damaged else "unlinked"
            run.fail(number, item, (code, "the file that it is another name of was not restored"))
            return
        parent, source = target.split(first.path)
        # Two directories at a time: the second may push the first out of the cache, so the first
        # is kept open here.
        held = os.dup(run.directories.open(first.base, parent))
        try:
            directory, name = run.directory_of(item)
            wanted = target.look(held, source)
            there = target.look(directory, name)
            if wanted is None or stat.S_IFMT(wanted.st_mode) != FORMATS[item.kind]:
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
        """Write a second file where a hard link is impossible.

        The group is spread over two file systems.
        """
        out = target.create_file(directory, temp)
        try:
            with target.pinned(held, source, os.O_RDONLY | os.O_NONBLOCK) as fd:
                for at, count in pieces(item):
                    self._run.link.check()
                    data = read_exactly(fd, at, count)
                    if data is None:
                        raise OSError(errno.ESTALE, "the file that it is a copy of was changed")
                    target.write_all(out, memoryview(data), at)
            os.ftruncate(out, item.size)
            meta = metadata.of_item(item)
            issues = metadata.apply(out, "file", meta, self._run.policy, clean=True)
        except BaseException:
            target.remove_quietly(directory, temp)
            raise
        finally:
            os.close(out)
        self._run.tell(item, issues)


def pieces(item: Item) -> Iterator[tuple[int, int]]:
    """Yield offset and length of what is to be copied of a file; holes stay holes."""
    for offset, _, _, length in item.extents:
        for at in range(offset, offset + length, _COPY_BYTES):
            yield at, min(_COPY_BYTES, offset + length - at)
