"""What each codec makes of a sample of this workspace, on this box."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

from ..codecs.base import Encoded
from ..codecs.choose import encode_chunk
from ..native import BytesLike, blake3
from .batch import HELD_MOST, Batch
from .choice import Contestant, Measured, measure
from .codec import GpuCodec
from .errors import GpuFault
from .use import GpuUse

Sample = tuple[bytes, int | None]
"""A chunk, and the element width that its file's header tells."""
Warn = Callable[[str], None]


def measured(
    sample: Sequence[Sample],
    uses: Sequence[GpuUse],
    *,
    lanes: tuple[int, int],
    level: int,
    warn: Warn,
) -> list[Measured]:
    """Measures zstd, none, and the GPU codecs that work here; `warn` hears of those that do not.

    `lanes`: how many threads code side by side on the CPU, how many engines on GPUs.
    """
    on_cpu, on_gpus = lanes
    with ExitStack() as stack:
        contestants: list[Contestant[Sample]] = [
            Contestant("zstd", lambda batch: _on_cpu(batch, "zstd", level), on_cpu),
            Contestant("none", lambda batch: _on_cpu(batch, "none", level), on_cpu),
        ]
        for use in uses:
            codec = stack.enter_context(_working(use, warn))
            if codec is not None:
                contestants.append(Contestant(use.codec, _on_gpu(codec, level), on_gpus))
        return measure(contestants, list(_batches(sample)), lambda one: len(one[0]))


@contextmanager
def _working(use: GpuUse, warn: Warn) -> Iterator[GpuCodec | None]:
    codec = GpuCodec(use.setting(0), use.codec, warn)
    try:
        yield codec if codec.ready() is None else None
    finally:
        codec.close()


def _batches(sample: Sequence[Sample]) -> Iterator[list[Sample]]:
    """As many chunks at a time as wait for a GPU in a create."""
    batch: list[Sample] = []
    held = 0
    for one in sample:
        if batch and held + len(one[0]) > HELD_MOST:
            yield batch
            batch, held = [], 0
        batch.append(one)
        held += len(one[0])
    if batch:
        yield batch


def _on_cpu(batch: Sequence[Sample], codec: str, level: int) -> int:
    stored = 0
    for data, width in batch:
        # Every chunk is hashed, whatever codes it.
        blake3(data)
        stored += encode_chunk(data, width, codec, level).length
    return stored


def _on_gpu(codec: GpuCodec, level: int) -> Callable[[Sequence[Sample]], int]:
    """Codes as an engine does, the CPU's part in it included."""

    def encode(chunks: Sequence[Sample]) -> int:
        stored = 0

        def add(data: BytesLike, _: bytes, width: int | None, coded: Encoded | None) -> None:
            nonlocal stored
            stored += (coded or encode_chunk(data, width, "auto", level)).length

        batch = Batch(codec, add)
        for data, width in chunks:
            raw_hash = blake3(data)
            if data and not batch.take(data, raw_hash, width):
                add(data, raw_hash, width, None)
        batch.flush()
        if codec.off is not None:
            raise GpuFault("off", codec.off)
        return stored

    return encode
