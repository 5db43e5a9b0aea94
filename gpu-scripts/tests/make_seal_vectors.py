"""Makes test/fixtures/seal/vectors.json by docs/format.md section 8, sharing no code with readers.

Usage, from gpu-scripts: python tests/make_seal_vectors.py FILE
"""

import base64
import hashlib
import hmac
import json
import struct
import sys
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM


def fixed(name: str, length: int) -> bytes:
    """Bytes that look random and are the same every time."""
    return hashlib.shake_256(name.encode()).digest(length)


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def hkdf(ikm: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    """RFC 5869 with SHA-256; an empty salt is 32 zero bytes."""
    key = hmac.digest(salt or bytes(32), ikm, "sha256")
    block = out = b""
    number = 1
    while len(out) < length:
        block = hmac.digest(key, block + info + bytes([number]), "sha256")
        out += block
        number += 1
    return out[:length]


REPOSITORY = fixed("repository", 16)
MASTER_ID = fixed("master id", 8)
MASTER = fixed("master", 32)
RUN_SALT = fixed("run salt", 32)
RUN_SECRET = hkdf(MASTER, RUN_SALT, b"dumont run 1" + REPOSITORY, 32)
MAC_KEY = hkdf(MASTER, b"", b"dumont mac 1" + REPOSITORY, 32)
KINDS = ("", "pack", "segment", "packs", "manifest", "record")
MANIFEST_KEY = "snapshots/20261123T140200Z-golden.json"
RECORD_KEY = "instances/vast-1-2/3"


def header_start(kind: int) -> bytes:
    return b"dmtS" + bytes([1, kind, 0, 0]) + REPOSITORY + MASTER_ID + RUN_SALT


def sealed(kind: int, plains: list[bytes], place: str = "") -> dict[str, object]:
    """One sealed object and all that goes into it."""
    salt = fixed(f"object salt {kind} {len(plains)}", 32)
    derived = hkdf(RUN_SECRET, salt, b"dumont object 1" + bytes([kind]), 64)
    key, commitment = derived[:32], derived[32:]
    header = header_start(kind) + salt + commitment
    content = header
    records = []
    for plain in plains:
        at = len(content)
        nonce = struct.pack("<Q", at) + bytes(4)
        record = AESGCM(key).encrypt(nonce, plain, header + place.encode())
        records.append({"at": at, "nonce": nonce.hex(), "plain": b64(plain), "record": b64(record)})
        content += record
    return {
        "kind": KINDS[kind],
        "number": kind,
        "place": place,
        "objectSalt": b64(salt),
        "objectKey": b64(key),
        "commitment": b64(commitment),
        "header": b64(header),
        "seal": b64(header[24:96]),
        "records": records,
        "object": b64(content),
    }


def with_seal(kind: int, place: str, plain: bytes) -> dict[str, str]:
    content = sealed(kind, [plain], place)["object"]
    stored = json.dumps({"format": 1, "sealed": content}, separators=(",", ":")) + "\n"
    return {"key": place, "plain": plain.decode(), "stored": stored}


def with_mac(place: str, plain: bytes) -> dict[str, str]:
    head, brace, rest = plain.rpartition(b"}")
    found = hmac.digest(MAC_KEY, place.encode() + b"\n" + head, "sha256")
    mac = f',"mac":"{MASTER_ID.hex()}.{found.hex()}"'.encode()
    return {"key": place, "plain": plain.decode(), "stored": (head + mac + brace + rest).decode()}


def secret_text(secret: bytes) -> str:
    check = hashlib.sha256(b"dumont secret 1" + secret).digest()[:3]
    text = base64.b32encode(secret + check).decode().lower().rstrip("=")
    return "-".join(["dumont-key", *[text[n : n + 7] for n in range(0, 56, 7)]])


def slot(kind: str, secret: bytes, kdf: dict[str, object]) -> dict[str, object]:
    name, salt, nonce = fixed(f"slot {kind}", 8).hex(), fixed(f"salt {kind}", 32), fixed("n", 12)
    if kdf["name"] == "scrypt":
        cost = {"n": 1 << 14, "r": 8, "p": 1}
        ikm = hashlib.scrypt(secret, salt=salt, dklen=32, maxmem=1 << 26, **cost)
        kdf = {"name": "scrypt", **cost, "salt": b64(salt)}
    else:
        ikm, kdf = secret, {**kdf, "salt": b64(salt)}
    derived = hkdf(ikm, salt, b"dumont slot 1", 64)
    master = {"id": MASTER_ID.hex(), "key": b64(MASTER), "created": "2026-11-23T14:02:00.000Z"}
    ring = json.dumps({"repository": REPOSITORY.hex(), "masters": [master]}, separators=(",", ":"))
    bound = f"dumont slot 1\n{REPOSITORY.hex()}\n{name}\n{kind}\n".encode()
    closed = nonce + AESGCM(derived[:32]).encrypt(nonce, ring.encode(), bound)
    return {
        "keyring": ring,
        "slotKey": b64(derived[:32]),
        "stored": {
            "format": 1,
            "slot": name,
            "repository": REPOSITORY.hex(),
            "kind": kind,
            "label": f"a {kind}",
            "created": "2026-11-23T14:02:00.000Z",
            "kdf": kdf,
            "commitment": derived[32:].hex(),
            "sealed": b64(closed),
        },
    }


def main(path: Path) -> None:
    """Writes all of it."""
    secret = fixed("secret", 32)
    # NFKC undoes a ligature and a full-width letter, and joins an accent with its letter.
    typed, normal = "o\ufb03ce \uff21 e\u0301", "office A \u00e9"
    frames = [b"", b"x", fixed("frame", 100), b"dumont " * 50]
    vectors = {
        "repository": REPOSITORY.hex(),
        "master": {"id": MASTER_ID.hex(), "key": b64(MASTER)},
        "run": {
            "salt": b64(RUN_SALT),
            "secret": b64(RUN_SECRET),
            "header": b64(header_start(0)),
        },
        "macKey": b64(MAC_KEY),
        "objects": [
            sealed(1, frames),
            sealed(2, [fixed("segment", 333)]),
            sealed(3, [fixed("list", 55)]),
            sealed(4, [b'{"format":1,"id":"x"}'], MANIFEST_KEY),
            sealed(5, [b'{"format":1,"state":"x"}\n'], RECORD_KEY),
        ],
        "sealedManifest": with_seal(4, MANIFEST_KEY, b'{"format":1,"id":"x"}'),
        "sealedRecord": with_seal(5, RECORD_KEY, b'{"format":1,"state":"x"}\n'),
        "authenticatedManifest": with_mac(MANIFEST_KEY, b'{"format":1,"id":"x"}'),
        "authenticatedRecord": with_mac(RECORD_KEY, b'{"format":1,"state":"x"}\n'),
        "secretText": {"secret": b64(secret), "text": secret_text(secret)},
        "slots": [
            {"typed": typed, **slot("passphrase", normal.encode(), {"name": "scrypt"})},
            {"secret": b64(secret), **slot("file", secret, {"name": "hkdf-sha256"})},
            {"secret": b64(secret), **slot("recovery", secret, {"name": "hkdf-sha256"})},
        ],
    }
    path.write_text(json.dumps(vectors, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
