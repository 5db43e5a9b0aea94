"""Indexes that somebody wrote by hand to do harm: nothing of them reaches the disk."""

import gzip
import json
import os
import re
import resource
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from restore_rig import Rig, Snapshot, raw_index

from dumont_worker.content_hash import small_hash

Line = dict[str, Any]
SAFE = (1 << 53) - 1
CHUNK = 4 << 20


@pytest.fixture
def saved(box: Rig, tmp_path: Path) -> Snapshot:
    source = tmp_path / "source"
    (source / "dir").mkdir(parents=True)
    (source / "dir/inner").write_bytes(os.urandom(3 << 20))
    (source / "small").write_bytes(b"small content")
    os.symlink("/etc", source / "way-out")
    return box.save(source)


def forged(box: Rig, snapshot: Snapshot, change: Callable[[list[Line]], object]) -> Snapshot:
    """The same snapshot with other lines; digests and packs are as they should be."""
    data = gzip.decompress(box.store.objects[snapshot.segments[0].key])
    lines = [json.loads(line) for line in data.splitlines()[1:]]
    change(lines)
    return replace(snapshot, segments=raw_index(box.store, [json.dumps(x).encode() for x in lines]))


def entry(lines: list[Line], path: str) -> Line:
    return next(line for line in lines if line.get("path") == path)


def chunks(lines: list[Line]) -> list[Line]:
    return [line for line in lines if "chunk" in line]


def again(lines: list[Line], line: Line, **changes: Any) -> None:
    """Puts a line there once more, changed, right behind itself."""
    lines.insert(lines.index(line) + 1, {**line, **changes})


def link(lines: list[Line], path: str, to: str, root: int = 0) -> None:
    entry(lines, path)["link"] = {"root": root, "path": to}


def difference(lines: list[Line], number: int, base: int) -> None:
    chunks(lines)[number]["delta"] = {"op": "xor", "base": base}


LIES: dict[str, tuple[Callable[[list[Line]], object], str]] = {
    "a file twice": (lambda x: again(x, entry(x, "small")), "path order"),
    "a directory twice": (lambda x: again(x, entry(x, "dir")), "path order"),
    "a way out and something below it": (
        lambda x: again(x, entry(x, "way-out"), path="way-out/passwd"),
        "directory is missing",
    ),
    "a directory nobody made": (lambda x: x.remove(entry(x, "dir")), "directory is missing"),
    "a chunk twice": (lambda x: again(x, chunks(x)[0], chunk=1), "twice|jump"),
    "a chunk beyond its pack": (
        lambda x: chunks(x)[-1].update(at=(32 << 20) - 5_000_000),
        "outside the listed packs",
    ),
    "a chunk in no pack": (lambda x: chunks(x)[0].update(pack=7), "outside the listed packs"),
    "a chunk that differs from itself": (lambda x: difference(x, 0, 0), "stand before"),
    "a chunk that differs from a later one": (lambda x: difference(x, 0, 1), "stand before"),
    "an extent of no chunk": (
        lambda x: entry(x, "small").update(extents=[[0, 99, 0, 13]]),
        "does not stand before it",
    ),
    "an extent that leaves its chunk": (
        lambda x: entry(x, "small").update(extents=[[0, 0, CHUNK - 13, 13]]),
        "leaves its chunk",
    ),
    "extents one over the other": (
        lambda x: entry(x, "small").update(extents=[[0, 0, 0, 13], [5, 0, 0, 8]]),
        "overlaps",
    ),
    "an extent behind its file": (
        lambda x: entry(x, "small").update(extents=[[SAFE, 0, 0, 13]]),
        "behind its file",
    ),
    "a hard link to itself": (lambda x: link(x, "small", "small"), "hard link"),
    "a hard link to a later file": (lambda x: link(x, "dir/inner", "small"), "hard link"),
    "a hard link to a directory": (lambda x: link(x, "small", "dir"), "hard link"),
    "a hard link to the way out": (lambda x: link(x, "small", "way-out"), "hard link"),
    "a hard link into another root": (lambda x: link(x, "small", "dir/inner", 1), "hard link"),
    "a hard link through `..`": (lambda x: link(x, "small", "../small"), "leaves its root"),
    "another root": (lambda x: entry(x, "small").update(root=1), "root"),
    "a size below zero": (lambda x: entry(x, "small").update(size=-1), "whole number"),
    "a size beyond numbers": (lambda x: entry(x, "small").update(size=SAFE + 1), "whole number"),
    "a size that is no number": (lambda x: entry(x, "small").update(size=1e300), "whole number"),
    "a mode beyond modes": (lambda x: entry(x, "small").update(mode=1 << 20), "whole number"),
    "a chunk beyond all chunks": (lambda x: chunks(x)[0].update(raw=1 << 30), "whole number"),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_ends_the_restore_before_anything_is_written(box, saved, tmp_path, lie):
    change, message = LIES[lie]
    failure = box.fails(forged(box, saved, change), tmp_path / "out")
    assert failure.code == "INTEGRITY"
    assert re.search(message, failure.message), failure.message
    assert not (tmp_path / "out").exists()


def test_a_chunk_of_another_length_than_told_fails_its_files_alone(box, saved, tmp_path):
    def change(lines: list[Line]) -> None:
        used = {extent[1] for extent in entry(lines, "dir/inner")["extents"]}
        lie = next(line for line in chunks(lines) if line["chunk"] in used)
        lie["raw"] += 1

    result = box.restore(forged(box, saved, change), tmp_path / "out")
    assert [item["code"] for item in result["failures"]] == ["damaged"]
    assert (tmp_path / "out/small").read_bytes() == b"small content"
    assert not (tmp_path / "out/dir/inner").exists()


def test_one_chunk_told_a_million_times_is_refused_for_want_of_room(box, saved, tmp_path):
    def change(lines: list[Line]) -> None:
        number = entry(lines, "dir/inner")["extents"][0][1]
        length = chunks(lines)[number]["raw"]
        bomb = [[at * length, number, 0, length] for at in range(200_000)]
        entry(lines, "dir/inner").update(size=len(bomb) * length, extents=bomb)

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    failure = box.fails(forged(box, saved, change), tmp_path / "out")
    assert failure.code == "BOX_DISK_FULL"
    assert not (tmp_path / "out").exists()
    # In KiB: what the crafted line itself takes, and not what it promises.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 512 << 10


@pytest.mark.parametrize("size", [SAFE, 1 << 50])
def test_a_hole_larger_than_any_disk_fails_its_file_alone(box, saved, tmp_path, size):
    def change(lines: list[Line]) -> None:
        entry(lines, "small").update(size=size, extents=[], hash=small_hash(b"").hex())

    result = box.restore(forged(box, saved, change), tmp_path / "out")
    assert len(result["failures"]) == 1
    assert (tmp_path / "out/dir/inner").stat().st_size == 3 << 20
    assert not (tmp_path / "out/small").exists()
