"""Find the tensors in a torch file, a zip archive whose members are stored as they are."""

import re
import struct

from .tensor_layout import TENSORS_MOST, Layout, OddError, Tensor, read_exactly

DIRECTORY_MOST = 16 << 20

_TORCH_DATA = re.compile(rb"(?:[^/]+/)?data/[0-9]+")
_EOCD, _LOCATOR, _EOCD64 = struct.Struct("<4s4H2LH"), struct.Struct("<4sLQL"), "<4sQ2H2L4Q"
_CENTRAL, _LOCAL = struct.Struct("<4s6H3L5H2L"), struct.Struct("<4s5H3L2H")


def torch_zip(fd: int, size: int) -> Layout:
    """Reads the archive's directory; raises OddError."""
    count, length, offset = _central_directory(fd, size)
    directory = read_exactly(fd, length, offset)
    tensors = []
    at = 0
    for _ in range(count):
        fields = _CENTRAL.unpack_from(directory, at)
        if fields[0] != b"PK\x01\x02":
            raise OddError
        name_at = at + _CENTRAL.size
        extra_at = name_at + fields[10]
        name = directory[name_at:extra_at]
        at = extra_at + fields[11] + fields[12]
        if fields[4] == 0 and _TORCH_DATA.fullmatch(name):
            stored, raw, local = _zip64(directory[extra_at : extra_at + fields[11]], fields)
            # Bit 0 of the flags: encrypted.
            if stored != raw or fields[3] & 1:
                raise OddError
            if stored:
                start = _data_start(fd, size, local, name)
                # Storages are numbered in the order in which the model names them.
                number = name.rpartition(b"/")[2].decode()
                tensors.append(Tensor(start, start + stored, None, number))
    tensors.sort(key=lambda found: found.start)
    # What comes first, the pickle, says how the tensors are put together: it is the header.
    return Layout(tensors[0].start if tensors else 0, tuple(tensors))


def _central_directory(fd: int, size: int) -> tuple[int, int, int]:
    tail_length = min(size, 65_535 + _EOCD.size)
    tail = read_exactly(fd, tail_length, size - tail_length)
    at = tail.rfind(b"PK\x05\x06")
    if at < 0:
        raise OddError
    fields = _EOCD.unpack_from(tail, at)
    count, length, offset = fields[4], fields[5], fields[6]
    if 0xFFFF in fields[3:5] or 0xFFFFFFFF in fields[5:7]:
        locator = _LOCATOR.unpack_from(tail, at - _LOCATOR.size) if at >= _LOCATOR.size else None
        if locator is None or locator[0] != b"PK\x06\x07" or locator[2] > size - 56:
            raise OddError
        end = struct.unpack(_EOCD64, read_exactly(fd, 56, locator[2]))
        if end[0] != b"PK\x06\x06":
            raise OddError
        count, length, offset = end[7], end[8], end[9]
    if count > TENSORS_MOST or length > DIRECTORY_MOST or offset + length > size:
        raise OddError
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
        raise OddError
    fields = _LOCAL.unpack(read_exactly(fd, _LOCAL.size, local))
    if fields[0] != b"PK\x03\x04" or fields[9] != len(name):
        raise OddError
    return local + _LOCAL.size + int(fields[9]) + int(fields[10])
