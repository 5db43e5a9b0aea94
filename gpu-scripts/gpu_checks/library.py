"""nvCOMP as questions need it, and data to ask with."""

import importlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from dumont_worker.gpu import nvcomp

MIB = 1 << 20
Answers = Iterator[tuple[str, Any]]
"""What was found, bit by bit."""
SORTS = {"bf16": 2, "fp16": 2, "fp32": 4, "fp8": 1}
"""Sorts of weights, and the width of their elements."""


class Gpu:
    """nvCOMP as a GPU process has it, and as the questions need it besides."""

    def __init__(self, directory: str, native: str | None, most: int) -> None:
        self.native = native
        self.most = most
        """Bytes to ask with at a time, where it does not matter how many."""
        self.wrapped = nvcomp.Nvcomp(directory)
        self.module = sys.modules["nvidia.nvcomp"]

    def codec(self, kind: str, **more: Any) -> Any:
        """A codec with other arguments than the worker's."""
        return self.module.Codec(**{**nvcomp.codec_arguments(self.module, kind), **more})

    def on_device(self, *buffers: bytes) -> Any:
        """A batch on the device."""
        return self.module.as_arrays([self.module.as_array(one).cuda() for one in buffers])


def weights(sort: str, length: int) -> bytes:
    """Gives what looks like trained weights: normal, with another scale in every 4096."""
    np: Any = importlib.import_module("numpy")
    width = SORTS.get(sort, 4)
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


def parts_of(data: bytes, size: int) -> list[bytes]:
    """Cuts data into pieces of a size."""
    return [data[at : at + size] for at in range(0, len(data), size)]


def seconds(call: Callable[[], Any]) -> tuple[float, Any]:
    """Times the third call: the first compile and allocate."""
    for _ in range(2):
        call()
    begun = time.monotonic()
    made = call()
    return time.monotonic() - begun, made


def speed(length: int, seconds: float) -> float:
    """Gives GB/s."""
    return round(length / max(seconds, 1e-9) / 1e9, 3)


def said(call: Callable[[], Any]) -> str:
    """Gives what a call raised, in one line; `nothing` when it did not."""
    try:
        call()
    except Exception as error:
        return f"{type(error).__name__}: {error}".splitlines()[0][:300]
    return "nothing"


def waited(batch: Any) -> Any:
    """Work is done when an entry was looked at."""
    for index in range(len(batch)):
        _ = batch[index].buffer_size
    return batch
