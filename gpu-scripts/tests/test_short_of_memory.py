"""Where memory runs out nobody is left waiting."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dumont_worker.engine import Port

ROOT = Path(__file__).parent.parent


def ends(program: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        check=False,
        text=True,
        timeout=60,
    )
    return done.returncode, done.stderr


WAITS = """
import threading
from dumont_worker import __main__ as entry
def task():
    raise {error}
def main():
    threading.Thread(target=task, daemon=True).start()
    return 0 if threading.Event().wait({patience}) else 3
entry.main = main
entry.run()
"""


def test_a_thread_that_nobody_hears_of_ends_its_process() -> None:
    code, told = ends(WAITS.format(error="MemoryError", patience=30))
    assert code == 1
    assert "MemoryError" in told


def test_a_thread_that_wants_to_end_ends_alone() -> None:
    assert ends(WAITS.format(error="SystemExit", patience=0.2)) == (3, "")


class Exited(BaseException):
    pass


@pytest.mark.parametrize("refusal", [MemoryError(), OSError(), RuntimeError()])
def test_an_engine_that_cannot_say_that_it_failed_ends(
    refusal: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full:
        def send(self, _message: object) -> None:
            raise refusal

    def leave(code: int) -> None:
        raise Exited(code)

    monkeypatch.setattr(os, "_exit", leave)
    port = Port(Full())  # type: ignore[arg-type]
    with pytest.raises(Exited):
        port.fail(MemoryError())
