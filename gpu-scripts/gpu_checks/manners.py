"""Questions about what nvCOMP gives back: right, wrong or nothing, and in which form."""

import os
from functools import partial
from pathlib import Path
from typing import Any

from dumont_worker import native
from dumont_worker.gpu.area import Span
from dumont_worker.gpu.child import GpuProcess, GpuSetting
from dumont_worker.gpu.zstd_frame import with_content_size

from .library import MIB, Answers, Gpu, parts_of, said, waited, weights


def zstd_frames(gpu: Gpu) -> Answers:
    """Whether RAW zstd is one plain frame a buffer, and what its header says."""
    zstd = native.zstd()
    for name, data in {
        "text": (Path(__file__).read_bytes() * 400)[: 4 * MIB],
        "bf16": weights("bf16", 4 * MIB),
        "noise": os.urandom(4 * MIB),
        "small": b"x" * 100,
    }.items():
        (frame,) = gpu.wrapped.encode("zstd", [data])
        decoder = zstd.ZstdDecompressor()
        info = zstd.get_frame_info(frame)
        yield (
            name,
            {
                "same": decoder.decompress(frame) == data,
                "oneFrame": decoder.eof and not decoder.unused_data,
                "saysSize": info.decompressed_size == len(data),
                "header": frame[:10].hex(),
                "withSize": with_content_size(frame, len(data)) is not None,
                "ratio": round(len(frame) / len(data), 4),
            },
        )


def forms(gpu: Gpu) -> Answers:
    """Which forms of a call this release takes besides the one we use."""
    data = weights("bf16", MIB)
    codec = gpu.codec("f2")
    array = gpu.module.as_array(data)
    made = codec.encode(gpu.on_device(data))
    yield "encoded dtype", str(made[0].dtype)
    yield "container", bytes(made[0].cpu())[:16].hex()
    yield (
        "codec without algorithm decodes",
        said(lambda: waited(gpu.module.Codec(device_id=0).decode(made))),
    )
    large = data * 17
    # Wrong calls come last, and one that takes the context with it takes only those behind it.
    for name, call in {
        "list of arrays": lambda: codec.encode([array.cuda()]),
        "host batch": lambda: waited(codec.encode(gpu.module.as_arrays([data]))),
        "host array": lambda: bytes(codec.encode(array).cpu()),
        "odd length as <f2": lambda: waited(codec.encode(gpu.on_device(data[:-1]))),
        "block no multiple of 16": lambda: gpu.codec("f2", uncomp_chunk_size=1000),
        "RAW above 16 MiB": lambda: waited(_raw(gpu).encode(gpu.on_device(large))),
        "block above 16 MiB": lambda: waited(
            gpu.codec("u1", uncomp_chunk_size=32 * MIB).encode(gpu.on_device(large))
        ),
        "after all these": lambda: gpu.wrapped.encode("f2", [data]),
    }.items():
        yield name, said(call)


def _raw(gpu: Gpu) -> Any:
    return gpu.codec("u1", bitstream_kind=gpu.module.BitstreamKind.RAW)


def deterministic(gpu: Gpu) -> Answers:
    """Whether a chunk always gives the same bytes, alone and in a batch."""
    data = parts_of(weights("bf16", 8 * MIB), MIB)
    once = gpu.wrapped.encode("f2", data)
    yield "again", gpu.wrapped.encode("f2", data) == once
    yield "alone", [gpu.wrapped.encode("f2", [one])[0] for one in data] == once


def damaged(gpu: Gpu) -> Answers:
    """What a container with one wrong bit gives: other bytes, an error, the process's end."""
    data = weights("bf16", MIB)
    (good,) = gpu.wrapped.encode("f2", [data])
    for at in (len(good) - 3, len(good) // 2, 40, 7):
        bad = bytearray(good)
        bad[at] ^= 16
        yield f"byte {at}", said(partial(_comes_back, gpu, bytes(bad), data))
        yield f"after byte {at}", said(lambda: gpu.wrapped.decode("f2", [good]))


def _comes_back(gpu: Gpu, coded: bytes, data: bytes) -> None:
    _must(gpu.wrapped.decode("f2", [coded]) == [data])


def cut_short(gpu: Gpu) -> Answers:
    """The same for a container that lacks its end."""
    data = weights("bf16", MIB)
    (good,) = gpu.wrapped.encode("f2", [data])
    yield "said", said(lambda: gpu.wrapped.decode("f2", [good[: len(good) // 2]]))


def after_fault(gpu: Gpu) -> Answers:
    """Whether the library is of use after an error, in the same process."""
    data = weights("bf16", MIB)
    yield "said", said(lambda: gpu.wrapped.decode("f2", [b"no container at all, " * 9]))
    yield "then", said(lambda: gpu.wrapped.encode("f2", [data]))


def other_build(gpu: Gpu, other: str) -> Answers:
    """Whether two builds of one release (CUDA 12 and 13) make and read the same."""
    if not other:
        yield "skipped", "give --other DIR with the other build"
        return
    data = parts_of(weights("bf16", 8 * MIB), MIB)
    ours = gpu.wrapped.encode("f2", data)
    # Two libraries of one name do not live in one process.
    process = GpuProcess(GpuSetting(other, gpu.native))
    try:
        put, get = process.area.asked.put, process.area.answer.get
        made = process.items({"do": "encode", "items": [["f2", *put(one)] for one in data]}, 8)
        theirs = [bytes(get(Span(*one))) for one in made]
        yield "same bytes", theirs == ours
        yield "we read theirs", said(lambda: _must(gpu.wrapped.decode("f2", theirs) == data))
        process.area.asked.clear()
        payloads = [["none", MIB, *put(b"\x02" + one)] for one in ours]
        back = process.items({"do": "decode", "items": payloads}, 8)
        yield "they read ours", [bytes(get(Span(*one))) for one in back] == data
    finally:
        process.close()


def _must(same: bool) -> None:
    if not same:
        raise ValueError("other bytes")
