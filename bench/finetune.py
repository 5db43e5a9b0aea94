"""Fine-tunes the sentence encoder of the benchmark for a few real steps and keeps checkpoints.

usage: finetune.py WEIGHTS TARGET

WEIGHTS is the folder of the published model, TARGET gets step-N.npz files: fp32 masters, and Adam's
two states of the encoder's layers. The whole of the model runs forwards and backwards in numpy:
embeddings, six layers of attention and feed-forward, mean pooling, a contrastive loss (InfoNCE, 8
pairs in a batch, the halves of one docstring of Python's library against the halves of others),
AdamW with a constant rate and decoupled decay. It differs from common practice in that GELU is
the tanh form, dropout is off and sequences have 32 tokens. The pooler, unused positions and words
that no batch held get no gradient, as in any fine-tune: of them AdamW changes what decays.
"""

import ast
import json
import re
import struct
import sys
import sysconfig
from pathlib import Path
from typing import Any

import numpy as np

SEED = 20261123
STEPS = (5, 10, 11, 15, 20, 25, 30, 35, 40, 41)
WITH_ADAM = (10, 11, 15, 40)
PAIRS, TOKENS, HEADS, LAYERS = 8, 32, 12, 6
RATE, DECAY, BETA1, BETA2, EPSILON = 2e-5, 0.01, 0.9, 0.999, 1e-8
SHARPNESS = 20.0

Array = Any
Tensors = dict[str, Array]


def train(weights: Path, target: Path) -> None:
    """Run all steps and write a file for each of `STEPS`."""
    chooser = np.random.default_rng(SEED)
    halves = pairs_of_text(weights / "vocab.txt")
    state = read_weights(weights / "model.safetensors")
    first = {name: np.zeros_like(data) for name, data in state.items()}
    second = {name: np.zeros_like(data) for name, data in state.items()}
    target.mkdir(parents=True, exist_ok=True)
    for step in range(1, max(STEPS) + 1):
        batch = halves[chooser.choice(len(halves), PAIRS, replace=False)]
        loss, gradients = learn(state, np.concatenate([batch[:, 0], batch[:, 1]]))
        adamw(state, gradients, (first, second), step)
        print(f"step {step}: loss {loss:.4f}", file=sys.stderr)
        if step in STEPS:
            kept = dict(state)
            if step in WITH_ADAM:
                kept |= {f"m.{name}": d for name, d in first.items() if "layer." in name}
                kept |= {f"v.{name}": d for name, d in second.items() if "layer." in name}
            beside = target / "unfinished.npz"
            np.savez(beside, **kept)
            beside.rename(target / f"step-{step}.npz")


def adamw(state: Tensors, gradients: Tensors, moments: tuple[Tensors, Tensors], step: int) -> None:
    """Move every tensor by one step; biases and norms do not decay."""
    for name, weight in state.items():
        m, v = moments[0][name], moments[1][name]
        gradient = gradients.get(name)
        m *= np.float32(BETA1)
        v *= np.float32(BETA2)
        if gradient is not None:
            m += np.float32(1 - BETA1) * gradient
            v += np.float32(1 - BETA2) * gradient * gradient
        if weight.ndim > 1:
            np.multiply(weight, np.float32(1 - RATE * DECAY), out=weight)
        root = np.sqrt(v / np.float32(1 - BETA2**step)) + np.float32(EPSILON)
        np.subtract(weight, np.float32(RATE / (1 - BETA1**step)) * m / root, out=weight)


def learn(state: Tensors, tokens: Array) -> tuple[float, Tensors]:
    """Give the loss of a batch, whose halves follow each other, and the gradients."""
    hidden, tapes = forwards(state, tokens)
    pooled = hidden.mean(1)
    length = np.linalg.norm(pooled, axis=1, keepdims=True)
    unit = pooled / length
    one, other = unit[:PAIRS], unit[PAIRS:]
    chances = softmax(one @ other.T * SHARPNESS)
    loss = -float(np.log(np.diagonal(chances)).mean())
    wrong = (chances - np.eye(PAIRS, dtype=np.float32)) * np.float32(SHARPNESS / PAIRS)
    to_unit = np.concatenate([wrong @ other, wrong.T @ one])
    to_pooled = (to_unit - unit * (to_unit * unit).sum(1, keepdims=True)) / length
    to_hidden = np.repeat(to_pooled[:, None] / np.float32(TOKENS), TOKENS, axis=1)
    return loss, backwards(state, tokens, to_hidden, tapes)


def forwards(state: Tensors, tokens: Array) -> tuple[Array, list[Any]]:
    """Run the encoder; the tapes hold what the way back needs."""
    tapes: list[Any] = []
    added = (
        state["embeddings.word_embeddings.weight"][tokens]
        + state["embeddings.position_embeddings.weight"][:TOKENS]
        + state["embeddings.token_type_embeddings.weight"][0]
    )
    x, tape = norm(state, "embeddings.LayerNorm", added)
    tapes.append(tape)
    for number in range(LAYERS):
        at = f"encoder.layer.{number}."
        q, k, v = (heads(dense(state, f"{at}attention.self.{n}", x)) for n in QKV)
        focus = softmax(q @ k.transpose(0, 1, 3, 2) / np.float32(np.sqrt(q.shape[-1])))
        mixed = joined(focus @ v)
        out = dense(state, f"{at}attention.output.dense", mixed)
        y, norm1 = norm(state, f"{at}attention.output.LayerNorm", x + out)
        wide = dense(state, f"{at}intermediate.dense", y)
        bent, slope = gelu(wide)
        z, norm2 = norm(state, f"{at}output.LayerNorm", y + dense(state, f"{at}output.dense", bent))
        tapes.append((x, q, k, v, focus, mixed, norm1, y, bent, slope, norm2))
        x = z
    return x, tapes


def backwards(state: Tensors, tokens: Array, back: Array, tapes: list[Any]) -> Tensors:
    """Give the gradient of every tensor that took part."""
    found: Tensors = {}
    for number in reversed(range(LAYERS)):
        at = f"encoder.layer.{number}."
        x, q, k, v, focus, mixed, norm1, y, bent, slope, norm2 = tapes[number + 1]
        back = unnorm(state, found, f"{at}output.LayerNorm", back, norm2)
        wide = undense(state, found, f"{at}output.dense", back, bent) * slope
        back = back + undense(state, found, f"{at}intermediate.dense", wide, y)
        back = unnorm(state, found, f"{at}attention.output.LayerNorm", back, norm1)
        to_mixed = heads(undense(state, found, f"{at}attention.output.dense", back, mixed))
        to_focus = to_mixed @ v.transpose(0, 1, 3, 2)
        to_v = focus.transpose(0, 1, 3, 2) @ to_mixed
        to_scores = focus * (to_focus - (to_focus * focus).sum(-1, keepdims=True))
        to_scores /= np.float32(np.sqrt(q.shape[-1]))
        to_q, to_k = to_scores @ k, to_scores.transpose(0, 1, 3, 2) @ q
        for name, gradient in zip(QKV, (to_q, to_k, to_v), strict=True):
            back = back + undense(state, found, f"{at}attention.self.{name}", joined(gradient), x)
    back = unnorm(state, found, "embeddings.LayerNorm", back, tapes[0])
    for name in ("word", "position", "token_type"):
        found[f"embeddings.{name}_embeddings.weight"] = np.zeros_like(
            state[f"embeddings.{name}_embeddings.weight"]
        )
    np.add.at(found["embeddings.word_embeddings.weight"], tokens, back)
    found["embeddings.position_embeddings.weight"][:TOKENS] = back.sum(0)
    found["embeddings.token_type_embeddings.weight"][0] = back.sum((0, 1))
    return found


QKV = ("query", "key", "value")


def dense(state: Tensors, name: str, x: Array) -> Array:
    """A linear layer."""
    return x @ state[f"{name}.weight"].T + state[f"{name}.bias"]


def undense(state: Tensors, found: Tensors, name: str, back: Array, x: Array) -> Array:
    """The way back through a linear layer whose input was `x`."""
    flat, given = back.reshape(-1, back.shape[-1]), x.reshape(-1, x.shape[-1])
    found[f"{name}.weight"] = flat.T @ given
    found[f"{name}.bias"] = flat.sum(0)
    return back @ state[f"{name}.weight"]


def norm(state: Tensors, name: str, x: Array) -> tuple[Array, tuple[Array, Array]]:
    """Layer normalisation, and what its way back needs."""
    centred = x - x.mean(-1, keepdims=True)
    spread = np.sqrt((centred * centred).mean(-1, keepdims=True) + np.float32(1e-12))
    even = centred / spread
    return even * state[f"{name}.weight"] + state[f"{name}.bias"], (even, spread)


def unnorm(
    state: Tensors, found: Tensors, name: str, back: Array, tape: tuple[Array, Array]
) -> Array:
    """The way back through a normalisation."""
    even, spread = tape
    found[f"{name}.weight"] = (back * even).sum((0, 1))
    found[f"{name}.bias"] = back.sum((0, 1))
    inner = back * state[f"{name}.weight"]
    along = even * (inner * even).mean(-1, keepdims=True)
    return (inner - inner.mean(-1, keepdims=True) - along) / spread


def gelu(x: Array) -> tuple[Array, Array]:
    """The tanh form, and its slope."""
    scale, cube = np.float32(0.7978845608), np.float32(0.044715)
    bend = np.tanh(scale * (x + cube * x * x * x))
    slope = 0.5 * (1 + bend) + 0.5 * x * (1 - bend * bend) * scale * (1 + 3 * cube * x * x)
    return 0.5 * x * (1 + bend), slope.astype(np.float32)


def softmax(x: Array) -> Array:
    """Along the last axis."""
    raised = np.exp(x - x.max(-1, keepdims=True))
    return raised / raised.sum(-1, keepdims=True)


def heads(x: Array) -> Array:
    """Split the features among the heads of attention."""
    return x.reshape(x.shape[0], x.shape[1], HEADS, -1).transpose(0, 2, 1, 3)


def joined(x: Array) -> Array:
    """Undo `heads`."""
    return x.transpose(0, 2, 1, 3).reshape(x.shape[0], x.shape[2], -1)


def pairs_of_text(vocabulary: Path) -> Array:
    """Token ids of the two halves of docstrings of Python's library: [pair, half, token]."""
    ids = {word: number for number, word in enumerate(vocabulary.read_text().split("\n"))}
    each = TOKENS - 2
    found = []
    for path in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        for node in ast.walk(tree):
            if not isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module):
                continue
            pieces = word_pieces((ast.get_docstring(node) or "").lower(), ids)
            if len(pieces) >= 2 * each:
                halves = pieces[:each], pieces[each : 2 * each]
                found.append([[ids["[CLS]"], *half, ids["[SEP]"]] for half in halves])
    return np.array(found)


def word_pieces(text: str, ids: dict[str, int]) -> list[int]:
    """Cut text into the longest pieces the vocabulary knows."""
    pieces = []
    for word in re.findall(r"[a-z0-9]+|[^\sa-z0-9]", text):
        at = 0
        while at < len(word):
            begun = "##" if at else ""
            ends = range(len(word), at, -1)
            end = next((end for end in ends if begun + word[at:end] in ids), None)
            pieces.append(ids["[UNK]"] if end is None else ids[begun + word[at:end]])
            at = len(word) if end is None else end
    return pieces


def read_weights(path: Path) -> Tensors:
    """The fp32 tensors of a safetensors file, writable."""
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        data = file.read()
    header.pop("__metadata__", None)
    return {
        name: np.frombuffer(data[slice(*one["data_offsets"])], "<f4").reshape(one["shape"]).copy()
        for name, one in header.items()
        if one["dtype"] == "F32"
    }


if __name__ == "__main__":
    train(Path(sys.argv[1]), Path(sys.argv[2]))
