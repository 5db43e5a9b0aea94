"""The coordinator's life: hello, one request after the other, the end of the session."""

import importlib
import os
import signal
import sys
import threading
import traceback
from dataclasses import dataclass
from typing import Any, Protocol

from . import box, native, protocol, restored, seal
from .byte_string import to_json
from .cancellation import Cancelled
from .errors import WorkerError, as_worker_error
from .gpu.devices import Device, devices, refusal
from .gpu.requirement import capabilities
from .session import EXIT_CANCELLED, Link, Request

WORKER_VERSION = "0.1.0"
# In small steps, so that another request does not wait long.
_OF_A_CREATE = ("entry", "scan", "index", "transfer", "create_window", "create_source", "create")

_DEEDS: dict[type, str] = {
    protocol.CreateRequest: "create",
    protocol.RestoreRequest: "restore",
    protocol.TranscodeRequest: "transcode",
    protocol.VerifyRequest: "verify",
    protocol.RateRequest: "rate",
    protocol.RepairRequest: "parity_repair",
}


@dataclass(frozen=True, slots=True)
class Box:
    """What a request's module may know of the box it runs on."""

    private: box.PrivateDir
    native: str | None
    identity: str
    cpus: int
    nvcomp: str | None = None
    gpus: tuple[Device, ...] = ()


class Deed(Protocol):
    """What the module of a request offers."""

    def run(self, link: Link, request: Any, box: Box) -> dict[str, Any]:
        """Does what is asked and gives the fields of `result`."""
        ...


def main(private: bytes, native_dir: str | None, nvcomp: str | None = None) -> int:
    """Serves one session over stdin and stdout."""
    # Whatever prints from here on prints to stderr: stdout is the protocol's alone.
    sink = os.dup(1)
    os.dup2(2, 1)
    os.set_inheritable(sink, False)
    os.umask(0o077)
    link = Link(0, sink)
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # On a thread of its own: the one that is interrupted may hold any lock.
        signal.signal(name, lambda *_: threading.Thread(target=link.stop).start())
    os.write(sink, protocol.MARKER.encode() + b"\n")
    own = box.PrivateDir(private)
    # Asked once: a driver in trouble takes its time each time.
    gpus = devices()
    facts = box.host_facts(own, gpus)
    offered = [*_capabilities(), *capabilities(nvcomp, refusal(gpus) is None)]
    link.send("hello", **_hello(own, facts, offered))
    link.start()
    _get_ready(link)
    this = Box(own, native_dir, facts["box"], facts["cpus"], nvcomp, tuple(gpus))
    while (request := link.next_request()) is not None:
        _answer(link, request, this)
        if link.cancelled.is_set():
            return EXIT_CANCELLED
    return 0


def _get_ready(link: Link) -> None:
    """Loads what a create needs, which most requests are, until one comes."""
    for name in _OF_A_CREATE:
        if link.has_request:
            return
        importlib.import_module(f".{name}", __package__)


def _hello(own: box.PrivateDir, facts: dict[str, Any], offered: list[str]) -> dict[str, Any]:
    return {
        "protocol": protocol.VERSION,
        "worker": WORKER_VERSION,
        "host": facts,
        "home": to_json(box.home()),
        "capabilities": offered,
        "restored": restored.read(own),
    }


def _capabilities() -> list[str]:
    try:
        native.zstd()
        native.blake3(b"")
    except WorkerError as error:
        print(error.message, file=sys.stderr)
        return []
    sealing = [seal.CAPABILITY] if seal.is_available() else []
    return [*sealing, "ordered", "planes2", "planes2of4", "planes4", "xor", "zstd"]


def _answer(link: Link, request: Request, this: Box) -> None:
    name = _DEEDS[type(request)]
    try:
        deed: Deed = importlib.import_module(f".{name}", __package__)
        result = deed.run(link, request, this)
    except BaseException as raised:
        if not isinstance(raised, (WorkerError, Cancelled)):
            traceback.print_exception(raised, file=sys.stderr)
        fields = _error(as_worker_error(raised))
        link.finish(lambda: link.send("error", to=request.id, **fields))
    else:
        link.finish(lambda: link.send("result", to=request.id, **result))


def _error(error: WorkerError) -> dict[str, Any]:
    fields: dict[str, Any] = {"code": error.code, "message": error.message[:4000]}
    if error.hint:
        fields["hint"] = error.hint
    if error.retry:
        fields["retry"] = True
    return fields
