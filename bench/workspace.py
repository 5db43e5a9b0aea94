"""Makes the workspace that the benchmark saves and restores, and changes one checkpoint of it.

usage: workspace.py make DIRECTORY VARIANTS --size full|quick --weights DIR --checkpoints DIR
                    --venv DIR --sources DIR
       workspace.py put VARIANT FILE

Everything that is not real says so in its name (synthetic-…, random.bin) or here: the JSON lines
are random words of a real vocabulary, the log is made. The checkpoints are those of a real
fine-tune (finetune.py), five steps apart, each of them another state. Nothing is repeated to gain
volume.
"""

import argparse
import json
import os
import shutil
import struct
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

MB = 1_000_000
HIDDEN = 2048
CHANGED = "checkpoints/step-40/model.safetensors"


@dataclass(frozen=True, slots=True)
class Size:
    """Megabytes of what is made rather than copied."""

    bf16: int
    fp32: int
    json_lines: int
    log: int
    random: int
    steps: tuple[int, ...]
    """Of the fine-tune, whose checkpoints are kept."""


SIZES = {
    "full": Size(420, 230, 60, 25, 110, (5, 10, 15, 20, 25, 30, 35, 40)),
    "quick": Size(60, 32, 12, 5, 20, (10, 25, 40)),
}


def make(folder: Path, variants: Path, size: Size, given: argparse.Namespace) -> None:
    """Fill an empty directory, and write both states of the checkpoint that will change."""
    weights: Path = given.weights / "model.safetensors"
    chooser = np.random.default_rng(1)
    for name, width in (("fp32", "F32"), ("bf16", "BF16")):
        model = folder / f"models/minilm-{name}"
        model.mkdir(parents=True)
        rewrite(weights, model / "model.safetensors", width)
        for small in given.weights.glob("*.json"):
            shutil.copyfile(small, model / small.name)
    synthesize(folder / "models/synthetic-bf16", size.bf16 * MB, "BF16", chooser)
    synthesize(folder / "models/synthetic-fp32", size.fp32 * MB, "F32", chooser)
    for step in size.steps:
        target = folder / f"checkpoints/step-{step}/model.safetensors"
        checkpoint(given.checkpoints / f"step-{step}.npz", weights, target)
    os.link(folder / "checkpoints/step-25/model.safetensors", folder / "checkpoints/best")
    variants.mkdir(parents=True, exist_ok=True)
    shutil.copy2(folder / CHANGED, variants / "before")
    checkpoint(given.checkpoints / "step-41.npz", weights, variants / "after")
    shutil.copytree(given.venv, folder / "venv", symlinks=True)
    copy_sources(given.sources, folder / "code")
    words = (given.weights / "vocab.txt").read_text().split("\n")
    write_json_lines(folder / "data/train.jsonl", size.json_lines * MB, words, chooser)
    write_log(folder / "logs/train.log", size.log * MB, chooser)
    (folder / "data/random.bin").write_bytes(chooser.bytes(size.random * MB))


def put(variant: Path, target: Path) -> None:
    """Replace a file as a trainer does: write beside it, rename."""
    beside = target.with_name(f"{target.name}.new")
    shutil.copyfile(variant, beside)
    if variant.name == "before":
        shutil.copystat(variant, beside)
    beside.rename(target)


def synthesize(folder: Path, wanted: int, width: str, chooser: np.random.Generator) -> None:
    """Write layers of normal numbers, each row scaled on its own, as trained weights are."""
    folder.mkdir(parents=True)
    each = HIDDEN * HIDDEN * (2 if width == "BF16" else 4)
    names = [f"layers.{number}.weight" for number in range(max(1, wanted // each))]

    def tensors() -> Iterator[tuple[str, list[int], Any]]:
        for name in names:
            rows = np.exp(chooser.normal(-3.7, 0.35, (HIDDEN, 1))).astype(np.float32)
            yield (
                name,
                [HIDDEN, HIDDEN],
                chooser.standard_normal((HIDDEN, HIDDEN), np.float32) * rows,
            )

    shapes = [(name, [HIDDEN, HIDDEN]) for name in names]
    write_safetensors(folder / "model.safetensors", shapes, width, tensors())


def rewrite(source: Path, target: Path, width: str) -> None:
    """Write real weights in another width, rounded to nearest even."""
    write_safetensors(target, shapes_of(source), width, read_tensors(source))


def checkpoint(state: Path, source: Path, target: Path) -> None:
    """Write a state of the fine-tune of `source` in bf16, as most trainers save it."""
    trained = np.load(state)
    shapes = shapes_of(source)
    target.parent.mkdir(parents=True, exist_ok=True)
    tensors = ((name, shape, trained[name]) for name, shape in shapes)
    write_safetensors(target, shapes, "BF16", tensors)


def shapes_of(source: Path) -> list[tuple[str, list[int]]]:
    """Names and shapes of the fp32 tensors of a file, in the order of their data."""
    header, _ = read_header(source)
    names = sorted(header, key=lambda name: header[name]["data_offsets"][0])
    return [(name, header[name]["shape"]) for name in names if header[name]["dtype"] == "F32"]


def read_tensors(source: Path) -> Iterator[tuple[str, list[int], Any]]:
    """Give the fp32 tensors of a file, flat, in the order of their data."""
    header, start = read_header(source)
    for name, shape in shapes_of(source):
        first, last = header[name]["data_offsets"]
        yield name, shape, np.fromfile(source, "<f4", (last - first) // 4, offset=start + first)


def read_header(path: Path) -> tuple[dict[str, Any], int]:
    """Return the header of a safetensors file and the offset at which its data begins."""
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
    header.pop("__metadata__", None)
    return header, 8 + length


def write_safetensors(
    target: Path,
    shapes: list[tuple[str, list[int]]],
    width: str,
    tensors: Iterator[tuple[str, list[int], Any]],
) -> None:
    """Write fp32 tensors, which come in the order of `shapes`, in the width asked for."""
    header: dict[str, Any] = {}
    offset = 0
    for name, shape in shapes:
        length = int(np.prod(shape)) * (2 if width == "BF16" else 4)
        header[name] = {"dtype": width, "shape": shape, "data_offsets": [offset, offset + length]}
        offset += length
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with target.open("wb") as file:
        file.writelines([struct.pack("<Q", len(text)), text])
        for _, _, data in tensors:
            wide = np.ascontiguousarray(data, "<f4")
            file.write((to_bf16(wide.view("<u4")) if width == "BF16" else wide).tobytes())


def to_bf16(words: Any) -> Any:
    """Keep the high half of each fp32 word, rounded to nearest even."""
    return ((words + (0x7FFF + ((words >> 16) & 1))) >> 16).astype("<u2")


def copy_sources(repository: Path, target: Path) -> None:
    """Copy this repository's text and the Python library's: real code, no binaries."""
    ignore = shutil.ignore_patterns(
        "__pycache__", ".*", "*.pyc", "*.so", "site-packages", "config-*"
    )
    for name in ("src", "gpu-scripts", "test", "docs", "scripts"):
        shutil.copytree(repository / name, target / "dumont" / name, symlinks=True, ignore=ignore)
    library = Path(sysconfig.get_path("stdlib"))
    shutil.copytree(library, target / "python", symlinks=True, ignore=ignore)


def write_json_lines(target: Path, wanted: int, words: list[str], chooser: Any) -> None:
    """Write records of random words, the common ones far more often (Zipf)."""
    target.parent.mkdir(parents=True)
    known = [word for word in words if word.isalpha()]
    written = number = 0
    with target.open("w") as file:
        while written < wanted:
            lengths = chooser.integers(20, 120, 2000)
            ranks = iter((chooser.zipf(1.2, int(lengths.sum())) % len(known)).tolist())
            scores = chooser.random(2000).tolist()
            for length, score in zip(lengths.tolist(), scores, strict=True):
                text = " ".join(known[next(ranks)] for _ in range(length))
                record = {"id": f"doc-{number:08d}", "score": round(score, 6), "text": text}
                written += file.write(json.dumps(record) + "\n")
                number += 1


def write_log(target: Path, wanted: int, chooser: Any) -> None:
    """Write lines like a trainer's."""
    target.parent.mkdir(parents=True)
    written = step = 0
    with target.open("w") as file:
        while written < wanted:
            for noise, pace in chooser.normal(0, 0.05, (10_000, 2)).tolist():
                loss = 8 / (1 + step * 1e-4) + noise
                written += file.write(
                    f"2026-11-{1 + step // 86400 % 28:02d} step {step:>8} | loss {loss:.5f} | "
                    f"grad {1 + abs(noise) * 3:.4f} | {2.1 + pace:.3f} it/s | lr {3e-4:.2e}\n"
                )
                step += 1


def main() -> int:
    """Run from the command line; returns the exit status."""
    parser = argparse.ArgumentParser()
    deeds = parser.add_subparsers(dest="deed", required=True)
    making = deeds.add_parser("make")
    making.add_argument("folder", type=Path)
    making.add_argument("variants", type=Path)
    making.add_argument("--size", choices=sorted(SIZES), required=True)
    for name in ("weights", "checkpoints", "venv", "sources"):
        making.add_argument(f"--{name}", type=Path, required=True)
    putting = deeds.add_parser("put")
    putting.add_argument("variant", type=Path)
    putting.add_argument("file", type=Path)
    options = parser.parse_args()
    if options.deed == "make":
        make(options.folder, options.variants, SIZES[options.size], options)
    else:
        put(options.variant, options.file)
    return 0


if __name__ == "__main__":
    sys.exit(main())
