"""The conversation: what ends it, what it survives, and that nobody is left waiting."""

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from dumont_worker.cancellation import Cancelled
from dumont_worker.errors import WorkerError
from dumont_worker.protocol import CreateRequest
from dumont_worker.session import Link

CREATE = {
    "type": "create",
    "snapshot": "20261123T140200Z-k3f7qz",
    "repository": "0" * 32,
    "lineage": "0" * 32,
    "roots": ["/workspace"],
    "excludes": [],
    "excludeCaches": False,
    "crossMounts": False,
    "protect": [],
    "parts": 1,
    "memory": 1 << 30,
    "codec": "auto",
    "level": 3,
    "delta": True,
    "reread": False,
    "pin": "crc32",
    "dryRun": False,
    "parent": None,
}


class Operator:
    """The other ends of a link's two pipes."""

    def __init__(self, **settings: Any) -> None:
        source, self.to_worker = os.pipe()
        self.from_worker, sink = os.pipe()
        self.cut_off = threading.Event()
        self.link = Link(source, sink, cut_off=lambda _: self.cut_off.set(), **settings)
        self._lines = os.fdopen(self.from_worker, "rb")
        self.link.start()

    def send(self, *messages: dict[str, Any]) -> None:
        for message in messages:
            os.write(self.to_worker, json.dumps(message).encode() + b"\n")

    def read(self, *types: str) -> dict[str, Any]:
        """The next message of these types."""
        while True:
            message: dict[str, Any] = json.loads(self._lines.readline())
            if message["type"] in types:
                return message

    def hang_up(self) -> None:
        with suppress(OSError):
            os.close(self.to_worker)


@pytest.fixture
def operator() -> Iterator[Operator]:
    operator = Operator()
    yield operator
    operator.link.stop()
    operator.hang_up()


def in_background(task: Callable[[], Any]) -> Callable[[], Any]:
    """Starts a task; calling what comes back waits and gives its result or what it raised."""
    outcome: list[Any] = []

    def work() -> None:
        try:
            outcome.append(task())
        except BaseException as error:
            outcome.append(error)

    thread = threading.Thread(target=work)
    thread.start()

    def wait() -> Any:
        thread.join(5)
        assert outcome, "still waiting"
        return outcome[0]

    return wait


def test_a_request_is_answered_by_its_id(operator: Operator) -> None:
    first = in_background(lambda: operator.link.request("settle", key="a"))
    one = operator.read("settle")
    second = in_background(lambda: operator.link.request("settle", key="b"))
    two = operator.read("settle")
    assert one["id"] != two["id"]
    operator.send({"type": "reply", "to": two["id"], "stored": False})
    operator.send({"type": "reply", "to": one["id"], "stored": True})
    assert (first()["stored"], second()["stored"]) == (True, False)


def test_an_error_of_the_operator_is_raised_where_it_was_asked_for(operator: Operator) -> None:
    asked = in_background(lambda: operator.link.request("sign", objects=[]))
    error = {"code": "UNREACHABLE", "message": "no store"}
    operator.send({"type": "reply", "to": operator.read("sign")["id"], "error": error})
    raised = asked()
    assert isinstance(raised, WorkerError)
    assert (raised.code, raised.message) == ("UNREACHABLE", "no store")


def test_an_answer_that_does_not_come_is_an_error(operator: Operator) -> None:
    with pytest.raises(WorkerError) as failure:
        operator.link.request("settle", patience=0.05, key="a")
    assert failure.value.code == "UNREACHABLE"
    late = operator.read("settle")["id"]
    operator.send({"type": "reply", "to": late, "stored": True})
    asked = in_background(lambda: operator.link.request("settle", key="b"))
    operator.send({"type": "reply", "to": operator.read("settle")["id"], "stored": True})
    assert asked()["stored"] is True


@pytest.mark.parametrize("how", ["cancel", "hang up", "nonsense", "too long", "no newline"])
def test_whatever_ends_the_session_wakes_all_who_wait(operator: Operator, how: str) -> None:
    asked = in_background(lambda: operator.link.request("settle", key="a"))
    idle = in_background(operator.link.next_request)
    operator.read("settle")
    if how == "cancel":
        operator.send({"type": "cancel"})
    elif how == "hang up":
        operator.hang_up()
    elif how == "nonsense":
        os.write(operator.to_worker, b"nonsense\n")
    else:
        with suppress(OSError):
            for _ in range(18):
                os.write(operator.to_worker, b"x" * (1 << 16))
    assert isinstance(asked(), Cancelled)
    assert idle() is None
    with pytest.raises(Cancelled):
        operator.link.check()
    with pytest.raises(Cancelled):
        operator.link.request("settle", key="b")


def test_what_does_not_unwind_in_time_is_cut_off(operator: Operator) -> None:
    began = time.monotonic()
    operator.send({"type": "cancel"})
    assert operator.cut_off.wait(3)
    assert 1.0 < time.monotonic() - began < 2.0


def test_silence_ends_the_session() -> None:
    operator = Operator(silence=0.1)
    assert operator.link.cancelled.wait(3)
    operator.hang_up()


def test_a_sign_of_life_keeps_the_session() -> None:
    operator = Operator(silence=0.5)
    for _ in range(8):
        operator.send({"type": "heartbeat"})
        assert not operator.link.cancelled.wait(0.1)
    operator.hang_up()


def test_the_worker_shows_that_it_lives() -> None:
    operator = Operator(heartbeat=0.05)
    operator.read("heartbeat")
    operator.read("heartbeat")
    operator.hang_up()


def test_a_closed_stdout_ends_the_session(operator: Operator) -> None:
    operator._lines.close()
    operator.link.send("heartbeat")
    assert operator.link.cancelled.is_set()


def test_one_request_at_a_time(operator: Operator) -> None:
    operator.send(CREATE | {"id": 1}, CREATE | {"id": "two"})
    first = operator.link.next_request()
    assert isinstance(first, CreateRequest)
    refused = operator.read("error")
    assert (refused["to"], refused["code"]) == ("two", "LOCKED")
    operator.link.finish(lambda: operator.link.send("result", to=1))
    assert operator.read("result")["to"] == 1
    operator.send(CREATE | {"id": 3})
    third = operator.link.next_request()
    assert third is not None
    assert third.id == 3


def test_a_malformed_request_is_answered_and_the_session_goes_on(operator: Operator) -> None:
    operator.send(CREATE | {"id": 1, "parts": 0}, CREATE | {"id": 2})
    refused = operator.read("error")
    assert (refused["to"], refused["code"]) == (1, "WORKER")
    assert "parts" in refused["message"]
    following = operator.link.next_request()
    assert following is not None
    assert following.id == 2


def test_warnings_are_bounded_and_counted(operator: Operator) -> None:
    seen: list[dict[str, Any]] = []

    def read() -> None:
        while True:
            seen.append(operator.read("warning", "result"))
            if seen[-1]["type"] == "result":
                return

    reader = in_background(read)
    for _ in range(1500):
        operator.link.warn("torn", b"/a\xff", "changed")
    assert operator.link.warnings == {"torn": 1500}
    operator.link.finish(lambda: operator.link.send("result", to=1))
    reader()
    assert len(seen) == 1002
    assert seen[0]["path"] == {"b64": "L2H/"}
    assert (seen[1000]["code"], seen[1000]["count"]) == ("more", 500)
    assert operator.link.warnings == {}


def test_progress_is_sent_together_and_may_go_back(operator: Operator) -> None:
    progress = operator.link.progress
    progress.phase("transfer")
    for _ in range(100):
        progress.add(raw=10, transferred=5)
    progress.part(3, 100, 200, 1)
    shown = operator.read("progress")
    assert (shown["raw"], shown["parts"]) == (1000, [[3, 100, 200, 1]])
    progress.add(transferred=-400)
    progress.idle(3)
    shown = operator.read("progress")
    assert (shown["transferred"], shown["parts"]) == (100, [])
