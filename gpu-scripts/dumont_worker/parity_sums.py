"""The arithmetic of parity: sums over GF(2^8), and what follows of lost members from them.

Section 9 of docs/format.md. Weights are powers of two, so that all is doubling and adding.
"""

from collections.abc import Iterator, Mapping, Sequence
from types import ModuleType

from .native import BytesLike, numpy

MEMBERS_MOST = 16
PARITY_MOST = 4
_POLYNOMIAL = 0x1D
"""What a byte that overflows in doubling leaves behind."""
_STRIPE = 256 << 10


class Sums:
    """Parity objects in the making.

    Each member doubles what was summed before it: it is told last member first.
    """

    def __init__(self, count: int, room: int = 0) -> None:
        """`count` sums; memory for members of `room` bytes is taken at once."""
        self._memories = [bytearray(room) for _ in range(count)]
        self.length = 0
        """Bytes of the longest member so far."""

    def add(self, member: BytesLike) -> None:
        """Adds the member that stands before all others so far; empty for one that is lost."""
        data = memoryview(member).cast("B")
        # Behind the members so far there is nothing to be doubled.
        known, length = self.length, max(self.length, len(data))
        for doublings, memory in enumerate(self._memories):
            if len(memory) < length:
                memory.extend(bytes(length - len(memory)))
            with memoryview(memory) as view:
                double_and_add(view[:known], doublings, data[:known])
                view[known : len(data)] = data[known:]
        self.length = length

    def parity(self, number: int) -> memoryview:
        """Gives a parity object as it is now; it is in use as long as the view."""
        return memoryview(self._memories[number])[: self.length]


def double_and_add(sums: memoryview, doublings: int, data: BytesLike) -> None:
    """Doubles every byte so often, then adds `data`, as if zeros followed it."""
    module = numpy()
    whole = len(sums) - len(sums) % 8 if module is not None else 0
    if module is not None:
        _with_numpy(module, sums[:whole], doublings, data[:whole])
    _with_integers(sums[whole:], doublings, data[whole:])


def _with_numpy(np: ModuleType, sums: memoryview, doublings: int, data: BytesLike) -> None:
    words = np.frombuffer(sums, np.uint64)
    full = len(data) // 8
    added = np.frombuffer(data, np.uint64, full)
    seven, polynomial = np.uint64(7), np.uint64(_POLYNOMIAL)
    ones, low = np.uint64(int("01" * 8, 16)), np.uint64(int("7f" * 8, 16))
    one = np.uint64(1)
    carry = np.empty(_STRIPE // 8, np.uint64)
    for at in range(0, len(words), len(carry)):
        some = words[at : at + len(carry)]
        high = carry[: len(some)]
        for _ in range(doublings):
            np.right_shift(some, seven, out=high)
            high &= ones
            high *= polynomial
            some &= low
            some <<= one
            some ^= high
        more = added[at : at + len(some)]
        some[: len(more)] ^= more
    for at in range(8 * full, len(data)):
        sums[at] ^= data[at]


def _with_integers(sums: memoryview, doublings: int, data: BytesLike) -> None:
    """The same for any Python, and for lengths that are no words: long numbers."""
    for at in range(0, len(sums), _STRIPE):
        some = sums[at : at + _STRIPE]
        low, ones = (int.from_bytes(bytes([byte]) * len(some), "little") for byte in (0x7F, 1))
        value = int.from_bytes(some, "little")
        for _ in range(doublings):
            value = ((value & low) << 1) ^ (((value >> 7) & ones) * _POLYNOMIAL)
        value ^= int.from_bytes(data[at : at + len(some)], "little")
        some[:] = value.to_bytes(len(some), "little")


def solve(sums: Mapping[int, BytesLike], lost: Sequence[int]) -> dict[int, bytearray]:
    """Gives lost members by number, from the first as many of `sums`.

    Those are, by number of the parity object, what it and the members that are left add up to, the
    lost ones taken as zeros; each as long as the wanted bytes.
    """
    rows = sorted(sums)[: len(lost)]
    if len(rows) < len(lost):
        raise ValueError(f"{len(lost)} members are lost, and {len(rows)} sums are left")
    weights = _inverse([[_power(member * row) for member in lost] for row in rows])
    return {
        member: weighted(list(zip(line, [sums[row] for row in rows], strict=True)))
        for member, line in zip(lost, weights, strict=True)
    }


def weight(member: int, row: int) -> int:
    """Gives what a member is multiplied by in a parity object."""
    return _power(member * row)


def weighted(parts: Sequence[tuple[int, BytesLike]]) -> bytearray:
    """Gives the sum of parts of the same length, each multiplied by its factor."""
    total = bytearray(len(parts[0][1]))
    with memoryview(total) as view:
        for bit in range(7, -1, -1):
            if bit < 7:
                double_and_add(view, 1, b"")
            for factor, part in parts:
                if factor >> bit & 1:
                    double_and_add(view, 0, part)
    return total


def _powers() -> Iterator[int]:
    value = 1
    for _ in range(255):
        yield value
        value = value << 1 ^ (0x100 | _POLYNOMIAL if value & 0x80 else 0)


_POWERS = list(_powers())
_LOGARITHMS = {value: power for power, value in enumerate(_POWERS)}


def _power(exponent: int) -> int:
    return _POWERS[exponent % 255]


def _product(a: int, b: int) -> int:
    return _power(_LOGARITHMS[a] + _LOGARITHMS[b]) if a and b else 0


def _inverse(matrix: list[list[int]]) -> list[list[int]]:
    """By elimination; every part of the coefficients can be inverted."""
    size = len(matrix)
    rows = [line + [int(n == at) for n in range(size)] for at, line in enumerate(matrix)]
    for column in range(size):
        pivot = next(row for row in range(column, size) if rows[row][column])
        rows[column], rows[pivot] = rows[pivot], rows[column]
        factor = _power(-_LOGARITHMS[rows[column][column]])
        rows[column] = [_product(factor, value) for value in rows[column]]
        for row in range(size):
            if row != column and (factor := rows[row][column]):
                pairs = zip(rows[row], rows[column], strict=True)
                rows[row] = [value ^ _product(factor, other) for value, other in pairs]
    return [line[size:] for line in rows]
