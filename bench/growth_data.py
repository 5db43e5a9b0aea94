"""Makes what the growth benchmark saves: many small files, or few large ones.

usage: growth_data.py files DIRECTORY COUNT
       growth_data.py gigabytes DIRECTORY COUNT
       growth_data.py manifests FOLDER COUNT

`manifests` copies the one manifest in a folder of snapshots until there are COUNT, a hundred to a
lineage, each with the identity, time and parent that a real one would have.
"""

import hashlib
import json
import secrets
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

IN_A_DIRECTORY = 100
PAGE = 4096
RANDOM_IN_A_PAGE = 64
GIGABYTE = 1_000_000_000
A_LINEAGE = 100


def write_files(folder: Path, count: int) -> None:
    """Write small files, no two alike, of 100 to 3000 characters."""
    chooser = np.random.default_rng(count)
    lengths = chooser.integers(50, 1500, count).tolist()
    for number, length in enumerate(lengths):
        directory = folder / f"{number // IN_A_DIRECTORY:05d}"
        if number % IN_A_DIRECTORY == 0:
            directory.mkdir(parents=True)
        (directory / f"file-{number:07d}.txt").write_text(chooser.bytes(length).hex())


def write_gigabytes(folder: Path, count: int) -> None:
    """Write files without holes, a little of every page random: read in full, stored small."""
    folder.mkdir(parents=True)
    chooser = np.random.default_rng(count)
    pages = np.zeros((16_384, PAGE), np.uint8)
    for number in range(count):
        with (folder / f"sparse-random-{number:03d}.bin").open("wb") as file:
            while (left := GIGABYTE - file.tell()) > 0:
                pages[:, :RANDOM_IN_A_PAGE] = chooser.integers(
                    0, 256, (len(pages), RANDOM_IN_A_PAGE), np.uint8
                )
                file.write(pages.data.cast("B")[:left])


def write_manifests(folder: Path, count: int) -> None:
    """Fabricate manifests beside the one that is there."""
    (template,) = folder.glob("*.json")
    value = json.loads(template.read_bytes())
    begun = datetime(2026, 1, 1, tzinfo=UTC)
    parent: dict[str, str] | None = None
    lineage = ""
    for number in range(count - 1):
        if number % A_LINEAGE == 0:
            lineage, parent = secrets.token_hex(16), None
        moment = begun + timedelta(minutes=number)
        suffix = "".join(secrets.choice("abcdefghijklmnopqrstuvwxyz234567") for _ in range(6))
        identity = f"{moment:%Y%m%dT%H%M%SZ}-{suffix}"
        value |= {
            "created": f"{moment:%Y-%m-%dT%H:%M:%S.000Z}",
            "id": identity,
            "label": f"box-{number // A_LINEAGE:04d}",
            "lineage": lineage,
            "parent": parent,
            "sequence": number % A_LINEAGE + 1,
        }
        value["index"]["packs"]["key"] = f"index/{identity}/packs"
        for position, segment in enumerate(value["index"]["segments"]):
            segment["key"] = f"index/{identity}/{position}"
        content = json.dumps(value, separators=(",", ":")).encode()
        (folder / f"{identity}.json").write_bytes(content)
        parent = {"id": identity, "sha256": hashlib.sha256(content).hexdigest()}


DEEDS = {"files": write_files, "gigabytes": write_gigabytes, "manifests": write_manifests}


def main(argv: list[str]) -> int:
    """Run from the command line; returns the exit status."""
    if len(argv) != 3 or argv[0] not in DEEDS:
        print(__doc__, file=sys.stderr)
        return 2
    DEEDS[argv[0]](Path(argv[1]), int(argv[2]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
