"""The engines of a restore: what is handed out, waited for and shown."""

import queue
import threading
from typing import Any, cast

import pytest

from dumont_worker.engine_pool import Message
from dumont_worker.errors import WorkerError
from dumont_worker.progress import Progress
from dumont_worker.restore_crew import Crew, OnMessage
from dumont_worker.session import Link

PATIENCE = 10.0


class Engines:
    """A pool whose engines say what a test wants."""

    def __init__(self) -> None:
        self.jobs: queue.SimpleQueue[tuple[int, Message]] = queue.SimpleQueue()
        self.say: OnMessage

    def start(
        self,
        _count: int,
        _role: str,
        _settings: dict[str, Any],
        say: OnMessage,
        _native: str | None,
    ) -> "Engines":
        self.say = say
        return self

    def send(self, engine: int, message: Message) -> None:
        self.jobs.put((engine, message))

    def kill(self) -> None:
        pass


class Operator:
    """The link, as far as a crew looks at it."""

    def __init__(self) -> None:
        self.progress = Progress()

    def check(self) -> None:
        pass


def crew_of(engines: Engines, count: int = 1) -> Crew:
    settings = {"parts": 1, "decoders": 1, "memory": 1 << 24}
    return Crew(cast(Link, Operator()), count, settings, None, engines.start)


def submit(crew: Crew) -> list[Any]:
    results: list[Any] = []
    crew.submit("write", ("job",), 1, results.append)
    return results


def in_time(work: Any) -> None:
    """Fail instead of waiting for ever."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    assert not thread.is_alive()


def test_a_last_word_of_progress_does_not_hold_up_the_next_job() -> None:
    engines = Engines()
    crew = crew_of(engines)
    results = submit(crew)
    engines.say(0, ("done", 0, "written"))
    crew.drain()
    engines.say(0, ("moved", 10, 20))
    engines.say(0, ("parts", {0: None}))
    in_time(lambda: submit(crew))
    assert results == ["written"]


def test_no_more_jobs_are_handed_out_than_there_is_room_for() -> None:
    engines = Engines()
    crew = crew_of(engines)
    first = submit(crew)
    submit(crew)
    assert not crew.room
    threading.Timer(0.05, lambda: engines.say(0, ("done", 0, "first"))).start()
    in_time(lambda: submit(crew))
    assert first == ["first"]


def test_a_job_goes_to_the_engine_with_least_to_do() -> None:
    engines = Engines()
    crew = crew_of(engines, 2)
    submit(crew)
    submit(crew)
    assert [engines.jobs.get()[0] for _ in range(2)] == [0, 1]


def test_the_failure_of_an_engine_reaches_whoever_hands_out_the_next_job() -> None:
    engines = Engines()
    crew = crew_of(engines)
    submit(crew)
    engines.say(0, ("failed", WorkerError("WORKER", "out of memory")))
    with pytest.raises(WorkerError, match="out of memory"):
        submit(crew)
