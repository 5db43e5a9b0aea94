"""Sealed objects: encrypted with the secret of a run, opened with the keys of single ones.

Section 8 of docs/format.md. Nothing of `cryptography` is loaded before the first key is used.
"""

import contextlib
import importlib.util
import os
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Literal

from .errors import WorkerError, integrity
from .native import BytesLike

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

Kind = Literal["pack", "segment", "packs", "groups"]
CAPABILITY = "aes-256-gcm"
HEADER = 128
"""Bytes of a sealed object before its first record."""
RUN_HEADER = 64
TAG = 16
"""Bytes by which a record is longer than what it holds."""
SEAL = 72
"""Bytes of what lists say to open an object: the parts of its header that nobody could guess."""
_KINDS: dict[Kind, int] = {"pack": 1, "segment": 2, "packs": 3, "groups": 6}
_PR_SET_DUMPABLE = 4


@dataclass(frozen=True, slots=True)
class RunSeal:
    """What seals the objects of one run: the start of their headers, and the run's secret."""

    header: bytes
    secret: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class ObjectSeal:
    """What opens one object: its header and its key."""

    header: bytes
    secret: bytes = field(repr=False)


def is_available() -> bool:
    """Whether this Python seems to have AES-GCM; tells without loading it."""
    return all(importlib.util.find_spec(name) for name in ("cryptography", "_cffi_backend"))


def require() -> None:
    """Refuses a box that cannot seal; raises BOX_UNSUITABLE."""
    _aesgcm()


@cache
def _aesgcm() -> "type[AESGCM]":
    try:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415
    except (ImportError, OSError) as error:
        raise WorkerError(
            "BOX_UNSUITABLE",
            f"this store is sealed, and this box cannot encrypt ({error})",
            "run the command again: dumont installs its helpers in its own directory",
        ) from None
    import ctypes  # noqa: PLC0415 - few runs are sealed

    # Whoever needs this holds keys: other processes of the same user shall not read its memory.
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    return AESGCM


class SealedObject:
    """One object with its key; `header` is what it begins with, records are known by offset."""

    def __init__(self, header: bytes, key: bytes) -> None:
        self.header = header
        self._cipher = _aesgcm()(key)
        self._closed = HEADER

    @property
    def seal(self) -> str:
        """What lists say to open it, base64."""
        return b64encode(self.header[24 : 24 + SEAL]).decode()

    def close(self, at: int, plain: BytesLike, into: memoryview) -> None:
        """Writes the record at this offset of the object; each lies behind the one before."""
        if at < self._closed:
            # A nonce that comes twice gives everything away.
            raise ValueError(f"a record at {at} after one that ends at {self._closed}")
        self._closed = at + len(into)
        self._cipher.encrypt_into(_nonce(at), plain, self.header, into)

    def open(self, at: int, record: BytesLike) -> bytes:
        """Gives what the record at this offset of the object holds; raises INTEGRITY."""
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - only sealed runs have it

        try:
            return self._cipher.decrypt(_nonce(at), record, self.header)
        except InvalidTag:
            raise integrity("a sealed record was changed, or belongs elsewhere") from None


class Sealer:
    """Begins objects of one run: each has a key of its own, for any number of threads."""

    def __init__(self, run: RunSeal, random: Callable[[int], bytes] = os.urandom) -> None:
        require()
        self._run = run
        self._random = random

    def begin(self, kind: Kind) -> SealedObject:
        """Draws a new salt, and so a key that nothing else has."""
        from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF  # noqa: PLC0415

        number, salt = bytes([_KINDS[kind]]), self._random(32)
        derived = HKDF(SHA256(), 64, salt, b"dumont object 1" + number).derive(self._run.secret)
        start = self._run.header
        return SealedObject(start[:5] + number + start[6:] + salt + derived[32:], derived[:32])

    def whole(self, kind: Kind, plain: bytes) -> tuple[bytearray, str]:
        """Seals an object of one record; gives what is stored, and its seal."""
        made = self.begin(kind)
        stored = bytearray(HEADER + len(plain) + TAG)
        stored[:HEADER] = made.header
        made.close(HEADER, plain, memoryview(stored)[HEADER:])
        return stored, made.seal


def opener(seal: ObjectSeal, kind: Kind) -> SealedObject:
    """Gives what opens the records of one object; raises INTEGRITY for one of another kind."""
    if seal.header[:8] != b"dmtS" + bytes([1, _KINDS[kind], 0, 0]):
        raise integrity("a sealed object of another kind")
    return SealedObject(seal.header, seal.secret)


def open_whole(seal: ObjectSeal | None, kind: Kind, stored: bytes) -> bytes:
    """Gives what an object of one record holds, itself where it is not sealed; INTEGRITY."""
    if seal is None:
        return stored
    if stored[:HEADER] != seal.header:
        raise integrity("an object with another seal")
    return opener(seal, kind).open(HEADER, memoryview(stored)[HEADER:])


def check_alike(key: str, seal: ObjectSeal | None, sealed: bool) -> None:
    """Refuses, with INTEGRITY, an object that is sealed where none is, or the other way round."""
    if (seal is not None) != sealed:
        raise integrity(f"{key} is {'not ' if sealed else ''}sealed, unlike all of its store")


def _nonce(at: int) -> bytes:
    return at.to_bytes(12, "little")
