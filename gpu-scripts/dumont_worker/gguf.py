"""Find the tensors in a GGUF file."""

import struct

from .tensor_layout import TENSORS_MOST, Layout, OddError, Tensor, read_exactly

HEADER_MOST = 64 << 20

# GGML types whose elements are plain; the block-quantised ones code best as bytes.
_GGML_WIDTHS: dict[int, int | None] = {0: 4, 1: 2, 30: 2, 25: None, 26: None, 27: None, 28: None}
_SCALARS = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
_STRING, _ARRAY, _UINT32 = 8, 9, 4
_VALUES_MOST = 2_000_000


class _Cursor:
    """Reads numbers and strings from the front of a file, up to a limit."""

    def __init__(self, fd: int, size: int) -> None:
        self._fd = fd
        self._limit = min(size, HEADER_MOST)
        self._window = b""
        self._base = 0
        self._values = 0
        self.at = 0

    def take(self, length: int) -> bytes:
        if length > 1 << 16:
            raise OddError
        inside = self.at - self._base
        if inside + length > len(self._window):
            if self.at + length > self._limit:
                raise OddError
            self._window = read_exactly(self._fd, min(1 << 20, self._limit - self.at), self.at)
            self._base, inside = self.at, 0
        self.at += length
        return self._window[inside : inside + length]

    def skip(self, length: int) -> None:
        if length > self._limit - self.at:
            raise OddError
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
            raise OddError
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


def gguf(fd: int, size: int) -> Layout:
    """Reads the header; raises OddError."""
    cursor = _Cursor(fd, size)
    cursor.take(4)
    version, count, pairs = cursor.number("<L"), cursor.number(), cursor.number()
    if version not in (2, 3) or not 0 < count <= TENSORS_MOST or pairs > TENSORS_MOST:
        raise OddError
    alignment = 32
    for _ in range(pairs):
        key, sort = cursor.string(), cursor.number("<L")
        if key == b"general.alignment" and sort == _UINT32:
            alignment = cursor.number("<L")
        else:
            cursor.value(sort)
    if not 0 < alignment <= 1 << 16:
        raise OddError
    infos = sorted([_gguf_info(cursor) for _ in range(count)])
    data = -(-cursor.at // alignment) * alignment
    tensors = []
    for at, (offset, sort, name) in enumerate(infos):
        # A tensor's length follows from its type; its edge is where the next one starts.
        end = infos[at + 1][0] if at + 1 < len(infos) else size - data
        if end > offset:
            width = _GGML_WIDTHS.get(sort, 1)
            tensors.append(Tensor(data + offset, data + end, width, name))
    return Layout(data, tuple(tensors))


def _gguf_info(cursor: _Cursor) -> tuple[int, int, str]:
    """Gives offset, type and name."""
    name = cursor.string().decode(errors="replace")
    dimensions = cursor.number("<L")
    if dimensions > 8:
        raise OddError
    cursor.skip(8 * dimensions)
    sort = cursor.number("<L")
    return cursor.number(), sort, name
