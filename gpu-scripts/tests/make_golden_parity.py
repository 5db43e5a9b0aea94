"""Makes test/fixtures/format-1-parity of format-1, by docs/format.md section 9. Run once, by hand.

Usage, from gpu-scripts: python tests/make_golden_parity.py DIRECTORY (which must not exist yet).
"""

import base64
import gzip
import json
import sys
import zlib
from pathlib import Path
from typing import Any

STORE = Path(__file__).parents[2] / "test/fixtures/format-1/store"
SNAPSHOT = "20261123T160200Z-golde3"
FIRST = "20261123T140200Z-golden"
GROUPS = [
    (sorted(path.relative_to(STORE).as_posix() for path in STORE.glob("packs/*/*")), 3),
    ([f"index/{FIRST}/{name}" for name in ("0", "1", "packs")], 1),
]


def times(a: int, b: int) -> int:
    """A product in GF(2^8) with 0x11d."""
    total = 0
    for bit in range(8):
        total ^= a << bit if b >> bit & 1 else 0
    for bit in range(14, 7, -1):
        total ^= 0x11D << (bit - 8) if total >> bit & 1 else 0
    return total


def parity(members: list[bytes], row: int) -> bytes:
    total = bytearray(max(map(len, members)))
    for place, member in enumerate(members):
        factor = 1
        for _ in range(place * row):
            factor = times(factor, 2)
        table = [times(value, factor) for value in range(256)]
        for at, byte in enumerate(member):
            total[at] ^= table[byte]
    return bytes(total)


def told(key: str, data: bytes) -> dict[str, Any]:
    value = base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()
    return {"key": key, "length": len(data), "pin": {"kind": "crc32", "value": value}}


def main(directory: Path) -> None:
    directory.mkdir()
    lines: list[dict[str, Any]] = [{"kind": "groups", "format": 1, "snapshot": SNAPSHOT}]
    for number, (keys, rows) in enumerate(GROUPS):
        members = [(STORE / key).read_bytes() for key in keys]
        objects = {
            f"parity/{SNAPSHOT}/{number}-{row}-1": parity(members, row) for row in range(rows)
        }
        for key, data in objects.items():
            (directory / key).parent.mkdir(parents=True, exist_ok=True)
            (directory / key).write_bytes(data)
        group = {"members": list(map(told, keys, members))}
        group["parity"] = [told(key, data) for key, data in objects.items()]
        lines.append({"group": number, **group})
    text = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)
    listed = directory / f"index/{SNAPSHOT}/groups"
    listed.parent.mkdir(parents=True)
    listed.write_bytes(gzip.compress(text.encode(), mtime=0))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
