"""Measures what checkpoints of a fine-tune take in a store alone, and as differences.

usage: delta_table.py CHECKPOINTS WEIGHTS SCRATCH

CHECKPOINTS is what finetune.py wrote. Each is written as safetensors in a width, cut as the worker
cuts files, and every chunk is coded by the worker's own code: alone, and as a difference wherever
the worker would store one. Prints JSON.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
from finetune import read_weights
from workspace import to_bf16

sys.path.insert(0, str(Path(__file__).parents[1] / "gpu-scripts"))

from dumont_worker import cut
from dumont_worker.base_reader import BaseReader, Bases
from dumont_worker.codecs.choose import encode_chunk
from dumont_worker.create_messages import BaseFile
from dumont_worker.delta_encoder import DeltaEncoder
from dumont_worker.file_state import fstat
from dumont_worker.frame import HEADER
from dumont_worker.native import blake3
from dumont_worker.siblings import Siblings

LEVEL = 3
KINDS = ("bf16", "fp16", "fp32", "m", "v")
ADAM = ("m", "v")
PAIRS = ((10, 11), (10, 15), (10, 40))

Tensors = dict[str, Any]


def main(checkpoints: Path, weights: Path, scratch: Path) -> None:
    """Print a list of what was measured."""
    rows = []
    for kind in KINDS:
        for before, after in PAIRS:
            pair = load(checkpoints, before), load(checkpoints, after)
            row = {"kind": kind, "from": f"step {before}", "steps": after - before}
            rows.append(row | measured(kind, pair, scratch))
    for kind in KINDS[:3]:
        for before, after in PAIRS:
            layers = [layers_of(load(checkpoints, step)) for step in (before, after)]
            row = {"kind": f"{kind} layers", "from": f"step {before}", "steps": after - before}
            rows.append(row | measured(kind, (layers[0], layers[1]), scratch))
    published, last = read_weights(weights), PAIRS[-1][1]
    for kind in KINDS[:3]:
        row = {"kind": kind, "from": "the published model", "steps": last}
        rows.append(row | measured(kind, (published, load(checkpoints, last)), scratch))
    print(json.dumps(rows))


def load(checkpoints: Path, step: int) -> Tensors:
    """What was kept of a step."""
    return dict(np.load(checkpoints / f"step-{step}.npz"))


def layers_of(tensors: Tensors) -> Tensors:
    """Leave the embeddings out, most rows of which no batch has touched."""
    return {name: data for name, data in tensors.items() if name.startswith("encoder.layer.")}


def measured(kind: str, pair: tuple[Tensors, Tensors], scratch: Path) -> dict[str, object]:
    """Write two states in a width, and measure the second."""
    base, changed = scratch / "base.safetensors", scratch / "changed.safetensors"
    for path, tensors in zip((base, changed), pair, strict=True):
        write(path, tensors, kind)
    return measure(base, changed)


def write(path: Path, tensors: Tensors, kind: str) -> None:
    """Write weights in a width, or one of Adam's states in fp32."""
    header: dict[str, Any] = {}
    parts = []
    at = 0
    adam = kind in ADAM
    for whole_name, data in tensors.items():
        state, _, name = whole_name.partition(".")
        if (state in ADAM) != adam or (adam and state != kind):
            continue
        words = np.ascontiguousarray(data, "<f4")
        if kind == "bf16":
            words = to_bf16(words.view("<u4"))
        elif kind == "fp16":
            words = words.astype("<f2")
        dtype = {"bf16": "BF16", "fp16": "F16"}.get(kind, "F32")
        shape, span = list(data.shape), [at, at + words.nbytes]
        header[name if adam else whole_name] = {
            "dtype": dtype,
            "shape": shape,
            "data_offsets": span,
        }
        parts.append(words.tobytes())
        at += words.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(b"".join([len(text).to_bytes(8, "little"), text, *parts]))


def measure(base: Path, changed: Path) -> dict[str, object]:
    """Stored bytes of a file's chunks alone, and with that file at hand to differ from."""
    siblings = Siblings()
    base_plan, file = planned(base)
    assert base_plan.layout is not None
    siblings.admit(file, base_plan.layout)
    plan, _ = planned(changed)
    assert plan.pieces is not None
    assert plan.layout is not None
    files, places = siblings.find(plan.pieces, plan.layout)
    reader = BaseReader(files)
    encoder = DeltaEncoder(lambda *_: "whole", lambda *_: None)
    data = memoryview(changed.read_bytes())
    alone = delta = differing = 0
    operations: dict[str, int] = {}
    for piece, found in zip(plan.pieces, places, strict=True):
        raw = data[piece.offset : piece.offset + piece.length]
        whole = HEADER + encode_chunk(raw, piece.width, "auto", LEVEL).length
        alone += whole
        made = encoder.encode(raw, blake3(raw), piece.width, Bases(found, reader))
        delta += whole if made is None else len(made.frame)
        if made is not None:
            differing += len(raw)
            operations[made.base[0]] = operations.get(made.base[0], 0) + len(raw)
    reader.close()
    return {
        "raw": len(data),
        "alone": alone,
        "delta": delta,
        "differing": differing,
        "operations": operations,
    }


def planned(path: Path) -> tuple[cut.CutPlan, BaseFile]:
    """How the worker cuts a file, and how it looks for it again."""
    fd = os.open(path, os.O_RDONLY)
    try:
        found = fstat(fd)
        plan = cut.plan(fd, found.size, os.fsencode(path.name))
    finally:
        os.close(fd)
    return plan, BaseFile(os.fsencode(path.parent), os.fsencode(path.name), found)


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:4]))
