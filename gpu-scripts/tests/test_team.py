"""Threads that end together."""

import queue
import threading
from typing import Any

import pytest

from dumont_worker.cancellation import Cancelled
from dumont_worker.errors import WorkerError
from dumont_worker.team import Team


class Link:
    def __init__(self) -> None:
        self.is_cancelled = threading.Event()

    def check(self) -> None:
        if self.is_cancelled.is_set():
            raise Cancelled


def team(link: Any = None) -> Team:
    return Team(link or Link())


def test_every_thread_has_a_number_of_its_own_and_is_waited_for() -> None:
    done: queue.SimpleQueue[int] = queue.SimpleQueue()
    team().work(4, done.put)
    assert sorted(done.get_nowait() for _ in range(4)) == [0, 1, 2, 3]


def test_the_first_failure_ends_the_others_and_is_told() -> None:
    threads = team()

    def work(number: int) -> None:
        if number == 2:
            raise WorkerError("INTEGRITY", "it is damaged")
        threads.ended.wait()
        raise WorkerError("UNREACHABLE", "because of the other one")

    with pytest.raises(WorkerError, match="it is damaged"):
        threads.work(4, work)


def test_what_nobody_expected_is_told_as_well() -> None:
    def fail(_: int) -> None:
        raise ZeroDivisionError

    with pytest.raises(WorkerError, match="ZeroDivisionError"):
        team().work(1, fail)


def test_the_operator_ends_all() -> None:
    link = Link()
    threads = team(link)

    def work(_: int) -> None:
        link.is_cancelled.set()
        threads.ended.wait()

    with pytest.raises(Cancelled):
        threads.work(3, work)
    assert threads.ended.is_set()
