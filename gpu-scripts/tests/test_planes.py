import random
import struct
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dumont_worker.codecs import numpy_planes, pure_planes, zstd
from dumont_worker.codecs.base import Encoded
from dumont_worker.errors import WorkerError
from dumont_worker.planes import WIDTHS, decode_planes, encode_planes

BOTH = [numpy_planes, pure_planes]
transforms = st.sampled_from(["planes2", "planes4", "planes2of4"])


def payload_of(encoded: Encoded) -> bytes:
    return b"".join([bytes(part) for part in encoded.parts])


def room(length: int) -> memoryview:
    return memoryview(bytearray(length))


def raw_for(transform: str, data: bytes) -> bytes:
    """Makes the low halves zero where the transform needs it; the tail stays as it is."""
    if transform != "planes2of4":
        return data
    words = len(data) // 4
    cleared = b"".join([b"\0\0" + data[4 * n + 2 : 4 * n + 4] for n in range(words)])
    return cleared + data[4 * words :]


@settings(max_examples=200, deadline=None)
@given(transforms, st.binary(max_size=400), st.integers(0, 3))
def test_any_bytes_come_back_and_numpy_equals_pure(transform: str, data: bytes, times: int) -> None:
    raw = raw_for(transform, data * (1 + 40 * times))
    with_numpy = encode_planes(raw, transform, numpy_planes)
    pure = encode_planes(raw, transform, pure_planes)
    payload = payload_of(with_numpy)
    assert payload == payload_of(pure)
    assert (with_numpy.codec, with_numpy.length) == (pure.codec, len(payload))
    for use in BOTH:
        view = memoryview(payload)
        assert decode_planes(view, transform, with_numpy.codec, room(len(raw)), use) == raw


@pytest.mark.parametrize("use", BOTH)
@pytest.mark.parametrize("transform", WIDTHS)
@pytest.mark.parametrize("size", [4 << 20, (4 << 20) - 1, (1 << 20) + 3, 131072 * 4 + 2])
def test_large_chunks_of_floats_come_back(use: ModuleType, transform: str, size: int) -> None:
    dice = random.Random(size)
    few = b"".join([struct.pack("<f", dice.gauss(0, 1)) for _ in range(5000)])
    raw = raw_for(transform, (few * (size // len(few) + 1))[:size])
    encoded = encode_planes(raw, transform, use)
    payload = memoryview(payload_of(encoded))
    assert decode_planes(payload, transform, encoded.codec, room(size), use) == raw


@pytest.mark.parametrize("use", BOTH)
def test_every_float_pattern_survives(use: ModuleType) -> None:
    raw = struct.pack("<65536H", *range(65536))
    encoded = encode_planes(raw, "planes2", use)
    payload = memoryview(payload_of(encoded))
    assert decode_planes(payload, "planes2", encoded.codec, room(len(raw)), use) == raw


@pytest.mark.parametrize("use", BOTH)
def test_planes_are_those_of_the_page(use: ModuleType) -> None:
    # Sign 1, then 0: rotated left by one, 0x8001 is 0x0003 and 0x4080 is 0x8100.
    planes = [bytes(plane) for plane in use.split(struct.pack("<2H", 0x8001, 0x4080), 2, "planes2")]
    assert planes == [b"\x03\x00", b"\x00\x81"]
    planes = [bytes(plane) for plane in use.split(struct.pack("<I", 0x80402010), 1, "planes4")]
    assert b"".join(planes) == struct.pack("<I", 0x00804021)
    planes = [bytes(plane) for plane in use.split(struct.pack("<I", 0x80010000), 1, "planes2of4")]
    assert planes == [b"\x03", b"\x00"]


@pytest.mark.parametrize("use", BOTH)
@pytest.mark.parametrize("place", [0, 1023, 1024, 3000])
def test_one_low_half_that_is_not_zero_is_seen(use: ModuleType, place: int) -> None:
    raw = bytearray(b"\0\0\x12\x34" * 4000 + b"\1\1\1")
    assert use.low_halves_are_zero(raw)
    raw[4 * place + 1] = 1
    assert not use.low_halves_are_zero(raw)


def frame(data: bytes) -> bytes:
    return zstd.huffman(data)


def heads(*pairs: tuple[int, int]) -> bytes:
    return b"".join([struct.pack("<BI", *pair) for pair in pairs])


FOUR = frame(b"abcd")
DAMAGED = {
    "nothing": b"",
    "cut heads": heads((0, 4)),
    "a plane behind the end": heads((0, 4), (0, 5)) + b"abcdefgh",
    "a plane too short": heads((0, 4), (0, 3)) + b"abcdefg",
    "an absurd length": heads((0, 4), (0, 2**32 - 1)) + b"abcdefgh",
    "an unknown method": heads((0, 4), (2, 4)) + b"abcdefgh",
    "a tail where none belongs": heads((0, 4), (0, 4)) + b"abcdefghi",
    "another content size": heads((0, 4), (1, len(frame(b"abcde")))) + b"abcd" + frame(b"abcde"),
    "no zstd": heads((0, 4), (1, 4)) + b"abcdefgh",
    "two frames": heads((0, 4), (1, 2 * len(frame(b"ab")))) + b"abcd" + 2 * frame(b"ab"),
    "a frame and more": heads((0, 4), (1, len(FOUR) + 1)) + b"abcd" + FOUR + b"x",
    "a cut frame": heads((0, 4), (1, len(FOUR) - 1)) + b"abcd" + FOUR[:-1],
}


@pytest.mark.parametrize("what", DAMAGED)
def test_a_lying_payload_is_refused(what: str) -> None:
    with pytest.raises(WorkerError) as caught:
        decode_planes(memoryview(DAMAGED[what]), "planes2", "zstd", room(8))
    assert caught.value.code == "INTEGRITY"


def test_a_coded_plane_without_codec_is_refused() -> None:
    payload = heads((0, 4), (1, len(FOUR))) + b"abcd" + FOUR
    assert len(decode_planes(memoryview(payload), "planes2", "zstd", room(8))) == 8
    with pytest.raises(WorkerError, match="unknown method"):
        decode_planes(memoryview(payload), "planes2", "none", room(8))
