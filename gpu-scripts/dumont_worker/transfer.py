"""PUT and GET of single objects over signed URLs: bounded retries, silence is a fault."""

import contextlib
import http.client
import os
import random
import re
import socket
import ssl
import struct
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, Literal

from . import pace
from .cancellation import Cancelled, Flag
from .errors import WorkerError

Buffer = bytes | bytearray | memoryview
# Bytes of this attempt that have gone through, and the number of the attempt, from 1.
OnProgress = Callable[[int, int], None]

SILENCE_SECONDS = 25.0
ANSWER_SECONDS = 60.0
# Behind a tunnel all transfers wait in the same queues, and only its ends see it die.
TUNNEL_SECONDS = 300.0
_TUNNEL = "x-dumont-tunnel"
ATTEMPTS = 8
# A download that keeps moving is not given up for the number of its interruptions, within reason.
_GET_ATTEMPTS = 64
_SLICE = 1 << 20
_ANSWER_LIMIT = 1 << 16
_LONGEST_WAIT = 15.0
# An object is not begun anew for ever because its connections are slow.
_CUTS = 2
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
# 501 comes in short bursts from R2 and passes; 408 and 425 say "again" by definition.
_AGAIN = frozenset({408, 425, 429, 500, 501, 502, 503, 504})
# What S3 calls a body that did not arrive whole: the connection's fault, not the request's.
_AGAIN_CODES = frozenset(
    {"BadDigest", "ClientDisconnect", "IncompleteBody", "RequestTimeout", "SlowDown"}
)
_FULL = 507
_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
_CODE = re.compile(rb"<Code>([A-Za-z0-9.]{1,64})</Code>")


class UrlExpired(Exception):
    """The signed URL of a GET is no longer honoured: ask for a fresh one."""


@dataclass(frozen=True, slots=True)
class PutOutcome:
    """How a PUT ended.

    `exists` (412 or 409) is to be settled by looking, `expired` by a fresh URL for the same key.
    """

    kind: Literal["stored", "exists", "expired", "rejected"]
    status: int
    detail: str


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    code: str
    wait: float
    expired: bool

    @property
    def again(self) -> bool:
        return self.status in _AGAIN or self.code in _AGAIN_CODES

    @property
    def told(self) -> str:
        return f"{self.status} {self.code}".strip()


def put(
    signed: dict[str, Any],
    buffers: Sequence[Buffer],
    on_progress: OnProgress | None,
    cancelled: Flag,
) -> PutOutcome:
    """Sends the buffers, one after the other, as one object.

    Raises UNREACHABLE or STORE_BUSY when the retries are used up, TARGET_UNWRITABLE when the store
    has no room left, Cancelled when told to stop.
    """
    target = _Target.of(signed)
    report = on_progress or _nobody
    cuts = 0
    for attempt in range(1, ATTEMPTS + 1):
        report(0, attempt)
        fault: WorkerError
        wait = 0.0
        try:
            answer = _put_once(
                target, buffers, partial(_at, report, attempt), target.may_cut(cuts), cancelled
            )
        except _Cut:
            target.forget()
            cuts += 1
            continue
        except (OSError, http.client.HTTPException) as error:
            target.forget()
            fault = _unreachable(target, error)
        else:
            if answer.status == _FULL:
                raise _full()
            outcome = _outcome(answer)
            if outcome is not None:
                return outcome
            wait = answer.wait
            fault = _busy(answer)
        if attempt == ATTEMPTS:
            raise fault
        _pause(attempt, wait, cancelled)
    raise AssertionError("unreachable")


def get(
    signed: dict[str, Any],
    span: tuple[int, int],
    into: memoryview | None,
    on_progress: OnProgress | None,
    cancelled: Flag,
) -> memoryview:
    """Fetches bytes first…last (inclusive) of an object and gives the memory that holds them.

    That is the start of `into`, or fresh memory. A cut connection goes on where it stopped. Raises
    UrlExpired, Cancelled, and WorkerError: INTEGRITY when the object is absent or shorter,
    ACCESS_DENIED, UNREACHABLE, STORE_BUSY.
    """
    target = _Target.of(signed)
    first, last = span
    memory = memoryview(bytearray(last - first + 1)) if into is None else into[: last - first + 1]
    report = on_progress or _nobody
    done = failures = cuts = 0
    for attempt in range(1, _GET_ATTEMPTS + 1):
        before = done
        wait = 0.0
        fault: WorkerError
        try:
            may_be_cut = target.may_cut(cuts)
            pieces = _get_once(target, (first + done, last), memory[done:], may_be_cut, cancelled)
            for count in pieces:
                done += count
                report(done, attempt)
            return memory
        except _Refused as refused:
            answer = refused.answer
            if answer.expired:
                raise UrlExpired from None
            if not answer.again:
                raise _denied(answer) from None
            wait = answer.wait
            fault = _busy(answer)
        except _Cut:
            target.forget()
            cuts += 1
            continue
        except (OSError, http.client.HTTPException) as error:
            target.forget()
            fault = _unreachable(target, error)
        failures = 1 if done > before else failures + 1
        if failures == ATTEMPTS or attempt == _GET_ATTEMPTS:
            raise fault
        _pause(failures, wait, cancelled)
    raise AssertionError("unreachable")


class _Refused(Exception):
    def __init__(self, answer: _Answer) -> None:
        super().__init__(answer.told)
        self.answer = answer


class _Cut(Exception):
    """The connection was far slower than its siblings: begin again at once."""


@contextlib.contextmanager
def _paced(transfer: pace.Transfer) -> Iterator[None]:
    try:
        with pace.shared().watching(transfer):
            yield
    except (OSError, http.client.HTTPException) as error:
        if transfer.was_cut:
            raise _Cut from error
        raise


def _nobody(_done: int, _attempt: int) -> None:
    pass


def _at(report: OnProgress, attempt: int, done: int) -> None:
    report(done, attempt)


def _outcome(answer: _Answer) -> PutOutcome | None:
    """The final outcome, or None for another attempt."""
    if answer.status in (200, 201, 204):
        return PutOutcome("stored", answer.status, answer.told)
    if answer.status in (409, 412):
        return PutOutcome("exists", answer.status, answer.told)
    if answer.expired:
        return PutOutcome("expired", answer.status, answer.told)
    if answer.again:
        return None
    return PutOutcome("rejected", answer.status, answer.told)


def _put_once(
    target: "_Target",
    buffers: Sequence[Buffer],
    report: Callable[[int], None],
    may_be_cut: bool,
    cancelled: Flag,
) -> _Answer:
    total = sum(len(buffer) for buffer in buffers)
    connection = target.start("PUT", {"content-length": str(total)})
    transfer = pace.Transfer(connection.sock, total, resumes=False, may_be_cut=may_be_cut)
    broken: OSError | None = None
    try:
        with _paced(transfer):
            try:
                for buffer in buffers:
                    _send(target, transfer, buffer, report, cancelled)
            except OSError as error:
                # A store that refuses early closes its end while we send; the reason lies in its
                # answer.
                broken = error
            # Buffers on the way are still to be emptied when all has been handed over.
            connection.sock.settimeout(target.silence(ANSWER_SECONDS))
            response = connection.getresponse()
            answer = _read_answer(response)
    except Cancelled:
        target.forget()
        raise
    except (OSError, http.client.HTTPException):
        if broken is not None:
            raise broken from None
        raise
    if broken is not None or transfer.was_cut or response.will_close:
        target.forget()
    else:
        connection.sock.settimeout(SILENCE_SECONDS)
    return answer


def _send(
    target: "_Target",
    transfer: pace.Transfer,
    buffer: Buffer,
    report: Callable[[int], None],
    cancelled: Flag,
) -> None:
    view = memoryview(buffer).cast("B")
    moved_at = time.monotonic()
    while view:
        if cancelled.is_set():
            raise Cancelled
        # Not sendall: its time-out is for all of the data, ours is for silence.
        try:
            count = transfer.connection.send(view[:_SLICE])
        except TimeoutError:
            if time.monotonic() - moved_at < target.silence(SILENCE_SECONDS):
                continue
            raise
        moved_at = time.monotonic()
        view = view[count:]
        transfer.moved += count
        report(transfer.moved)


def _get_once(
    target: "_Target",
    span: tuple[int, int],
    memory: memoryview,
    may_be_cut: bool,
    cancelled: Flag,
) -> Iterator[int]:
    connection = target.start("GET", {"range": f"bytes={span[0]}-{span[1]}"})
    connection.sock.settimeout(target.silence(SILENCE_SECONDS))
    transfer = pace.Transfer(connection.sock, len(memory), resumes=True, may_be_cut=may_be_cut)
    with _paced(transfer):
        response = connection.getresponse()
        if response.status == 206:
            promised = response.getheader("content-range") or ""
            if not promised.startswith(f"bytes {span[0]}-{span[1]}/"):
                target.forget()
                message = "an object of the store is shorter than the index says"
                raise WorkerError("INTEGRITY", message)
        # A store may send the whole object when the range is the whole object.
        elif response.status != 200 or span[0] != 0 or response.length != len(memory):
            answer = _read_answer(response)
            target.forget()
            raise _Refused(answer)
        while memory:
            if cancelled.is_set():
                target.forget()
                raise Cancelled
            count = response.readinto(memory[:_SLICE])
            if count == 0:
                raise http.client.IncompleteRead(b"")
            memory = memory[count:]
            transfer.moved += count
            yield count
        # Reads the end of the message, so that the connection can be used again.
        is_usable = not response.read(1) and not response.will_close
    if transfer.was_cut or not is_usable:
        target.forget()


def _read_answer(response: http.client.HTTPResponse) -> _Answer:
    body = response.read(_ANSWER_LIMIT)
    if not response.isclosed() and response.read(1):
        response.will_close = True
    found = _CODE.search(body)
    code = found.group(1).decode() if found else ""
    # S3 says AccessDenied "Request has expired", R2 400 ExpiredRequest.
    expired = response.status in (400, 401, 403) and b"expired" in body.lower()
    after = response.getheader("retry-after") or ""
    wait = float(after) if after.isdigit() and len(after) < 6 else 0.0
    return _Answer(response.status, code, min(wait, 2 * _LONGEST_WAIT), expired)


def _pause(attempt: int, wait: float, cancelled: Flag) -> None:
    """Waits with full jitter, at least as long as the store asked for."""
    longest = min(_LONGEST_WAIT, 0.25 * 2**attempt)
    # Jitter needs no secrecy.
    if cancelled.wait(max(wait, random.uniform(longest / 4, longest))):
        raise Cancelled


@dataclass(frozen=True, slots=True)
class _Target:
    """Where one signed request goes, over the calling thread's kept connection to that host."""

    url: urllib.parse.SplitResult
    headers: dict[str, str]

    @classmethod
    def of(cls, signed: dict[str, Any]) -> "_Target":
        url = urllib.parse.urlsplit(signed["url"])
        if url.scheme not in ("http", "https") or not url.hostname:
            raise WorkerError("WORKER", "a signed URL is not http or https")
        told: dict[str, str] = signed.get("headers") or {}
        return cls(url, {name.lower(): value for name, value in told.items()})

    @property
    def is_tunnelled(self) -> bool:
        """Whether bytes go through an SSH connection to the operator's machine."""
        return _TUNNEL in self.headers

    def may_cut(self, cuts: int) -> bool:
        """Tells whether a new connection could be faster, after so many cuts."""
        return cuts < _CUTS and not self.is_tunnelled

    def silence(self, least: float) -> float:
        """Seconds without a byte that mean a dead connection."""
        return TUNNEL_SECONDS if self.is_tunnelled else pace.shared().silence(least)

    def start(self, method: str, more: dict[str, str]) -> http.client.HTTPConnection:
        """Sends the head of the request; signed headers go byte for byte."""
        connection = self._connection()
        path = self.url.path + ("?" + self.url.query if self.url.query else "")
        headers = more | self.headers
        connection.putrequest(method, path, skip_host="host" in headers, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        return connection

    def _connection(self) -> http.client.HTTPConnection:
        name = (self.url.scheme, self.url.netloc)
        connection = _kept().get(name)
        if connection is None:
            host, port = self.url.hostname or "", self.url.port
            if self.url.scheme == "https":
                connection = http.client.HTTPSConnection(
                    host, port, timeout=SILENCE_SECONDS, context=_tls()
                )
            else:
                connection = http.client.HTTPConnection(host, port, timeout=SILENCE_SECONDS)
            _kept()[name] = connection
        return connection

    def forget(self) -> None:
        """Closes the connection: its state is no longer known."""
        connection = _kept().pop((self.url.scheme, self.url.netloc), None)
        if connection is not None:
            with contextlib.suppress(OSError):
                if connection.sock is not None:
                    # What is given up must not go on filling the link from the kernel's buffers.
                    connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
                connection.close()


_local = threading.local()


def _kept() -> dict[tuple[str, str], http.client.HTTPConnection]:
    kept: dict[tuple[str, str], http.client.HTTPConnection] = _local.__dict__.setdefault("kept", {})
    return kept


@cache
def _tls() -> ssl.SSLContext:
    # Verifies names and chains; honours SSL_CERT_FILE and SSL_CERT_DIR.
    context = ssl.create_default_context()
    paths = ssl.get_default_verify_paths()
    if paths.cafile is None and paths.capath is None:
        # A Python that was built elsewhere looks for certificates where this system has none.
        for bundle in filter(os.path.isfile, _BUNDLES):
            context.load_verify_locations(bundle)
            break
    return context


def _unreachable(target: _Target, error: Exception) -> WorkerError:
    if isinstance(error, ssl.SSLCertVerificationError):
        hint = "the box needs the store's certificate authority (SSL_CERT_FILE)"
        return WorkerError("UNREACHABLE", f"{target.url.hostname}: {error.verify_message}", hint)
    what = getattr(error, "strerror", None) or type(error).__name__
    return WorkerError(
        "UNREACHABLE",
        f"the box cannot reach the store at {target.url.hostname}: {what}",
        None,
        True,
    )


def _busy(answer: _Answer) -> WorkerError:
    hint = "run the same command again in a while: it continues"
    return WorkerError("STORE_BUSY", f"the store keeps answering {answer.told}", hint, True)


def _full() -> WorkerError:
    hint = "free space there, or choose another store; the same command continues"
    return WorkerError("TARGET_UNWRITABLE", "the store has no space left", hint)


def _denied(answer: _Answer) -> WorkerError:
    if answer.status in (404, 416):
        return WorkerError("INTEGRITY", f"an object is missing in the store ({answer.told})")
    return WorkerError("ACCESS_DENIED", f"the store refused a download ({answer.told})")
