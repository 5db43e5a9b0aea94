"""Which transfers are cut for being behind, and what becomes of them."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from fake_operator import FakeStore, Fault, _pin

from dumont_worker import pace, transfer
from dumont_worker.pace import Pace, Transfer

KEY = "packs/20261123T140200Z-k3f7qz/0-0-0"
BODY = bytes(range(256)) * 40_000
MIB = 1 << 20


class Fleet:
    """Transfers over socket pairs that move as told."""

    def __init__(self, count: int, total: int = 100 * MIB, resumes: bool = True) -> None:
        self.pace = Pace()
        self.pairs = [socket.socketpair() for _ in range(count)]
        self.transfers = [Transfer(ours, total, resumes) for ours, _ in self.pairs]
        self.open = [self.pace.watching(each) for each in self.transfers]
        for each in self.open:
            each.__enter__()

    def move(self, *steps: int) -> None:
        for each, step in zip(self.transfers, steps, strict=True):
            each.moved += step
        self.pace.look()

    @property
    def cut(self) -> list[bool]:
        return [each.was_cut for each in self.transfers]

    def close(self) -> None:
        for pair in self.pairs:
            for end in pair:
                end.close()


@pytest.fixture
def fleet() -> Iterator[Fleet]:
    fleet = Fleet(6)
    yield fleet
    fleet.close()


def test_a_transfer_that_stands_still_while_others_move_is_cut(fleet: Fleet) -> None:
    fleet.move(*[MIB] * 6)
    for _ in range(pace.PATIENCE + 5):
        fleet.move(*[MIB] * 5, 0)
    assert fleet.cut == [False] * 5 + [True]
    assert fleet.pairs[5][1].recv(1) == b""


def test_nobody_is_cut_when_the_whole_link_stalls(fleet: Fleet) -> None:
    fleet.move(*[MIB] * 6)
    for _ in range(100):
        fleet.move(*[0] * 6)
    fleet.move(MIB, *[0] * 5)
    assert not any(fleet.cut)


def test_a_pause_that_ends_is_forgiven(fleet: Fleet) -> None:
    for _ in range(10):
        for _ in range(pace.PATIENCE - 1):
            fleet.move(*[MIB] * 5, 0)
        fleet.move(*[MIB] * 5, 4 * MIB)
    assert not any(fleet.cut)


def test_a_transfer_that_only_crawls_is_cut(fleet: Fleet) -> None:
    for _ in range(10):
        fleet.move(*[MIB] * 5, MIB // 20)
    assert fleet.cut == [False] * 5 + [True]


def test_a_transfer_that_shares_the_link_unevenly_is_left_alone(fleet: Fleet) -> None:
    for _ in range(10):
        fleet.move(*[MIB] * 5, MIB // 5)
    assert not any(fleet.cut)


def test_a_crawl_is_not_cut_when_it_is_nearly_there() -> None:
    fleet = Fleet(6, total=100 * MIB, resumes=False)
    fleet.transfers[5].moved = 99 * MIB
    for _ in range(10):
        fleet.move(*[MIB] * 5, MIB // 20)
    assert not any(fleet.cut)
    fleet.close()


def test_slow_links_are_given_the_time_that_full_buffers_take(fleet: Fleet) -> None:
    for _ in range(100):
        fleet.move(*[20_000] * 5, 0)
    assert not any(fleet.cut)


def test_silence_is_longer_where_buffers_take_longer_to_be_emptied(fleet: Fleet) -> None:
    assert fleet.pace.silence(25) == 25
    fleet.move(*[40_000] * 6)
    assert 60 < fleet.pace.silence(25) < 120
    for _ in range(30):
        fleet.move(*[1] * 6)
    assert fleet.pace.silence(25) == 300


def test_an_answer_may_take_longer_than_the_data(fleet: Fleet) -> None:
    fleet.move(*[MIB] * 5, 100 * MIB)
    for _ in range(pace.PATIENCE + 2):
        fleet.move(*[10 * MIB] * 5, 0)
    assert not any(fleet.cut)
    for _ in range(pace.LONG_PATIENCE):
        fleet.move(*[10 * MIB] * 5, 0)
    assert fleet.cut[5]


def test_the_last_one_is_cut_too() -> None:
    fleet = Fleet(6)
    fleet.move(*[MIB] * 6)
    for each in fleet.open[:5]:
        each.__exit__(None, None, None)
    for _ in range(pace.PATIENCE + 5):
        fleet.move(*[0] * 6)
    assert fleet.cut == [False] * 5 + [True]
    fleet.close()


def test_data_that_only_fills_buffers_hurries_nobody(fleet: Fleet) -> None:
    fleet.move(*[2 * MIB] * 6)
    for turn in range(120):
        # Through a slow tunnel each moves in turn, by what its channel lets in.
        fleet.move(*[MIB * (turn % 30 == 5 * each) for each in range(6)])
    assert not any(fleet.cut)


def test_one_that_was_cut_often_enough_is_left_alone(fleet: Fleet) -> None:
    fleet.transfers[5].may_be_cut = False
    for _ in range(50):
        fleet.move(*[MIB] * 5, 0)
    assert not any(fleet.cut)


def test_transfers_that_begin_together_are_siblings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "_shared", [])
    together = threading.Barrier(16)
    seen: set[Pace] = set()

    def work() -> None:
        together.wait()
        seen.add(pace.shared())

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 1


@pytest.fixture
def busy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Fleet]:
    """Siblings of the transfer under test."""
    fleet = Fleet(6, total=1 << 40)
    monkeypatch.setattr(pace, "shared", lambda: fleet.pace)
    yield fleet
    fleet.close()


def wait_for(event: threading.Event) -> None:
    event.wait(30)


def end(worker: threading.Thread, siblings: Fleet) -> None:
    """Lets time pass until the worker is done."""
    for _ in range(3000):
        if not worker.is_alive():
            return
        siblings.move(*[100 * MIB] * 6)
        worker.join(0.01)
    raise AssertionError("it never ended")


def test_a_stalled_put_is_sent_again_over_another_connection(store: FakeStore, busy: Fleet) -> None:
    store.faults.append(Fault("PUT", "stalled"))
    want = {"length": len(BODY), "pin": {"kind": "crc32", "value": _pin(BODY, "crc32")}}
    signed = store.sign("PUT", KEY, want)
    outcomes: list[Any] = []
    seen: list[tuple[int, int]] = []

    def work() -> None:
        show = lambda *at: seen.append(at)  # noqa: E731
        outcomes.append(transfer.put(signed, [BODY], show, threading.Event()))

    worker = threading.Thread(target=work)
    worker.start()
    end(worker, busy)
    assert outcomes[0].kind == "stored"
    assert store.objects[KEY] == BODY
    assert (0, 2) in seen


def test_a_stalled_get_goes_on_where_it_stopped(store: FakeStore, busy: Fleet) -> None:
    store.objects[KEY] = BODY
    store.faults.append(Fault("GET", "stalled"))
    signed = store.sign("GET", KEY, {})
    found: list[bytes] = []
    seen: list[int] = []

    def work() -> None:
        span = (0, len(BODY) - 1)
        show = lambda done, _: seen.append(done)  # noqa: E731
        found.append(bytes(transfer.get(signed, span, None, show, threading.Event())))

    worker = threading.Thread(target=work)
    worker.start()
    end(worker, busy)
    assert found == [BODY]
    assert seen == sorted(seen)
    assert store.gets[KEY] == 2


def test_a_store_that_always_stalls_is_cut_no_more_than_twice(
    store: FakeStore, busy: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "SILENCE_SECONDS", 0.2)
    monkeypatch.setattr(transfer, "_LONGEST_WAIT", 0.01)
    monkeypatch.setattr(transfer, "_kept", dict)
    store.objects[KEY] = BODY
    store.faults.append(Fault("GET", "stalled", 1000))
    signed = store.sign("GET", KEY, {})
    failures: list[Exception] = []

    def work() -> None:
        try:
            transfer.get(signed, (0, 9), None, None, threading.Event())
        except Exception as error:
            failures.append(error)

    worker = threading.Thread(target=work)
    worker.start()
    end(worker, busy)
    assert getattr(failures[0], "code", "") == "UNREACHABLE"


def test_a_put_waits_as_long_as_full_buffers_take(
    store: FakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    going_on = threading.Event()

    class Slow(Pace):
        asked = 0

        def silence(self, least: float) -> float:
            self.asked += 1
            if self.asked == 3:
                going_on.set()
            return 300

    slow = Slow()
    monkeypatch.setattr(pace, "shared", lambda: slow)
    monkeypatch.setattr(transfer, "SILENCE_SECONDS", 0.05)
    monkeypatch.setattr(transfer, "_kept", dict)
    store.before_put = lambda _: wait_for(going_on)
    body = bytes(40 << 20)
    want = {"length": len(body), "pin": {"kind": "crc32", "value": _pin(body, "crc32")}}
    attempts: set[int] = set()
    signed = store.sign("PUT", KEY, want)
    outcome = transfer.put(signed, [body], lambda _, n: attempts.add(n), threading.Event())
    assert outcome.kind == "stored"
    assert attempts == {1}


class Impatient(Pace):
    """Cuts whatever may be cut."""

    @contextlib.contextmanager
    def watching(self, transfer: Transfer) -> Iterator[None]:
        if transfer.may_be_cut:
            transfer.cut()
        yield


@pytest.mark.parametrize("tunnelled", [True, False])
def test_behind_a_tunnel_nothing_is_cut(
    store: FakeStore, monkeypatch: pytest.MonkeyPatch, tunnelled: bool
) -> None:
    impatient = Impatient()
    monkeypatch.setattr(pace, "shared", lambda: impatient)
    monkeypatch.setattr(transfer, "_kept", dict)
    want = {"length": len(BODY), "pin": {"kind": "crc32", "value": _pin(BODY, "crc32")}}
    told = {"x-dumont-tunnel": "1"} if tunnelled else {}
    attempts: list[int] = []
    signed = store.sign("PUT", KEY, want)
    show = lambda done, n: attempts.append(n)  # noqa: E731
    put = {**signed, "headers": {**signed["headers"], **told}}
    assert transfer.put(put, [BODY], show, threading.Event()).kind == "stored"
    assert max(attempts) == (1 if tunnelled else 3)
    signed = store.sign("GET", KEY, {})
    get = {**signed, "headers": {**signed.get("headers", {}), **told}}
    got = transfer.get(get, (0, len(BODY) - 1), None, None, threading.Event())
    assert got == BODY
    assert store.gets[KEY] == (1 if tunnelled else 3)


def test_behind_a_tunnel_a_put_outlasts_the_usual_silence(
    store: FakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "ANSWER_SECONDS", 0.05)
    monkeypatch.setattr(transfer, "SILENCE_SECONDS", 0.05)
    monkeypatch.setattr(transfer, "_kept", dict)
    looks = threading.Event()
    # Longer than what would be a dead connection elsewhere.
    store.before_put = lambda _: (looks.wait(0.2), None)[1]
    want = {"length": len(BODY), "pin": {"kind": "crc32", "value": _pin(BODY, "crc32")}}
    signed = store.sign("PUT", KEY, want)
    signed["headers"] = {**signed["headers"], "x-dumont-tunnel": "1"}
    attempts: set[int] = set()
    outcome = transfer.put(signed, [BODY], lambda _, n: attempts.add(n), threading.Event())
    assert outcome.kind == "stored"
    assert attempts == {1}
