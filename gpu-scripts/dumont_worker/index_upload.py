"""Sends index segments and the pack list while the index is still being written, in their order."""

import hashlib
import queue
import threading
from typing import Any

from .cancellation import Flag
from .errors import WorkerError, as_worker_error
from .operator_desk import OperatorDesk
from .pack_builder import pin_of
from .parity_create import IndexParity
from .parity_groups import Stored
from .seal import Kind, Sealer
from .upload import upload


class IndexUpload:
    """One thread that sends objects of the index; at most two wait, then `emit` does."""

    def __init__(
        self,
        desk: OperatorDesk,
        pin_kind: str,
        cancelled: Flag,
        sealer: Sealer | None = None,
        parity: IndexParity | None = None,
    ) -> None:
        """With `parity`, what is sent is summed as well; a list of groups is not."""
        self.segments: list[dict[str, Any]] = []
        """What the manifest says of each segment."""
        self._desk = desk
        self._pin_kind = pin_kind
        self._cancelled = cancelled
        self._sealer = sealer
        self._parity = parity
        self._failure: WorkerError | None = None
        self._queue: queue.Queue[tuple[int, bytes] | None] = queue.Queue(maxsize=2)
        self._abandoned = threading.Event()
        self._thread = threading.Thread(target=self._work, name="index", daemon=True)
        self._thread.start()

    def emit(self, number: int, data: bytes) -> None:
        """Takes the next segment; raises what the sending of an earlier one raised."""
        self._put((number, data))

    def finish(self) -> None:
        """Waits until all segments are stored."""
        self._put(None)
        while self._thread.is_alive():
            self._thread.join(0.2)
            self._check()
        self._check()

    def abandon(self) -> None:
        """Ends the thread when the create has failed; what it is sending ends by itself."""
        self._abandoned.set()

    def send(self, kind: Kind, part: int, plain: bytes) -> dict[str, Any]:
        """Sends one object; gives its key, length and SHA-256, and its seal if it has one."""
        data: bytes | bytearray = plain
        more = {}
        if self._sealer is not None:
            data, more["seal"] = self._sealer.whole(kind, plain)
        pin = {"kind": self._pin_kind, "value": pin_of(self._pin_kind, data)}
        wanted = {"kind": kind, "part": part, "length": len(data), "pin": pin}
        key = upload(self._desk, wanted, [data], None, self._cancelled)
        if self._parity is not None and kind != "groups":
            self._parity.add(Stored(key, len(data), pin["kind"], pin["value"]), data)
        sha256 = hashlib.sha256(data).hexdigest()
        return {"key": key, "length": len(data), "sha256": sha256, **more}

    def _put(self, item: tuple[int, bytes] | None) -> None:
        while True:
            self._check()
            try:
                self._queue.put(item, timeout=0.2)
                return
            except queue.Full:
                continue

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _work(self) -> None:
        try:
            while not self._abandoned.is_set():
                try:
                    item = self._queue.get(timeout=1.0)
                except queue.Empty:
                    continue
                if item is None:
                    return
                self.segments.append(self.send("segment", *item))
        except BaseException as error:
            self._failure = as_worker_error(error)
