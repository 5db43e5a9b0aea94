"""Bases for tensors: the same name, width and length in files that were met before."""

import json
import os
import struct
from pathlib import Path

from dumont_worker.create_messages import Base, BaseFile, FileStat
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


def test_a_tensor_finds_the_same_place_in_the_first_and_the_latest_file() -> None:
    siblings = Siblings()
    one, two = layout(("w", 2, MIB)), layout(("x", 2, MIB), ("w", 2, MIB))
    for name in ("a", "b", "c"):
        siblings.admit(file(name), one)
    half = Piece(two.tensors[1].start + MIB // 2, MIB // 2, 2)
    files, bases = siblings.find([half], two)
    assert [found.path for found in files] == [b"c", b"a"]
    assert bases == ((Base(0, 100 + MIB // 2), Base(1, 100 + MIB // 2)),)


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


def test_a_file_that_is_not_read_gives_bases_by_its_header(tmp_path: Path) -> None:
    header = json.dumps({"w": {"dtype": "BF16", "shape": [MIB], "data_offsets": [0, MIB]}})
    content = struct.pack("<Q", len(header)) + header.encode() + bytes(MIB)
    (tmp_path / "old.safetensors").write_bytes(content)
    found = os.stat(tmp_path / "old.safetensors")
    expect = FileStat(
        found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns, 0, 0, 0
    )
    siblings = Siblings()
    siblings.remember(BaseFile(os.fsencode(tmp_path), b"old.safetensors", expect))
    siblings.remember(BaseFile(os.fsencode(tmp_path), b"gone.safetensors", NOWHERE))
    of = layout(("w", 2, MIB))
    files, bases = siblings.find(pieces(of), of)
    assert [one.path for one in files] == [b"old.safetensors"]
    assert bases == ((Base(0, len(content) - MIB),),)


def test_only_so_many_unread_files_are_held() -> None:
    siblings = Siblings()
    for number in range(1000):
        siblings.remember(file(str(number)))
    assert len(siblings._unread) == 256
