"""How fast a box reaches a store, as the worker measures it."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from dumont_worker import rate
from dumont_worker.cancellation import Cancelled
from dumont_worker.errors import WorkerError
from dumont_worker.protocol import RateRequest

LENGTH = 100_000


class Store:
    """Takes and gives objects."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.status = 200
        self.hold = threading.Event()
        self.hold.set()
        store = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_PUT(self) -> None:
                data = self.rfile.read(int(self.headers["content-length"]))
                store.hold.wait(30)
                if store.status == 200:
                    store.objects[self.path] = data
                self.answer(store.status, b"")

            def do_GET(self) -> None:
                self.answer(200, store.objects[self.path])

            def answer(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def url(self, number: int) -> dict[str, Any]:
        return {"url": f"http://127.0.0.1:{self.server.server_port}/{number}", "headers": {}}


@pytest.fixture
def store() -> Iterator[Store]:
    made = Store()
    yield made
    made.hold.set()
    made.server.shutdown()
    made.server.server_close()


class Link:
    """An operator that says nothing until told to end it."""

    def __init__(self) -> None:
        self.ended = False

    def check(self) -> None:
        if self.ended:
            raise Cancelled


def measured(store: Store, link: Link | None = None, count: int = 3) -> dict[str, Any]:
    urls = tuple(store.url(number) for number in range(count))
    request = RateRequest(1, "0" * 32, LENGTH, urls, urls)
    return rate.run(link or Link(), request, None)  # type: ignore[arg-type]


def test_both_directions_are_measured(store: Store):
    result = measured(store)
    assert result["up"] > 0
    assert result["down"] > 0
    assert len(set(store.objects.values())) == 3
    assert {len(data) for data in store.objects.values()} == {LENGTH}


def test_the_content_is_what_the_operator_pinned():
    assert rate.content_of("seed", 1, 8).hex() == "7675388adacbb4dc"
    assert rate.content_of("a", 0, 100) != rate.content_of("a", 1, 100)


def test_a_store_that_refuses_is_a_failure(store: Store):
    store.status = 403
    with pytest.raises(WorkerError) as failure:
        measured(store)
    assert failure.value.code == "ACCESS_DENIED"


def test_other_bytes_than_were_sent_are_a_failure(store: Store, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(store, "objects", Swapped())
    with pytest.raises(WorkerError) as failure:
        measured(store)
    assert failure.value.code == "INTEGRITY"


class Swapped(dict[str, bytes]):
    """Gives other bytes than it took."""

    def __getitem__(self, key: str) -> bytes:
        return bytes(LENGTH)


def test_a_link_that_is_too_slow_ends_in_time(store: Store, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(rate, "_SECONDS", 0.2)
    monkeypatch.setattr(rate.transfer, "put", stuck)
    assert measured(store) == {"up": 0, "down": None}


def stuck(_signed: Any, _buffers: Any, _report: Any, ended: threading.Event) -> None:
    ended.wait(30)
    raise Cancelled


def test_an_interruption_ends_it(store: Store, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(rate.transfer, "put", stuck)
    link = Link()
    threading.Timer(0.1, lambda: setattr(link, "ended", True)).start()
    with pytest.raises(Cancelled):
        measured(store, link)
