"""Writes synthetic checkpoints beside a real one: every weight moved a little, as training would.

usage: noisy_checkpoints.py CHECKPOINT DIRECTORY COUNT
"""

import sys
from pathlib import Path

import numpy as np


def main(argv: list[str]) -> int:
    """Run from the command line; returns the exit status."""
    source, folder, count = Path(argv[0]), Path(argv[1]), int(argv[2])
    header = 8 + int.from_bytes(source.read_bytes()[:8], "little")
    weights = np.fromfile(source, "<f4", offset=header)
    chooser = np.random.default_rng(6)
    for step in range(count):
        target = folder / f"step-{step:04d}" / source.name
        target.parent.mkdir(parents=True)
        noise = chooser.standard_normal(weights.shape, np.float32)
        with target.open("wb") as file:
            file.write(source.read_bytes()[:header])
            (weights * (1 + np.float32(1e-3) * noise)).astype("<f4").tofile(file)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
