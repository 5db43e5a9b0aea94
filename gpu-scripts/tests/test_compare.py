"""What is decided about an entry, and when two contents are the same."""

import os
import threading
from pathlib import Path

import pytest

from dumont_worker.cancellation import Cancelled
from dumont_worker.compare import Action, decide, same_content
from dumont_worker.content_hash import small_hash
from dumont_worker.spool import Item

MIB = 1 << 20
NEVER = threading.Event()


def item(kind: str, **fields: object) -> Item:
    plain = Item(kind, 0, 0, b"x", 0, 0o644, 0, 0, 0, (), 3, b"", (), None, None, None)
    return plain._replace(**fields)


@pytest.fixture
def things(tmp_path: Path) -> dict[str, os.stat_result]:
    (tmp_path / "file").write_bytes(b"abc")
    (tmp_path / "dir").mkdir()
    os.symlink("file", tmp_path / "symlink")
    os.mkfifo(tmp_path / "fifo")
    return {path.name: path.lstat() for path in tmp_path.iterdir()}


KINDS = ("file", "dir", "symlink", "fifo")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("overwrite", ["always", "if-changed", "never"])
def test_where_nothing_stands_everything_is_created(kind, overwrite):
    assert decide(item(kind), None, overwrite) == Action.CREATE


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("there", KINDS)
def test_by_default_another_type_is_a_conflict(things, kind, there):
    conflict = decide(item(kind), things[there], "if-changed") == Action.FAILED
    assert conflict == (kind != there)


@pytest.mark.parametrize("kind", KINDS)
def test_never_touches_no_existing_entry(things, kind):
    for there, found in things.items():
        action = decide(item(kind), found, "never")
        assert action in (Action.KEEP, Action.FAILED)
        assert (action == Action.FAILED) == ((kind == "dir") != (there == "dir"))


@pytest.mark.parametrize("kind", ["file", "symlink", "fifo"])
def test_always_never_replaces_a_directory(things, kind):
    assert decide(item(kind), things["dir"], "always") == Action.FAILED
    assert decide(item(kind), things["symlink"], "always") == Action.REPLACE


def test_another_size_needs_no_reading(things):
    assert decide(item("file", size=4), things["file"], "if-changed") == Action.REPLACE
    assert decide(item("file", size=3), things["file"], "if-changed") == Action.COMPARE


@pytest.mark.parametrize("size", [0, 1, MIB - 1, MIB, MIB + 1, 3 * MIB + 7])
def test_equal_content_is_recognised_at_every_size(tmp_path: Path, size: int):
    data = os.urandom(size)
    (tmp_path / "file").write_bytes(data)
    with open(tmp_path / "file", "rb") as file:
        assert same_content(file.fileno(), size, small_hash(data), NEVER)
        assert not same_content(file.fileno(), size, small_hash(data + b"x"), NEVER)
        assert not same_content(file.fileno(), size + 1, small_hash(data + b"x"), NEVER)


@pytest.mark.parametrize("size", [0, 1, MIB - 1, MIB, 3 * MIB])
def test_a_file_that_goes_on_is_another_one(tmp_path: Path, size: int):
    data = os.urandom(size)
    (tmp_path / "file").write_bytes(data + b"x")
    with open(tmp_path / "file", "rb") as file:
        assert not same_content(file.fileno(), size, small_hash(data), NEVER)


@pytest.mark.parametrize("places", [[0], [5 * MIB + 3], [MIB, 7 * MIB], [8 * MIB + 1], []])
def test_holes_count_as_zeros(tmp_path: Path, places: list[int]):
    size = 9 * MIB + 5
    with open(tmp_path / "file", "w+b") as file:
        file.truncate(size)
        for place in places:
            os.pwrite(file.fileno(), b"island", place)
        whole = (tmp_path / "file").read_bytes()
        assert same_content(file.fileno(), size, small_hash(whole), NEVER)
        os.pwrite(file.fileno(), b"!", 4 * MIB)
        assert not same_content(file.fileno(), size, small_hash(whole), NEVER)


def test_a_comparison_stops_when_told(tmp_path: Path):
    (tmp_path / "file").write_bytes(bytes(3 * MIB))
    stop = threading.Event()
    stop.set()
    with open(tmp_path / "file", "rb") as file, pytest.raises(Cancelled):
        same_content(file.fileno(), 3 * MIB, b"", stop)
