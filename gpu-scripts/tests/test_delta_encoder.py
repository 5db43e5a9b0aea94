"""Chunks as differences: whatever the numbers are, what is kept comes back, and nothing else is."""

from collections.abc import Callable, Iterable
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dumont_worker import delta
from dumont_worker.base_reader import BaseReader, Bases
from dumont_worker.codecs.base import Encoded as Coded
from dumont_worker.create_messages import Base, Standing
from dumont_worker.delta_encoder import DeltaEncoder, Made
from dumont_worker.entry import CHUNK_MAX
from dumont_worker.frame import decode_frame, encode_frame
from dumont_worker.native import blake3
from dumont_worker.planes import encode_planes

LEAST = 64 << 10
# NaNs with payloads of both signs, infinities, denormals, both zeros, the extremes.
HALVES = [0x7E01, 0xFE55, 0x7F81, 0x7C00, 0xFC00, 0x7F80, 0x0001, 0x8001, 0x0000, 0x8000, 0xFFFF]
SINGLES = [0x7FC00001, 0xFFC12345, 0x7F800000, 0xFF800000, 1, 0x80000001, 0, 1 << 31, 0xFFFFFFFF]


class Memory:
    """Bases that lie in memory, in place of files."""

    def __init__(self, *contents: bytes) -> None:
        self.contents = contents

    def read(self, base: Base, parts: Iterable[tuple[int, int]], into: memoryview) -> bool:
        at = 0
        for offset, length in parts:
            data = self.contents[base.file][base.offset + offset :][:length]
            if len(data) != length:
                return False
            into[at : at + length] = data
            at += length
        return True


class Encoded:
    """What became of one chunk, and of its bases."""

    def __init__(
        self,
        raw: bytes,
        width: int | None,
        *bases: bytes,
        standing: Callable[[bytes, bool], Standing] = lambda _, claims: "yours" if claims else "no",
        reader: Any = None,
    ) -> None:
        self.raw = raw
        self.stored: dict[bytes, bytes] = {}

        def store(data: Any, raw_hash: bytes, _width: int) -> None:
            self.stored[raw_hash] = bytes(data)

        encoder = DeltaEncoder(standing, store)
        places = tuple(Base(number, 0) for number in range(len(bases)))
        found = Bases(places, cast(BaseReader, reader or Memory(*bases)))
        self.made = encoder.encode(memoryview(raw), blake3(raw), width, found)

    def back(self, made: Made, bases: dict[bytes, bytes]) -> bytes:
        raw_hash = blake3(self.raw)
        return bytes(
            decode_frame(made.frame, raw_hash, len(self.raw), find_base=lambda key: bases[key])
        )


def tensor(seed: int, dtype: str, count: int) -> Any:
    values = np.random.default_rng(seed).normal(0, 0.02, count).astype("<f4")
    if dtype == "bf16":
        return (values.view("<u4") >> 16).astype("<u2")
    if dtype == "fp32 of bf16":
        return values.view("<u4") & np.uint32(0xFFFF0000)
    return values.astype({"fp16": "<f2", "fp32": "<f4"}[dtype]).view(
        {"fp16": "<u2", "fp32": "<u4"}[dtype]
    )


@st.composite
def pairs(draw: st.DrawFn) -> tuple[bytes, bytes, int]:
    """A chunk and a relative of the same length, some of whose numbers are odd ones."""
    dtype = draw(st.sampled_from(["bf16", "fp16", "fp32", "fp32 of bf16"]))
    width = 2 if dtype in ("bf16", "fp16") else 4
    count = draw(st.integers(LEAST // width, 3 * LEAST // width))
    dice = np.random.default_rng(draw(st.integers(0, 1 << 32)))
    base = tensor(draw(st.integers(0, 1 << 32)), dtype, count)
    # Some steps up and down in the order of numbers, most of them short.
    shift = dice.integers(-3, 4, count) << (16 if dtype == "fp32 of bf16" else 0)
    near = (base.astype("<i8") + shift).astype(base.dtype)
    odd = np.array(HALVES if width == 2 else SINGLES, base.dtype)
    for values in (base, near):
        places = dice.integers(0, count, draw(st.integers(0, 500)))
        values[places] = odd[dice.integers(0, len(odd), len(places))]
    tail = draw(st.binary(max_size=width - 1))
    return near.tobytes() + tail, base.tobytes() + tail[::-1], width


@settings(deadline=None, max_examples=60)
@given(pairs())
def test_near_numbers_are_kept_as_a_difference_that_comes_back(case: tuple[bytes, bytes, int]):
    raw, base, width = case
    encoded = Encoded(raw, width, base)
    assert encoded.made is not None
    assert encoded.made.base[1] == blake3(base)
    assert encoded.stored == {blake3(base): base}
    assert len(encoded.made.frame) <= 0.8 * encoded.made.alone
    assert encoded.back(encoded.made, encoded.stored) == raw


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 4 * LEAST), st.sampled_from([None, 1, 2, 4, 8]), st.randoms(), st.data())
def test_whatever_the_bytes_are_only_what_comes_back_is_kept(
    length: int, width: int | None, dice: Any, data: st.DataObject
) -> None:
    raw = dice.randbytes(length)
    changed = data.draw(st.integers(0, length))
    encoded = Encoded(raw, width, raw[:changed] + dice.randbytes(length - changed))
    if encoded.made is None:
        return
    assert length >= LEAST
    assert encoded.back(encoded.made, encoded.stored) == raw


def spoilt(data: bytes) -> bytes:
    at = 2 * len(data) // 3
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


@pytest.mark.parametrize("step", ["difference", "planes", "frame"])
def test_what_a_step_spoils_is_not_kept(step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    base = tensor(1, "fp32", 4 * LEAST)
    raw = (base + 1).tobytes()
    difference, planes, frame = delta.difference, encode_planes, encode_frame

    def spoil_difference(one: Any, *rest: Any) -> memoryview:
        found = difference(one, *rest)
        return memoryview(spoilt(bytes(found))) if len(one) == len(raw) else found

    def spoil_planes(one: Any, *rest: Any) -> Coded:
        # Coded without an error, and yet another chunk: only the hash tells.
        return planes(spoilt(bytes(one)) if len(one) == len(raw) else one, *rest)

    def spoil_frame(*parts: Any) -> tuple[bytes, ...]:
        return (spoilt(b"".join(frame(*parts))),)

    module = "dumont_worker.delta_encoder"
    if step == "difference":
        monkeypatch.setattr(delta, "difference", spoil_difference)
    elif step == "planes":
        monkeypatch.setattr(f"{module}.encode_planes", spoil_planes)
    else:
        monkeypatch.setattr(f"{module}.encode_frame", spoil_frame)
    assert Encoded(raw, 4, base.tobytes()).made is None
    monkeypatch.undo()
    assert Encoded(raw, 4, base.tobytes()).made is not None


def test_of_several_bases_the_nearest_is_taken() -> None:
    far, base = (tensor(seed, "fp32", LEAST) for seed in (1, 2))
    near = (base + 1).tobytes()
    made = Encoded(near, 4, base.tobytes(), far.tobytes(), standing=lambda *_: "whole").made
    assert made is not None
    assert made.base[1] == blake3(base.tobytes())


def test_only_the_first_version_is_stored_whole_for_others() -> None:
    first = tensor(2, "fp32", LEAST)
    between, last = (first + 40).tobytes(), (first + 41).tobytes()
    encoded = Encoded(last, 4, between, first.tobytes())
    assert encoded.made is not None
    assert encoded.made.base[1] == blake3(first.tobytes())
    assert list(encoded.stored.values()) == [first.tobytes()]


def test_a_base_that_may_not_be_one_gives_way_to_the_next() -> None:
    base = tensor(2, "fp32", LEAST)
    close, closer = (base + 40).tobytes(), (base + 1).tobytes()

    def standing(raw_hash: bytes, _claims: bool) -> Standing:
        return "no" if raw_hash == blake3(closer) else "whole"

    encoded = Encoded(base.tobytes(), 4, closer, close, standing=standing)
    assert encoded.made is not None
    assert encoded.made.base[1] == blake3(close)
    assert encoded.stored == {}


def test_strangers_are_stored_alone_and_their_bases_left_alone() -> None:
    one, other = (tensor(seed, "bf16", LEAST).tobytes() for seed in (1, 2))
    encoded = Encoded(one, 2, other)
    assert (encoded.made, encoded.stored) == (None, {})


def test_small_chunks_are_stored_alone() -> None:
    raw = bytes(tensor(1, "fp32", LEAST // 4).tobytes())[:-4]
    assert Encoded(raw, 4, raw).made is None


def test_a_base_that_cannot_be_read_is_none() -> None:
    raw = tensor(1, "fp32", LEAST).tobytes()
    assert Encoded(raw, 4, raw[:-1]).made is None


def test_a_base_that_changes_while_it_is_read_is_known_by_what_was_read() -> None:
    base = tensor(1, "fp32", CHUNK_MAX // 4)
    raw = (base + 1).tobytes()
    versions = [base.tobytes(), (base + 2).tobytes()]

    class Changing(Memory):
        def read(self, base: Base, parts: Any, into: memoryview) -> bool:
            done = super().read(base, parts, into)
            self.contents = (versions[1],)
            return done

    encoded = Encoded(raw, 4, versions[0], reader=Changing(versions[0]))
    assert encoded.made is not None
    assert encoded.stored == {blake3(versions[1]): versions[1]}
    assert encoded.back(encoded.made, encoded.stored) == raw
