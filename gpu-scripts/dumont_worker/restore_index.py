"""Fetch a snapshot's index, prove every object of it, and keep what a restore needs."""

import hashlib
import time
from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import transfer
from .entry import ChunkRecord, Entry
from .errors import WorkerError, integrity
from .index import IndexReader, PackRecord, decode_packs
from .native import BytesLike
from .protocol import ObjectRef, RestoreRequest, object_seal
from .restore_scope import Layout, Placed, Scope, include_rule
from .seal import Kind, check_alike, open_whole, require
from .session import Link
from .spool import Item, Spool
from .target import join

if TYPE_CHECKING:
    from .parity_desk import ParityDesk

# A segment is 16 MiB before compression, a pack list 130 bytes a pack; what claims more is not
# ours.
OBJECT_MAX = 64 << 20
# URLs live 15 minutes; one that was handed out this long ago is not used for a new task.
URL_SECONDS = 600.0
KEYS_AT_ONCE = 64
RENEWALS = 3
_DECODABLE = frozenset({"none", "zstd", "ans"})

Signed = dict[str, Any]


class Urls:
    """Signed GET URLs from the operator's machine, kept while they are fresh.

    Each comes with `seal`: what opens the object, or None. The first tells what all must be.
    """

    def __init__(self, link: Link, raw: bool = False) -> None:
        """Ask through `link`; for `raw` bytes as they are stored, with nothing to open them."""
        self._link = link
        self._more = {"raw": True} if raw else {}
        self.parity: ParityDesk | None = None
        """What makes objects of the index again, where there is anything."""
        self._known: dict[str, tuple[Signed, float]] = {}
        self._sealed: bool | None = False if raw else None

    @property
    def sealed(self) -> bool:
        """Whether the snapshot is sealed, as its first URL has told."""
        return self._sealed is True

    def get(self, key: str, ahead: list[str] | None = None) -> Signed:
        """Return the URL of a key; what is needed next is asked for in the same message."""
        known = self._known.get(key)
        if known is None or time.monotonic() - known[1] > URL_SECONDS:
            self._ask([key, *(other for other in ahead or [] if other != key)][:KEYS_AT_ONCE])
            known = self._known[key]
        return known[0]

    def several(self, keys: list[str], ahead: list[str]) -> list[Signed]:
        """Return the URLs of several keys; what is needed next is asked for in the same message."""
        now = time.monotonic()
        wanted = [key for key in dict.fromkeys([*keys, *ahead]) if not self._is_fresh(key, now)]
        missing = len(set(keys).intersection(wanted))
        for start in range(0, missing, KEYS_AT_ONCE):
            self._ask(wanted[start : start + KEYS_AT_ONCE])
        return [self._known[key][0] for key in keys]

    def _is_fresh(self, key: str, now: float) -> bool:
        known = self._known.get(key)
        return known is not None and now - known[1] <= URL_SECONDS

    def renew(self, key: str) -> None:
        """Forget a URL that the store does not honour any more."""
        self._known.pop(key, None)

    def _ask(self, keys: list[str]) -> None:
        now = time.monotonic()
        self._known = {k: v for k, v in self._known.items() if now - v[1] <= URL_SECONDS}
        urls = self._link.request("fetch", keys=keys, **self._more).get("urls")
        if not isinstance(urls, list) or len(urls) != len(keys):
            raise WorkerError("WORKER", "the operator's machine gave other URLs than asked for")
        for key, signed in zip(keys, urls, strict=True):
            if not isinstance(signed, dict) or signed.get("key") != key:
                raise WorkerError("WORKER", "the operator's machine gave a URL of another key")
            seal = object_seal(signed)
            if self._sealed is None:
                self._sealed = seal is not None
                if seal is not None:
                    require()
            check_alike(key, seal, self._sealed)
            told = {"key": key, "url": signed["url"], "headers": signed["headers"], "seal": seal}
            self._known[key] = (told, now)


def fetch_object(link: Link, urls: Urls, wanted: ObjectRef, kind: Kind) -> bytes:
    """Fetch one index object, prove its length and SHA-256, and open it.

    WorkerError INTEGRITY when it is another, and cannot be made again.
    """
    if not 0 < wanted.length <= OBJECT_MAX:
        raise integrity(f"{wanted.key} has an impossible length")
    try:
        data: BytesLike = _fetched(link, urls, wanted)
    except WorkerError as error:
        if error.code != "INTEGRITY" or urls.parity is None:
            raise
        data = urls.parity.index_object(wanted, error)
    return open_whole(urls.get(wanted.key)["seal"], kind, bytes(data))


def _fetched(link: Link, urls: Urls, wanted: ObjectRef) -> memoryview:
    for _ in range(RENEWALS):
        try:
            span = (0, wanted.length - 1)
            signed = urls.get(wanted.key)
            data = transfer.get(signed, span, None, None, link.cancelled)
        except transfer.UrlExpired:
            urls.renew(wanted.key)
            continue
        if hashlib.sha256(data).hexdigest() != wanted.sha256:
            raise integrity(f"{wanted.key} is damaged: its SHA-256 is not what the manifest says")
        return data
    raise WorkerError("ACCESS_DENIED", "the store takes every URL for an expired one")


class ChunkTable:
    """Where every chunk of the index lies and what it leans on, about 100 bytes each."""

    def __init__(self) -> None:
        """Start empty."""
        self.raw = array("I")
        self.pack = array("I")
        self.at = array("I")
        self.stored = array("I")
        # Of a difference the number of its base and one more.
        self._leans_on = array("I")
        self._hashes = bytearray()
        self._decodable = bytearray()
        self._ans = bytearray()
        self.has_differences = False
        self.lost: set[int] = set()
        """Chunks whose lines are lost, where an index is salvaged."""

    def __len__(self) -> int:
        """Return the number of chunks."""
        return len(self.raw)

    def add(self, record: ChunkRecord) -> None:
        """Append the next chunk.

        WorkerError INTEGRITY for a difference from a chunk that is one itself, or from none.
        """
        self._leans_on.append(0 if record.base is None else self._checked(record) + 1)
        self.raw.append(record.raw)
        self.pack.append(record.pack)
        self.at.append(record.at)
        self.stored.append(record.stored)
        self._hashes += record.hash
        self._hashes += record.frame
        self._ans.append(record.codec == "ans")
        self._decodable.append(record.codec in _DECODABLE)

    def hashes(self, chunk: int) -> tuple[bytes, bytes]:
        """Return raw hash and frame hash."""
        at = 64 * chunk
        return bytes(self._hashes[at : at + 32]), bytes(self._hashes[at + 32 : at + 64])

    def base(self, chunk: int) -> int | None:
        """Return what a chunk is a difference from; None for one that is stored whole."""
        return self._leans_on[chunk] - 1 if self._leans_on[chunk] else None

    def needs_gpu(self, chunk: int) -> bool:
        """Tell whether only nvCOMP decodes a chunk or its base."""
        base = self.base(chunk)
        return bool(self._ans[chunk] or (base is not None and self._ans[base]))

    def decodable(self, chunk: int) -> bool:
        """Tell whether this worker has the decoders of a chunk and of its base."""
        base = self.base(chunk)
        return bool(self._decodable[chunk] and (base is None or self._decodable[base]))

    def _checked(self, record: ChunkRecord) -> int:
        assert record.base is not None
        base = record.base[1]
        if base >= len(self) or self._leans_on[base] or self.raw[base] != record.raw:
            raise integrity("a difference from a chunk that cannot be its base")
        self.has_differences = True
        return base


@dataclass(slots=True)
class Index:
    """A snapshot's index, cut down to what is in scope."""

    packs: list[PackRecord]
    chunks: ChunkTable
    spool: Spool
    linked: set[tuple[int, bytes]]
    """Places of the first members of hard-link groups that have a further member in scope."""


def read_index(
    link: Link, request: RestoreRequest, urls: Urls, layout: Layout, spool: Spool
) -> Index:
    """Fetch and check the whole index.

    Nothing has been written to the target when it raises INTEGRITY.
    """
    ahead = [request.packs.key, *(segment.key for segment in request.segments)]
    urls.get(request.packs.key, ahead)
    listed = fetch_object(link, urls, request.packs, "packs")
    packs = decode_packs(listed, request.snapshot, urls.sealed)
    index = Index(packs, ChunkTable(), spool, set())
    scope = Scope(request.roots, layout, include_rule(request.include))
    segments = (fetch_object(link, urls, wanted, "segment") for wanted in request.segments)
    for line in IndexReader(segments, request.snapshot, packs):
        if isinstance(line, Entry):
            for placed in scope.place(line):
                add_to(index, layout, placed)
        else:
            index.chunks.add(line[1])
            if len(index.chunks) % 1024 == 0:
                link.check()
    return index


def add_to(index: Index, layout: Layout, placed: Placed) -> None:
    """Spool one placed entry."""
    link = place_of_link(placed.entry, layout)
    if link is not None:
        index.linked.add(link)
    index.spool.add(as_item(placed, link))


def place_of_link(entry: Entry, layout: Layout) -> tuple[int, bytes] | None:
    """Return where the first member of an entry's hard-link group goes."""
    if entry.link is None:
        return None
    root, path = entry.link
    where = layout.destinations[root]
    return where.base, join(where.path, path)


def as_item(placed: Placed, link: tuple[int, bytes] | None) -> Item:
    """Return what the spool keeps of an entry."""
    entry = placed.entry
    return Item(
        entry.kind,
        entry.root,
        placed.base,
        placed.path,
        placed.role,
        entry.mode,
        entry.uid,
        entry.gid,
        entry.mtime,
        entry.xattrs,
        entry.size,
        entry.hash,
        tuple([tuple(extent) for extent in entry.extents]),  # type: ignore[misc]
        link,
        entry.target,
        entry.device,
    )
