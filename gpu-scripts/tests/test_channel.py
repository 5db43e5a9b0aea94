"""Messages from end to end: whole, in order, however the bytes come."""

import pickle
import socket
import struct
import threading
from collections.abc import Iterator

import pytest

from dumont_worker.channel import Channel
from dumont_worker.errors import WorkerError


@pytest.fixture
def ends() -> Iterator[tuple[Channel, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield Channel(ours), theirs


def framed(message: object) -> bytes:
    data = pickle.dumps(message)
    return struct.pack("<I", len(data)) + data


def test_messages_arrive_as_they_were(ends: tuple[Channel, socket.socket]) -> None:
    one, socket_ = ends
    other = Channel(socket_)
    for message in [("a", 1), (), b"\0" * 10, [{"x": None}]]:
        one.send(message)
        assert other.receive() == message


def test_several_that_come_at_once_are_told_apart(ends: tuple[Channel, socket.socket]) -> None:
    channel, far = ends
    far.sendall(framed(1) + framed("two") + framed((3,)))
    assert [channel.receive() for _ in range(3)] == [1, "two", (3,)]


def test_one_that_comes_byte_by_byte_is_put_together(ends: tuple[Channel, socket.socket]) -> None:
    channel, far = ends
    data = framed(("slow", "message"))

    def drip() -> None:
        for at in range(len(data)):
            far.sendall(data[at : at + 1])

    dripping = threading.Thread(target=drip)
    dripping.start()
    assert channel.receive() == ("slow", "message")
    dripping.join(10)


def test_a_large_one_passes_a_small_buffer(ends: tuple[Channel, socket.socket]) -> None:
    channel, far = ends
    message = bytes(5 << 20)
    sending = threading.Thread(target=Channel(far).send, args=(message,))
    sending.start()
    assert channel.receive() == message
    sending.join(10)


def test_errors_keep_what_they_say(ends: tuple[Channel, socket.socket]) -> None:
    channel, far = ends
    Channel(far).send(WorkerError("STORE_BUSY", "later", "a hint", True))
    error = channel.receive()
    assert (error.code, error.message, error.hint, error.retry) == (
        "STORE_BUSY",
        "later",
        "a hint",
        True,
    )


@pytest.mark.parametrize("begun", [b"", framed("cut")[:-1], framed("cut")[:2]])
def test_the_end_is_told_even_in_the_middle(
    ends: tuple[Channel, socket.socket], begun: bytes
) -> None:
    channel, far = ends
    far.sendall(begun)
    far.close()
    with pytest.raises(EOFError):
        channel.receive()


def test_a_closed_end_sends_nothing(ends: tuple[Channel, socket.socket]) -> None:
    channel, _ = ends
    channel.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        channel.send("x")


def test_an_end_that_nobody_reads_is_an_error(ends: tuple[Channel, socket.socket]) -> None:
    channel, far = ends
    far.close()
    with pytest.raises(OSError, match=r"pipe|reset"):
        channel.send("x")
