"""PUT and GET: what is retried, what is reported, and that no attempt is endless."""

import shutil
import ssl
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest
from fake_operator import FakeStore, Fault, _pin

from dumont_worker import transfer
from dumont_worker.cancellation import Cancelled
from dumont_worker.errors import WorkerError

KEY = "packs/20261123T140200Z-k3f7qz/0-0-0"
BODY = bytes(range(256)) * 20_000


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "_LONGEST_WAIT", 0.01)


def never() -> threading.Event:
    return threading.Event()


def signed_put(store: FakeStore, body: bytes = BODY) -> dict[str, Any]:
    want = {"length": len(body), "pin": {"kind": "crc32", "value": _pin(body, "crc32")}}
    return store.sign("PUT", KEY, want)


def get(store: FakeStore, first: int = 0, last: int = len(BODY) - 1) -> bytes:
    return bytes(transfer.get(store.sign("GET", KEY, {}), (first, last), None, None, never()))


def test_buffers_arrive_as_one_object(store: FakeStore) -> None:
    seen: list[tuple[int, int]] = []
    parts = [BODY[:7], memoryview(BODY)[7:100_000], bytearray(BODY[100_000:])]
    outcome = transfer.put(signed_put(store), parts, lambda *at: seen.append(at), never())
    assert outcome.kind == "stored"
    assert store.objects[KEY] == BODY
    assert seen[0] == (0, 1)
    assert seen[-1] == (len(BODY), 1)


@pytest.mark.parametrize("kind", ["busy", "error", "cut"])
def test_passing_trouble_is_retried(store: FakeStore, kind: Any) -> None:
    store.faults.append(Fault("PUT", kind, 3))
    attempts: set[int] = set()
    outcome = transfer.put(signed_put(store), [BODY], lambda _, n: attempts.add(n), never())
    assert outcome.kind == "stored"
    assert attempts == {1, 2, 3, 4}


def test_a_put_whose_answer_was_lost_is_left_to_be_settled(store: FakeStore) -> None:
    store.faults.append(Fault("PUT", "ambiguous"))
    assert transfer.put(signed_put(store), [BODY], None, never()).kind == "exists"


def test_an_expired_url_is_not_retried(store: FakeStore) -> None:
    store.faults.append(Fault("PUT", "expired"))
    assert transfer.put(signed_put(store), [BODY], None, never()).kind == "expired"
    assert store.puts[KEY] == 1


def test_an_early_refusal_is_read_and_not_retried(store: FakeStore) -> None:
    store.faults.append(Fault("PUT", "early"))
    body = bytes(40 << 20)
    outcome = transfer.put(signed_put(store, body), [body], None, never())
    assert (outcome.kind, outcome.status, outcome.detail) == ("rejected", 403, "403 AccessDenied")


def test_retries_end(store: FakeStore) -> None:
    store.faults.append(Fault("PUT", "busy", 100))
    with pytest.raises(WorkerError) as failure:
        transfer.put(signed_put(store), [BODY], None, never())
    assert (failure.value.code, failure.value.retry) == ("STORE_BUSY", True)
    assert "503 SlowDown" in failure.value.message
    assert store.puts[KEY] == transfer.ATTEMPTS


class Outage:
    """A flag that is never set; its waits pass on a clock of their own, and so does the trouble."""

    def __init__(self, store: FakeStore, kind: Any, seconds: float) -> None:
        self.now = 0.0
        self._store = store
        self._until = seconds
        store.faults += [Fault("PUT", kind, 10_000), Fault("GET", kind, 10_000)]

    def is_set(self) -> bool:
        return False

    def wait(self, timeout: float | None = None) -> bool:
        self.now += timeout or 0
        if self.now >= self._until:
            self._store.faults.clear()
        return False


@pytest.mark.parametrize("kind", ["busy", "error", "cut"])
def test_an_outage_of_seconds_is_waited_for(
    store: FakeStore, kind: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "_LONGEST_WAIT", 15.0)
    outage = Outage(store, kind, 6)
    assert transfer.put(signed_put(store), [BODY], None, outage).kind == "stored"
    assert 6 <= outage.now < 60


@pytest.mark.parametrize("kind", ["busy", "error", "cut"])
def test_an_outage_of_minutes_is_told_within_one(
    store: FakeStore, kind: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "_LONGEST_WAIT", 15.0)
    outage = Outage(store, kind, 600)
    with pytest.raises(WorkerError) as failure:
        transfer.put(signed_put(store), [BODY], None, outage)
    assert failure.value.code == ("UNREACHABLE" if kind == "cut" else "STORE_BUSY")
    assert 10 < outage.now < 60


def test_a_download_waits_for_no_more_than_an_upload(
    store: FakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "_LONGEST_WAIT", 15.0)
    store.objects[KEY] = BODY
    outage = Outage(store, "busy", 600)
    with pytest.raises(WorkerError, match="503"):
        transfer.get(store.sign("GET", KEY, {}), (0, 9), None, None, outage)
    assert 10 < outage.now < 60


def test_a_store_without_room_is_not_asked_again(store: FakeStore) -> None:
    store.faults.append(Fault("PUT", "full", 100))
    with pytest.raises(WorkerError, match="no space left") as failure:
        transfer.put(signed_put(store), [BODY], None, never())
    assert (failure.value.code, failure.value.hint is None) == ("TARGET_UNWRITABLE", False)
    assert store.puts[KEY] == 1


def test_a_store_that_is_not_there_is_named_without_its_url() -> None:
    store = FakeStore()
    signed = signed_put(store)
    store.close()
    with pytest.raises(WorkerError) as failure:
        transfer.put(signed, [BODY], None, never())
    assert failure.value.code == "UNREACHABLE"
    assert "127.0.0.1" in failure.value.message
    assert "token" not in failure.value.message


def test_a_cancel_ends_the_waiting(store: FakeStore) -> None:
    store.faults.append(Fault("PUT", "busy", 100))
    cancelled = threading.Event()
    with pytest.raises(Cancelled):
        transfer.put(signed_put(store), [BODY], lambda _, n: n > 2 and cancelled.set(), cancelled)


def test_a_cancel_ends_the_sending(store: FakeStore) -> None:
    cancelled = threading.Event()
    with pytest.raises(Cancelled):
        transfer.put(signed_put(store), [BODY], lambda n, _: n > 0 and cancelled.set(), cancelled)


def test_one_connection_serves_many_requests(store: FakeStore) -> None:
    transfer.put(signed_put(store), [BODY], None, never())
    host = ("http", f"127.0.0.1:{store.server.server_port}")
    connection = transfer._kept()[host]
    for _ in range(3):
        get(store)
    assert transfer._kept()[host] is connection


def test_a_range_lands_in_the_memory_given(store: FakeStore) -> None:
    store.objects[KEY] = BODY
    memory = bytearray(1000)
    signed = store.sign("GET", KEY, {})
    found = transfer.get(signed, (300, 399), memoryview(memory)[500:], None, never())
    assert bytes(found) == BODY[300:400] == bytes(memory[500:600])
    assert not any(memory[600:])


@pytest.mark.parametrize("kind", ["truncated", "busy"])
def test_a_download_goes_on_after_trouble(store: FakeStore, kind: Any) -> None:
    store.objects[KEY] = BODY
    store.faults.append(Fault("GET", kind, 5))
    assert get(store) == BODY


def test_an_expired_download_asks_for_a_fresh_url(store: FakeStore) -> None:
    store.objects[KEY] = BODY
    store.faults.append(Fault("GET", "expired"))
    with pytest.raises(transfer.UrlExpired):
        get(store)


def test_an_absent_object_is_an_integrity_error(store: FakeStore) -> None:
    with pytest.raises(WorkerError) as failure:
        get(store)
    assert failure.value.code == "INTEGRITY"
    assert store.gets[KEY] == 1


def test_an_object_shorter_than_promised_is_an_integrity_error(store: FakeStore) -> None:
    store.objects[KEY] = BODY[:1000]
    with pytest.raises(WorkerError) as failure:
        get(store)
    assert failure.value.code == "INTEGRITY"


def test_downloads_that_never_move_end(store: FakeStore) -> None:
    store.objects[KEY] = BODY
    store.faults.append(Fault("GET", "busy", 100))
    with pytest.raises(WorkerError) as failure:
        get(store)
    assert failure.value.code == "STORE_BUSY"
    assert store.gets[KEY] == transfer.ATTEMPTS


def test_redirects_are_not_followed(store: FakeStore) -> None:
    signed = store.sign("GET", KEY, {})
    store.get = _redirect  # type: ignore[method-assign]
    with pytest.raises(WorkerError) as failure:
        transfer.get(signed, (0, 9), None, None, never())
    assert failure.value.code == "ACCESS_DENIED"


def _redirect(request: Any) -> None:
    request.send_response(302)
    request.send_header("location", "http://127.0.0.1:1/")
    request.send_header("content-length", "0")
    request.end_headers()


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://host/x", "http:///x"])
def test_only_http_is_spoken(url: str) -> None:
    with pytest.raises(WorkerError):
        transfer.put({"url": url, "headers": {}}, [b"x"], None, never())


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate for 127.0.0.1 with its key in the same file."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is missing")
    path = tmp_path / "store.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2"
    names = ["-subj", "/CN=store", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", str(tmp_path / "key.pem"), "-out", str(path)]
    subprocess.run([*command.split(), *names, *files], check=True, capture_output=True)
    with path.open("ab") as file:
        file.write((tmp_path / "key.pem").read_bytes())
    return path


@pytest.fixture
def tls_store(store: FakeStore, certificate: Path) -> FakeStore:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    store.server.socket = context.wrap_socket(store.server.socket, server_side=True)
    return store


def over_tls(signed: dict[str, Any]) -> dict[str, Any]:
    return signed | {"url": signed["url"].replace("http://", "https://")}


def test_tls_carries_both_ways(
    tls_store: FakeStore, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    transfer._tls.cache_clear()
    assert transfer.put(over_tls(signed_put(tls_store)), [BODY], None, never()).kind == "stored"
    signed = over_tls(tls_store.sign("GET", KEY, {}))
    assert bytes(transfer.get(signed, (0, len(BODY) - 1), None, None, never())) == BODY
    transfer._tls.cache_clear()


def test_a_certificate_of_nobody_known_is_refused_with_a_hint(tls_store: FakeStore) -> None:
    transfer._tls.cache_clear()
    with pytest.raises(WorkerError) as failure:
        transfer.put(over_tls(signed_put(tls_store)), [BODY], None, never())
    assert failure.value.code == "UNREACHABLE"
    assert "SSL_CERT_FILE" in (failure.value.hint or "")
    assert tls_store.objects == {}
