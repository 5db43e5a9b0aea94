"""The zstd codec: plain frames with a content size, general or as a mere Huffman coder."""

import threading
from typing import Any

from ..errors import integrity
from ..native import BytesLike, zstd

_WINDOW_LOG_MAX = 23
"""Largest window a frame may ask memory for: chunks have 4 MiB, so no honest frame needs more."""


def compress(data: BytesLike, level: int) -> bytes:
    """Gives one zstd frame made at a level."""
    return _compressor(level).compress(data)


def huffman(data: BytesLike, *, leaping: bool = False) -> bytes:
    """Gives one zstd frame made by a starved match finder: a new Huffman table every 128 KiB.

    When `leaping`, it hardly looks for matches any more: a third faster, for what has none.
    """
    return _compressor(_LEAPING if leaping else _STARVED).compress(data)


def decompress(data: BytesLike, length: int) -> bytes:
    """Gives the content of exactly one frame; raises INTEGRITY unless it is `length` bytes long."""
    module: Any = zstd()
    try:
        # Checked before a byte is decoded, so a frame can never make more than it says.
        size = module.get_frame_info(data).decompressed_size
        if size != length:
            raise integrity(f"a zstd frame of {size} bytes instead of {length}")
        decoder = _decoder(module)
        content: bytes = decoder.decompress(data, max_length=length)
    except module.ZstdError as error:
        raise integrity(f"zstd: {error}") from None
    if len(content) != length or not decoder.eof or decoder.unused_data:
        raise integrity("a zstd frame that is cut short or followed by something")
    return content


# In the place of levels, which are positive.
_STARVED, _LEAPING = 0, -1
_LITERALS = 1002
"""The parameter by which literals are coded however far the match finder leaps; 1 is on."""
_LEAP = 4096


class _Compressor:
    """A compressor whose tables are kept from chunk to chunk."""

    def __init__(self, level: int) -> None:
        module: Any = zstd()
        self._end = module.ZstdCompressor.FLUSH_FRAME
        if level > 0:
            self._zstd = module.ZstdCompressor(level=level)
            return
        p = module.CompressionParameter
        options = {
            p.compression_level: 1,
            p.strategy: module.Strategy.fast,
            p.min_match: 7,
            p.hash_log: 6,
            p.chain_log: 6,
            p.window_log: 17,
            p.target_length: 0,
        }
        if level == _LEAPING:
            try:
                leaping = {**options, p.target_length: _LEAP, _LITERALS: 1}
                self._zstd = module.ZstdCompressor(options=leaping)
                return
            except (ValueError, module.ZstdError):
                # The parameter is one of those that a release of zstd may do without.
                pass
        self._zstd = module.ZstdCompressor(options=options)

    def compress(self, data: BytesLike) -> bytes:
        # A frame ended by its first call states its content size.
        frame: bytes = self._zstd.compress(data, mode=self._end)
        return frame


_threads = threading.local()


def _compressor(level: int) -> _Compressor:
    try:
        compressors: dict[int, _Compressor] = _threads.compressors
    except AttributeError:
        compressors = _threads.compressors = {}
    found = compressors.get(level)
    if found is None:
        found = compressors[level] = _Compressor(level)
    return found


def _decoder(module: Any) -> Any:
    option = module.DecompressionParameter.window_log_max
    return module.ZstdDecompressor(options={option: _WINDOW_LOG_MAX})
