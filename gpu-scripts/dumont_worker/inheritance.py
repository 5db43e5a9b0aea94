"""What need not be read: files unchanged since the parent, or since an interrupted run."""

import hashlib

from .cancellation import Flag
from .chunk_table import ChunkTable
from .create_window import Slot
from .errors import WorkerError, integrity
from .index import SEGMENT_LIMIT, decode_packs
from .journal import Journal
from .mounts import memory_devices
from .operator_desk import OperatorDesk
from .parent import ParentIndex, Source, unchanged
from .parity_groups import Group, decode_groups
from .protocol import ObjectRef, Parent
from .seal import Kind, open_whole
from .session import Link
from .transfer import UrlExpired, get

# The answer to an expired URL is a fresh one; more of them show a clock or a store at fault.
_URLS = 3


def open_parent(
    link: Link, desk: OperatorDesk, parent: Parent | None, roots: list[bytes], sealed: bool
) -> ParentIndex | None:
    """Reads the parent's packs and chunks; None when there is nothing that may be named."""
    if parent is None or not parent.reuse:
        return None
    listed = fetch_checked(desk, parent.packs, "packs", link.cancelled)
    packs = decode_packs(listed, parent.id, sealed)
    source = Source(
        parent.id,
        len(parent.segments),
        lambda n: fetch_checked(desk, parent.segments[n], "segment", link.cancelled),
        packs,
        list(parent.roots) if parent.roots is not None else roots,
        parent.reuse,
        parent.unusable,
        parent.ans,
    )
    return ParentIndex(source, roots)


def open_groups(link: Link, desk: OperatorDesk, parent: Parent | None) -> list[Group]:
    """Reads the parent's groups, all of whose objects may be named; a damaged list has none."""
    if parent is None or not parent.reuse or parent.groups is None:
        return []
    try:
        listed = fetch_checked(desk, parent.groups, "groups", link.cancelled)
        groups = decode_groups(listed, parent.id)
    except WorkerError as error:
        if error.code != "INTEGRITY":
            raise
        link.warn("parity", b"", f"groups of the parent are given up: {error.message}")
        return []
    unusable = set(parent.unusable)
    return [one for one in groups if unusable.isdisjoint(part.key for part in one.objects)]


def fetch_checked(desk: OperatorDesk, ref: ObjectRef, kind: Kind, cancelled: Flag) -> bytes:
    """Fetches an index object, proven to be the one the manifest names, and opens it; INTEGRITY."""
    if not 0 < ref.length <= SEGMENT_LIMIT:
        raise integrity(f"{ref.key} has an impossible length")
    for _ in range(_URLS):
        try:
            return _fetched(desk, ref, kind, cancelled)
        except UrlExpired:
            continue
    raise WorkerError("ACCESS_DENIED", "the store takes every URL for an expired one")


def _fetched(desk: OperatorDesk, ref: ObjectRef, kind: Kind, cancelled: Flag) -> bytes:
    signed = desk.fetch(ref.key)
    data = bytes(get(signed, (0, ref.length - 1), None, None, cancelled))
    if hashlib.sha256(data).hexdigest() != ref.sha256:
        raise integrity(f"{ref.key} is not what the manifest says")
    return open_whole(signed["seal"], kind, data)


class Inheritance:
    """Finds files by place and stat in the parent and the journal; asked in path order.

    Unless it is `trusting`, every file is read again, and only its chunks are found. Files in
    memory are always read: their times do not tell of what was written through mappings.
    """

    def __init__(
        self,
        parent: ParentIndex | None,
        journal: Journal,
        table: ChunkTable,
        *,
        trusting: bool = True,
    ) -> None:
        self._trusting = trusting
        self._timeless = memory_devices()
        self._parent = parent
        self._journal = journal
        self._table = table

    def recall(self, slot: Slot) -> bool:
        """Finishes a slot whose file need not be read."""
        stat = slot.entry.stat
        if not self._trusting or stat is None or stat.dev in self._timeless:
            return False
        return self._from_parent(slot) or self._from_journal(slot)

    def _from_parent(self, slot: Slot) -> bool:
        parent = self._parent
        if parent is None:
            return False
        entry = slot.entry
        then = parent.find(entry)
        if then is None or not unchanged(entry, then, parent.scanned_at):
            return False
        if not parent.usable(then.extents):
            return False
        slot.content = then.hash
        slot.inherited = then.extents
        return True

    def _from_journal(self, slot: Slot) -> bool:
        found = self._journal.find(slot.entry)
        if found is None:
            return False
        content, spans = found
        if not self._table.has([span.hash for span in spans]):
            return False
        slot.content, slot.spans = content, spans
        return True
