"""Makes the workspace of `npm run demo` around real weights, and changes it like a day of work.

usage: demo_workspace.py make WORKSPACE WEIGHTS VENV SOURCES
       demo_workspace.py change WORKSPACE
"""

import json
import os
import shutil
import struct
import sys
from pathlib import Path
from typing import Any

import numpy as np

FP32 = "checkpoints/step-1000/model.safetensors"
BF16 = "models/minilm-bf16/model.safetensors"
CHANGED_TENSOR = "encoder.layer.3.attention.self.query.weight"
SPARSE_SIZE = 1 << 40


def make(workspace: Path, weights: Path, venv: Path, sources: Path) -> None:
    """Fill an empty directory: weights in both widths, venv, code, text, sparse, linked files."""
    for path in (FP32, BF16):
        (workspace / path).parent.mkdir(parents=True)
    shutil.copyfile(weights / "model.safetensors", workspace / FP32)
    write_bf16(workspace / FP32, workspace / BF16)
    for small in weights.glob("*.json"):
        shutil.copyfile(small, workspace / "models/minilm-bf16" / small.name)
    os.link(workspace / FP32, workspace / "checkpoints/latest.safetensors")
    shutil.copytree(venv, workspace / "venv", symlinks=True)
    for name in ("src", "gpu-scripts", "test", "docs", "scripts"):
        ignore = shutil.ignore_patterns("__pycache__", ".*")
        shutil.copytree(sources / name, workspace / "code" / name, symlinks=True, ignore=ignore)
    shutil.copyfile(weights / "vocab.txt", workspace / "vocab.txt")
    with (workspace / "train.log").open("w") as log:
        log.writelines(log_line(step) for step in range(40_000))
    with (workspace / "scratch.img").open("wb") as image:
        image.write(b"a terabyte with two sentences in it")
        image.truncate(SPARSE_SIZE)
        image.seek(SPARSE_SIZE // 2)
        image.write(b"this is the other one")


def change(workspace: Path) -> None:
    """Train one tensor a little, go on with the log, add a file."""
    header, start = read_header(workspace / FP32)
    tensor = header[CHANGED_TENSOR]
    first, last = tensor["data_offsets"]
    shape = ((last - first) // 4,)
    data = np.memmap(workspace / FP32, "<f4", mode="r+", offset=start + first, shape=shape)
    data *= np.float32(1.0001)
    data.flush()
    with (workspace / "train.log").open("a") as log:
        log.writelines(log_line(step) for step in range(40_000, 41_000))
    (workspace / "notes.md").write_text("# Day two\n\nThe loss went down.\n")


def log_line(step: int) -> str:
    """Give one line like a trainer's, the same for the same step."""
    loss = 8.0 / (1 + step * 0.001) + (step * 2654435761 % 1000) / 5000
    return f"step {step:>6} | loss {loss:.4f} | lr {3e-4 * 0.9999**step:.3e}\n"


def read_header(path: Path) -> tuple[dict[str, Any], int]:
    """Return the header of a safetensors file and the offset at which its data begins."""
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        return json.loads(file.read(length)), 8 + length


def write_bf16(source: Path, target: Path) -> None:
    """Write the fp32 tensors of a safetensors file as bfloat16, rounded to nearest even."""
    header, start = read_header(source)
    header.pop("__metadata__", None)
    names = sorted(header, key=lambda name: header[name]["data_offsets"])
    converted: list[bytes] = []
    described: dict[str, Any] = {}
    offset = 0
    for name in names:
        first, last = header[name]["data_offsets"]
        raw = np.fromfile(source, np.uint8, last - first, offset=start + first)
        kind = header[name]["dtype"]
        data = to_bf16(raw.view("<u4")).tobytes() if kind == "F32" else raw.tobytes()
        described[name] = {
            "dtype": "BF16" if kind == "F32" else kind,
            "shape": header[name]["shape"],
            "data_offsets": [offset, offset + len(data)],
        }
        converted.append(data)
        offset += len(data)
    text = json.dumps(described).encode()
    text += b" " * (-len(text) % 8)
    with target.open("wb") as file:
        file.writelines([struct.pack("<Q", len(text)), text, *converted])


def to_bf16(words: "np.ndarray[Any, np.dtype[np.uint32]]") -> "np.ndarray[Any, Any]":
    """Keep the high half of each fp32 word, rounded to nearest even."""
    wide = words.astype(np.uint64)
    return ((wide + 0x7FFF + ((wide >> 16) & 1)) >> 16).astype("<u2")


def main(argv: list[str]) -> int:
    """Run from the command line; returns the exit status."""
    match argv:
        case ["make", workspace, weights, venv, sources]:
            make(Path(workspace), Path(weights), Path(venv), Path(sources))
        case ["change", workspace]:
            change(Path(workspace))
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
