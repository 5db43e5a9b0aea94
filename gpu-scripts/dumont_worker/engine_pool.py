"""Engine processes: talked to in tuples, never able to leave the coordinator waiting."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Literal

from .channel import Channel
from .errors import WorkerError

Role = Literal["create", "restore"]
Message = tuple[Any, ...]

# All that an engine may know of the environment: nothing of it is secret.
_KEPT = (
    "HOME",
    "LANG",
    "LC_ALL",
    "LD_LIBRARY_PATH",
    "PATH",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "TMPDIR",
    "TZ",
)
_SET = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    # Few arenas keep freed buffers of one thread usable by the next, and so the memory bound true.
    "MALLOC_ARENA_MAX": "2",
    # Chunks come and go by the thousand: they stay on the heap instead of being mapped afresh.
    "MALLOC_MMAP_THRESHOLD_": "33554432",
    "MALLOC_TRIM_THRESHOLD_": "33554432",
}


def program() -> str:
    """What to run for an engine: the zipapp this code lies in, else the package's directory."""
    package = os.path.dirname(os.path.abspath(__file__))
    archive = os.path.dirname(package)
    return archive if os.path.isfile(archive) else package


def engine_environment() -> dict[str, str]:
    """The whitelisted environment of an engine."""
    return {name: os.environ[name] for name in _KEPT if name in os.environ} | _SET


class EnginePool:
    """`count` engine processes of one role.

    `on_message(engine, message)` runs on a thread of that engine and must not block. When an
    engine raises or dies, it is called once with `("failed", WorkerError)`, and from then on
    `check` and `send` raise that error. Must be made on the main thread: the kernel ends engines
    together with the thread that started them.
    """

    def __init__(
        self,
        count: int,
        role: Role,
        settings: dict[str, Any],
        on_message: Callable[[int, Message], None],
        native: str | None = None,
    ) -> None:
        self.failure: WorkerError | None = None
        self._on_message = on_message
        self._closing = False
        self._lock = threading.Lock()
        self._engines: list[_Engine] = []
        try:
            for number in range(count):
                engine = _Engine(number, native)
                self._engines.append(engine)
                engine.send((role, number, settings))
                engine.reader = threading.Thread(target=self._read, args=(engine,), daemon=True)
                engine.reader.start()
        except OSError as error:
            self.kill()
            raise WorkerError("WORKER", f"cannot start an engine process: {error}") from error

    def __len__(self) -> int:
        """How many engines there are."""
        return len(self._engines)

    def check(self) -> None:
        """Raises the first failure of any engine."""
        if self.failure is not None:
            raise self.failure

    def send(self, engine: int, message: Message) -> None:
        """Sends one message, from any thread; raises the pool's failure when an engine is gone."""
        self.check()
        try:
            self._engines[engine].send(message)
        except OSError as error:
            lost = WorkerError("WORKER", f"engine {engine} does not take messages any more")
            self._fail(engine, lost)
            raise self.failure or lost from error

    def close(self, patience: float = 30.0) -> None:
        """Ends the engines after their work, kills what is left; raises their failure."""
        try:
            for engine in range(len(self._engines)):
                self.send(engine, ("end",))
            deadline = time.monotonic() + patience
            for process in self._engines:
                process.join(max(0.1, deadline - time.monotonic()))
        finally:
            self.kill()
        self.check()

    def kill(self) -> None:
        """Ends the engines at once; returns when they are gone. Idempotent."""
        with self._lock:
            self._closing = True
        for engine in self._engines:
            engine.kill()

    def _read(self, engine: "_Engine") -> None:
        try:
            while True:
                message = engine.connection.receive()
                if message[0] == "failed":
                    self._fail(engine.number, message[1])
                elif message[0] == "ended":
                    engine.ended.set()
                else:
                    self._on_message(engine.number, message)
        except (EOFError, OSError):
            if not engine.ended.is_set():
                self._fail(engine.number, engine.obituary())
        # A bug in a callback must end the run, not this thread alone.
        except Exception as error:
            self._fail(engine.number, WorkerError("WORKER", f"{type(error).__name__}: {error}"))
        finally:
            engine.ended.set()

    def _fail(self, engine: int, error: WorkerError) -> None:
        with self._lock:
            if self._closing or self.failure is not None:
                return
            self.failure = error
        self._on_message(engine, ("failed", error))


class _Engine:
    """One engine process and our end of its socket pair."""

    def __init__(self, number: int, native: str | None) -> None:
        self.number = number
        self.ended = threading.Event()
        self.reader: threading.Thread | None = None
        self._lock = threading.Lock()
        ours, theirs = socket.socketpair()
        with theirs:
            command = [sys.executable, "-I", program(), "engine", str(theirs.fileno())]
            command += [str(os.getpid()), *(["--native", native] if native else [])]
            try:
                self.process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    # Only the session writes to stdout; what an engine prints is for diagnosis.
                    stdout=2,
                    pass_fds=[theirs.fileno()],
                    env=engine_environment(),
                )
            except OSError:
                ours.close()
                raise
        self.connection = Channel(ours)

    def send(self, message: Message) -> None:
        with self._lock:
            self.connection.send(message)

    def join(self, patience: float) -> None:
        """Waits until the engine has said its last word, or is gone."""
        self.ended.wait(patience)

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        # Uninterruptible sleep on a dead file system is the one thing a kill does not end.
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(1.0)
        if self.reader is not None and self.reader is not threading.current_thread():
            self.reader.join(1.0)
        with contextlib.suppress(OSError):
            self.connection.close()

    def obituary(self) -> WorkerError:
        """Says how a process that ended without a word has ended."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(1.0)
        code = self.process.returncode
        if code is None or code >= 0:
            return WorkerError("WORKER", f"engine {self.number} ended unexpectedly (status {code})")
        hint = None
        if code == -signal.SIGKILL:
            hint = "the box may be out of memory: try a smaller --memory"
        name = signal.Signals(-code).name
        return WorkerError("WORKER", f"engine {self.number} was killed by {name}", hint, True)
