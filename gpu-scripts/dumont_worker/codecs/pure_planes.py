"""Byte planes without numpy: a chunk as one big integer is rotated by a few long operations."""

from functools import lru_cache

from ..native import BytesLike


def split(raw: BytesLike, words: int, transform: str) -> list[BytesLike]:
    """Gives the byte planes of the first `words` words."""
    if transform == "planes2of4":
        data = bytearray(2 * words)
        data[0::2] = bytes(raw[2 : 4 * words : 4])
        data[1::2] = bytes(raw[3 : 4 * words : 4])
        return _split(data, 2)
    width = 2 if transform == "planes2" else 4
    return _split(raw[: words * width], width)


def join(planes: list[BytesLike], words: int, transform: str, out: memoryview) -> None:
    """Writes the words that these planes were made of."""
    width = len(planes)
    data = bytearray(words * width)
    for index, plane in enumerate(planes):
        data[index::width] = plane
    rotated = int.from_bytes(data, "little")
    bottom = _mask(1, width, words)
    restored = ((rotated & bottom) << (8 * width - 1)) | (
        (rotated >> 1) & _mask((1 << (8 * width - 1)) - 1, width, words)
    )
    joined = restored.to_bytes(len(data), "little")
    if transform == "planes2of4":
        wide = bytearray(4 * words)
        wide[2::4], wide[3::4] = joined[0::2], joined[1::2]
        out[: 4 * words] = wide
    else:
        out[: len(joined)] = joined


def low_halves_are_zero(raw: BytesLike) -> bool:
    """Whether every whole 4-byte word has zeros in its low 16 bits."""
    end = len(raw) - len(raw) % 4
    return not any(bytes(raw[0:end:4])) and not any(bytes(raw[1:end:4]))


def histogram(sample: BytesLike) -> list[int]:
    """Counts each byte value."""
    data = bytes(sample)
    return [data.count(value) for value in range(256)]


def _split(raw: BytesLike, width: int) -> list[BytesLike]:
    words = len(raw) // width
    value = int.from_bytes(raw, "little")
    sign = 8 * width - 1
    rotated = ((value & _mask((1 << sign) - 1, width, words)) << 1) | (
        (value >> sign) & _mask(1, width, words)
    )
    data = rotated.to_bytes(len(raw), "little")
    return [data[index::width] for index in range(width)]


@lru_cache(maxsize=8)
def _mask(word: int, width: int, words: int) -> int:
    return int.from_bytes(word.to_bytes(width, "little") * words, "little")
