"""Compares two trees in full: lstat, link targets, extended attributes, hard links, holes, content.

usage: compare_trees.py [--ignore sockets|devices|root|owners]... A B

Prints one line for each difference (path, property, what A has, what B has) and a last line with
the counts.
Exit status: 0 equal, 1 different, 2 the comparison itself could not be made.
"""

import argparse
import os
import resource
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from read_tree import Entry, data_extents, opened, read_tree

BLOCK = 1 << 20
PAGE = 4096
# File systems differ in how finely they allocate; shorter holes may be filled without much loss.
SMALLEST_HOLE = 64 * 1024

Extents = list[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Difference:
    """One property of one path that is not the same on both sides."""

    path: bytes
    what: str
    left: object
    right: object

    def __str__(self) -> str:
        """Render on one line, whatever bytes the name holds."""
        return f"{_printable(self.path)}: {self.what}: {self.left!r} | {self.right!r}"


def compare_trees(left: bytes, right: bytes, ignore: Iterable[str] = ()) -> list[Difference]:
    """List all differences between two trees; none means they are equal in every property."""
    ignored = frozenset(ignore)
    ours = {entry.path: entry for entry in read_tree(left) if _wanted(entry, ignored)}
    theirs = {entry.path: entry for entry in read_tree(right) if _wanted(entry, ignored)}
    found = [
        Difference(path, "exists", path in ours, path in theirs)
        for path in sorted(ours.keys() ^ theirs.keys())
    ]
    found.extend(_hard_links(ours, theirs))
    for path in sorted(ours.keys() & theirs.keys()):
        found.extend(_entries(ours[path], theirs[path], ignored))
        if ours[path].kind == theirs[path].kind == "file":
            found.extend(_contents(left, right, ours[path], theirs[path]))
    return found


def _wanted(entry: Entry, ignored: frozenset[str]) -> bool:
    return not (
        (entry.kind == "socket" and "sockets" in ignored)
        or (entry.kind.endswith("device") and "devices" in ignored)
        or (entry.path == b"." and "root" in ignored)
    )


def _entries(ours: Entry, theirs: Entry, ignored: frozenset[str]) -> Iterator[Difference]:
    owners = () if "owners" in ignored else ("uid", "gid")
    for what in ("kind", "mode", *owners, "size", "mtime_ns", "rdev", "target"):
        if getattr(ours, what) != getattr(theirs, what):
            yield Difference(ours.path, what, getattr(ours, what), getattr(theirs, what))
    for name in sorted(ours.xattrs.keys() | theirs.xattrs.keys()):
        if ours.xattrs.get(name) != theirs.xattrs.get(name):
            yield Difference(
                ours.path, f"xattr {name}", ours.xattrs.get(name), theirs.xattrs.get(name)
            )


def _hard_links(ours: dict[bytes, Entry], theirs: dict[bytes, Entry]) -> Iterator[Difference]:
    both = ours.keys() & theirs.keys()
    left, right = _first_names(ours, both), _first_names(theirs, both)
    for path in sorted(both):
        if left[path] != right[path]:
            yield Difference(path, "hard link to", _printable(left[path]), _printable(right[path]))


def _first_names(entries: dict[bytes, Entry], paths: Iterable[bytes]) -> dict[bytes, bytes]:
    groups: dict[tuple[int, int], list[bytes]] = defaultdict(list)
    for path in paths:
        groups[entries[path].inode].append(path)
    return {path: min(group) for group in groups.values() for path in group}


def _contents(left: bytes, right: bytes, ours: Entry, theirs: Entry) -> Iterator[Difference]:
    try:
        with opened(left, ours.path) as a, opened(right, theirs.path) as b:
            extents = data_extents(a, ours.size), data_extents(b, theirs.size)
            yield from _holes(ours, theirs, *extents)
            offset = _first_difference(a, b, extents)
            if offset is not None:
                yield Difference(ours.path, f"content at {offset}", "one thing", "another")
    except PermissionError as error:
        yield Difference(ours.path, "readable", str(error), "not compared")


def _holes(ours: Entry, theirs: Entry, left: Extents, right: Extents) -> Iterator[Difference]:
    """A hole of one side that the other has allocated: lost disk space, or lost reservation."""
    for start, end in _long_holes(left, ours.size):
        if _overlaps(right, start, end):
            yield Difference(ours.path, f"hole {start}-{end}", "hole", "allocated")
    for start, end in _long_holes(right, theirs.size):
        if _overlaps(left, start, end):
            yield Difference(ours.path, f"hole {start}-{end}", "allocated", "hole")


def _long_holes(data: Extents, size: int) -> Iterator[tuple[int, int]]:
    position = 0
    for start, end in [*data, (size, size)]:
        # Inwards to whole pages: the rest of a page belongs to the data beside it.
        first, last = -(-position // PAGE) * PAGE, start // PAGE * PAGE
        if last - first >= SMALLEST_HOLE:
            yield first, last
        position = end


def _overlaps(data: Extents, start: int, end: int) -> bool:
    return any(first < end and start < last for first, last in data)


def _first_difference(a: int, b: int, extents: tuple[Extents, Extents]) -> int | None:
    """Read only what one side has allocated: where both have a hole, both read as zeros."""
    done = 0
    for start, end in sorted([*extents[0], *extents[1]]):
        position = max(start, done)
        while position < end:
            length = min(BLOCK, end - position)
            left, right = os.pread(a, length, position), os.pread(b, length, position)
            if left != right:
                return position + _common_length(left, right)
            position += length
        done = max(done, end)
    return None


def _common_length(left: bytes, right: bytes) -> int:
    pairs = zip(left, right, strict=False)
    return next((at for at, (x, y) in enumerate(pairs) if x != y), min(len(left), len(right)))


def _printable(path: bytes) -> str:
    text = path.decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def main(argv: list[str]) -> int:
    """Run from the command line; returns the exit status."""
    parser = argparse.ArgumentParser(description="Compare two trees in full.")
    choices = ("sockets", "devices", "root", "owners")
    parser.add_argument("--ignore", action="append", default=[], choices=choices)
    parser.add_argument("left", type=os.fsencode)
    parser.add_argument("right", type=os.fsencode)
    options = parser.parse_args(argv)
    _allow_deep_trees()
    try:
        found = compare_trees(options.left, options.right, options.ignore)
        entries = sum(1 for _ in read_tree(options.left))
    except OSError as error:
        print(f"cannot compare: {error}", file=sys.stderr)
        return 2
    for difference in found:
        print(difference)
    print(f"{entries} entries, {len(found)} differences")
    return 1 if found else 0


def _allow_deep_trees() -> None:
    """One descriptor and two frames are held for each level."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    sys.setrecursionlimit(20_000)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
