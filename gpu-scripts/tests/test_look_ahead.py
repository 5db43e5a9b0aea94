"""The program that runs ahead of the scan."""

import os
from pathlib import Path

import pytest

from dumont_worker.look_ahead import LookAhead


def _children() -> set[str]:
    return set(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())


def test_nothing_is_left_of_it_in_the_middle_of_a_tree(tmp_path: Path) -> None:
    before = _children()
    ahead = LookAhead([os.fsencode(tmp_path), b"/usr"])
    assert len(_children() - before) == 1
    ahead.end()
    assert _children() == before
    ahead.end()


def test_a_box_without_such_a_program_goes_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    before = _children()
    ahead = LookAhead([os.fsencode(tmp_path)])
    assert _children() == before
    ahead.end()


def test_it_says_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("content")
    ahead = LookAhead([os.fsencode(tmp_path), b"/nowhere/at/all"])
    while os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT) is None:
        pass
    ahead.end()
    assert capfd.readouterr() == ("", "")
