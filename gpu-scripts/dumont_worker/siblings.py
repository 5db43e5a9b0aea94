"""Where this workspace holds other versions of a tensor, to store only the difference from them."""

import bisect
import os
from collections.abc import Iterable

from .create_messages import Base, BaseFile
from .cut import TINY_TENSOR, Piece
from .file_state import Lost, open_file
from .tensor_files import find_tensors
from .tensor_layout import Layout, Tensor

_KEYS_MOST = 200_000
"""Different tensors that are remembered."""
_UNREAD_MOST = 256
"""Unchanged large files whose headers may still be read, the latest."""


Bases = tuple[tuple[BaseFile, ...], tuple[tuple[Base, ...], ...]]
"""Files, and for each piece where its bases lie in them."""

_Key = tuple[str, int | None, int]
"""A tensor's name, width and length."""


class Siblings:
    """Tensors met so far, by name, width and length: of each the first, and the latest."""

    def __init__(self) -> None:
        self._files: list[BaseFile] = []
        self._places: dict[_Key, list[Base]] = {}
        self._unread: list[BaseFile] = []

    def remember(self, file: BaseFile) -> None:
        """Notes a large file that is not read: its header is, once it may be of use."""
        self._unread.append(file)
        del self._unread[:-_UNREAD_MOST]

    def find(self, pieces: Iterable[Piece], layout: Layout) -> Bases:
        """Gives for each piece where its bases lie, and the files they lie in, by number."""
        self._read_headers()
        starts = [tensor.start for tensor in layout.tensors]
        numbers: dict[int, int] = {}
        found = []
        for piece in pieces:
            at = bisect.bisect_right(starts, piece.offset) - 1
            tensor = layout.tensors[at] if at >= 0 else None
            places = self._bases(tensor, piece) if tensor is not None else ()
            found.append(
                tuple(
                    Base(numbers.setdefault(place.file, len(numbers)), place.offset)
                    for place in places
                )
            )
        return tuple(self._files[number] for number in numbers), tuple(found)

    def admit(self, file: BaseFile, layout: Layout) -> None:
        """Notes the tensors of a file as bases for those that follow."""
        number = len(self._files)
        self._files.append(file)
        for tensor in layout.tensors:
            key = _key(tensor)
            places = self._places.get(key)
            if places is not None:
                places[1:] = [Base(number, tensor.start)]
            elif tensor.end - tensor.start >= TINY_TENSOR and len(self._places) < _KEYS_MOST:
                self._places[key] = [Base(number, tensor.start)]

    def _bases(self, tensor: Tensor, piece: Piece) -> list[Base]:
        if piece.offset + piece.length > tensor.end:
            return []
        places = self._places.get(_key(tensor), [])
        # The latest is the nearest relative; the first is the one most likely to be stored whole.
        return [
            Base(place.file, place.offset + piece.offset - tensor.start)
            for place in reversed(places)
        ]

    def _read_headers(self) -> None:
        unread, self._unread = self._unread, []
        for file in unread:
            layout = _layout(file)
            if layout is not None:
                self.admit(file, layout)


def _key(tensor: Tensor) -> _Key:
    return tensor.name, tensor.width, tensor.end - tensor.start


def _layout(file: BaseFile) -> Layout | None:
    """Gives the tensors of a file; None where it has none, or cannot be read any more."""
    try:
        fd, found = open_file(file.root, file.path, file.expect)
    except Lost:
        return None
    try:
        return find_tensors(fd, found.size)
    except OSError:
        return None
    finally:
        os.close(fd)
