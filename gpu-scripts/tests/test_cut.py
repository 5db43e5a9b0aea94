import os
import random
import struct
import tempfile
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_tensor_files import opened, safetensors, tensor

from dumont_worker import cut, native
from dumont_worker.cut import (
    CDC_WINDOW,
    CutPlan,
    Piece,
    Unit,
    clip,
    cut_buffer,
    data_ranges,
    plan,
    units,
)
from dumont_worker.entry import CHUNK_MAX, Entry
from dumont_worker.tensor_layout import Layout, Tensor

MIB = 1 << 20
KIB = 1 << 10


def file_of(size: int) -> Entry:
    return Entry("file", 0, b"f", 0o644, 0, 0, None, None, 0, size=size)


def planned(content: bytes, name: bytes = b"f") -> CutPlan:
    with opened(content) as fd:
        return plan(fd, len(content), name)


def assert_tile(pieces: Iterable[Piece], size: int) -> None:
    end = 0
    for piece in pieces:
        assert piece.offset == end
        assert 0 < piece.length <= CHUNK_MAX
        end += piece.length
    assert end == size


def planned_sparse(size: int, name: bytes, head: bytes = b"") -> CutPlan:
    with tempfile.TemporaryFile() as file:
        file.write(head)
        file.flush()
        os.truncate(file.fileno(), size)
        return plan(file.fileno(), size, name)


@pytest.mark.parametrize(
    ("size", "kind"),
    [
        (0, "small"),
        (1, "small"),
        (MIB, "small"),
        (MIB + 1, "fixed"),
        (4 * MIB, "fixed"),
        (4 * MIB + 1, "cdc"),
        (1 << 40, "cdc"),
    ],
)
def test_plans_by_size(size: int, kind: str) -> None:
    assert planned_sparse(size, b"x.bin").kind == kind


def test_a_file_up_to_one_chunk_is_one_piece() -> None:
    assert planned_sparse(4 * MIB, b"x").pieces == (Piece(0, 4 * MIB, None),)


@pytest.mark.parametrize("name", [b"train.log", b"DATA.JSONL"])
def test_huge_files_that_are_appended_to_are_cut_fixed(name: bytes) -> None:
    size = (1 << 30) + 5
    found = planned_sparse(size, name)
    assert found.kind == "fixed"
    assert found.pieces is not None
    assert_tile(found.pieces, size)
    assert planned_sparse(1 << 30, name).kind == "cdc"


def model(sizes: list[int], note: str = "") -> bytes:
    header: dict[str, object] = {"__metadata__": {"note": note}}
    at = 0
    for number, size in enumerate(sizes):
        header[f"t{number}"] = tensor("BF16", at, at + size)
        at += size
    return safetensors(header, random.Random(1).randbytes(at))


def contents(content: bytes) -> list[bytes]:
    pieces = planned(content).pieces
    assert pieces is not None
    return [content[one.offset : one.offset + one.length] for one in pieces]


def test_a_header_that_grows_shifts_no_piece_of_a_tensor() -> None:
    sizes = [9 * MIB, 100, 200, 5 * KIB, 65 * KIB, 300, 2 * MIB]
    before, after = contents(model(sizes)), contents(model(sizes, "x" * 64))
    assert before[0] != after[0]
    assert before[1:] == after[1:]


def test_cuts_a_tensor_from_its_own_start_with_its_width() -> None:
    pieces = planned(model([9 * MIB, 2 * MIB])).pieces
    assert pieces is not None
    assert [(one.length, one.width) for one in pieces[1:]] == [
        (4 * MIB, 2),
        (4 * MIB, 2),
        (MIB, 2),
        (2 * MIB, 2),
    ]


def test_changing_one_tensor_leaves_the_pieces_of_the_others() -> None:
    content = bytearray(model([6 * MIB, 3 * MIB, 5 * MIB]))
    before = contents(bytes(content))
    content[-7 * MIB] ^= 1
    changed = [one for one in contents(bytes(content)) if one not in before]
    assert [len(one) for one in changed] == [3 * MIB]


def test_many_tiny_tensors_share_pieces() -> None:
    pieces = planned(model([2 * KIB] * 5000)).pieces
    assert pieces is not None
    assert len(pieces) <= 5
    assert_tile(pieces, len(model([2 * KIB] * 5000)))


def test_tiny_tensors_of_different_types_share_a_piece_without_width() -> None:
    header = {
        "a": tensor("F32", 0, 64),
        "b": tensor("BF16", 64, 128),
        "c": tensor("F32", 128, 2 * MIB),
    }
    pieces = planned(safetensors(header, bytes(2 * MIB))).pieces
    assert pieces is not None
    assert [(one.length, one.width) for one in pieces[1:]] == [(128, None), (2 * MIB - 128, 4)]


@settings(max_examples=200, deadline=None)
@given(
    st.integers(1, 9 * MIB),
    st.lists(
        st.tuples(st.integers(0, 100 * KIB), st.integers(1, 9 * MIB)), min_size=1, max_size=30
    ),
    st.integers(0, 9 * MIB),
)
def test_pieces_tile_the_file_and_start_at_every_large_tensor(
    header: int, gaps_and_sizes: list[tuple[int, int]], tail: int
) -> None:
    tensors = []
    at = header
    for gap, size in gaps_and_sizes:
        tensors.append(Tensor(at + gap, at + gap + size, 2))
        at += gap + size
    pieces = list(cut._tensor_pieces(Layout(header, tuple(tensors)), at + tail))
    assert_tile(pieces, at + tail)
    starts = {one.offset for one in pieces}
    for one in tensors:
        if one.end - one.start >= cut.TINY_TENSOR:
            assert set(range(one.start, one.end, CHUNK_MAX)) <= starts
            assert one.end in starts | {at + tail}


sizes = st.integers(1, 300 * MIB)


@st.composite
def ranges_of(draw: st.DrawFn, size: int) -> list[tuple[int, int]]:
    edges = sorted(draw(st.sets(st.integers(0, size), max_size=8)))
    return list(zip(edges[::2], edges[1::2], strict=False))


@settings(max_examples=200, deadline=None)
@given(st.data(), sizes, st.sampled_from(["fixed", "tensors", "cdc"]))
def test_units_cover_the_file_and_pieces_cover_exactly_the_data(
    data: st.DataObject, size: int, kind: str
) -> None:
    sparse = data.draw(st.booleans())
    ranges = data.draw(ranges_of(size)) if sparse else [(0, size)]
    pieces = None if kind == "cdc" else tuple(cut._fixed(0, size, None))
    found = units(file_of(size), CutPlan(kind, pieces), ranges)  # type: ignore[arg-type]
    assert [unit.start for unit in found] == [0, *[unit.end for unit in found[:-1]]]
    assert found[-1].end == size
    covered = [r for unit in found for r in unit.ranges]
    assert merged(covered) == merged(ranges)
    if pieces is not None:
        inside = [one for unit in found for one in unit.pieces or ()]
        assert merged([(one.offset, one.offset + one.length) for one in inside]) == merged(ranges)
        for unit in found:
            for one in unit.pieces or ():
                assert unit.start <= one.offset < one.offset + one.length <= unit.end
    assert all(unit.whole == (len(found) == 1) for unit in found)


def merged(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    out: list[tuple[int, int]] = []
    for start, end in ranges:
        assert not out or start >= out[-1][1]
        if out and out[-1][1] == start:
            out[-1] = (out[-1][0], end)
        elif start < end:
            out.append((start, end))
    return out


def test_a_file_without_content_is_one_unit_without_ranges() -> None:
    assert units(file_of(0), CutPlan("small", None), []) == [Unit(0, 0, None, True, ())]
    hole = units(file_of(1 << 40), CutPlan("cdc", None), [])
    assert hole == [Unit(0, 1 << 40, None, True, ())]


def test_big_files_are_shared_by_several_engines() -> None:
    pieces = tuple(cut._fixed(0, 200 * MIB, None))
    found = units(file_of(200 * MIB), CutPlan("fixed", pieces), [(0, 200 * MIB)])
    assert [unit.end - unit.start for unit in found] == [64 * MIB, 64 * MIB, 64 * MIB, 8 * MIB]
    size = CDC_WINDOW + 1
    found = units(file_of(size), CutPlan("cdc", None), [(0, size)])
    assert [(unit.start, unit.end) for unit in found] == [(0, CDC_WINDOW), (CDC_WINDOW, size)]


def test_clips_a_piece_to_every_range_it_meets() -> None:
    pieces = [Piece(0, 10, 2), Piece(10, 10, 4), Piece(20, 5, None)]
    assert list(clip(pieces, [(1, 3), (5, 12), (19, 20)])) == [
        Piece(1, 2, 2),
        Piece(5, 5, 2),
        Piece(10, 2, 4),
        Piece(19, 1, 4),
    ]


def test_sees_holes(tmp_path: Path) -> None:
    with open(tmp_path / "sparse", "wb") as file:
        file.truncate(64 * MIB)
        file.seek(8 * MIB)
        file.write(b"x" * MIB)
        file.flush()
        assert data_ranges(file.fileno(), 64 * MIB) == [(8 * MIB, 9 * MIB)]
    with open(tmp_path / "hole", "wb") as file:
        file.truncate(1 << 40)
        assert data_ranges(file.fileno(), 1 << 40) == []


def test_ranges_end_at_the_size_the_scan_saw_even_if_the_file_changed(tmp_path: Path) -> None:
    with open(tmp_path / "f", "wb+") as file:
        file.write(bytes(100_000))
        file.flush()
        assert data_ranges(file.fileno(), 5000) == [(0, 5000)]
        file.truncate(10)
        assert data_ranges(file.fileno(), 100_000) == [(0, 10)]


def test_what_does_not_know_holes_is_all_data() -> None:
    fd = os.open("/proc/self/mountinfo", os.O_RDONLY)
    assert data_ranges(fd, 1000) == [(0, 1000)]
    os.close(fd)


needs_cdc = pytest.mark.skipif(native.cdc() is None, reason="needs pyfastcdc")


@needs_cdc
def test_cutting_by_content_keeps_to_its_bounds_and_covers_all() -> None:
    for content in (random.Random(2).randbytes(20 * MIB), bytes(20 * MIB), b"x"):
        lengths = cut_buffer(content)
        assert sum(lengths) == len(content)
        assert max(lengths) <= cut.CDC_MAX
        assert min(lengths[:-1], default=cut.CDC_MIN) >= cut.CDC_MIN
    assert cut_buffer(b"") == []


@needs_cdc
def test_chunks_find_themselves_again_behind_an_insertion() -> None:
    content = random.Random(3).randbytes(24 * MIB)
    changed = content[: 9 * MIB] + b"fourteen bytes" + content[9 * MIB :]
    new = set(split(changed)) - set(split(content))
    assert sum(map(len, new)) < 5 * MIB


@needs_cdc
@settings(max_examples=20, deadline=None)
@given(st.integers(0, 5), st.lists(st.integers(4 * MIB + 1, 9 * MIB), min_size=1, max_size=6))
def test_cuts_do_not_depend_on_how_the_data_is_fed(seed: int, steps: list[int]) -> None:
    content = random.Random(seed).randbytes(20 * MIB)
    lengths: list[int] = []
    at = fed = step = 0
    while fed < len(content):
        fed = min(len(content), fed + steps[step % len(steps)])
        step += 1
        found = cut_buffer(memoryview(content)[at:fed], at_end=fed == len(content))
        lengths += found
        at += sum(found)
    assert lengths == cut_buffer(content)


def split(content: bytes) -> list[bytes]:
    out = []
    at = 0
    for length in cut_buffer(content):
        out.append(content[at : at + length])
        at += length
    return out


def test_without_the_cutter_chunks_are_of_one_length(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "cdc", lambda: None)
    cut._cutter.cache_clear()
    try:
        assert cut_buffer(bytes(2 * MIB + 5)) == [MIB, MIB, 5]
    finally:
        cut._cutter.cache_clear()


def test_a_hostile_header_falls_back_to_cutting_by_content() -> None:
    head = struct.pack("<Q", 50) + b'{"a":{"dtype":"F32","data_offsets":[0,99999999999]}}'
    assert planned_sparse(16 * MIB, b"x.safetensors", head).kind == "cdc"
