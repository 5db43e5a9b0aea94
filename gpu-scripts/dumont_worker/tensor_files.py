"""Find the tensors in safetensors, torch and GGUF files. Headers are hostile until proven plain."""

import json
import os
import re
import struct
from typing import NamedTuple

SAFETENSORS_HEADER_MOST = 8 << 20
"""Longest header that is parsed: the format allows 100 MB, which as JSON objects is a gigabyte."""
ZIP_DIRECTORY_MOST = 16 << 20
GGUF_HEADER_MOST = 64 << 20
TENSORS_MOST = 200_000

_DTYPE_WIDTHS = {
    "BF16": 2,
    "F16": 2,
    "F32": 4,
    "BOOL": 1,
    "I8": 1,
    "U8": 1,
    "F8_E4M3": 1,
    "F8_E5M2": 1,
    "F8_E8M0": 1,
}
# GGML types whose elements are plain; the block-quantised ones code best as bytes.
_GGML_WIDTHS: dict[int, int | None] = {0: 4, 1: 2, 30: 2, 25: None, 26: None, 27: None, 28: None}


class Tensor(NamedTuple):
    """Where a tensor's data lies in the file, and the bytes of one element where known."""

    start: int
    end: int
    width: int | None


class Layout(NamedTuple):
    """How long the header is, and the tensors by offset: inside the file, none overlapping."""

    header: int
    tensors: tuple[Tensor, ...]


class _OddError(Exception):
    """Not the plain form of the format: the file is cut by content instead."""


def find_tensors(fd: int, size: int) -> Layout | None:
    """Gives the layout of a tensor file, None for any other file or an odd one.

    Recognised by content, for caches name files by hash. Raises OSError.
    """
    start = os.pread(fd, 16, 0)
    try:
        if start.startswith(b"PK\x03\x04"):
            return _checked(_torch_zip(fd, size), size)
        if start.startswith(b"GGUF"):
            return _checked(_gguf(fd, size), size)
        if len(start) == 16 and start[8:9] == b"{":
            return _checked(_safetensors(fd, size, start), size)
    except (
        _OddError,
        ValueError,
        TypeError,
        KeyError,
        RecursionError,
        OverflowError,
        struct.error,
    ):
        return None
    return None


def _checked(layout: Layout, size: int) -> Layout | None:
    end = layout.header
    if not 0 < end <= size or not layout.tensors:
        return None
    for tensor in layout.tensors:
        if not end <= tensor.start < tensor.end <= size:
            return None
        end = tensor.end
    return layout


def _read(fd: int, length: int, offset: int) -> bytes:
    parts = []
    while length:
        part = os.pread(fd, length, offset)
        if not part:
            raise _OddError
        parts.append(part)
        offset += len(part)
        length -= len(part)
    return b"".join(parts)


def _safetensors(fd: int, size: int, start: bytes) -> Layout:
    (length,) = struct.unpack_from("<Q", start)
    if not 2 <= length <= min(SAFETENSORS_HEADER_MOST, size - 8):
        raise _OddError
    header = json.loads(_read(fd, length, 8).decode())
    data = 8 + length
    tensors = []
    for name, tensor in header.items():
        if name == "__metadata__":
            continue
        begin, end = tensor["data_offsets"]
        if type(begin) is not int or type(end) is not int or not 0 <= begin <= end <= size - data:
            raise _OddError
        if begin < end:
            width = _DTYPE_WIDTHS.get(tensor["dtype"])
            tensors.append(Tensor(data + begin, data + end, width))
    return Layout(data, tuple(sorted(tensors, key=lambda found: found.start)))


_TORCH_DATA = re.compile(rb"(?:[^/]+/)?data/[0-9]+")
_EOCD, _LOCATOR, _EOCD64 = struct.Struct("<4s4H2LH"), struct.Struct("<4sLQL"), "<4sQ2H2L4Q"
_CENTRAL, _LOCAL = struct.Struct("<4s6H3L5H2L"), struct.Struct("<4s5H3L2H")


def _torch_zip(fd: int, size: int) -> Layout:
    count, length, offset = _central_directory(fd, size)
    directory = _read(fd, length, offset)
    tensors = []
    at = 0
    for _ in range(count):
        fields = _CENTRAL.unpack_from(directory, at)
        if fields[0] != b"PK\x01\x02":
            raise _OddError
        name_at = at + _CENTRAL.size
        extra_at = name_at + fields[10]
        name = directory[name_at:extra_at]
        at = extra_at + fields[11] + fields[12]
        if fields[4] == 0 and _TORCH_DATA.fullmatch(name):
            stored, raw, local = _zip64(directory[extra_at : extra_at + fields[11]], fields)
            # Bit 0 of the flags: encrypted.
            if stored != raw or fields[3] & 1:
                raise _OddError
            if stored:
                start = _data_start(fd, size, local, name)
                tensors.append(Tensor(start, start + stored, None))
    tensors.sort(key=lambda found: found.start)
    # What comes first, the pickle, says how the tensors are put together: it is the header.
    return Layout(tensors[0].start if tensors else 0, tuple(tensors))


def _central_directory(fd: int, size: int) -> tuple[int, int, int]:
    tail_length = min(size, 65_535 + _EOCD.size)
    tail = _read(fd, tail_length, size - tail_length)
    at = tail.rfind(b"PK\x05\x06")
    if at < 0:
        raise _OddError
    fields = _EOCD.unpack_from(tail, at)
    count, length, offset = fields[4], fields[5], fields[6]
    if 0xFFFF in fields[3:5] or 0xFFFFFFFF in fields[5:7]:
        locator = _LOCATOR.unpack_from(tail, at - _LOCATOR.size) if at >= _LOCATOR.size else None
        if locator is None or locator[0] != b"PK\x06\x07" or locator[2] > size - 56:
            raise _OddError
        end = struct.unpack(_EOCD64, _read(fd, 56, locator[2]))
        if end[0] != b"PK\x06\x06":
            raise _OddError
        count, length, offset = end[7], end[8], end[9]
    if count > TENSORS_MOST or length > ZIP_DIRECTORY_MOST or offset + length > size:
        raise _OddError
    return count, length, offset


def _zip64(extra: bytes, fields: tuple[int, ...]) -> tuple[int, int, int]:
    """Gives stored length, raw length and offset of the local header."""
    raw, stored, local = fields[9], fields[8], fields[16]
    at = 0
    while at + 4 <= len(extra):
        tag, length = struct.unpack_from("<2H", extra, at)
        if tag == 1:
            wide = [
                number
                for (number,) in struct.iter_unpack("<Q", extra[at + 4 : at + 4 + min(length, 24)])
            ]
            raw = wide.pop(0) if raw == 0xFFFFFFFF else raw
            stored = wide.pop(0) if stored == 0xFFFFFFFF else stored
            local = wide.pop(0) if local == 0xFFFFFFFF else local
            break
        at += 4 + length
    return stored, raw, local


def _data_start(fd: int, size: int, local: int, name: bytes) -> int:
    if local > size:
        raise _OddError
    fields = _LOCAL.unpack(_read(fd, _LOCAL.size, local))
    if fields[0] != b"PK\x03\x04" or fields[9] != len(name):
        raise _OddError
    return local + _LOCAL.size + int(fields[9]) + int(fields[10])


_SCALARS = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
_STRING, _ARRAY, _UINT32 = 8, 9, 4
_VALUES_MOST = 2_000_000


class _Cursor:
    """Reads numbers and strings from the front of a file, up to a limit."""

    def __init__(self, fd: int, size: int) -> None:
        self._fd = fd
        self._limit = min(size, GGUF_HEADER_MOST)
        self._window = b""
        self._base = 0
        self._values = 0
        self.at = 0

    def take(self, length: int) -> bytes:
        if length > 1 << 16:
            raise _OddError
        inside = self.at - self._base
        if inside + length > len(self._window):
            if self.at + length > self._limit:
                raise _OddError
            self._window = _read(self._fd, min(1 << 20, self._limit - self.at), self.at)
            self._base, inside = self.at, 0
        self.at += length
        return self._window[inside : inside + length]

    def skip(self, length: int) -> None:
        if length > self._limit - self.at:
            raise _OddError
        self.at += length
        if not self._base <= self.at <= self._base + len(self._window):
            self._window, self._base = b"", self.at

    def number(self, form: str = "<Q") -> int:
        value: int = struct.unpack(form, self.take(struct.calcsize(form)))[0]
        return value

    def string(self) -> bytes:
        return self.take(self.number())

    def value(self, sort: int, depth: int = 0) -> None:
        """Skips one value."""
        self._values += 1
        if self._values > _VALUES_MOST or depth > 4:
            raise _OddError
        if sort == _STRING:
            self.skip(self.number())
        elif sort == _ARRAY:
            inner, count = self.number("<L"), self.number()
            if inner in _SCALARS:
                self.skip(count * _SCALARS[inner])
            else:
                for _ in range(min(count, _VALUES_MOST + 1)):
                    self.value(inner, depth + 1)
        else:
            self.skip(_SCALARS[sort])


def _gguf(fd: int, size: int) -> Layout:
    cursor = _Cursor(fd, size)
    cursor.take(4)
    version, count, pairs = cursor.number("<L"), cursor.number(), cursor.number()
    if version not in (2, 3) or not 0 < count <= TENSORS_MOST or pairs > TENSORS_MOST:
        raise _OddError
    alignment = 32
    for _ in range(pairs):
        key, sort = cursor.string(), cursor.number("<L")
        if key == b"general.alignment" and sort == _UINT32:
            alignment = cursor.number("<L")
        else:
            cursor.value(sort)
    if not 0 < alignment <= 1 << 16:
        raise _OddError
    infos = sorted(_gguf_info(cursor) for _ in range(count))
    data = -(-cursor.at // alignment) * alignment
    tensors = []
    for at, (offset, sort) in enumerate(infos):
        # A tensor's length follows from its type; its edge is where the next one starts.
        end = infos[at + 1][0] if at + 1 < len(infos) else size - data
        if end > offset:
            tensors.append(Tensor(data + offset, data + end, _GGML_WIDTHS.get(sort, 1)))
    return Layout(data, tuple(tensors))


def _gguf_info(cursor: _Cursor) -> tuple[int, int]:
    cursor.string()
    dimensions = cursor.number("<L")
    if dimensions > 8:
        raise _OddError
    cursor.skip(8 * dimensions)
    sort = cursor.number("<L")
    return cursor.number(), sort
