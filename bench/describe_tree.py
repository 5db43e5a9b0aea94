"""Describes a tree in every respect, so that it may be gone by the time another is compared.

usage: describe_tree.py describe TREE FILE
       describe_tree.py compare FILE FILE

A description has a line for each name below the tree, in an order that depends on names alone:
lstat, link target, extended attributes, the first name of the same file, long holes, and a digest
of the content. `compare` prints a line for each difference, and one with the counts; its exit
status is 0 for equal trees, 1 for different ones. Memory does not grow with equal trees.
"""

import hashlib
import json
import os
import sys
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "test/support/tree"))

from compare_trees import SMALLEST_HOLE
from read_tree import Entry, data_extents, read_tree

BLOCK = 1 << 20

Described = dict[str, Any]


def describe(tree: bytes, target: Path) -> None:
    """Write the description of a tree."""
    first_names: dict[tuple[int, int], str] = {}
    folders = _Folders(tree)
    with target.open("w") as file:
        for entry in read_tree(tree):
            if entry.path == b".":
                continue
            path = os.fsdecode(entry.path)
            told: Described = {
                name: getattr(entry, name)
                for name in ("kind", "mode", "uid", "gid", "size", "mtime_ns", "rdev")
            }
            told["path"] = path
            told["xattrs"] = {name: value.hex() for name, value in entry.xattrs.items()}
            if entry.target is not None:
                told["target"] = os.fsdecode(entry.target)
            if entry.links > 1 and entry.kind != "directory":
                told["link"] = first_names.setdefault(entry.inode, path)
            if entry.kind == "file":
                told |= folders.content(entry)
            file.write(json.dumps(told, sort_keys=True) + "\n")


class _Folders:
    """Opens files; the folder of the last one stays open, for the next is likely to be in it."""

    def __init__(self, root: bytes) -> None:
        self._root = root
        self._path: bytes | None = None
        self._descriptor = -1

    def content(self, entry: Entry) -> Described:
        """Tell of a file's content: its digest, and its holes where they may be long."""
        folder, _, name = entry.path.rpartition(b"/")
        if folder != self._path:
            if self._descriptor >= 0:
                os.close(self._descriptor)
            place = os.path.join(self._root, folder)
            self._descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
            self._path = folder
        file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=self._descriptor)
        try:
            if entry.size < SMALLEST_HOLE:
                return {"digest": hashlib.sha256(os.read(file, SMALLEST_HOLE)).hexdigest()}
            digest = hashlib.sha256()
            while data := os.read(file, BLOCK):
                digest.update(data)
            edges = [0, *(edge for ends in data_extents(file, entry.size) for edge in ends)]
            pairs = zip(edges[::2], [*edges[1::2], entry.size], strict=True)
            holes = [(start, end) for start, end in pairs if end - start >= SMALLEST_HOLE]
            return {"digest": digest.hexdigest(), "holes": holes}
        finally:
            os.close(file)


def compare(one: Path, other: Path) -> tuple[int, list[str]]:
    """Give the number of entries of the first tree, and a line for each difference."""
    only: tuple[dict[str, Described], dict[str, Described]] = ({}, {})
    count = 0
    with one.open() as ours, other.open() as theirs:
        for lines in zip_longest(ours, theirs):
            count += lines[0] is not None
            if lines[0] != lines[1]:
                for line, kept in zip(lines, only, strict=True):
                    if line is not None:
                        told = json.loads(line)
                        kept[told["path"]] = told
    return count, list(_differences(*only))


def _differences(ours: dict[str, Described], theirs: dict[str, Described]) -> Iterator[str]:
    for path in sorted(ours.keys() | theirs.keys()):
        left, right = ours.get(path), theirs.get(path)
        if left is None or right is None:
            yield f"{path!r}: exists: {left is not None} | {right is not None}"
            continue
        for what in sorted(left.keys() | right.keys()):
            if left.get(what) != right.get(what):
                yield f"{path!r}: {what}: {left.get(what)!r} | {right.get(what)!r}"


def main(argv: list[str]) -> int:
    """Run from the command line; returns the exit status."""
    if len(argv) != 3 or argv[0] not in ("describe", "compare"):
        print(__doc__, file=sys.stderr)
        return 2
    if argv[0] == "describe":
        describe(os.fsencode(argv[1]), Path(argv[2]))
        return 0
    count, found = compare(Path(argv[1]), Path(argv[2]))
    for difference in found:
        print(difference)
    print(f"{count} entries, {len(found)} differences")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
