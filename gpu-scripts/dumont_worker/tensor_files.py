"""Find the tensors in safetensors, torch and GGUF files. Headers are hostile until proven plain."""

import json
import os
import struct

from .gguf import gguf
from .tensor_layout import Layout, OddError, Tensor, read_exactly
from .torch_zip import torch_zip

SAFETENSORS_HEADER_MOST = 8 << 20
"""Longest header that is parsed: the format allows 100 MB, which as JSON objects is a gigabyte."""

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


def find_tensors(fd: int, size: int) -> Layout | None:
    """Gives the layout of a tensor file, None for any other file or an odd one.

    Recognised by content, for caches name files by hash. Raises OSError.
    """
    start = os.pread(fd, 16, 0)
    try:
        if start.startswith(b"PK\x03\x04"):
            return _checked(torch_zip(fd, size), size)
        if start.startswith(b"GGUF"):
            return _checked(gguf(fd, size), size)
        if len(start) == 16 and start[8:9] == b"{":
            return _checked(_safetensors(fd, size, start), size)
    except (
        OddError,
        ValueError,
        TypeError,
        LookupError,
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


def _safetensors(fd: int, size: int, start: bytes) -> Layout:
    (length,) = struct.unpack_from("<Q", start)
    if not 2 <= length <= min(SAFETENSORS_HEADER_MOST, size - 8):
        raise OddError
    header = json.loads(read_exactly(fd, length, 8).decode())
    data = 8 + length
    tensors = []
    for name, tensor in header.items():
        if name == "__metadata__":
            continue
        begin, end = tensor["data_offsets"]
        if type(begin) is not int or type(end) is not int or not 0 <= begin <= end <= size - data:
            raise OddError
        if begin < end:
            width = _DTYPE_WIDTHS.get(tensor["dtype"])
            tensors.append(Tensor(data + begin, data + end, width, name))
    return Layout(data, tuple(sorted(tensors, key=lambda found: found.start)))
