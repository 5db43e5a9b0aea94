import threading

from dumont_worker.restore_engine import JOB_ROOM, Buffers, Gate

PATIENCE = 10.0


def enter_apart(gate: Gate) -> threading.Event:
    """Enter on a thread of its own; the event tells that it is inside."""
    inside = threading.Event()

    def work() -> None:
        gate.enter()
        inside.set()

    threading.Thread(target=work, daemon=True).start()
    return inside


def test_a_gate_lets_the_next_in_when_one_leaves() -> None:
    gate = Gate(1, 8)
    gate.enter()
    inside = enter_apart(gate)
    assert not inside.is_set()
    gate.leave()
    assert inside.wait(PATIENCE)


def test_a_gate_opens_wider_for_those_who_wait() -> None:
    gate = Gate(1, 8)
    gate.enter()
    inside = enter_apart(gate)
    for _ in range(1000):
        gate.widen()
        if inside.wait(0.01):
            break
    assert inside.is_set()


def test_a_gate_stays_as_it_is_while_nobody_waits() -> None:
    gate = Gate(1, 8)
    gate.widen()
    gate.enter()
    assert not enter_apart(gate).wait(0.05)


def test_a_gate_never_opens_wider_than_it_may() -> None:
    gate = Gate(1, 2)
    gate.enter()
    waiting = [enter_apart(gate) for _ in range(3)]
    for _ in range(20):
        gate.widen()
        threading.Event().wait(0.005)
    assert sum(one.is_set() for one in waiting) == 1


def test_a_gate_lets_nobody_in_beyond_the_most_even_at_first() -> None:
    gate = Gate(4, 1)
    gate.enter()
    assert not enter_apart(gate).wait(0.05)


def test_memory_that_was_given_back_is_taken_again() -> None:
    buffers = Buffers()
    first, second = buffers.take(10), buffers.take(JOB_ROOM)
    assert first is not second
    buffers.give(first)
    buffers.give(second)
    assert buffers.take(5) is second
    assert buffers.take(5) is first


def test_memory_of_unusual_size_is_not_kept() -> None:
    buffers = Buffers()
    large = buffers.take(JOB_ROOM + 1)
    assert len(large) == JOB_ROOM + 1
    buffers.give(large)
    assert len(buffers.take(1)) == JOB_ROOM


def test_nothing_is_kept_beside_memory_of_unusual_size() -> None:
    buffers = Buffers()
    kept = buffers.take(1)
    buffers.give(kept)
    buffers.take(JOB_ROOM + 1)
    assert buffers.take(1) is not kept


def test_what_is_kept_is_not_given_for_more_than_it_holds() -> None:
    buffers = Buffers()
    buffers.give(buffers.take(1))
    assert len(buffers.take(JOB_ROOM + 5)) == JOB_ROOM + 5
