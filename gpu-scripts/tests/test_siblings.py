"""Bases for tensors: the same name, width and length in files that were met before."""

import json
import os
import struct
from pathlib import Path

from dumont_worker.create_messages import Base, BaseFile, FileStat, Span
from dumont_worker.cut import Piece
from dumont_worker.siblings import Siblings
from dumont_worker.tensor_layout import Layout, Tensor

MIB = 1 << 20
NOWHERE = FileStat(0, 0, 0, 0, 0, 0, 0, 0)


def file(name: str) -> BaseFile:
    return BaseFile(b"/ws", name.encode(), NOWHERE)


def layout(*tensors: tuple[str, int, int]) -> Layout:
    at, found = 100, []
    for name, width, length in tensors:
        found.append(Tensor(at, at + length, width, name))
        at += length
    return Layout(100, tuple(found))


def pieces(of: Layout) -> list[Piece]:
    return [Piece(one.start, one.end - one.start, one.width) for one in of.tensors]


def test_a_tensor_finds_the_same_place_in_the_first_file_and_the_latest_stored_whole() -> None:
    siblings = Siblings()
    one, two = layout(("w", 2, MIB)), layout(("x", 2, MIB), ("w", 2, MIB))
    for name in ("a", "b", "c"):
        siblings.admit(file(name), one)
    for name in (b"a", b"b"):
        siblings.settle((b"/ws", name), [Span(100, b"h", 0, MIB)], lambda _: True)
    half = Piece(two.tensors[1].start + MIB // 2, MIB // 2, 2)
    files, bases = siblings.find([half], two)
    assert [found.path for found in files] == [b"b", b"a"]
    assert bases == ((Base(0, 100 + MIB // 2), Base(1, 100 + MIB // 2)),)


def test_what_became_a_difference_is_no_base() -> None:
    siblings = Siblings()
    of = layout(("v", 2, MIB), ("w", 2, MIB))
    spans = [Span(100, b"v", 0, MIB), Span(100 + MIB, b"w", 0, MIB)]
    for name in ("a", "b"):
        siblings.admit(file(name), of)
        siblings.settle((b"/ws", name.encode()), spans, lambda _, name=name: name == "a")
    siblings.settle((b"/ws", b"unknown"), spans, lambda _: True)
    assert [one.path for one in siblings.find(pieces(of), of)[0]] == [b"a"]


def test_a_first_file_that_was_known_as_a_difference_gives_way() -> None:
    siblings = Siblings()
    of = layout(("w", 2, MIB))
    for name, is_whole in (("a", False), ("b", True), ("c", False)):
        siblings.admit(file(name), of)
        span = Span(100, name.encode(), 0, MIB)
        siblings.settle((b"/ws", name.encode()), [span], lambda _, is_whole=is_whole: is_whole)
    assert [one.path for one in siblings.find(pieces(of), of)[0]] == [b"b"]


def test_another_name_width_or_length_is_no_relative() -> None:
    siblings = Siblings()
    siblings.admit(file("a"), layout(("w", 2, MIB)))
    for stranger in (("v", 2, MIB), ("w", 4, MIB), ("w", 2, MIB - 2)):
        of = layout(stranger)
        assert siblings.find(pieces(of), of) == ((), ((),))


def test_tiny_tensors_headers_and_gaps_have_no_bases() -> None:
    siblings = Siblings()
    of = layout(("bias", 4, 1024), ("w", 4, MIB))
    siblings.admit(file("a"), of)
    asked = [Piece(0, 100, None), Piece(100, 1024, 4), Piece(100, 2048, None)]
    assert siblings.find(asked, of)[1] == ((), (), ())


def saved(folder: Path, name: str) -> BaseFile:
    header = json.dumps({"w": {"dtype": "BF16", "shape": [MIB], "data_offsets": [0, MIB]}})
    content = struct.pack("<Q", len(header)) + header.encode() + bytes(MIB)
    (folder / name).write_bytes(content)
    found = os.stat(folder / name)
    expect = FileStat(
        found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns, 0, 0, 0
    )
    return BaseFile(os.fsencode(folder), name.encode(), expect)


def test_a_file_that_is_not_read_gives_bases_by_its_header(tmp_path: Path) -> None:
    siblings = Siblings()
    old = saved(tmp_path, "old.safetensors")
    siblings.remember(old)
    siblings.remember(BaseFile(os.fsencode(tmp_path), b"gone.safetensors", NOWHERE))
    of = layout(("w", 2, MIB))
    files, bases = siblings.find(pieces(of), of)
    assert [one.path for one in files] == [b"old.safetensors"]
    assert bases == ((Base(0, old.expect.size - MIB),),)


def test_of_files_that_are_not_read_only_what_is_stored_whole_is_a_base(tmp_path: Path) -> None:
    siblings = Siblings()
    for name in "abcd":
        old = saved(tmp_path, name)
        siblings.remember(old, () if name in "bc" else {old.expect.size - MIB})
    of = layout(("w", 2, MIB))
    assert [one.path for one in siblings.find(pieces(of), of)[0]] == [b"c", b"b"]


def test_only_so_many_unread_files_are_held() -> None:
    siblings = Siblings()
    for number in range(1000):
        siblings.remember(file(str(number)))
    assert len(siblings._unread) == 256
