"""Which chunks a transcode fetches in one request and has decoded in one call of the GPU."""

from collections.abc import Iterable, Iterator

from .entry import ChunkRecord
from .gpu.batch import HELD_MOST
from .memory_plan import LARGEST_PACK

GAP_MOST = 1 << 20
"""Bytes of other chunks that are fetched for nothing, rather than asking once more."""

Group = list[tuple[int, ChunkRecord]]
"""Chunks of one pack by their numbers, in the order in which they lie there."""


def span_of(group: Group) -> tuple[int, int]:
    """Gives where in its pack a group begins, and where it ends."""
    last = group[-1][1]
    return group[0][1].at, last.at + last.stored


def grouped(found: Iterable[tuple[int, ChunkRecord]]) -> Iterator[Group]:
    """Gives every chunk in one group, none larger than what goes to a GPU at a time."""
    group: Group = []
    held = 0
    for number, record in sorted(found, key=lambda one: (one[1].pack, one[1].at)):
        if group and not (held + record.raw <= HELD_MOST and _is_near(group, record)):
            yield group
            group, held = [], 0
        group.append((number, record))
        held += record.raw
    if group:
        yield group


def _is_near(group: Group, record: ChunkRecord) -> bool:
    start, end = span_of(group)
    return (
        group[-1][1].pack == record.pack
        and record.at - end <= GAP_MOST
        and record.at + record.stored - start <= LARGEST_PACK
    )
