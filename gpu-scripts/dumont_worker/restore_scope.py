"""Which entries of a snapshot a restore is about, and where each of them goes."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from . import target
from .entry import Entry
from .errors import WorkerError, integrity
from .ignore_patterns import parse_patterns
from .protocol import ManifestRoot

Matches = Callable[[bytes, bool], bool | None]
"""What the include patterns say of a path below its root (and whether it is a directory).

None: nothing.
"""


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a root goes.

    Below the base of this number, at this relative path (b'' for the base itself).
    """

    base: int
    path: bytes


@dataclass(frozen=True, slots=True)
class Layout:
    """Resolved base directories, one destination a root, and the bases that a link led to."""

    bases: tuple[bytes, ...]
    destinations: tuple[Destination, ...]
    resolved: tuple[tuple[bytes, bytes], ...]


WANTED, PARENT, WAY = 0, 1, 2
"""An entry that was asked for; a directory of the snapshot above one; a directory above a root."""


@dataclass(frozen=True, slots=True)
class Placed:
    """An entry, its path below a base, and why it is there."""

    entry: Entry
    base: int
    path: bytes
    role: int


def lay_out(roots: tuple[ManifestRoot, ...], wanted: bytes | None) -> Layout:
    """Decide where each root goes; WorkerError USAGE for a root or target that names no place."""
    if not roots:
        raise integrity("the snapshot has no root")
    for root in roots:
        check_absolute(root.path)
    if wanted is not None:
        check_absolute(wanted)
        base = target.resolve(wanted)
        destinations = [Destination(0, below_target(root, len(roots) > 1)) for root in roots]
        return layout(roots, (base,), destinations, ((wanted, base),))
    originals = [root.path if root.type == "dir" else os.path.dirname(root.path) for root in roots]
    bases = tuple(target.resolve(path) for path in originals)
    destinations = [
        Destination(number, b"" if root.type == "dir" else os.path.basename(root.path))
        for number, root in enumerate(roots)
    ]
    return layout(roots, bases, destinations, tuple(zip(originals, bases, strict=True)))


def layout(
    roots: tuple[ManifestRoot, ...],
    bases: tuple[bytes, ...],
    destinations: list[Destination],
    asked: tuple[tuple[bytes, bytes], ...],
) -> Layout:
    """Put a layout together.

    WorkerError USAGE when a link on this box leads one root into another.
    """
    places = [target.absolute(bases[where.base], where.path) for where in destinations]
    for number, place in enumerate(places):
        for other, root in enumerate(roots):
            if other != number and root.type == "dir" and within(place, places[other]):
                raise WorkerError(
                    "USAGE",
                    f"two roots of the snapshot would both go to {os.fsdecode(places[other])!r}",
                    "restore with --target",
                )
    through = tuple((path, real) for path, real in asked if os.path.normpath(path) != real)
    return Layout(bases, tuple(destinations), through)


def below_target(root: ManifestRoot, several: bool) -> bytes:
    """Return where below the target a root goes."""
    if several:
        return b"/".join(target.components(root.path))
    return b"" if root.type == "dir" else os.path.basename(root.path.rstrip(b"/"))


def check_absolute(path: bytes) -> None:
    """Refuse a path that does not name one place; WorkerError USAGE."""
    try:
        sound = path.startswith(b"/") and target.components(path) is not None
    except ValueError:
        sound = False
    if not sound:
        raise WorkerError("USAGE", f"not an absolute path: {os.fsdecode(path)!r}")


def include_rule(patterns: tuple[bytes, ...]) -> Matches | None:
    """Return what `--include` patterns (gitignore syntax) say.

    None when there are none and all is wanted.
    """
    if not patterns:
        return None
    parsed = parse_patterns(b"\n".join(patterns))[::-1]

    def matches(path: bytes, is_dir: bool) -> bool | None:
        name = path.rpartition(b"/")[2]
        for pattern in parsed:
            if pattern.matches(path, name, is_dir):
                return not pattern.negative
        return None

    return matches


class Scope:
    """Picks entries in index order, and puts the directories that they need before them."""

    def __init__(
        self, roots: tuple[ManifestRoot, ...], layout: Layout, matches: Matches | None
    ) -> None:
        """`matches` is None when everything is wanted."""
        self._roots = roots
        self._layout = layout
        self._matches = matches
        self._root = -1
        # Directories that a pattern decided about, from the outermost to the innermost around the
        # last entry.
        self._decided: list[tuple[bytes, bool]] = []
        self._pending: list[Placed] = []

    def place(self, entry: Entry) -> Iterator[Placed]:
        """Yield the entry if it is wanted, after directories on its way."""
        if entry.root != self._root:
            self._enter_root(entry)
        if self._wanted(entry):
            while self._pending and not within(entry.path, self._pending[-1].entry.path):
                self._pending.pop()
            yield from self._pending
            self._pending.clear()
            yield self._placed(entry, WANTED)
        elif entry.kind == "dir":
            self._keep_pending(self._placed(entry, PARENT))

    def _enter_root(self, entry: Entry) -> None:
        if entry.root >= len(self._roots):
            raise integrity("the index has a root that the manifest lacks")
        if entry.path or (entry.kind == "dir") != (self._roots[entry.root].type == "dir"):
            raise integrity("a root of the index is not what the manifest says")
        self._root = entry.root
        self._decided = []
        where = self._layout.destinations[entry.root]
        parts = where.path.split(b"/")[:-1] if where.path else []
        paths = [b"/".join(parts[: n + 1]) for n in range(len(parts))]
        self._pending = [Placed(way_station(entry.root), where.base, p, WAY) for p in paths]

    def _wanted(self, entry: Entry) -> bool:
        if self._matches is None:
            return True
        is_dir = entry.kind == "dir"
        while self._decided and not within(entry.path, self._decided[-1][0]):
            self._decided.pop()
        inherited = self._decided[-1][1] if self._decided else False
        if is_dir and not entry.path:
            return False
        # A file that is a root itself is known by its name.
        name = entry.path or os.path.basename(self._roots[entry.root].path)
        told = self._matches(name, is_dir)
        if told is None:
            return inherited
        if is_dir:
            self._decided.append((entry.path, told))
        return told

    def _keep_pending(self, directory: Placed) -> None:
        while self._pending and not within(directory.entry.path, self._pending[-1].entry.path):
            self._pending.pop()
        self._pending.append(directory)

    def _placed(self, entry: Entry, role: int) -> Placed:
        where = self._layout.destinations[entry.root]
        return Placed(entry, where.base, target.join(where.path, entry.path), role)


def within(path: bytes, directory: bytes | None) -> bool:
    """Tell whether a path is a directory itself or lies below it; nothing lies below None."""
    if directory is None:
        return False
    return not directory or path == directory or path.startswith(directory + b"/")


Place = tuple[int, bytes]
"""A base and a path below it."""


def inside(base: int, path: bytes, place: Place) -> bool:
    """Tell whether a path is at a place or below it."""
    return base == place[0] and within(path, place[1])


def way_station(root: int) -> Entry:
    """Return a plain directory on the way to a root.

    It has no metadata of its own in the snapshot.
    """
    return Entry("dir", root, b"", 0o755, 0, 0, None, None, 0)
