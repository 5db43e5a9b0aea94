"""Chunks of waiting tasks that a GPU decodes together, before they are asked for one by one."""

import contextlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from .errors import WorkerError
from .frame import open_frame, parse_header
from .gpu.batch import HELD_MOST
from .gpu.codec import Payload
from .native import BytesLike

if TYPE_CHECKING:
    from .gpu.decoder import AnsDecoder
    from .restore_writer import Task


class Ahead:
    """What one decoding thread has from the GPU; at most `HELD_MOST` bytes."""

    def __init__(self, decoder: "AnsDecoder") -> None:
        """Decode with what the whole process shares."""
        self._decoder = decoder
        self._raws: dict[bytes, bytes] = {}

    def fill(self, tasks: "Iterable[Task]") -> None:
        """Decode what can be had at once; forget what is left of the last time.

        Nothing is said of what goes wrong: who asks for such a chunk finds out.
        """
        waiting: dict[bytes, Payload] = {}
        held = 0
        for task in tasks:
            for raw_hash, payload in _payloads(task):
                if held + payload.raw_length <= HELD_MOST and raw_hash not in waiting:
                    waiting[raw_hash] = payload
                    held += payload.raw_length
        self._raws = {}
        self._raws = self._decoder.together(waiting) if waiting else {}

    def take(self, raw_hash: bytes) -> BytesLike | None:
        """Return a proven chunk, once; None where it was not decoded."""
        return self._raws.pop(raw_hash, None)


def _payloads(task: "Task") -> Iterator[tuple[bytes, Payload]]:
    """Give the ANS payloads that were fetched and are intact, by raw hash."""
    for (pack, at, stored, raw_length, raw_hash, frame_hash), place, base in (
        *task.chunks,
        *task.bases,
    ):
        # Of what a file holds, and of differences, the frame may never be wanted.
        data = None if place is not None or base is not None else task.frame(pack, at, stored)
        if data is None:
            continue
        with contextlib.suppress(WorkerError):
            unseal = task.unseal(pack, at)
            if unseal is None and parse_header(data).codec != "ans":
                continue
            frame = open_frame(data, raw_hash, frame_hash, unseal)
            header = parse_header(frame)
            told = (header.codec, header.raw_length, header.length, header.base)
            if told == ("ans", raw_length, len(frame), None):
                payload = frame[header.header_length :]
                yield raw_hash, Payload(payload, header.transform, raw_length)
