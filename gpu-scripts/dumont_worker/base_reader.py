"""Reads the bases of one stretch from the files they lie in."""

import os
from collections.abc import Iterable
from typing import NamedTuple

from .create_messages import Base, BaseFile
from .file_state import Lost, open_file


class BaseReader:
    """Opens files of bases when they are first needed; what cannot be read is no base."""

    def __init__(self, files: tuple[BaseFile, ...]) -> None:
        self._files = files
        self._opened: dict[int, int | None] = {}

    def read(self, base: Base, parts: Iterable[tuple[int, int]], into: memoryview) -> bool:
        """Fills `into` with parts of a base, by offset and length; False where that fails."""
        fd = self._descriptor(base.file)
        if fd is None:
            return False
        at = 0
        try:
            for offset, length in parts:
                # What another program writes meanwhile is noticed: bases are known by their hash.
                if os.preadv(fd, [into[at : at + length]], base.offset + offset) != length:
                    return False
                at += length
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Closes what was opened."""
        for fd in self._opened.values():
            if fd is not None:
                os.close(fd)
        self._opened.clear()

    def _descriptor(self, number: int) -> int | None:
        if number not in self._opened:
            file = self._files[number]
            try:
                self._opened[number] = open_file(file.root, file.path, file.expect)[0]
            except Lost:
                self._opened[number] = None
        return self._opened[number]


class Bases(NamedTuple):
    """Where the bases of one piece lie, the nearest relative first, and who reads them."""

    places: tuple[Base, ...]
    reader: BaseReader
