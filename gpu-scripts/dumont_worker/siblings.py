"""Where this workspace holds other versions of a tensor, to store only the difference from them."""

import bisect
import os
from collections import OrderedDict
from collections.abc import Callable, Container, Iterable

from .create_messages import Base, BaseFile, Span
from .cut import TINY_TENSOR, Piece
from .file_state import Lost, open_file
from .tensor_files import find_tensors
from .tensor_layout import Layout, Tensor

_KEYS_MOST = 200_000
"""Different tensors that are remembered."""
_UNREAD_MOST = 256
"""Unchanged large files whose headers may still be read, the latest."""
_IN_WORK_MOST = 64
"""Files of which it is still to be told how they are stored, the latest."""


Bases = tuple[tuple[BaseFile, ...], tuple[tuple[Base, ...], ...]]
"""Files, and for each piece where its bases lie in them."""

_Key = tuple[str, int | None, int]
"""A tensor's name, width and length."""


class Siblings:
    """Tensors met so far, by name, width and length: the first, and the latest stored whole."""

    def __init__(self) -> None:
        self._files: list[BaseFile] = []
        self._places: dict[_Key, list[Base]] = {}
        self._unread: list[tuple[BaseFile, Container[int]]] = []
        # By place: the number of a file, and its tensors by offset.
        self._in_work: OrderedDict[tuple[bytes, bytes], tuple[int, dict[int, _Key]]] = OrderedDict()

    def remember(self, file: BaseFile, differences: Container[int] = ()) -> None:
        """Notes a large file that is not read: its header is, once it may be of use.

        `differences` are the offsets of chunks that are no bases, being differences themselves.
        """
        self._unread.append((file, differences))
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
        """Notes a file that is read: of tensors not met before it is the first."""
        number = self._number(file)
        for tensor in layout.tensors:
            self._is_first(tensor, number)
        keys = {tensor.start: _key(tensor) for tensor in layout.tensors}
        self._in_work[file.root, file.path] = (number, keys)
        if len(self._in_work) > _IN_WORK_MOST:
            self._in_work.popitem(last=False)

    def settle(
        self, place: tuple[bytes, bytes], spans: Iterable[Span], is_whole: Callable[[bytes], bool]
    ) -> None:
        """Learns how chunks of a file are stored: those stored whole are a new beginning."""
        number, keys = self._in_work.get(place, (0, {}))
        for span in spans:
            # A long tensor goes by its first chunk.
            key = keys.get(span.offset)
            places = self._places.get(key) if key is not None else None
            if key is None or not places:
                continue
            is_first = places[0].file == number
            if is_whole(span.hash):
                if not is_first:
                    places[1:] = [Base(number, span.offset)]
            elif is_first:
                # It was known before, as a difference.
                del places[0]
                if not places:
                    del self._places[key]

    def _number(self, file: BaseFile) -> int:
        self._files.append(file)
        return len(self._files) - 1

    def _is_first(self, tensor: Tensor, number: int) -> bool:
        """Whether a tensor is now the first of its kind, and may be a base."""
        key = _key(tensor)
        tiny = tensor.end - tensor.start < TINY_TENSOR
        if tiny or key in self._places or len(self._places) >= _KEYS_MOST:
            return False
        self._places[key] = [Base(number, tensor.start)]
        return True

    def _bases(self, tensor: Tensor, piece: Piece) -> list[Base]:
        if piece.offset + piece.length > tensor.end:
            return []
        places = self._places.get(_key(tensor), [])
        # The latest is the nearest relative; the first is stored whole where others need it.
        return [
            Base(place.file, place.offset + piece.offset - tensor.start)
            for place in reversed(places)
        ]

    def _read_headers(self) -> None:
        unread, self._unread = self._unread, []
        for file, differences in unread:
            layout = _layout(file)
            if layout is None:
                continue
            number = self._number(file)
            for tensor in layout.tensors:
                if tensor.start in differences or self._is_first(tensor, number):
                    continue
                places = self._places.get(_key(tensor))
                if places is not None:
                    places[1:] = [Base(number, tensor.start)]


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
