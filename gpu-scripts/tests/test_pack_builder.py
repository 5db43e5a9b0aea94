"""Packs: frames in order, sealed when full, checksummed, buffers used again."""

import base64
import hashlib
import itertools
import threading
import zlib

import pytest

from dumont_worker.native import blake3
from dumont_worker.pack_builder import Buffer, BufferPool, PackBuilder, SealedPack, pin_of


def builder(
    size: int = 100, kind: str = "crc32", count: int = 3
) -> tuple[PackBuilder, list[SealedPack], BufferPool]:
    sealed: list[SealedPack] = []
    numbers = itertools.count()
    pool = BufferPool(count, size)
    return PackBuilder(pool, kind, lambda: next(numbers), sealed.append), sealed, pool


def test_frames_lie_one_after_the_other() -> None:
    packs, sealed, _ = builder()
    first = packs.add([b"head", memoryview(b"body")])
    second = packs.add([b"other"])
    packs.seal()
    assert (first.at, first.stored, second.at, second.stored) == (0, 8, 8, 5)
    assert first.frame == blake3(b"headbody")
    assert bytes(sealed[0].content()) == b"headbodyother"


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("crc32", zlib.crc32(b"abcdef").to_bytes(4, "big")),
        ("md5", hashlib.md5(b"abcdef").digest()),
    ],
)
def test_the_checksum_is_that_of_the_whole_object(kind: str, value: bytes) -> None:
    packs, sealed, _ = builder(kind=kind)
    packs.add([b"abc"])
    packs.add([b"def"])
    packs.seal()
    expected = base64.b64encode(value).decode()
    assert (sealed[0].pin_kind, sealed[0].pin_value) == (kind, expected)
    assert pin_of(kind, b"abcdef") == expected


def test_a_frame_without_room_begins_the_next_pack() -> None:
    packs, sealed, _ = builder(size=10)
    places = [packs.add([bytes(6)]) for _ in range(3)]
    packs.seal()
    assert [(place.pack, place.at) for place in places] == [(0, 0), (1, 0), (2, 0)]
    assert [pack.length for pack in sealed] == [6, 6, 6]


def test_a_full_pack_may_be_filled_to_the_brim() -> None:
    packs, sealed, _ = builder(size=12)
    packs.add([bytes(6)])
    packs.add([bytes(6)])
    packs.seal()
    assert [pack.length for pack in sealed] == [12]


def test_nothing_packed_is_nothing_sealed() -> None:
    packs, sealed, _ = builder()
    packs.seal()
    assert sealed == []


def test_a_frame_larger_than_a_pack_is_a_bug() -> None:
    packs, _, _ = builder(size=10)
    with pytest.raises(ValueError, match="does not fit"):
        packs.add([bytes(11)])


def test_a_buffer_given_back_is_used_again_and_its_rest_forgotten() -> None:
    packs, sealed, pool = builder(count=3)
    packs.add([b"long content"])
    packs.seal()
    pool.give_back(sealed[0].buffer)
    packs.add([b"short"])
    packs.seal()
    assert sealed[1].buffer is sealed[0].buffer
    assert bytes(sealed[1].content()) == b"short"


def test_few_buffers_are_made_where_they_come_back() -> None:
    pool = BufferPool(20, 4096)
    made = {id(buffer) for buffer in (taken_and_given_back(pool) for _ in range(50))}
    assert len(made) == 1


def taken_and_given_back(pool: BufferPool) -> Buffer:
    buffer = pool.take()
    pool.give_back(buffer)
    return buffer


def test_all_buffers_are_made_where_none_comes_back() -> None:
    pool = BufferPool(20, 4096, patience=0)
    assert len({id(buffer) for buffer in [pool.take() for _ in range(20)]}) == 20


def test_who_waits_gets_what_is_given_back() -> None:
    pool = BufferPool(20, 4096, patience=60)
    taken = [pool.take() for _ in range(6)]
    got: list[Buffer] = []
    waiter = threading.Thread(target=lambda: got.append(pool.take()))
    waiter.start()
    pool.give_back(taken[3])
    waiter.join(10)
    assert got == [taken[3]]


def test_no_more_buffers_are_made_than_allowed() -> None:
    pool = BufferPool(3, 4096)
    taken = [pool.take() for _ in range(3)]
    got: list[Buffer] = []
    waiter = threading.Thread(target=lambda: got.append(pool.take()))
    waiter.start()
    assert not got
    pool.give_back(taken[0])
    waiter.join(10)
    assert got == [taken[0]]
