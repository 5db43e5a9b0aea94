"""What can go wrong on a GPU; none of it may cost a snapshot."""

from typing import Literal

FaultKind = Literal[
    "start", "unable", "crash", "hang", "memory", "library", "protocol", "mismatch", "off"
]
"""`unable`: the library says that it cannot run on this box, now or later."""


class GpuFault(Exception):
    """The GPU did not do what was asked of it; what is to be encoded goes to the CPU."""

    def __init__(self, kind: FaultKind, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
