"""Engines that raise, die or hang: the coordinator hears of it, and nothing is left."""

import os
import queue
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from processes import is_running, wait_until

from dumont_worker import engine_pool
from dumont_worker.engine_pool import EnginePool, engine_environment
from dumont_worker.errors import WorkerError

SOURCE = Path(engine_pool.__file__).parent


@pytest.fixture
def role(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Lets engines run this body as the module of the role `create`."""
    package = tmp_path / "dumont_worker"
    package.mkdir()
    for module in SOURCE.glob("*.py"):
        (package / module.name).symlink_to(module)
    (package / "create_engine.py").unlink()
    monkeypatch.setattr(engine_pool, "program", lambda: str(package))

    def write(body: str) -> None:
        source = "def run(port, number, settings):\n" + textwrap.indent(body, "    ")
        (package / "create_engine.py").write_text(source)

    return write


class Told:
    def __init__(self) -> None:
        self.messages: queue.SimpleQueue[tuple[int, Any]] = queue.SimpleQueue()

    def __call__(self, engine: int, message: Any) -> None:
        self.messages.put((engine, message))

    def next(self) -> tuple[int, Any]:
        return self.messages.get(timeout=10)


def failure_of(told: Told, pool: EnginePool) -> WorkerError:
    _, message = told.next()
    assert message[0] == "failed"
    with pytest.raises(WorkerError) as failure:
        pool.check()
    assert failure.value is message[1]
    with pytest.raises(WorkerError):
        pool.send(0, ("more",))
    pool.kill()
    return failure.value


def test_messages_go_both_ways(role: Callable[[str], None]) -> None:
    role("while (m := port.inbox.get()) != ('end',): port.send(('echo', number, settings, m))")
    told = Told()
    pool = EnginePool(2, "create", {"x": 1}, told)
    for engine in (0, 1):
        pool.send(engine, ("hello",))
        assert told.next() == (engine, ("echo", engine, {"x": 1}, ("hello",)))
    pool.close()
    assert pool.failure is None


def test_an_exception_of_an_engine_reaches_the_coordinator(role: Callable[[str], None]) -> None:
    role("raise ValueError('bad thing')")
    told = Told()
    error = failure_of(told, EnginePool(2, "create", {}, told))
    assert (error.code, error.message) == ("WORKER", "ValueError: bad thing")


def test_an_engines_own_error_keeps_its_code_and_hint(role: Callable[[str], None]) -> None:
    role(
        "from dumont_worker.errors import WorkerError\n"
        "raise WorkerError('ACCESS_DENIED', 'no', 'a hint', True)"
    )
    told = Told()
    error = failure_of(told, EnginePool(1, "create", {}, told))
    assert (error.code, error.hint, error.retry) == ("ACCESS_DENIED", "a hint", True)


def test_an_engine_that_dies_is_named_with_its_signal(role: Callable[[str], None]) -> None:
    role("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)")
    told = Told()
    assert "SIGSEGV" in failure_of(told, EnginePool(1, "create", {}, told)).message


def test_an_engine_that_leaves_without_a_word_is_a_failure(role: Callable[[str], None]) -> None:
    role("import os\nos._exit(0)")
    told = Told()
    assert "unexpectedly" in failure_of(told, EnginePool(1, "create", {}, told)).message


def test_a_failing_callback_fails_the_run(role: Callable[[str], None]) -> None:
    role("port.send(('hello',))\nport.inbox.get()")
    told = Told()

    def callback(engine: int, message: Any) -> None:
        if message[0] == "hello":
            raise KeyError("oops")
        told(engine, message)

    assert "oops" in failure_of(told, EnginePool(1, "create", {}, callback)).message


def test_an_engine_that_hangs_is_ended(role: Callable[[str], None]) -> None:
    role("import time\ntime.sleep(1000)")
    pool = EnginePool(1, "create", {}, Told())
    began = time.monotonic()
    pool.close(patience=0.2)
    assert time.monotonic() - began < 3
    assert all(engine.process.poll() is not None for engine in pool._engines)


def test_engines_know_nothing_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    monkeypatch.setenv("SSL_CERT_FILE", "/ca.pem")
    environment = engine_environment()
    assert environment["SSL_CERT_FILE"] == "/ca.pem"
    assert environment["OPENBLAS_NUM_THREADS"] == "1"
    assert {"AWS_SECRET_ACCESS_KEY", "PYTHONPATH"}.isdisjoint(environment)


def test_engines_die_with_their_coordinator(role: Callable[[str], None], tmp_path: Path) -> None:
    role("import os, time\nport.send(('pid', os.getpid()))\ntime.sleep(1000)")
    program = f"""
        import sys, time
        sys.path.insert(0, {str(SOURCE.parent)!r})
        from dumont_worker import engine_pool
        engine_pool.program = lambda: {str(tmp_path / "dumont_worker")!r}
        pool = engine_pool.EnginePool(1, "create", {{}}, lambda _, m: print(m[1], flush=True))
        time.sleep(1000)
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as coordinator:
        assert coordinator.stdout is not None
        pid = int(coordinator.stdout.readline())
        coordinator.send_signal(signal.SIGKILL)
    wait_until(lambda: not is_running(pid))


def test_no_engine_is_left_when_one_cannot_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(WorkerError) as failure:
        EnginePool(2, "create", {}, Told())
    assert failure.value.code == "WORKER"
    assert os.getpid()
