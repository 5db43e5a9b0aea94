import random
import struct
import threading
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dumont_worker.codecs import choose, numpy_planes, pure_planes
from dumont_worker.codecs.base import Encoded
from dumont_worker.codecs.choose import detect, encode_chunk
from dumont_worker.frame import decode_frame, encode_frame
from dumont_worker.native import blake3

dice = random.Random(4)
GAUSS = [dice.gauss(0, 0.05) for _ in range(40_000)]
FP32 = struct.pack(f"<{len(GAUSS)}f", *GAUSS)
BF16 = b"".join([FP32[4 * n + 2 : 4 * n + 4] for n in range(len(GAUSS))])
FP16 = struct.pack(f"<{len(GAUSS)}e", *GAUSS)
WIDENED = b"".join([b"\0\0" + FP32[4 * n + 2 : 4 * n + 4] for n in range(len(GAUSS))])
INT8 = struct.pack(f"<{len(GAUSS)}b", *[max(-127, min(127, int(x * 500))) for x in GAUSS])
NOISE = dice.randbytes(160_000)
TEXT = b"".join([b"step %d loss %.4f\n" % (n, dice.random()) for n in range(8000)])


def stored(raw: bytes, encoded: Encoded) -> bytes:
    frame = b"".join([bytes(part) for part in encode_frame(len(raw), blake3(raw), encoded)])
    assert bytes(decode_frame(frame, blake3(raw), len(raw), blake3(frame))) == raw
    return frame


@pytest.mark.parametrize(
    ("raw", "hint", "transform", "codec", "ratio"),
    [
        (BF16, 2, "planes2", "zstd", 0.70),
        (BF16, None, "planes2", "zstd", 0.70),
        (FP16, None, "planes2", "zstd", 0.90),
        (FP32, 4, "planes4", "zstd", 0.86),
        (FP32, None, "planes4", "zstd", 0.86),
        (WIDENED, 4, "planes2of4", "zstd", 0.36),
        (WIDENED, None, "planes2of4", "zstd", 0.36),
        (INT8, 1, "none", "zstd", 0.90),
        (INT8, None, "none", "zstd", 0.90),
        (TEXT, None, "none", "zstd", 0.50),
        (TEXT, 4, "none", "zstd", 0.50),
        (bytes(100_000), 4, "none", "zstd", 0.01),
        (NOISE, None, "none", "none", 1.01),
        (NOISE, 2, "none", "none", 1.01),
        (b"x", None, "none", "none", 60),
    ],
)
def test_each_sort_of_data_gets_what_suits_it(
    raw: bytes, hint: int | None, transform: str, codec: str, ratio: float
) -> None:
    encoded = encode_chunk(raw, hint, "auto", 3)
    assert (encoded.transform, encoded.codec) == (transform, codec)
    assert len(stored(raw, encoded)) <= ratio * len(raw)


def test_a_noisy_sample_does_not_hide_what_follows() -> None:
    # Sixteen samples fall into noise, and everything between them is one repeated page.
    page = dice.randbytes(4096)
    raw = bytearray(page * 1024)
    step = (len(raw) - 4096) // 15 & ~7
    for at in range(0, 16 * step, step):
        raw[at : at + 4096] = dice.randbytes(4096)
    assert encode_chunk(bytes(raw), None, "auto", 3).length < len(raw) // 4


def test_codec_none_keeps_the_bytes() -> None:
    encoded = encode_chunk(TEXT, None, "none", 3)
    assert (encoded.transform, encoded.codec, encoded.length) == ("none", "none", len(TEXT))


@pytest.mark.parametrize("raw", [BF16, FP16, FP32, WIDENED, INT8, TEXT, NOISE])
def test_the_choice_is_the_same_without_numpy(raw: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    with_numpy = [bytes(part) for part in encode_chunk(raw, None, "auto", 3).parts]
    monkeypatch.setattr(choose, "implementation", lambda: pure_planes)
    monkeypatch.setattr("dumont_worker.planes.implementation", lambda: pure_planes)
    assert [bytes(part) for part in encode_chunk(raw, None, "auto", 3).parts] == with_numpy


@given(st.binary(min_size=4, max_size=3000))
@settings(max_examples=50, deadline=None)
def test_both_histograms_count_alike(sample: bytes) -> None:
    assert list(numpy_planes.histogram(sample)) == pure_planes.histogram(sample)


@settings(max_examples=150, deadline=None)
@given(
    st.binary(min_size=1, max_size=6000),
    st.integers(1, 50),
    st.sampled_from([None, 1, 2, 4, 8]),
    st.sampled_from([1, 3, 9]),
)
def test_any_chunk_comes_back_and_never_grows(
    data: bytes, times: int, hint: int | None, level: int
) -> None:
    raw = data * times
    encoded = encode_chunk(memoryview(raw), hint, "auto", level)
    assert encoded.length <= len(raw)
    stored(raw, encoded)


def test_the_detector_sees_matches() -> None:
    assert detect(TEXT[:65536]) is None
    assert detect(BF16[:65536]) == 2
    assert detect(FP32[:65536]) == 4
    assert detect(INT8[:30000]) == 1


def test_threads_do_not_share_scratch() -> None:
    raws = [BF16, bytes(reversed(BF16)), FP32, WIDENED]
    failures: list[object] = []

    def work(raw: bytes) -> None:
        frames = []
        try:
            frames += [stored(raw, encode_chunk(raw, None, "auto", 3)) for _ in range(20)]
        except BaseException as error:
            failures.append(error)
        failures.extend(1 for one, other in pairwise(frames) if one != other)

    threads = [threading.Thread(target=work, args=(raw,)) for raw in raws]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failures
