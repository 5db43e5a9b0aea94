"""A strict operator's machine and store in one process, for tests that drive the real worker."""

import base64
import contextlib
import hashlib
import json
import os
import queue
import subprocess
import sys
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

PACKAGE = Path(__file__).parent.parent / "dumont_worker"
REPOSITORY = "00112233445566778899aabbccddeeff"
LINEAGE = "0123456789abcdef0123456789abcdef"
CREATE = {
    "excludes": [],
    "excludeCaches": False,
    "crossMounts": False,
    "protect": [],
    "parts": 8,
    "memory": 1 << 30,
    "codec": "auto",
    "level": 3,
    "delta": True,
    "reread": False,
    "pin": "crc32",
    "dryRun": False,
    "parent": None,
}

Json = dict[str, Any]
FaultKind = Literal[
    "ambiguous",  # stored, then the connection is cut before the answer
    "busy",  # 503
    "full",  # 507
    "error",  # 500 after the body was read
    "expired",  # the URL is refused as expired
    "cut",  # the connection is cut in the middle of the body
    "early",  # 403 before the body is read, and the connection is closed
    "truncated",  # a GET's body ends early
    "stalled",  # half of the body has come through, and nothing more until `resumed` is set
    "other",  # someone else's bytes lie under the key: 412
]


@dataclass
class Fault:
    method: str
    kind: FaultKind
    times: int = 1
    after: int = 0
    prefix: str = "packs/"


class FakeStore:
    """Objects over HTTP: signed, pinned, write-once, with faults on demand."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.faults: list[Fault] = []
        self.signed: dict[str, Json] = {}
        self.puts: Counter[str] = Counter()
        self.gets: Counter[str] = Counter()
        self.broken_rules: list[str] = []
        self.busy = 0
        self.most_busy = 0
        self.resumed = threading.Event()
        self.before_put: Callable[[str], None] = lambda key: None
        self.lock = threading.Lock()
        store = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_PUT(self) -> None:
                store.put(self)

            def do_GET(self) -> None:
                store.get(self)

            def log_message(self, *_: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, *_: Any) -> None:
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def sign(self, method: str, key: str, want: Json) -> Json:
        token = base64.urlsafe_b64encode(os.urandom(9)).decode()
        headers = {}
        if method == "PUT":
            headers = {"content-length": str(want["length"]), "if-none-match": "*"}
            name = "x-amz-checksum-crc32" if want["pin"]["kind"] == "crc32" else "content-md5"
            headers[name] = want["pin"]["value"]
        more = self.opening(key) if method == "GET" else {}
        with self.lock:
            self.signed[token] = {"method": method, "key": key, "headers": headers}
        url = f"http://127.0.0.1:{self.server.server_port}/{key}?token={token}"
        return {"key": key, "url": url, "headers": headers, **more}

    def seal_run(self) -> Json | None:
        """What a run on a box gets to seal with; see sealing.SealedStore."""
        return None

    def opening(self, key: str) -> Json:
        """What a reply to `fetch` says of an object besides."""
        return {}

    def plain(self, ref: Json) -> bytes:
        """An object of the index, opened."""
        return self.objects[ref["key"]]

    def rewrite(self, ref: Json, plain: bytes) -> None:
        """Puts another content into an object of the index."""
        self.objects[ref["key"]] = plain
        ref |= {"length": len(plain), "sha256": hashlib.sha256(plain).hexdigest()}

    def unseal(self, key: str, seal: str | None, at: int) -> Callable[[memoryview], bytes] | None:
        """What opens the record of a pack at this offset."""
        assert seal is None
        return None

    def put(self, request: BaseHTTPRequestHandler) -> None:
        key = self._allowed(request, "PUT")
        fault = self._fault("PUT", key)
        if fault == "early":
            request.close_connection = True
            return _answer(request, 403, b"<Error><Code>AccessDenied</Code></Error>")
        length = int(request.headers["content-length"])
        with self.lock:
            self.busy += 1
            self.most_busy = max(self.most_busy, self.busy)
        try:
            self.before_put(key)
            body = request.rfile.read(length // 2 if fault in ("cut", "stalled") else length)
            if fault == "stalled":
                self.resumed.wait(60)
        finally:
            with self.lock:
                self.busy -= 1
        if fault == "cut" or len(body) != length:
            return _hang_up(request)
        with self.lock:
            self.puts[key] += 1
            if fault == "other":
                self.objects.setdefault(key, b"someone else's")
            return self._store(request, key, body, fault)

    def _store(self, request: BaseHTTPRequestHandler, key: str, body: bytes, fault: str) -> None:
        refusals = {
            "busy": (503, b"<Code>SlowDown</Code>"),
            "full": (507, b"<Code>InsufficientStorage</Code>"),
            "error": (500, b"<Code>InternalError</Code>"),
            "expired": (403, b"<Code>AccessDenied</Code><Message>Request has expired</Message>"),
        }
        if fault in refusals:
            return _answer(request, *refusals[fault])
        if key in self.objects:
            return _answer(request, 412, b"<Code>PreconditionFailed</Code>")
        if not _has_pin(body, request.headers):
            self.broken_rules.append(f"wrong checksum for {key}")
            return _answer(request, 400, b"<Code>BadDigest</Code>")
        self.objects[key] = body
        if fault == "ambiguous":
            return _hang_up(request)
        return _answer(request, 200)

    def get(self, request: BaseHTTPRequestHandler) -> None:
        key = self._allowed(request, "GET")
        fault = self._fault("GET", key)
        with self.lock:
            self.gets[key] += 1
        if fault == "expired":
            return _answer(request, 403, b"<Code>AccessDenied</Code>Request has expired")
        if fault == "busy":
            return _answer(request, 503, b"<Code>SlowDown</Code>")
        data = self.objects.get(key)
        if data is None:
            return _answer(request, 404, b"<Code>NoSuchKey</Code>")
        first, last = map(int, request.headers["range"].removeprefix("bytes=").split("-"))
        body = data[first : last + 1]
        if fault == "stalled":
            request.send_response(206)
            request.send_header("content-range", f"bytes {first}-{last}/{len(data)}")
            request.send_header("content-length", str(len(body)))
            request.end_headers()
            request.wfile.write(body[: len(body) // 2])
            self.resumed.wait(60)
            return _hang_up(request)
        if fault == "truncated":
            return _answer(
                request,
                206,
                body[: len(body) // 2],
                {
                    "content-length": str(len(body)),
                    "content-range": f"bytes {first}-{first + len(body) - 1}/{len(data)}",
                    "connection": "close",
                },
            )
        content_range = f"bytes {first}-{first + len(body) - 1}/{len(data)}"
        return _answer(request, 206, body, {"content-range": content_range})

    def _allowed(self, request: BaseHTTPRequestHandler, method: str) -> str:
        url = urlsplit(request.path)
        signed = self.signed.get(parse_qs(url.query).get("token", [""])[0])
        key = url.path[1:]
        if signed is None or (signed["method"], signed["key"]) != (method, key):
            self.broken_rules.append(f"{method} {key} without a signature")
        else:
            for name, value in signed["headers"].items():
                if request.headers.get(name) != value:
                    self.broken_rules.append(f"{method} {key} with another {name}")
        return key

    def _fault(self, method: str, key: str) -> str:
        with self.lock:
            for fault in self.faults:
                if fault.method == method and key.startswith(fault.prefix) and fault.times:
                    if fault.after:
                        fault.after -= 1
                        continue
                    fault.times -= 1
                    return fault.kind
        return ""

    def holds(self, key: str, want: Json) -> bool:
        body = self.objects.get(key)
        return (
            body is not None
            and len(body) == want["length"]
            and _pin(body, want["pin"]["kind"]) == want["pin"]["value"]
        )

    def packs(self) -> list[str]:
        return sorted(key for key in self.objects if key.startswith("packs/"))

    def close(self) -> None:
        self.resumed.set()
        self.server.shutdown()
        self.server.server_close()


def _pin(body: bytes, kind: str) -> str:
    if kind == "md5":
        return base64.b64encode(hashlib.md5(body).digest()).decode()
    return base64.b64encode(zlib.crc32(body).to_bytes(4, "big")).decode()


def _has_pin(body: bytes, headers: Any) -> bool:
    if (value := headers.get("content-md5")) is not None:
        return bool(value == _pin(body, "md5"))
    return bool(headers.get("x-amz-checksum-crc32") == _pin(body, "crc32"))


def _answer(
    request: BaseHTTPRequestHandler, status: int, body: bytes = b"", headers: Json | None = None
) -> None:
    request.send_response(status)
    for name, value in ({"content-length": str(len(body))} | (headers or {})).items():
        request.send_header(name, value)
    request.end_headers()
    request.wfile.write(body)
    if (headers or {}).get("connection") == "close":
        request.close_connection = True


def _hang_up(request: BaseHTTPRequestHandler) -> None:
    request.close_connection = True
    request.connection.close()


class WorkerFailed(Exception):
    """The worker answered with an error."""

    def __init__(self, error: Json) -> None:
        super().__init__(f"{error.get('code')}: {error.get('message')}")
        self.error = error
        self.code = error.get("code")


@dataclass
class FakeOperator:
    """Runs one worker and answers it by the rules of docs/protocol.md.

    Breaches are kept in `broken_rules`.
    """

    store: FakeStore
    private: Path
    arguments: list[str] = field(default_factory=list)
    program: Path = PACKAGE

    def __post_init__(self) -> None:
        self.hello: Json = {}
        self.messages: list[Json] = []
        self.broken_rules: list[str] = []
        self.settled: list[tuple[str, bool]] = []
        self.earlier_asked: list[Json] = []
        self.allotted: dict[str, Json] = {}
        self.refuse_earlier = False
        self.nvcomp: str | None = None
        self.on_message: Callable[[Json], None] = lambda message: None
        self.snapshot = ""
        self.parts = 1
        self._counter = 0
        self._answers: queue.SimpleQueue[Json] = queue.SimpleQueue()
        self._hello = threading.Event()
        self._ids: set[int] = set()
        self._lock = threading.Lock()
        command = [sys.executable, "-I", str(self.program), "--private", str(self.private)]
        self.process = subprocess.Popen(
            command + self.arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        threading.Thread(target=self._read, daemon=True).start()
        threading.Thread(target=self._live, daemon=True).start()
        assert self._hello.wait(60), "no hello"

    def __enter__(self) -> "FakeOperator":
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> int:
        """Ends stdin, as a lost connection does; gives the exit code."""
        with contextlib.suppress(OSError):
            assert self.process.stdin is not None
            self.process.stdin.close()
        try:
            return self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise

    def send(self, type_: str, **fields: Any) -> None:
        assert self.process.stdin is not None
        line = json.dumps({"type": type_, **fields}).encode() + b"\n"
        with self._lock, contextlib.suppress(OSError, ValueError):
            self.process.stdin.write(line)
            self.process.stdin.flush()

    def create(self, *roots: Path, timeout: float = 120, **fields: Any) -> Json:
        """Asks for a snapshot and waits for its result; raises WorkerFailed."""
        self.start_create(*roots, **fields)
        return self.wait(timeout)

    def start_create(self, *roots: Path, **fields: Any) -> None:
        self._counter += 1
        self.snapshot = fields.pop("snapshot", None) or snapshot_id(self._counter)
        request = {
            "id": self._counter,
            "snapshot": self.snapshot,
            "repository": REPOSITORY,
            "lineage": LINEAGE,
            "roots": [os.fspath(root) for root in roots],
            "seal": self.store.seal_run(),
            **CREATE,
            **fields,
        }
        self.parts = request["parts"]
        self.send("create", **request)

    def wait(self, timeout: float = 120) -> Json:
        answer = self._answers.get(timeout=timeout)
        if answer["type"] == "error":
            raise WorkerFailed(answer)
        return answer

    def of_type(self, type_: str) -> list[Json]:
        return [message for message in self.messages if message["type"] == type_]

    def _live(self) -> None:
        """A busy machine may take longer than a worker waits for a sign of life."""
        while self.process.poll() is None:
            self.send("heartbeat")
            time.sleep(5)

    def _read(self) -> None:
        assert self.process.stdout is not None
        started = False
        for line in self.process.stdout:
            if not started:
                started = line == b"dumont-worker 1\n"
                continue
            message = json.loads(line)
            self.messages.append(message)
            self.on_message(message)
            self._take(message)
        self._answers.put({"type": "error", "code": "ENDED", "message": "the worker ended"})

    def _take(self, message: Json) -> None:
        kind = message["type"]
        if kind == "hello":
            self.hello = message
            self._hello.set()
        elif kind in ("result", "error"):
            self._answers.put(message)
        elif kind in ("sign", "fetch", "settle", "earlier", "nvcomp"):
            if message["id"] in self._ids:
                self.broken_rules.append(f"id {message['id']} twice")
            self._ids.add(message["id"])
            answer: Callable[[Json], Json] = getattr(self, f"_{kind}")
            self.send("reply", to=message["id"], **answer(message))
        elif kind not in ("progress", "warning", "heartbeat", "checked", "lost"):
            self.broken_rules.append(f"unknown message {kind}")

    def _sign(self, message: Json) -> Json:
        if len(message["objects"]) > 2 * self.parts:
            self.broken_rules.append("more than 2 · parts objects in one message")
        return {"urls": [self._sign_one(want) for want in message["objects"]]}

    def _sign_one(self, want: Json) -> Json:
        if "key" in want:
            before = self.allotted.get(want["key"])
            if before is None or before["length"] != want["length"] or before["pin"] != want["pin"]:
                self.broken_rules.append("asks again for a key it was not given for these bytes")
            return self.store.sign("PUT", want["key"], want)
        part = want["part"]
        if want["kind"] == "pack":
            if not 0 <= part < self.parts:
                self.broken_rules.append(f"part {part} of {self.parts}")
            key = f"packs/{self.snapshot}/{part}-{len(self.allotted)}-0"
        elif want["kind"] == "segment":
            key = f"index/{self.snapshot}/{part}"
        else:
            key = f"index/{self.snapshot}/packs"
        self.allotted[key] = want
        return self.store.sign("PUT", key, want)

    def _nvcomp(self, _: Json) -> Json:
        return {"nvcomp": self.nvcomp}

    def _fetch(self, message: Json) -> Json:
        return {"urls": [self.store.sign("GET", key, {}) for key in message["keys"]]}

    def _settle(self, message: Json) -> Json:
        key = message["key"]
        stored = self.store.holds(key, self.allotted[key])
        self.settled.append((key, stored))
        return {"stored": stored}

    def _earlier(self, message: Json) -> Json:
        self.earlier_asked += message["packs"]
        if len(message["packs"]) > 1000:
            self.broken_rules.append("more than 1000 packs in one message")
        accepted = [
            pack["key"]
            for pack in message["packs"]
            if not self.refuse_earlier and self.store.holds(pack["key"], pack)
        ]
        return {"accepted": accepted}


def snapshot_id(number: int) -> str:
    """Ids whose time is that of now, so that the order of runs is the order of ids."""
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    letters = "abcdefghijklmnopqrstuvwxyz234567"
    return f"{stamp}-" + "".join(letters[b % 32] for b in os.urandom(5)) + letters[number % 32]


def parent_of(result: Json, snapshot: str) -> Json:
    """The `parent` field of the create that follows this result."""
    index = result["index"]
    return {
        "id": snapshot,
        "segments": index["segments"],
        "packs": index["packs"],
        "reuse": True,
        "unusable": [],
    }


def restore_of(operator: FakeOperator, created: dict[str, Any], target: Path) -> dict[str, Any]:
    return {
        "id": 1000,
        "snapshot": operator.snapshot,
        "lineage": LINEAGE,
        "roots": created["roots"],
        "segments": created["index"]["segments"],
        "packs": created["index"]["packs"],
        "target": str(target),
        "include": [],
        "overwrite": "if-changed",
        "delete": False,
        "rules": {
            "excludes": [],
            "excludeCaches": False,
            "crossMounts": False,
            "skippedMounts": [],
        },
        "devices": True,
        "includeAccessFiles": False,
        "privileges": True,
        "parts": 8,
        "memory": 1 << 29,
        "dryRun": False,
        "salvage": False,
    }
