"""Questions about how fast nvCOMP is, and what it takes."""

import contextlib
import os
import resource
import subprocess
import threading
import time
from typing import Any

from dumont_worker.gpu.area import Area
from dumont_worker.gpu.pinning import pin
from dumont_worker.planes import implementation

from .library import MIB, SORTS, Answers, Gpu, parts_of, seconds, speed, waited, weights

BLOCKS = (64 << 10, 256 << 10, 512 << 10, MIB, 4 * MIB)
_KINDS = {1: "u1", 2: "f2", 4: "f4"}


def blocks(gpu: Gpu) -> Answers:
    """Which block size of ANS, and which way, is best: ratio, GB/s to encode and to decode."""
    length = min(64 * MIB, gpu.most)
    for sort, width in SORTS.items():
        raws = parts_of(weights(sort, length), 4 * MIB)
        for way in ("words", "planes") if width > 1 else ("words",):
            kind = _KINDS[width] if way == "words" else "u1"
            buffers = raws if way == "words" else _planes(raws, width)
            for block in BLOCKS:
                yield (
                    f"{sort} as {way} by {block >> 10} KiB",
                    {"data": sort, "width": width, "way": way, "block": block}
                    | _coded(gpu, kind, buffers, block),
                )


def _planes(raws: list[bytes], width: int) -> list[bytes]:
    planes = implementation()
    return [
        bytes(plane)
        for one in raws
        for plane in planes.split(one, len(one) // width, f"planes{width}")
    ]


def _coded(gpu: Gpu, kind: str, buffers: list[bytes], block: int) -> dict[str, Any]:
    batch = gpu.on_device(*buffers)
    length = sum(map(len, buffers))
    codec = gpu.codec(kind, uncomp_chunk_size=block)
    encoding, made = seconds(lambda: waited(codec.encode(batch)))
    decoding, _ = seconds(lambda: waited(codec.decode(made)))
    bodies = [bytes(made[index].cpu()) for index in range(len(made))]
    return {
        "ratio": round(sum(map(len, bodies)) / length, 4),
        "encode": speed(length, encoding),
        "decode": speed(length, decoding),
        # What was stored with another block must come back when the worker's has changed.
        "readByOurs": gpu.wrapped.decode(kind, bodies) == buffers,
    }


def copies(gpu: Gpu) -> Answers:
    """How fast .cuda() and .cpu() are, from plain memory and from page-locked."""
    data = weights("bf16", min(64 * MIB, gpu.most))
    sizes = (4 * MIB, 64 * MIB)
    for size in sizes:
        yield f"plain {size >> 20} MiB", _copied(gpu, parts_of(data, size))
    area = Area.make(len(data))
    memory = area.asked.whole
    memory[:] = data
    pinned = pin(memory)
    yield "pinned", pinned
    for size in sizes:
        there = "pinned" if pinned else "shared"
        parts = [memory[at : at + size] for at in range(0, len(memory), size)]
        yield f"{there} {size >> 20} MiB", _copied(gpu, parts)


def _copied(gpu: Gpu, parts: list[Any]) -> dict[str, float]:
    length = sum(map(len, parts))
    there, arrays = seconds(lambda: [gpu.module.as_array(one).cuda() for one in parts])
    back, _ = seconds(lambda: [one.cpu() for one in arrays])
    whole, _ = seconds(lambda: [bytes(one.cpu()) for one in arrays])
    return {
        "cuda": speed(length, there),
        "cpu": speed(length, back),
        "cpuAndBytes": speed(length, whole),
    }


def interpreter_lock(gpu: Gpu) -> Answers:
    """How many turns another thread gets while the GPU codes, of those it gets alone."""
    data = parts_of(weights("bf16", min(128 * MIB, gpu.most)), 4 * MIB)
    batch = gpu.on_device(*data)
    codec = gpu.codec("f2")
    waited(codec.encode(batch))
    turns, stop = [0], threading.Event()

    def count() -> None:
        while not stop.is_set():
            turns[0] += 1

    threading.Thread(target=count, daemon=True).start()
    rates = {}
    for name, call in (
        ("idle", lambda: time.sleep(0.5)),
        ("encode", lambda: waited(codec.encode(batch))),
        ("copy", lambda: [bytes(one.cpu()) for one in [batch[n] for n in range(len(batch))]]),
    ):
        begun, at = turns[0], time.monotonic()
        while time.monotonic() - at < 0.5:
            call()
        rates[name] = (turns[0] - begun) / (time.monotonic() - at)
    stop.set()
    yield "turnsBesideEncoding", round(rates["encode"] / rates["idle"], 3)
    yield "turnsBesideCopying", round(rates["copy"] / rates["idle"], 3)


def memory(gpu: Gpu) -> Answers:
    """How many MiB of device memory a context, and 32 and 256 MiB at a time, take; of host too."""
    gpu.wrapped.encode("f2", [bytes(MIB)])
    yield "context", _used()
    yield "host", _resident()
    for size in (32, 256):
        gpu.wrapped.encode("f2", parts_of(weights("bf16", min(size * MIB, gpu.most)), 4 * MIB))
        yield f"{size} MiB encoded", _used()
        yield f"host after {size} MiB", _resident()


def _resident() -> int:
    """Gives the most MiB of memory that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


def _used() -> str:
    """MiB that this process holds; in a container nvidia-smi may not know our number."""
    query = ["nvidia-smi", "--query-compute-apps=pid,used_memory", "--format=csv,noheader,nounits"]
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        done = subprocess.run(query, capture_output=True, text=True, timeout=10, check=False)
        rows = [line.split(", ") for line in done.stdout.splitlines()]
        own = [row[1] for row in rows if row[0] == str(os.getpid())]
        total = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits"]
        if own:
            return own[0]
        used = subprocess.run(total, capture_output=True, text=True, timeout=10, check=False)
        return f"{used.stdout.strip()} (of all processes)"
    return "unknown"
