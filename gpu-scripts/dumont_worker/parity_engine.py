"""A restore engine's way to parity: one chunk at a time, for it takes memory."""

import threading

from . import transfer
from .engine import Message, Port
from .engine_desk import EngineDesk
from .errors import WorkerError
from .native import BytesLike, blake3
from .parity_groups import Stored
from .parity_rebuild import Remains

_RENEWALS = 3


class ChunkRebuild:
    """Makes chunks again that their packs do not hold any more."""

    def __init__(self, port: Port) -> None:
        """Ask the coordinator behind `port`."""
        self._port = port
        self._desk = EngineDesk(port)
        self._lock = threading.Lock()

    def take(self, message: Message) -> bool:
        """Take an answer of the coordinator; False for any other message."""
        return self._desk.take(message)

    def frame(self, key: str, at: int, stored: int, frame_hash: bytes) -> BytesLike | None:
        """Return a frame of a pack, proven by its hash; None where the pack has no parity.

        WorkerError INTEGRITY when it is lost.
        """
        with self._lock:
            for attempt in range(_RENEWALS):
                try:
                    return self._made(key, (at, stored), frame_hash, renew=attempt > 0)
                except transfer.UrlExpired:
                    continue
        raise WorkerError("ACCESS_DENIED", "the store takes every URL for an expired one")

    def _made(
        self, key: str, span: tuple[int, int], frame_hash: bytes, renew: bool
    ) -> BytesLike | None:
        found = self._desk.group(key, renew)
        if found is None:
            return None
        group, urls = found
        signed = {one.key: url for one, url in zip(group.objects, urls, strict=True)}

        def fetch(one: Stored, first: int, length: int) -> BytesLike:
            last = first + length - 1
            return transfer.get(signed[one.key], (first, last), None, None, self._port.failed)

        remains = Remains(group, span, {key}, fetch)
        data = remains.member(key, lambda made: blake3(made) == frame_hash)
        self._port.send(("rebuilt", key))
        return data
