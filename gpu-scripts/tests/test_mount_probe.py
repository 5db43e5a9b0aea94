import os
import threading
from pathlib import Path

import pytest

from dumont_worker import mount_probe
from dumont_worker.mount_probe import probe


def test_tells_an_empty_directory_from_one_that_holds_something(tmp_path: Path) -> None:
    assert not probe(bytes(tmp_path)).holds  # type: ignore[union-attr]
    (tmp_path / "x").touch()
    assert probe(bytes(tmp_path)).holds  # type: ignore[union-attr]


def test_an_empty_file_holds_nothing(tmp_path: Path) -> None:
    (tmp_path / "f").touch()
    assert not probe(bytes(tmp_path / "f")).holds  # type: ignore[union-attr]


def test_gives_nothing_for_what_cannot_be_looked_at(tmp_path: Path) -> None:
    assert probe(bytes(tmp_path / "gone")) is None


def test_gives_up_on_a_mount_that_does_not_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = threading.Event()

    def hang(path: bytes, found: os.stat_result) -> bool:
        return answer.wait(10)

    monkeypatch.setattr(mount_probe, "_holds", hang)
    assert probe(bytes(tmp_path), patience=0.01) is None
    answer.set()
