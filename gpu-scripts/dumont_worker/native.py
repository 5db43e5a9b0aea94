"""Lazy access to the compiled helpers installed in the box's private directory."""

import importlib
from functools import cache
from types import ModuleType
from typing import Any, Protocol

from .errors import WorkerError

BytesLike = bytes | bytearray | memoryview


class Blake3(Protocol):
    """An incremental BLAKE3-256."""

    def update(self, data: BytesLike, /) -> Any:
        """Adds the next bytes."""

    def digest(self) -> bytes:
        """Gives the 32-byte digest of all bytes so far."""


@cache
def zstd() -> ModuleType:
    """Gives the zstd module: the standard library's where there is one, else its backport."""
    return _first("compression.zstd", "backports.zstd")


@cache
def numpy() -> ModuleType | None:
    """Gives numpy, or None where the box has none."""
    return _optional("numpy")


@cache
def cdc() -> ModuleType | None:
    """Gives the content-defined cutter, or None where the box has none."""
    return _optional("pyfastcdc")


@cache
def _blake3() -> Any:
    return _first("blake3").blake3


def blake3(data: BytesLike) -> bytes:
    """Gives the 32-byte BLAKE3 digest; releases the interpreter lock for all but tiny inputs."""
    digest: bytes = _blake3()(data).digest()
    return digest


def new_blake3() -> Blake3:
    """Starts an incremental BLAKE3."""
    hasher: Blake3 = _blake3()()
    return hasher


def _first(*names: str) -> ModuleType:
    for name in names:
        module = _optional(name)
        if module is not None:
            return module
    raise WorkerError(
        "BOX_UNSUITABLE",
        f"this Python has no {names[-1]}",
        "run the command again: dumont installs its helpers in its own directory",
    )


def _optional(name: str) -> ModuleType | None:
    # A wheel for another machine type raises ImportError too, numpy against a strange libc OSError.
    try:
        return importlib.import_module(name)
    except (ImportError, OSError):
        return None
