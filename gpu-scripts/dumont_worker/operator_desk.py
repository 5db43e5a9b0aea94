"""The questions of coordinator and engines about the store to the operator's machine."""

import queue
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from .cancellation import Cancelled
from .errors import WorkerError, as_worker_error
from .protocol import object_seal
from .seal import check_alike
from .session import Link

# The operator's machine takes no more objects than this in one message.
_BATCH = 64

Answer = Callable[[object], None]
Question = tuple[str, Any, Answer]


class OperatorDesk:
    """Signs and settles through the link; several waiting `sign` questions become one message."""

    def __init__(self, link: Link, sealed: bool = False) -> None:
        """`sealed`: whether all that is fetched must be."""
        self._link = link
        self._sealed = sealed
        self._questions: queue.SimpleQueue[Question | None] = queue.SimpleQueue()

    def start(self, on_failure: Callable[[BaseException], None]) -> None:
        """Starts answering the engines."""

        def work() -> None:
            try:
                self._work()
            except BaseException as error:
                on_failure(error)

        threading.Thread(target=work, name="desk", daemon=True).start()

    def ask(self, what: str, value: Any, answer: Answer) -> None:
        """Takes an engine's question; `answer` gets value or WorkerError, on the desk's thread."""
        self._questions.put((what, value, answer))

    def close(self) -> None:
        """Ends the answering; questions that still wait are dropped."""
        self._questions.put(None)

    def sign(self, wanted: dict[str, Any]) -> dict[str, Any]:
        """Gives a signed PUT for one object."""
        return self._sign_all([wanted])[0]

    def settle(self, key: str) -> bool:
        """Whether the store holds exactly the pinned bytes under this key."""
        return self._link.request("settle", key=key).get("stored") is True

    def fetch(self, key: str) -> dict[str, Any]:
        """Gives a signed GET for one object, `seal` among it: what opens the object, or None."""
        signed = _signed(self._link.request("fetch", keys=[key]), 1)[0]
        seal = object_seal(signed)
        check_alike(key, seal, self._sealed)
        return {**signed, "seal": seal}

    def _sign_all(self, wanted: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return _signed(self._link.request("sign", objects=wanted), len(wanted))

    def _work(self) -> None:
        while (question := self._questions.get()) is not None:
            waiting = [question]
            while len(waiting) < _BATCH:
                try:
                    more = self._questions.get_nowait()
                except queue.Empty:
                    break
                if more is None:
                    return
                waiting.append(more)
            self._work_on(waiting)

    def _work_on(self, waiting: list[Question]) -> None:
        signs = [question for question in waiting if question[0] == "sign"]
        if signs:
            self._answer(signs, lambda: self._sign_all([value for _, value, _ in signs]))
        for question in waiting:
            if question[0] == "settle":
                self._answer([question], partial(self._settle, question[1]))

    def _settle(self, key: str) -> list[Any]:
        return [self.settle(key)]

    @staticmethod
    def _answer(questions: list[Question], ask: Callable[[], list[Any]]) -> None:
        values: list[Any]
        try:
            values = ask()
        except (WorkerError, Cancelled) as error:
            values = [as_worker_error(error)] * len(questions)
        for (_, _, answer), value in zip(questions, values, strict=True):
            answer(value)


def _signed(reply: dict[str, Any], count: int) -> list[dict[str, Any]]:
    """Checks the shape of signed requests; raises WORKER."""
    urls = reply.get("urls")
    if not isinstance(urls, list) or len(urls) != count or not all(map(_is_signed, urls)):
        raise WorkerError("WORKER", "the operator's machine broke the protocol: malformed urls")
    return urls


def _is_signed(value: object) -> bool:
    if not isinstance(value, dict):
        return False
    headers = value.get("headers", {})
    return (
        isinstance(value.get("key"), str)
        and isinstance(value.get("url"), str)
        and isinstance(headers, dict)
        and all(isinstance(k, str) and isinstance(v, str) for k, v in headers.items())
    )
