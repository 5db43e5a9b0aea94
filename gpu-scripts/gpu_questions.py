"""Questions to nvCOMP that only a GPU answers; asked by gpu_check.py, each in its own process."""

import contextlib
import importlib
import json
import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

MIB = 1 << 20
Answer = dict[str, Any]


class Gpu:
    """nvCOMP as a GPU process has it, and as the questions need it besides."""

    def __init__(self, directory: str, device: int) -> None:
        self.directory = directory
        self.device = device
        self.nvcomp: Any = importlib.import_module("dumont_worker.gpu.nvcomp")
        self.wrapped = self.nvcomp.Nvcomp(directory, device)
        self.module = sys.modules["nvidia.nvcomp"]

    def codec(self, kind: str, **more: Any) -> Any:
        """A codec with other arguments than the worker's."""
        return self.module.Codec(
            **{**self.nvcomp.codec_arguments(self.module, kind, self.device), **more}
        )

    def on_device(self, *buffers: bytes) -> Any:
        """A batch on the device."""
        return self.module.as_arrays([self.module.as_array(one).cuda() for one in buffers])


def weights(sort: str, length: int) -> bytes:
    """Gives what looks like trained weights: normal, with another scale in every 4096."""
    np: Any = importlib.import_module("numpy")
    width = {"bf16": 2, "fp16": 2, "fp8": 1}.get(sort, 4)
    source = np.random.default_rng(7)
    # 8 MiB are made, and then repeated: order-0 coders do not notice.
    count = min(length, 8 * MIB) // width
    scales = np.repeat(source.lognormal(-4, 0.5, count // 4096 + 1), 4096)[:count]
    values = (source.standard_normal(count) * scales).astype("<f4")
    if sort == "fp32":
        data = values
    elif sort == "fp16":
        data = values.astype("<f2")
    elif sort == "bf16":
        data = (values.view("<u4") >> 16).astype("<u2")
    elif sort == "fp8":
        data = (values.astype("<f2").view("<u2") >> 8).astype("u1")
    else:
        data = values.view("<u4") & np.uint32(0xFFFF0000)
    once: bytes = data.tobytes()
    return (once * (length // len(once) + 1))[:length]


def _parts(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


def _seconds(call: Callable[[], Any]) -> tuple[float, Any]:
    """Times the third call: the first compile and allocate."""
    for _ in range(2):
        call()
    begun = time.monotonic()
    made = call()
    return time.monotonic() - begun, made


def _speed(length: int, seconds: float) -> float:
    return round(length / max(seconds, 1e-9) / 1e9, 3)


def _said(call: Callable[[], Any]) -> str:
    """Gives what a call raised, in one line; `nothing` when it did not."""
    try:
        call()
    except Exception as error:
        return f"{type(error).__name__}: {error}".splitlines()[0][:300]
    return "nothing"


def blocks(gpu: Gpu) -> Answer:
    """Which block size of ANS, and which type, is best: ratio, GB/s to encode and to decode."""
    length = 64 * MIB
    planes: Any = importlib.import_module("dumont_worker.planes").implementation()
    table = []
    for sort, kind in (("bf16", "f2"), ("fp16", "f2"), ("fp32", "f4"), ("bf16", "u1")):
        data = weights(sort, length)
        buffers = _parts(data, 4 * MIB)
        if kind == "u1":
            buffers = [
                bytes(plane)
                for one in buffers
                for plane in planes.split(one, len(one) // 2, "planes2")
            ]
        batch = gpu.on_device(*buffers)
        for block in (64 << 10, 256 << 10, 512 << 10, MIB, 4 * MIB):
            codec = gpu.codec(kind, uncomp_chunk_size=block)
            encoding, made = _seconds(lambda c=codec, b=batch: _waited(c.encode(b)))
            decoding, _ = _seconds(lambda c=codec, m=made: _waited(c.decode(m)))
            stored = sum(made[index].buffer_size for index in range(len(made)))
            table.append(
                {
                    "data": sort + (" planes" if kind == "u1" else ""),
                    "type": kind,
                    "block": block,
                    "ratio": round(stored / length, 4),
                    "encode": _speed(length, encoding),
                    "decode": _speed(length, decoding),
                }
            )
    return {"table": table}


def _waited(batch: Any) -> Any:
    """Work is done when an entry was looked at."""
    for index in range(len(batch)):
        _ = batch[index].buffer_size
    return batch


def copies(gpu: Gpu) -> Answer:
    """How fast .cuda() and .cpu() are with plain memory, for small and large buffers."""
    data = weights("bf16", 64 * MIB)
    answer: Answer = {}
    for size in (4 * MIB, 64 * MIB):
        parts = _parts(data, size)
        there, arrays = _seconds(lambda p=parts: [gpu.module.as_array(one).cuda() for one in p])
        back, _ = _seconds(lambda a=arrays: [bytes(one.cpu()) for one in a])
        answer[f"{size >> 20} MiB"] = {
            "cuda": _speed(len(data), there),
            "cpuAndBytes": _speed(len(data), back),
        }
    return answer


def zstd_frames(gpu: Gpu) -> Answer:
    """Whether RAW zstd is one plain frame a buffer, and what its header says."""
    zstd: Any = importlib.import_module("dumont_worker.native").zstd()
    sized: Any = importlib.import_module("dumont_worker.gpu.zstd_frame")
    answer: Answer = {}
    for name, data in {
        "text": (Path(__file__).read_bytes() * 400)[: 4 * MIB],
        "bf16": weights("bf16", 4 * MIB),
        "noise": os.urandom(4 * MIB),
        "small": b"x" * 100,
    }.items():
        (frame,) = gpu.wrapped.encode("zstd", [data])
        decoder = zstd.ZstdDecompressor()
        info = zstd.get_frame_info(frame)
        answer[name] = {
            "same": decoder.decompress(frame) == data,
            "oneFrame": decoder.eof and not decoder.unused_data,
            "saysSize": info.decompressed_size == len(data),
            "header": frame[:10].hex(),
            "withSize": sized.with_content_size(frame, len(data)) is not None,
            "ratio": round(len(frame) / len(data), 4),
        }
    return answer


def forms(gpu: Gpu) -> Answer:
    """Which forms of a call this release takes besides the one we use."""
    data = weights("bf16", MIB)
    codec = gpu.codec("f2")
    array = gpu.module.as_array(data)
    made = codec.encode(gpu.on_device(data))
    return {
        "list of arrays": _said(lambda: codec.encode([array.cuda()])),
        "host batch": _said(lambda: _waited(codec.encode(gpu.module.as_arrays([data])))),
        "host array": _said(lambda: bytes(codec.encode(array).cpu())),
        "codec without algorithm decodes": _said(
            lambda: _waited(gpu.module.Codec(device_id=gpu.device).decode(made))
        ),
        "encoded dtype": str(made[0].dtype),
        "odd length as <f2": _said(lambda: _waited(codec.encode(gpu.on_device(data[:-1])))),
        "block no multiple of 16": _said(lambda: gpu.codec("f2", uncomp_chunk_size=1000)),
        "block above 16 MiB": _said(
            lambda: _waited(
                gpu.codec("u1", uncomp_chunk_size=32 * MIB).encode(gpu.on_device(data * 32))
            )
        ),
        "container": bytes(made[0].cpu())[:16].hex(),
    }


def deterministic(gpu: Gpu) -> Answer:
    """Whether a chunk always gives the same bytes, alone and in a batch."""
    data = _parts(weights("bf16", 8 * MIB), MIB)
    once = [bytes(one) for one in gpu.wrapped.encode("f2", data)]
    return {
        "again": gpu.wrapped.encode("f2", data) == once,
        "alone": [gpu.wrapped.encode("f2", [one])[0] for one in data] == once,
    }


def interpreter_lock(gpu: Gpu) -> Answer:
    """How many turns another thread gets while the GPU codes, of those it gets alone."""
    data = _parts(weights("bf16", 128 * MIB), 4 * MIB)
    turns, stop = [0], threading.Event()

    def count() -> None:
        while not stop.is_set():
            turns[0] += 1

    threading.Thread(target=count, daemon=True).start()
    rates = {}
    for name, call in (
        ("idle", lambda: time.sleep(0.5)),
        ("encode", lambda: gpu.wrapped.encode("f2", data)),
    ):
        begun, at = turns[0], time.monotonic()
        call()
        rates[name] = (turns[0] - begun) / (time.monotonic() - at)
    stop.set()
    return {"turnsBesideEncoding": round(rates["encode"] / rates["idle"], 3)}


def memory(gpu: Gpu) -> Answer:
    """How many MiB of device memory a context, and 32 and 256 MiB at a time, take; of host too."""
    answer: Answer = {"context": _used(), "host": _resident()}
    for size in (32, 256):
        gpu.wrapped.encode("f2", _parts(weights("bf16", size * MIB), 4 * MIB))
        answer[f"{size} MiB encoded"] = _used()
        answer[f"host after {size} MiB"] = _resident()
    return answer


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


def damaged(gpu: Gpu) -> Answer:
    """What a container with one wrong bit gives: other bytes, an error, the process's end."""
    data = weights("bf16", MIB)
    (good,) = gpu.wrapped.encode("f2", [data])
    answer: Answer = {}
    for at in (7, 40, len(good) // 2, len(good) - 3):
        bad = bytearray(good)
        bad[at] ^= 16
        back: list[bytes] = []
        said = _said(lambda b=bytes(bad), k=back: k.extend(gpu.wrapped.decode("f2", [b])))
        told = "the same bytes" if back == [data] else "other bytes"
        answer[f"byte {at}"] = told if said == "nothing" else said
        print(f"byte {at}: {answer[f'byte {at}']}", file=sys.stderr)
    return answer


def cut_short(gpu: Gpu) -> Answer:
    """The same for a container that lacks its end."""
    data = weights("bf16", MIB)
    (good,) = gpu.wrapped.encode("f2", [data])
    return {"said": _said(lambda: gpu.wrapped.decode("f2", [good[: len(good) // 2]]))}


def after_fault(gpu: Gpu) -> Answer:
    """Whether the library is of use after an error, in the same process."""
    data = weights("bf16", MIB)
    said = _said(lambda: gpu.wrapped.decode("f2", [b"no container at all, " * 9]))
    return {"said": said, "then": _said(lambda: gpu.wrapped.encode("f2", [data]))}


def other_build(gpu: Gpu, other: str) -> Answer:
    """Whether two builds of one release (CUDA 12 and 13) make and read the same."""
    if not other:
        return {"skipped": "give --other DIR with the other build"}
    data = _parts(weights("bf16", 8 * MIB), MIB)
    made = gpu.wrapped.encode("f2", data)
    with _afresh():
        second = Gpu(other, gpu.device)
        return {
            "same bytes": second.wrapped.encode("f2", data) == made,
            "reads ours": second.wrapped.decode("f2", made) == data,
        }


@contextlib.contextmanager
def _afresh() -> Iterator[None]:
    for name in [name for name in sys.modules if name.split(".")[0] == "nvidia"]:
        del sys.modules[name]
    yield


QUESTIONS: dict[str, Callable[..., Answer]] = {
    "blocks": blocks,
    "copies": copies,
    "zstd frames": zstd_frames,
    "forms": forms,
    "deterministic": deterministic,
    "interpreter lock": interpreter_lock,
    "memory": memory,
    "damaged": damaged,
    "cut short": cut_short,
    "after a fault": after_fault,
    "other build": other_build,
}


def main() -> int:
    """Answers one question as JSON: NAME DEVICE NVCOMP NATIVE OTHER."""
    name, device, directory, native, other = sys.argv[1:6]
    sys.path[:0] = [str(Path(__file__).resolve().parent), *([native] if native else [])]
    gpu = Gpu(directory, int(device))
    more = (other,) if name == "other build" else ()
    print(json.dumps(QUESTIONS[name](gpu, *more)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
