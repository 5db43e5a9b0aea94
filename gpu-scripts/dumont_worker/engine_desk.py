"""An engine's questions to the coordinator, each answered to the thread that asked."""

import itertools
import queue
import threading
from typing import TYPE_CHECKING, Any

from .engine import Message, Port
from .errors import WorkerError

if TYPE_CHECKING:
    from .create_messages import Span, Standing
    from .parity_desk import Found

# The coordinator waits 120 s for the operator's machine; whoever waits longer waits for nobody.
_PATIENCE = 180.0


class EngineDesk:
    """Asks through the port; answers are `("answer", ticket, value)`, a value or WorkerError."""

    def __init__(self, port: Port) -> None:
        self._port = port
        self._lock = threading.Lock()
        self._tickets = itertools.count()
        self._waiting: dict[int, queue.SimpleQueue[Any]] = {}

    def take(self, message: Message) -> bool:
        """Delivers an answer; False for any other message."""
        if message[0] != "answer":
            return False
        with self._lock:
            waiter = self._waiting.pop(message[1], None)
        if waiter is not None:
            waiter.put(message[2])
        return True

    def claim(self, raw_hash: bytes) -> bool:
        """Whether this chunk is ours to store: nobody has it or is about to store it."""
        mine: bool = self._ask("claim", raw_hash)
        return mine

    def claim_difference(self, raw_hash: bytes) -> bool:
        """Like `claim`, for a chunk that may be stored as a difference and so be no base."""
        mine: bool = self._ask("differ", raw_hash)
        return mine

    def standing(self, raw_hash: bytes, claims: bool) -> "Standing":
        """Whether a chunk may be a base; with `claims`, ours to store whole if nobody has it."""
        standing: Standing = self._ask("base", (raw_hash, claims))
        return standing

    def known(self, contents: list[tuple[int, bytes]]) -> "list[tuple[Span, ...] | None]":
        """For small files by size and content hash: where their bytes lie already, or None."""
        found: list[tuple[Span, ...] | None] = self._ask("known", contents)
        return found

    def sign(self, wanted: dict[str, Any]) -> dict[str, Any]:
        """A signed URL for one pack."""
        signed: dict[str, Any] = self._ask("sign", wanted)
        return signed

    def settle(self, key: str) -> bool:
        """Whether the store holds exactly the pinned bytes under this key."""
        stored: bool = self._ask("settle", key)
        return stored

    def group(self, key: str, renew: bool) -> "Found | None":
        """The group of an object with URLs, fresh ones if told to; None where it has no parity."""
        found: Found | None = self._ask("group", (key, renew))
        return found

    def _ask(self, what: str, value: object) -> Any:
        answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
        ticket = next(self._tickets)
        with self._lock:
            self._waiting[ticket] = answers
        self._port.send((what, ticket, value))
        try:
            answer = answers.get(timeout=_PATIENCE)
        except queue.Empty:
            raise WorkerError("WORKER", f"the coordinator did not answer `{what}`") from None
        if isinstance(answer, WorkerError):
            raise answer
        return answer
