"""Remove what a snapshot would have saved and does not hold, and nothing else."""

import contextlib
import os
import stat
from collections.abc import Iterable, Iterator
from itertools import groupby

from . import target
from .byte_string import to_json
from .entry import path_key
from .mounts import read_mounts
from .restore_run import Run
from .restore_scope import Destination, Matches, include_rule
from .roots import Root
from .rules import Rules
from .scan import Scan
from .spool import Item

_EXAMPLES = 10
# An operator may think about the question, and the heartbeats go on meanwhile.
_PATIENCE_SECONDS = 3600.0
_KINDS = {"dir": stat.S_IFDIR, "symlink": stat.S_IFLNK, "file": stat.S_IFREG, "fifo": stat.S_IFIFO}

Extra = tuple[int, bytes, str]
"""Base, path below it, kind."""


class _Silent:
    """What a scan finds here is told of when snapshots are made."""

    def warn(self, code: str, path: bytes, message: str) -> None:
        pass

    def note(self, code: str, path: bytes) -> None:
        pass


def find_extra(run: Run, protect: tuple[int, int]) -> list[Extra]:
    """Return what stands in scope and is not in the snapshot, directories before what they hold.

    Left alone: what the snapshot's rules leave out, access files, sockets, other mounts and
    what lies on them, and what has the identity `protect`.
    """
    extra: list[Extra] = []
    groups = groupby((item for _, item in run.index.spool.items()), key=lambda item: item.root)
    group = next(groups, None)
    for number, root in enumerate(run.request.roots):
        items: Iterable[Item] = ()
        if group is not None and group[0] == number:
            items = group[1]
        if root.type == "dir":
            extra += find_in_root(run, run.layout.destinations[number], items, protect)
        if group is not None and group[0] == number:
            group = next(groups, None)
    return extra


def find_in_root(
    run: Run, where: Destination, items: Iterable[Item], protect: tuple[int, int]
) -> Iterator[Extra]:
    """Yield the extra entries of one root.

    A merge of what is there with what the snapshot holds.
    """
    top = target.absolute(run.layout.bases[where.base], where.path)
    if run.bases[where.base] is None:
        return
    with contextlib.suppress(OSError):
        run.directories.open(where.base, where.path)
        yield from _merge(run, where, top, iter(items), protect)


def _merge(
    run: Run, where: Destination, top: bytes, items: Iterator[Item], protect: tuple[int, int]
) -> Iterator[Extra]:
    told = run.request.rules
    plain = Rules(told.excludes, told.exclude_caches)
    scope = include_rule(run.request.include)
    mounts = read_mounts()
    here = Scan([Root(top)], plain, _Silent(), protect=[protect], mounts=mounts)
    ours = next(items, None)
    for count, entry in enumerate(here):
        if count % 512 == 0:
            run.link.check()
        path = target.join(where.path, entry.path)
        key = path_key(path)
        while ours is not None and path_key(ours.path) < key:
            ours = next(items, None)
        if ours is not None and ours.path == path:
            continue
        is_dir = entry.kind == "dir"
        if not in_scope(scope, entry.path, is_dir) or left_out(plain, entry.path, is_dir):
            continue
        absolute = target.absolute(run.layout.bases[where.base], path)
        if mounts.at(absolute) is None and not run.is_protected(absolute):
            yield where.base, path, entry.kind


def in_scope(matches: Matches | None, path: bytes, is_dir: bool) -> bool:
    """Tell whether a path that the snapshot lacks lies in the scope of the restore."""
    if matches is None:
        return True
    decided = False
    for ancestor in ancestors(path):
        told = matches(ancestor, True if ancestor != path else is_dir)
        decided = decided if told is None else told
    return decided


def left_out(rules: Rules, path: bytes, is_dir: bool) -> bool:
    """Tell whether the snapshot's own patterns leave a path out.

    An ignore file that lies only here could take an exclusion back: it never makes anything
    removable.
    """
    return any(
        rules.decide(ancestor, True if ancestor != path else is_dir) != "keep"
        for ancestor in ancestors(path)
    )


def ancestors(path: bytes) -> Iterator[bytes]:
    """Yield the directories above a path from the top, then the path itself."""
    at = path.find(b"/")
    while at >= 0:
        yield path[:at]
        at = path.find(b"/", at + 1)
    yield path


def confirm(run: Run, extra: list[Extra]) -> bool:
    """Ask the operator; anything but a plain yes is a no."""
    examples = [
        to_json(target.absolute(run.layout.bases[base], path)[:1000])
        for base, path, _ in extra[:_EXAMPLES]
    ]
    answer = run.link.request(
        "confirm", _PATIENCE_SECONDS, what="delete", count=len(extra), examples=examples
    )
    return answer.get("yes") is True


def remove(run: Run, extra: list[Extra]) -> None:
    """Remove extra entries, what a directory holds before it.

    One that has become something else stays.
    """
    for count, (base, path, kind) in enumerate(reversed(extra)):
        if count % 256 == 0:
            run.link.check()
        parent, name = target.split(path)
        try:
            directory = run.directories.open(base, parent)
            found = target.look(directory, name)
            if found is None or not is_still(found, kind, directory):
                continue
            if kind == "dir":
                run.directories.forget(base, path)
                os.rmdir(name, dir_fd=directory)
            else:
                os.unlink(name, dir_fd=directory)
        except OSError as error:
            # A directory that holds something left out stays with it.
            if kind != "dir":
                run.link.warn("undeleted", path, error.strerror or "cannot be removed")
            continue
        run.counts["deleted"] += 1


def is_still(found: os.stat_result, kind: str, directory: int) -> bool:
    """Tell whether something is still what was listed, and no mount."""
    wanted = _KINDS.get(kind)
    same = wanted is None or stat.S_IFMT(found.st_mode) == wanted
    return same and found.st_dev == os.fstat(directory).st_dev
