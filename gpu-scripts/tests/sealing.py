"""A store that is sealed, and the keys of its operator: shares no code with the worker."""

import base64
import os
from base64 import b64decode, b64encode
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from fake_operator import REPOSITORY, FakeStore
from make_seal_vectors import hkdf

KINDS = {"pack": 1, "segment": 2, "packs": 3, "groups": 6}


class Keys:
    """The masters of one store."""

    def __init__(self, repository: str = REPOSITORY) -> None:
        self.repository = bytes.fromhex(repository)
        self.masters: dict[bytes, bytes] = {}
        self.told: list[bytes] = []
        """Every secret that any box was given."""
        self.rotate()

    def rotate(self) -> None:
        self.newest = os.urandom(8)
        self.masters[self.newest] = os.urandom(32)

    def new_run(self) -> dict[str, str]:
        salt = os.urandom(32)
        header = b"dmtS\1\0\0\0" + self.repository + self.newest + salt
        return self._told(header, self._run_secret(self.newest, salt))

    def of_object(self, kind: str, seal: bytes) -> dict[str, str]:
        header, key = self._opened(kind, seal)
        return self._told(header, key)

    def open(self, kind: str, header: bytes, at: int, record: bytes) -> bytes:
        """What a record holds; for the readers of tests."""
        expected, key = self._opened(kind, header[24:96])
        assert header == expected
        return AESGCM(key).decrypt(at.to_bytes(12, "little"), record, header)

    def _opened(self, kind: str, seal: bytes) -> tuple[bytes, bytes]:
        number = bytes([KINDS[kind]])
        secret = self._run_secret(seal[:8], seal[8:40])
        derived = hkdf(secret, seal[40:], b"dumont object 1" + number, 64)
        return b"dmtS\1" + number + bytes(2) + self.repository + seal + derived[32:], derived[:32]

    def _run_secret(self, master: bytes, salt: bytes) -> bytes:
        return hkdf(self.masters[master], salt, b"dumont run 1" + self.repository, 32)

    def _told(self, header: bytes, secret: bytes) -> dict[str, str]:
        self.told.append(secret)
        return {"header": b64encode(header).decode(), "secret": b64encode(secret).decode()}


def kind_of(key: str) -> str:
    if key.startswith("packs/"):
        return "pack"
    last = key.rsplit("/", maxsplit=1)[-1]
    return last if last in KINDS else "segment"


class SealedStore(FakeStore):
    """A store whose operator has keys, and knows the seal of every object that came in."""

    def __init__(self) -> None:
        super().__init__()
        self.keys = Keys()
        self.seals: dict[str, bytes] = {}
        self.alter: Callable[[str, dict[str, str]], object] = lambda key, told: told
        """What the operator says of an object instead."""

    def seal_run(self) -> dict[str, str]:
        return self.keys.new_run()

    def opening(self, key: str) -> dict[str, Any]:
        told = self.keys.of_object(kind_of(key), self.seals[key]) if key in self.seals else {}
        return {"seal": self.alter(key, told)}

    def plain(self, ref: dict[str, Any]) -> bytes:
        stored = self.objects[ref["key"]]
        assert b64decode(ref["seal"]) == stored[24:96]
        return self.keys.open(kind_of(ref["key"]), stored[:128], 128, stored[128:])

    def unseal(self, key: str, seal: str | None, at: int) -> Callable[[memoryview], bytes]:
        header = self.objects[key][:128]
        assert seal is not None
        assert b64decode(seal) == header[24:96]
        return lambda record: self.keys.open("pack", header, at, bytes(record))

    def _store(self, request: BaseHTTPRequestHandler, key: str, body: bytes, fault: str) -> None:
        if not key.startswith("parity/"):
            self.seals.setdefault(key, body[24:96])
        super()._store(request, key, body, fault)

    def rewrite(self, ref: dict[str, Any], plain: bytes) -> None:
        """Puts another content into an object of the index, sealed as the operator would."""
        kind, header = kind_of(ref["key"]), self.objects[ref["key"]][:128]
        told = self.keys.of_object(kind, header[24:96])
        key, nonce = b64decode(told["secret"]), (128).to_bytes(12, "little")
        super().rewrite(ref, header + AESGCM(key).encrypt(nonce, plain, header))


def shapes_of(secret: bytes) -> list[bytes]:
    """How a key could lie in memory or on a disk."""
    encoded = [base64.b64encode(secret), base64.urlsafe_b64encode(secret), secret.hex().encode()]
    return [secret, *encoded, encoded[2].upper()]
