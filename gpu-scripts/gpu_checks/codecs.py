"""Samples of weights, and what the codecs of the worker make of them."""

import math
import os
import time
from collections.abc import Mapping, Sequence

from dumont_worker.codecs.choose import encode_chunk
from dumont_worker.cut import plan
from dumont_worker.frame import decode_frame, encode_frame
from dumont_worker.gpu.child import GpuSetting
from dumont_worker.gpu.codec import Chunk, GpuCodec, Payload
from dumont_worker.gpu.payload import GpuCodecName
from dumont_worker.gpu.ways import Way
from dumont_worker.native import blake3

from .library import weights
from .report import Json

CHUNK = 4 << 20
Samples = dict[str, tuple[int, list[bytes]]]
"""Chunks by sort of data, and the width of their elements."""


def samples_of(files: Sequence[str], length: int) -> Samples:
    """Gives chunks of files and of sorts of data, `length` bytes of each, and their widths."""
    samples = {name: (width, _cut(weights(name, length))) for name, width in _WIDTHS.items()}
    for path in files:
        samples |= _of_file(path, length)
    return samples


_WIDTHS = {"bf16": 2, "fp16": 2, "fp32": 4, "bf16 in fp32": 4, "fp8": 1}


def _of_file(path: str, length: int) -> Samples:
    """Cuts as the worker does, which reads widths from the headers of files it knows."""
    samples: Samples = {}
    name = os.path.basename(path)
    with open(path, "rb") as file:
        pieces = plan(file.fileno(), os.fstat(file.fileno()).st_size, os.fsencode(name)).pieces
        for piece in pieces or ():
            if piece.width in (1, 2, 4) and piece.length > CHUNK // 2:
                _, chunks = samples.setdefault(f"{name}, {piece.width}", (piece.width, []))
                if sum(map(len, chunks)) < length:
                    chunks.append(os.pread(file.fileno(), piece.length, piece.offset))
        if not samples:
            samples[name] = (2, _cut(os.pread(file.fileno(), length, 0)))
    return samples


def _cut(data: bytes) -> list[bytes]:
    return [data[at : at + CHUNK] for at in range(0, len(data), CHUNK)]


class CodecRun:
    """A GPU codec that gets all samples, there and back, as from a create and a restore.

    `told` is filled in as it is found.
    """

    def __init__(
        self,
        nvcomp: str,
        native: str | None,
        device: int,
        name: GpuCodecName,
        table: Mapping[int, Way],
    ) -> None:
        setting = GpuSetting(nvcomp, native, device, start=45, patience=30)
        self._warnings: list[str] = []
        self._codec = GpuCodec(setting, name, self._warnings.append, table)
        self.told: Json = {"off": "not tried", "same": None, "data": []}

    def there_and_back(self, samples: Samples) -> None:
        """Runs the self-test, then all samples; raises what a decode raises."""
        codec, told = self._codec, self.told
        try:
            begun = time.monotonic()
            told["off"] = codec.ready()
            told["startAndSelfTest"] = round(time.monotonic() - begun, 3)
            told["same"] = told["off"] is None
            for sort, (width, raws) in samples.items():
                if codec.off is None:
                    row: Json = {"data": sort, "chunks": len(raws)}
                    told["data"].append(row)
                    told["same"] = self._one(row, width, raws) and told["same"]
            told["off"] = codec.off
        except BaseException:
            told["same"] = False
            raise
        finally:
            told["faults"], told["warnings"] = codec.faults, self._warnings
            told["requirement"] = codec.library.requirement() if codec.library else None
            codec.close()

    def _one(self, row: Json, width: int, raws: list[bytes]) -> bool:
        chunks = [Chunk(raw, blake3(raw), width) for raw in raws]
        begun = time.monotonic()
        made = self._codec.encode(chunks)
        row["encodeAndProve"] = _speed(sum(map(len, raws)), time.monotonic() - begun)
        kept = [(raw, one) for raw, one in zip(raws, made, strict=True) if one is not None]
        row["coded"] = len(kept)
        row["ratio"] = _ratio(sum(one.length for _, one in kept), sum(len(raw) for raw, _ in kept))
        if self._codec.name != "ans" or not kept:
            return True
        payloads = [Payload(b"".join(one.parts), one.transform, len(raw)) for raw, one in kept]
        begun = time.monotonic()
        back = self._codec.decode(payloads)
        row["decode"] = _speed(sum(map(len, back)), time.monotonic() - begun)
        return back == [raw for raw, _ in kept]


def on_cpu(table: list[Json], samples: Samples) -> None:
    """Adds what one thread of the portable codec makes of the same data."""
    for sort, (width, raws) in samples.items():
        frames: list[tuple[bytes, bytes]] = []
        begun = time.monotonic()
        for raw in raws[:8]:
            encoded = encode_chunk(raw, width, "zstd", 3)
            frames.append((raw, b"".join(encode_frame(len(raw), blake3(raw), encoded))))
        encoding = time.monotonic() - begun
        begun = time.monotonic()
        for raw, stored in frames:
            decode_frame(stored, blake3(raw), len(raw))
        raw_bytes = sum(len(raw) for raw, _ in frames)
        table.append(
            {
                "data": sort,
                "ratio": _ratio(sum(len(stored) for _, stored in frames), raw_bytes),
                "encode": _speed(raw_bytes, encoding),
                "decode": _speed(raw_bytes, time.monotonic() - begun),
            }
        )


def _speed(length: int, seconds: float) -> float | None:
    """Gives GB/s."""
    return round(length / max(seconds, 1e-9) / 1e9, 3) if length else None


def _ratio(stored: int, raw: int) -> float | None:
    ratio = stored / raw if raw else math.nan
    return None if math.isnan(ratio) else round(ratio, 4)
