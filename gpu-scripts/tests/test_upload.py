"""An upload: what is settled by looking, and what is given up."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from fake_operator import FakeStore, Fault, _pin

from dumont_worker import transfer
from dumont_worker.errors import WorkerError
from dumont_worker.upload import upload

KEY = "packs/20261123T140200Z-k3f7qz/0-0-1"
BODY = bytes(range(256)) * 2_000
WANTED = {"length": len(BODY), "pin": {"kind": "crc32", "value": _pin(BODY, "crc32")}}


@dataclass
class Operator:
    """Signs one key, and looks into the store when asked."""

    store: FakeStore
    asked: list[str] = field(default_factory=list)

    def sign(self, wanted: dict[str, Any]) -> dict[str, Any]:
        return self.store.sign("PUT", KEY, wanted)

    def settle(self, key: str) -> bool:
        self.asked.append(key)
        return self.store.objects.get(key) == BODY


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Operator]:
    monkeypatch.setattr(transfer, "_LONGEST_WAIT", 0.01)
    store = FakeStore()
    yield Operator(store)
    store.close()


def send(desk: Operator) -> str:
    return upload(desk, WANTED, [BODY], None, threading.Event())


def test_an_upload_whose_answer_is_lost_once_is_settled_by_looking(desk: Operator) -> None:
    desk.store.faults.append(Fault("PUT", "ambiguous"))
    assert send(desk) == KEY
    assert desk.asked == [KEY]


def test_an_upload_whose_answer_is_lost_every_time_is_found_in_the_end(desk: Operator) -> None:
    desk.store.faults.append(Fault("PUT", "ambiguous", 100))
    assert send(desk) == KEY
    assert desk.asked == [KEY]


def test_an_upload_that_never_arrives_is_given_up(desk: Operator) -> None:
    desk.store.faults.append(Fault("PUT", "cut", 100))
    with pytest.raises(WorkerError) as failure:
        send(desk)
    assert (failure.value.code, failure.value.retry) == ("UNREACHABLE", True)
    assert desk.asked == [KEY]
    assert KEY not in desk.store.objects


def test_a_busy_store_is_not_asked_what_it_has(desk: Operator) -> None:
    desk.store.faults.append(Fault("PUT", "busy", 100))
    with pytest.raises(WorkerError) as failure:
        send(desk)
    assert failure.value.code == "STORE_BUSY"
    assert desk.asked == []
