import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dumont_worker.content_hash import (
    BLOCK,
    BlockHasher,
    Blocks,
    content_hash,
    small_hash,
    zero_block_hash,
)
from dumont_worker.native import blake3


def by_the_page(content: bytes) -> bytes:
    """The definition of docs/format.md, word for word."""
    if len(content) <= 1_048_576:
        return blake3(content)
    blocks = [content[at : at + 1_048_576] for at in range(0, len(content), 1_048_576)]
    return blake3(b"dumont content 1\n" + b"".join([blake3(block) for block in blocks]))


@pytest.mark.parametrize("size", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 2 * BLOCK + 7])
def test_hash_is_that_of_the_page(size: int) -> None:
    content = random.Random(size).randbytes(size)
    assert small_hash(content) == by_the_page(content)


@pytest.mark.parametrize(("size", "count"), [(0, 1), (1, 0), (BLOCK, 2), (BLOCK + 1, 1)])
def test_a_wrong_number_of_blocks_is_refused(size: int, count: int) -> None:
    with pytest.raises(ValueError, match="block hashes"):
        content_hash(size, [bytes(32)] * count)


def test_a_terabyte_of_hole_is_hashed_quickly() -> None:
    from itertools import repeat  # noqa: PLC0415

    blocks = 1 << 20
    assert len(content_hash(blocks * BLOCK, repeat(zero_block_hash(BLOCK), blocks))) == 32


pieces = st.lists(
    st.tuples(st.booleans(), st.sampled_from([0, 1, 5000, BLOCK - 1, BLOCK, BLOCK + 1, 3_000_000])),
    max_size=5,
)


@settings(max_examples=25, deadline=None)
@given(pieces, st.sampled_from([0, 1, BLOCK - 1, BLOCK, 2_500_000]))
def test_pieces_and_holes_hash_as_the_whole(plan: list[tuple[bool, int]], start: int) -> None:
    content = bytearray(random.Random(start).randbytes(start))
    hasher, done = BlockHasher(start), Blocks()
    for hole, length in plan:
        piece = bytes(length) if hole else random.Random(length).randbytes(length)
        done += hasher.zeros(length) if hole else hasher.feed(piece)
        content += piece
    done += hasher.finish(len(content))
    blocks = range(-(-start // BLOCK), -(-len(content) // BLOCK))
    assert done == [(n, blake3(content[n * BLOCK : (n + 1) * BLOCK])) for n in blocks]


def test_ranges_together_produce_every_block_once() -> None:
    content = random.Random(3).randbytes(3 * BLOCK + 17)
    first, second = BlockHasher(0), BlockHasher(2 * BLOCK)
    done = first.feed(content[: 2 * BLOCK]) + first.finish(len(content))
    done += second.feed(content[2 * BLOCK :]) + second.finish(len(content))
    assert content_hash(len(content), [one for _, one in done]) == by_the_page(content)


def test_a_range_that_ends_inside_a_block_leaves_it_out() -> None:
    hasher = BlockHasher(0)
    assert hasher.feed(bytes(BLOCK + 5))[0][0] == 0
    assert hasher.finish(2 * BLOCK) == []
