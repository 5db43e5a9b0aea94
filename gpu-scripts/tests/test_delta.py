"""Differences and back: exact for every bit pattern, the same with numpy and without."""

import random
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dumont_worker import delta
from dumont_worker.codecs import numpy_delta, pure_delta

OPERATIONS = ("xor", "ordered")
# NaN payloads, infinities, denormals, both zeros, the extremes of each sign.
HALVES = [0x0000, 0x8000, 0x7C00, 0xFC00, 0x7E01, 0xFE55, 0x0001, 0x8001, 0x7BFF, 0xFBFF, 0xFFFF]
SINGLES = [0, 1 << 31, 0x7F800000, 0xFF800000, 0x7FC00001, 0xFFC12345, 1, 0x80000001, 0xFFFFFFFF]


def there_and_back(raw: bytes, base: bytes, operation: str, width: int, use: object) -> bytes:
    change = bytearray(delta.difference(raw, base, operation, width, use))  # type: ignore[arg-type]
    delta.restore(memoryview(change), base, operation, width, use)  # type: ignore[arg-type]
    return bytes(change)


@pytest.mark.parametrize("use", [numpy_delta, pure_delta])
@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize(("width", "form", "values"), [(2, "<H", HALVES), (4, "<I", SINGLES)])
def test_every_pair_of_odd_numbers_comes_back(
    use: object, operation: str, width: int, form: str, values: list[int]
) -> None:
    pairs = [(a, b) for a in values for b in values]
    raw = b"".join(struct.pack(form, a) for a, _ in pairs)
    base = b"".join(struct.pack(form, b) for _, b in pairs)
    assert there_and_back(raw, base, operation, width, use) == raw


@settings(deadline=None)
@given(st.integers(0, 700), st.sampled_from(OPERATIONS), st.sampled_from([2, 4]), st.randoms())
def test_any_bytes_of_any_length_come_back(
    length: int, operation: str, width: int, source: random.Random
) -> None:
    raw, base = source.randbytes(length), source.randbytes(length)
    assert there_and_back(raw, base, operation, width, numpy_delta) == raw
    assert there_and_back(raw, base, operation, width, pure_delta) == raw


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("width", [2, 4])
def test_both_arithmetics_agree_over_many_blocks(operation: str, width: int) -> None:
    source = random.Random(5)
    raw, base = source.randbytes(600_001), source.randbytes(600_001)
    fast = bytes(delta.difference(raw, base, operation, width, numpy_delta))
    assert fast == bytes(delta.difference(raw, base, operation, width, pure_delta))


def test_neighbours_in_the_order_of_floats_differ_by_one() -> None:
    # 0x3FFF and 0x4000 differ in every bit but lie beside each other; so do -0x3FFF and -0x4000.
    raw, base = struct.pack("<2H", 0x4000, 0xC000), struct.pack("<2H", 0x3FFF, 0xBFFF)
    up, down = struct.unpack("<2H", delta.difference(raw, base, "ordered", 2))
    # One step up is 1; one step down is -1, which has the sign bit and magnitude ~(-1) = 0.
    assert (up, down) == (1, 0x8000)


def test_equal_chunks_differ_by_nothing() -> None:
    raw = random.Random(6).randbytes(4096)
    for operation in OPERATIONS:
        assert not any(delta.difference(raw, raw, operation, 2))


def test_the_rest_of_a_last_word_stays_as_it_is() -> None:
    assert bytes(delta.difference(b"abcdefg", b"ABCDEFG", "xor", 4))[4:] == b"efg"


def test_a_base_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="length"):
        delta.difference(b"abcd", b"abc", "xor", 2)
    with pytest.raises(ValueError, match="length"):
        delta.restore(memoryview(bytearray(b"abcd")), b"abcde", "ordered", 2)
