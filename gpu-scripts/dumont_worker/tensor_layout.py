"""Where tensors lie in a file, and what the readers of all formats share."""

import os
from typing import NamedTuple

TENSORS_MOST = 200_000


class Tensor(NamedTuple):
    """Where a tensor's data lies in the file, and the bytes of one element where known.

    `name` is what tells it from others of the model, and the same in its other checkpoints; empty
    for what is no tensor.
    """

    start: int
    end: int
    width: int | None
    name: str = ""


class Layout(NamedTuple):
    """How long the header is, and the tensors by offset: inside the file, none overlapping."""

    header: int
    tensors: tuple[Tensor, ...]


class OddError(Exception):
    """Not the plain form of the format: the file is cut by content instead."""


def read_exactly(fd: int, length: int, offset: int) -> bytes:
    """Reads exactly so much; raises OddError where the file ends before."""
    parts = []
    while length:
        part = os.pread(fd, length, offset)
        if not part:
            raise OddError
        parts.append(part)
        offset += len(part)
        length -= len(part)
    return b"".join(parts)
