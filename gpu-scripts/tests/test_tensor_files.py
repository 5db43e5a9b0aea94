import io
import json
import os
import struct
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dumont_worker import tensor_files
from dumont_worker.tensor_files import find_tensors
from dumont_worker.tensor_layout import Layout, Tensor


@contextmanager
def opened(content: bytes) -> Iterator[int]:
    with tempfile.TemporaryFile() as file:
        file.write(content)
        file.flush()
        yield file.fileno()


def layout(content: bytes) -> Layout | None:
    with opened(content) as fd:
        return find_tensors(fd, len(content))


def safetensors(header: Any, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def tensor(dtype: str, start: int, end: int) -> dict[str, Any]:
    return {"dtype": dtype, "shape": [end - start], "data_offsets": [start, end]}


def torch_zip(tensors: list[bytes], method: int = zipfile.ZIP_STORED, wide: bool = False) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.writestr("archive/data.pkl", b"pickle" * 40)
        for number, content in enumerate(tensors):
            with archive.open(f"archive/data/{number}", "w", force_zip64=wide) as entry:
                entry.write(content)
        archive.writestr("archive/version", b"3\n")
    return file.getvalue()


def gguf(
    infos: list[tuple[str, int, int]], pairs: bytes = b"", count: int = 0, data: int = 256
) -> bytes:
    """Makes a file of tensors (name, type, offset); `pairs` are `count` key-value pairs."""
    body = struct.pack("<4sLQQ", b"GGUF", 3, len(infos), count) + pairs
    for name, sort, offset in infos:
        body += text(name) + struct.pack("<LQQLQ", 2, 4, 4, sort, offset)
    return body + bytes(-len(body) % 32) + bytes(range(256)) * (data // 256)


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value)) + value.encode()


def test_finds_safetensors_by_offset_with_the_width_of_their_type() -> None:
    header = {
        "__metadata__": {"format": "pt"},
        "b": tensor("F32", 8, 16),
        "a": tensor("BF16", 0, 8),
        "none": tensor("F32", 16, 16),
        "q": tensor("F8_E4M3", 16, 20),
        "i": tensor("I64", 20, 28),
    }
    content = safetensors(header, bytes(28))
    start = len(content) - 28
    assert layout(content) == Layout(
        start,
        (
            Tensor(start, start + 8, 2, "a"),
            Tensor(start + 8, start + 16, 4, "b"),
            Tensor(start + 16, start + 20, 1, "q"),
            Tensor(start + 20, start + 28, None, "i"),
        ),
    )


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        struct.pack("<Q", 1 << 63) + b"{}" + bytes(30),
        struct.pack("<Q", 100) + b"{}",
        struct.pack("<Q", 0) + b"{" + bytes(30),
        safetensors({}),
        safetensors({"a": tensor("F32", 0, 8)}, bytes(7)),
        safetensors({"a": tensor("F32", 8, 0)}, bytes(8)),
        safetensors({"a": tensor("F32", -8, 8)}, bytes(8)),
        safetensors({"a": tensor("F32", 0, 8), "b": tensor("F32", 4, 12)}, bytes(12)),
        safetensors({"a": {"dtype": "F32", "data_offsets": [0]}}, bytes(8)),
        safetensors({"a": {"dtype": "F32", "data_offsets": [0.0, 8.0]}}, bytes(8)),
        safetensors({"a": {"dtype": "F32", "data_offsets": [False, True]}}, bytes(8)),
        safetensors({"a": {"dtype": ["F32"], "data_offsets": [0, 8]}}, bytes(8)),
        safetensors({"a": [0, 8]}, bytes(8)),
        safetensors({"a": {"data_offsets": {"0": 1, "8": 2}, "dtype": "F32"}}, bytes(8)),
        safetensors(b'{"a":' * 5000 + b"1" + b"}" * 5000, bytes(8)),
        safetensors(b'{"a": ' + b"[" * 100_000, bytes(8)),
        safetensors(b'{"a":{"dtype":"F32","data_offsets":[0,' + b"9" * 5000 + b"]}}", bytes(8)),
        safetensors(b'{"a\xff": 1}', bytes(8)),
        safetensors(b'{"a": 1', bytes(8)),
    ],
)
def test_takes_odd_safetensors_for_any_other_file(content: bytes) -> None:
    assert layout(content) is None


def test_does_not_parse_a_header_that_is_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    content = safetensors({"a": tensor("F32", 0, 8)}, bytes(8))
    assert layout(content) is not None
    monkeypatch.setattr(tensor_files, "SAFETENSORS_HEADER_MOST", 20)
    assert layout(content) is None


@pytest.mark.parametrize("wide", [False, True])
def test_finds_the_stored_tensors_of_a_torch_file(wide: bool) -> None:
    parts = [b"a" * 1000, b"", b"c" * 3]
    content = torch_zip(parts, wide=wide)
    found = layout(content)
    assert found is not None
    assert [content[one.start : one.end] for one in found.tensors] == [parts[0], parts[2]]
    assert [one.name for one in found.tensors] == ["0", "2"]
    assert found.header == found.tensors[0].start


def test_reads_a_zip64_directory() -> None:
    content = torch_zip([b"a" * 1000])
    at = content.rindex(b"PK\x05\x06")
    length, offset = struct.unpack_from("<LL", content, at + 12)
    end = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 3, 3, length, offset)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, at, 1)
    last = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    whole = content[:at] + end + locator + last
    assert zipfile.ZipFile(io.BytesIO(whole)).read("archive/data/0") == b"a" * 1000
    assert layout(whole) == layout(content)


def test_takes_other_archives_for_any_other_file() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("code.py", b"x" * 100)
    assert layout(file.getvalue()) is None
    assert layout(torch_zip([b"a" * 1000], zipfile.ZIP_DEFLATED)) is None


def test_takes_archives_with_a_lie_for_any_other_file() -> None:
    content = torch_zip([b"a" * 1000, b"b" * 1000])
    central = content.index(b"PK\x01\x02", content.index(b"PK\x01\x02") + 4)
    for at, value in [
        (20, struct.pack("<LL", 1 << 30, 1 << 30)),  # longer than the file
        (20, struct.pack("<LL", 1100, 1100)),  # runs into the next one
        (20, struct.pack("<LL", 10, 1000)),  # not stored as it is
        (42, struct.pack("<L", 5)),  # no local header there
        (42, struct.pack("<L", 0x7FFFFFFF)),  # outside
        (8, struct.pack("<H", 1)),  # encrypted
        (0, b"nope"),
    ]:
        lie = bytearray(content)
        lie[central + at : central + at + len(value)] = value
        assert layout(bytes(lie)) is None, at


def test_finds_the_tensors_of_a_gguf_file_behind_every_sort_of_value() -> None:
    pairs = b"".join(
        [
            text("general.name") + struct.pack("<L", 8) + text("model"),
            text("n") + struct.pack("<LQ", 10, 7),
            text("tokens") + struct.pack("<LLQ", 9, 8, 3) + text("a") + text("") + text("ccc"),
            text("scores") + struct.pack("<LLQ", 9, 6, 2) + bytes(8),
            text("nested") + struct.pack("<LLQ", 9, 9, 1) + struct.pack("<LQ", 7, 5) + bytes(5),
        ]
    )
    content = gguf([("b", 30, 64), ("a", 0, 0), ("q", 2, 96)], pairs, 5)
    start = len(content) - 256
    assert layout(content) == Layout(
        start,
        (
            Tensor(start, start + 64, 4, "a"),
            Tensor(start + 64, start + 96, 2, "b"),
            Tensor(start + 96, start + 256, 1, "q"),
        ),
    )


def test_honours_the_alignment_of_a_gguf_file() -> None:
    pairs = text("general.alignment") + struct.pack("<LL", 4, 128)
    found = layout(gguf([("a", 0, 0)], pairs, 1))
    assert found is not None
    assert found.header % 128 == 0


@pytest.mark.parametrize(
    "content",
    [
        b"GGUF",
        b"GGUF" + bytes(40),
        struct.pack("<4sLQQ", b"GGUF", 3, 1 << 60, 0) + bytes(64),
        struct.pack("<4sLQQ", b"GGUF", 3, 1, 1 << 60) + bytes(64),
        gguf([("a", 0, 1 << 63)]),
        gguf([("a", 0, 0), ("b", 0, 4096)]),
        gguf([("a", 0, 0)], text("k") + struct.pack("<LLQ", 9, 0, 1 << 62), 1),
        gguf([("a", 0, 0)], text("k") + struct.pack("<LLQ", 9, 9, 1 << 62), 1),
        gguf([("a", 0, 0)], text("k") + struct.pack("<LQ", 8, 1 << 63), 1),
        gguf([("a", 0, 0)], text("k") + struct.pack("<L", 99), 1),
        gguf([("a", 0, 0)], text("general.alignment") + struct.pack("<LL", 4, 0), 1),
        gguf([("a", 0, 0)], text("k") + struct.pack("<LLQ", 9, 9, 1) * 50, 1),
    ],
)
def test_takes_odd_gguf_for_any_other_file(content: bytes) -> None:
    assert layout(content) is None


VALID = [
    safetensors({"a": tensor("BF16", 0, 100), "b": tensor("F32", 100, 200)}, bytes(200)),
    torch_zip([b"a" * 100, b"b" * 100]),
    gguf([("a", 0, 0), ("b", 30, 64)], text("t") + struct.pack("<LLQ", 9, 8, 1) + text("x"), 1),
]


def test_an_archive_that_leaves_out_its_long_numbers_is_any_other_file() -> None:
    content = bytearray(torch_zip([b"a" * 100]))
    at = content.rindex(b"archive/data/0") - 46
    # The stored length is said to stand in a field of 64 bits, of which there is none.
    struct.pack_into("<L", content, at + 20, 0xFFFFFFFF)
    name = struct.unpack_from("<H", content, at + 28)[0]
    content[at + 46 + name : at + 46 + name] = struct.pack("<2H", 1, 0)
    struct.pack_into("<H", content, at + 30, 4)
    end = content.rindex(b"PK\x05\x06")
    struct.pack_into("<L", content, end + 12, struct.unpack_from("<L", content, end + 12)[0] + 4)
    assert layout(bytes(content)) is None


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(VALID), st.data())
def test_no_damage_to_a_header_makes_tensors_overlap_or_leave_the_file(
    content: bytes, data: st.DataObject
) -> None:
    damaged = bytearray(content)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(damaged) - 1))
        value = data.draw(st.one_of(st.binary(min_size=1, max_size=8), st.just(b"\xff" * 8)))
        damaged[at : at + len(value)] = value
    del damaged[data.draw(st.integers(len(damaged) // 2, len(damaged))) :]
    found = layout(bytes(damaged))
    if found is not None:
        end = found.header
        for one in found.tensors:
            assert end <= one.start < one.end <= len(damaged)
            end = one.end


def test_reading_past_a_file_that_shrank_is_no_error() -> None:
    with opened(VALID[0][:30]) as fd:
        assert find_tensors(fd, len(VALID[0])) is None
    with tempfile.TemporaryFile() as file:
        os.truncate(file.fileno(), 0)
        assert find_tensors(file.fileno(), 1 << 20) is None
