"""The life of one engine process: runs its role, tells its failure, dies with the coordinator."""

import contextlib
import ctypes
import gc
import importlib
import os
import queue
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any, Protocol

from .cancellation import Cancelled
from .channel import Channel
from .errors import WorkerError, as_worker_error

_ROLES = {"create": "create_engine", "restore": "restore_engine"}
_PR_SET_PDEATHSIG = 1

Message = tuple[Any, ...]


class Role(Protocol):
    """What a role's module offers: works until `inbox` says end, then returns."""

    def run(self, port: "Port", number: int, settings: dict[str, Any]) -> None:
        """Does the engine's work; what it raises fails the whole run."""
        ...


class Port:
    """An engine's way to the coordinator.

    `inbox` is filled by a thread of its own, so neither side ever blocks the other.
    """

    def __init__(self, connection: Channel) -> None:
        self.inbox: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self.failed = threading.Event()
        self._connection = connection
        self._lock = threading.Lock()
        self._handler: Callable[[Message], bool] = lambda _: False

    def start(self) -> None:
        """Starts reading. The end of the connection ends the process: the coordinator is gone."""
        threading.Thread(target=self._read, name="port", daemon=True).start()

    def divert(self, handler: Callable[[Message], bool]) -> None:
        """Lets `handler` take messages first; what it answers False to goes to `inbox`.

        It runs on the reading thread and must not block. What came before lies in the inbox.
        """
        self._handler = handler

    def send(self, message: Message) -> None:
        """Sends one message, from any thread."""
        with self._lock:
            self._connection.send(message)

    def fail(self, error: BaseException) -> None:
        """Tells the coordinator that the run is lost; only the first failure counts."""
        if self.failed.is_set():
            return
        self.failed.set()
        try:
            if not isinstance(error, (WorkerError, Cancelled)):
                traceback.print_exception(error, file=sys.stderr)
            self.send(("failed", as_worker_error(error)))
        # Where memory is short even this may fail: then the end of the process has to tell it.
        except BaseException:
            os._exit(1)

    def _read(self) -> None:
        try:
            while True:
                message = self._connection.receive()
                if not self._handler(message):
                    self.inbox.put(message)
        except (EOFError, OSError):
            os._exit(1)
        except Exception as error:
            self.fail(error)


def main(descriptor: int, parent: int) -> int:
    """Runs the engine behind `descriptor` for the coordinator with process id `parent`."""
    _die_with(parent)
    # A Ctrl-C at the operator's terminal reaches a local worker's whole group; the coordinator
    # decides what ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    connection = Channel(socket.socket(fileno=descriptor))
    role, number, settings = connection.receive()
    port = Port(connection)
    port.start()
    try:
        module: Role = importlib.import_module(f".{_ROLES[role]}", __package__)
        # Messages are tuples of tuples, without cycles: looking for some costs and finds nothing.
        gc.freeze()
        gc.set_threshold(50_000, 50, 100)
        module.run(port, number, settings)
    except BaseException as error:
        port.fail(error)
        return 1
    port.send(("ended",))
    # Nothing is left to be tidied up, and tearing an interpreter down takes its time.
    os._exit(0)


def _die_with(parent: int) -> None:
    # Where this is not to be had, the end of the connection ends the process a moment later.
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
