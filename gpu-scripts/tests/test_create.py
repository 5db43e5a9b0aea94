"""Whole creates: the real worker against a strict operator and store."""

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_operator import FakeOperator, FakeStore, parent_of
from read_snapshot import Snapshot, assert_same

AGO = 1_700_000_000_000_000_000


@pytest.fixture
def store() -> Iterator[FakeStore]:
    store = FakeStore()
    yield store
    store.close()
    assert store.broken_rules == []


@pytest.fixture
def operator(store: FakeStore, tmp_path: Path) -> Iterator[FakeOperator]:
    with FakeOperator(store, tmp_path / "private") as operator:
        yield operator
    assert operator.broken_rules == []


def noise(length: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(length)


def make_tree(root: Path) -> Path:
    root.mkdir()
    (root / "empty").touch()
    (root / "code").mkdir()
    for number in range(40):
        (root / "code" / f"module{number:02}.py").write_text(f"x = {number}\n" * (number * 20))
    (root / "big.bin").write_bytes(noise(9 << 20))
    (root / "text.txt").write_bytes(b"all work and no play\n" * 300_000)
    (root / "link").symlink_to("code/nowhere")
    os.link(root / "code" / "module07.py", root / "twin.py")
    os.mkfifo(root / "pipe")
    with (root / "sparse").open("wb") as file:
        file.seek(50 << 20)
        file.write(noise(1 << 20, 2))
        file.truncate(70 << 20)
    return root


def test_a_snapshot_holds_the_tree(operator: FakeOperator, store: FakeStore, tmp_path: Path) -> None:
    root = make_tree(tmp_path / "tree")

    result = operator.create(root)

    snapshot = Snapshot(store, result, operator.snapshot)
    assert_same(snapshot, root)
