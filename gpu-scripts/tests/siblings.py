"""Checkpoints of one model, for tests: tensors near those of the step before."""

import io
import json
import os
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

Weights = dict[str, Any]
MIB = 1 << 20


def model(*tensors: int, seed: int = 1) -> Weights:
    """Fresh float32 weights: `tensors` are their bytes."""
    source = np.random.default_rng(seed)
    return {
        f"layer{number}": source.normal(0, 0.02, size // 4).astype("<f4")
        for number, size in enumerate(tensors)
    }


def tuned(weights: Weights, seed: int, by: float = 1e-5) -> Weights:
    """The weights some steps of training later."""
    source = np.random.default_rng(seed)
    return {
        name: values + source.normal(0, by, len(values)).astype("<f4")
        for name, values in weights.items()
    }


def as_bytes(values: Any, dtype: str) -> bytes:
    if dtype == "BF16":
        return bytes((values.view("<u4") >> 16).astype("<u2").tobytes())
    return bytes(values.astype({"F16": "<f2", "F32": "<f4"}[dtype]).tobytes())


def safetensors(
    path: Path, weights: Weights, dtype: str = "BF16", note: str = "", rows: int = 1
) -> Path:
    header: dict[str, Any] = {"__metadata__": {"note": note}}
    parts = {name: as_bytes(values, dtype) for name, values in weights.items()}
    at = 0
    for name, data in parts.items():
        shape = [rows, len(weights[name]) // rows]
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + len(data)]}
        at += len(data)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(parts.values()))
    return path


def torch_zip(path: Path, weights: Weights, dtype: str = "F32") -> Path:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("archive/data.pkl", b"pickle" * 40)
        for number, values in enumerate(weights.values()):
            archive.writestr(f"archive/data/{number}", as_bytes(values, dtype))
        archive.writestr("archive/version", b"3\n")
    path.write_bytes(file.getvalue())
    return path


def gguf(path: Path, weights: Weights) -> Path:
    """Saves float32 tensors, each a whole number of 32 bytes."""
    body = struct.pack("<4sLQQ", b"GGUF", 3, len(weights), 0)
    at = 0
    for name, values in weights.items():
        body += struct.pack("<Q", len(name)) + name.encode()
        body += struct.pack("<LQLQ", 1, len(values), 0, at)
        at += 4 * len(values)
    data = b"".join(as_bytes(values, "F32") for values in weights.values())
    path.write_bytes(body + bytes(-len(body) % 32) + data)
    return path


def age(*paths: Path) -> None:
    """As if they had been written long ago, so that the next create takes them for settled."""
    for path in paths:
        os.utime(path, (1_700_000_000, 1_700_000_000))
