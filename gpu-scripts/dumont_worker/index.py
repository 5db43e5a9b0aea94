"""The index of a snapshot: gzip'd JSON lines in segments, and the list of packs."""

import json
import re
import zlib
from array import array
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from .byte_string import strict_base64
from .entry import (
    LINKABLE,
    PACK_MAX,
    ChunkRecord,
    Entry,
    Json,
    decode_chunk_record,
    decode_entry,
    encode_chunk_record,
    encode_entry,
    leaf,
    path_key,
    wide,
)
from .errors import WorkerError, integrity
from .merkle import MerkleTree
from .quick_entry import quick_entry
from .seal import SEAL

SEGMENT_RAW = 16 << 20
"""Most bytes of a segment before compression, unless one line alone is longer."""
SEGMENT_LIMIT = 64 << 20
"""Most bytes a reader accepts after decompression."""
CUTTER = 1

_LEVEL = 4
_ENTRY = '{"entry":'
_BATCH = 256 << 10


@dataclass(frozen=True, slots=True)
class IndexSummary:
    """What the manifest says about an index; the Merkle root in hexadecimal."""

    entries: int
    chunks: int
    merkle: str
    decoders: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PackRecord:
    """One object that holds chunks; `pin_value` is base64."""

    key: str
    length: int
    pin_kind: str
    pin_value: str
    seal: str | None = None
    """What opens it, but for a key; base64."""


class IndexWriter:
    """Writes chunks and entries in index order; calls `emit(n, data)` for every full segment."""

    def __init__(self, snapshot: str, scanned_at: int, emit: Callable[[int, bytes], None]) -> None:
        self._snapshot = snapshot
        self._scanned_at = scanned_at
        self._emit = emit
        self._segment = 0
        self._order = _Order()
        self._merkle = MerkleTree()
        self._entries = 0
        self._chunks = 0
        self._decoders: set[str] = set()
        self._start()

    def chunk(self, record: ChunkRecord) -> int:
        """Adds a chunk before the first entry that uses it; gives its number."""
        number = self._chunks
        self._write(encode_chunk_record(number, record))
        self._chunks += 1
        self._decoders.update(decoders_of(record))
        return number

    def entry(self, entry: Entry) -> None:
        """Adds the next entry in index order; raises ValueError for one that is out of order."""
        for _, chunk, _, _ in entry.extents:
            if chunk >= self._chunks:
                raise ValueError(f"{entry.path!r} names a chunk that was not written")
        try:
            self._order.take(entry)
        except WorkerError as error:
            raise ValueError(f"{entry.path!r}: {error.message}") from None
        self._write(encode_entry(entry))
        self._merkle.add(leaf(entry))
        self._entries += 1

    def close(self) -> IndexSummary:
        """Emits the last segment; an index has at least one."""
        self._finish()
        return IndexSummary(
            self._entries,
            self._chunks,
            self._merkle.root().hex(),
            tuple(sorted(self._decoders)),
        )

    def _start(self) -> None:
        # 31: a gzip wrapper; zlib writes no time into it, so equal input gives equal segments.
        self._gzip = zlib.compressobj(_LEVEL, zlib.DEFLATED, 31)
        self._done: list[bytes] = []
        header = {
            "kind": "index",
            "format": 1,
            "snapshot": self._snapshot,
            "segment": self._segment,
            "cutter": CUTTER,
            "scannedAt": str(self._scanned_at),
        }
        self._batch = bytearray(json_line(header))
        self._header = self._raw = len(self._batch)

    def _write(self, line: bytes) -> None:
        if self._header + len(line) > SEGMENT_LIMIT:
            raise WorkerError("WORKER", "an entry is too long for an index segment")
        if self._raw + len(line) > SEGMENT_RAW and self._raw > self._header:
            self._finish()
            self._segment += 1
            self._start()
        self._batch += line
        self._raw += len(line)
        if len(self._batch) >= _BATCH:
            self._done.append(self._gzip.compress(self._batch))
            self._batch.clear()

    def _finish(self) -> None:
        self._done += [self._gzip.compress(self._batch), self._gzip.flush()]
        self._emit(self._segment, b"".join(self._done))


def decoders_of(record: ChunkRecord) -> list[str]:
    """Gives the names of what must be undone to read a chunk."""
    names = [record.transform, record.codec, *((record.base[0],) if record.base else ())]
    return [name for name in names if name != "none"]


class _Order:
    """Checks path order, and that every entry lies in a directory that came before it."""

    def __init__(self) -> None:
        self._root = -1
        self._last: tuple[bytes, ...] = ()
        self._directory = False

    def take(self, entry: Entry) -> None:
        key = path_key(entry.path)
        if entry.root != self._root:
            if entry.root != self._root + 1 or key:
                raise integrity("a root does not begin with itself, or not in its turn")
            self._root = entry.root
        elif key <= self._last:
            raise integrity("entries are not in path order")
        else:
            # In path order the parent is the last entry, if that is a directory, or one above it.
            depth = len(key) - 1
            parent = key[:depth]
            if parent != self._last[:depth] or (depth == len(self._last) and not self._directory):
                raise integrity("an entry's directory is missing before it")
        self._last = key
        self._directory = entry.kind == "dir"


class IndexReader:
    """Reads segments in order: `(number, chunk)` and entries, every cross check done on the way.

    Raises INTEGRITY at the first lie. `summary` is complete after the iteration.
    """

    def __init__(
        self,
        segments: Iterable[bytes],
        snapshot: str,
        packs: list[PackRecord] | None = None,
    ) -> None:
        self._segments = segments
        self._snapshot = snapshot
        self._packs = packs
        self._named: set[int] = set()
        self._lengths = array("I")
        self._hashes: set[int] = set()
        self._members: set[int] = set()
        self._order = _Order()
        self._merkle = MerkleTree()
        self._entries = 0
        self._decoders: set[str] = set()
        self.scanned_at = 0
        """Start of the scan in ns by the box's file-system clock; set by the first segment."""

    def __iter__(self) -> Iterator[tuple[int, ChunkRecord] | Entry]:
        """Yields the lines of all segments."""
        number = -1
        for number, data in enumerate(self._segments):
            try:
                lines = json_lines(data)
                self._take_header(first_line(lines), number)
                for line in lines:
                    if isinstance(line, Entry):
                        yield self._take_entry(line)
                    elif "chunk" in line:
                        yield self._take_chunk(line)
                    else:
                        yield self._take_entry(decode_entry(line))
            except WorkerError as error:
                if error.code != "INTEGRITY":
                    raise
                where = f"index segment {number} of {self._snapshot}"
                raise integrity(f"{where}: {error.message}") from None
        if number < 0:
            raise integrity(f"{self._snapshot} has no index")
        if self._packs is not None and len(self._named) != len(self._packs):
            raise integrity(f"{self._snapshot} lists a pack that no chunk names")

    def summary(self) -> IndexSummary:
        """Gives what the manifest must say."""
        return IndexSummary(
            self._entries,
            len(self._lengths),
            self._merkle.root().hex(),
            tuple(sorted(self._decoders)),
        )

    def _take_header(self, line: Json, number: int) -> None:
        check_header(line, "index", self._snapshot)
        if type(line.get("segment")) is not int or line["segment"] != number:
            raise integrity("another segment than asked for")
        scanned_at = wide(line.get("scannedAt"))
        if type(line.get("cutter")) is not int:
            raise integrity("no cutter version")
        if number and scanned_at != self.scanned_at:
            raise integrity("segments of different scans")
        self.scanned_at = scanned_at

    def _take_chunk(self, line: Json) -> tuple[int, ChunkRecord]:
        number, record = decode_chunk_record(line)
        if number != len(self._lengths):
            raise integrity("chunk numbers jump")
        # 64 bits of the hash keep the table small; a false hit would be a mere refusal.
        short = int.from_bytes(record.hash[:8], "little")
        if short in self._hashes:
            raise integrity("a chunk stands there twice")
        if self._packs is not None:
            if (
                record.pack >= len(self._packs)
                or record.at + record.stored > self._packs[record.pack].length
            ):
                raise integrity("a chunk lies outside the listed packs")
            self._named.add(record.pack)
        self._hashes.add(short)
        self._lengths.append(record.raw)
        self._decoders.update(decoders_of(record))
        return number, record

    def _take_entry(self, entry: Entry) -> Entry:
        self._order.take(entry)
        for extent in entry.extents:
            if extent.chunk >= len(self._lengths):
                raise integrity("an extent names a chunk that does not stand before it")
            if extent.at + extent.length > self._lengths[extent.chunk]:
                raise integrity("an extent leaves its chunk")
        bytes_of_leaf = leaf(entry)
        if entry.kind in LINKABLE:
            self._check_link(entry)
        self._merkle.add(bytes_of_leaf)
        self._entries += 1
        return entry

    def _check_link(self, entry: Entry) -> None:
        # One number for each possible first member stands for its place, metadata and content;
        # content hashes guard what a collision could swap.
        if entry.link is None:
            self._members.add(hash(_as_member(entry, entry.root, entry.path)))
        elif not self._has_first(entry):
            raise integrity("a hard link to a member that does not stand before it as its like")

    def _has_first(self, entry: Entry) -> bool:
        """Tell whether the first member of an entry's group stands before it as its like."""
        assert entry.link is not None  # only further members are asked about
        return hash(_as_member(entry, *entry.link)) in self._members


def _as_member(entry: Entry, root: int, path: bytes) -> tuple[object, ...]:
    return (
        root,
        path,
        entry.kind,
        entry.mode,
        entry.uid,
        entry.gid,
        entry.user,
        entry.group,
        entry.mtime,
        entry.xattrs,
        entry.size,
        entry.hash,
        entry.extents,
        entry.device,
        entry.torn,
    )


def read_segment(data: bytes) -> Iterator[tuple[int, ChunkRecord] | Entry]:
    """Yields the lines of one segment, each checked by itself; raises INTEGRITY."""
    lines = json_lines(data)
    next(lines, None)
    for line in lines:
        if isinstance(line, Entry):
            yield line
        else:
            yield decode_chunk_record(line) if "chunk" in line else decode_entry(line)


def read_chunks(data: bytes, snapshot: str) -> tuple[int, Iterator[tuple[int, ChunkRecord]]]:
    """Gives when a segment's scan began, in ns, and its chunks: entries are passed over unread."""
    first, *lines = _gunzip(data).split("\n")
    header = _object(first)
    check_header(header, "index", snapshot)
    # Every writer that begins entries as this one does gets by without parsing them.
    others = (_object(line) for line in lines if not line.startswith(_ENTRY))
    return wide(header.get("scannedAt")), (decode_chunk_record(o) for o in others if "chunk" in o)


def encode_packs(snapshot: str, packs: Iterable[PackRecord]) -> bytes:
    """Gives the object `index/<id>/packs`."""
    lines = [json_line({"kind": "packs", "format": 1, "snapshot": snapshot})]
    for number, pack in enumerate(packs):
        pin = {"kind": pack.pin_kind, "value": pack.pin_value}
        fields = {"pack": number, "key": pack.key, "length": pack.length, "pin": pin}
        lines.append(json_line(fields if pack.seal is None else fields | {"seal": pack.seal}))
    return compressed(lines)


def compressed(lines: Iterable[bytes]) -> bytes:
    """Gives an object of the index; equal lines give equal objects."""
    gzip = zlib.compressobj(_LEVEL, zlib.DEFLATED, 31)
    return gzip.compress(b"".join(lines)) + gzip.flush()


_PACK_KEY = re.compile(r"packs/[0-9]{8}T[0-9]{6}Z-[a-z2-7]{6}/[0-9]+-[0-9]+-[A-Za-z0-9]+", re.ASCII)
_PIN_LENGTHS = {"crc32": 4, "md5": 16}


def decode_packs(data: bytes, snapshot: str, sealed: bool = False) -> list[PackRecord]:
    """Reads a snapshot's list of packs, all of them `sealed` or none; raises INTEGRITY."""
    lines = json_lines(data)
    check_header(first_line(lines), "packs", snapshot)
    packs: list[PackRecord] = []
    keys: set[str] = set()
    for line in lines:
        if isinstance(line, Entry):
            raise integrity(f"pack list of {snapshot}: holds an entry")
        key, length, pin = line.get("key"), line.get("length"), line.get("pin")
        if type(line.get("pack")) is not int or line["pack"] != len(packs):
            raise integrity(f"pack list of {snapshot}: numbers jump")
        if type(key) is not str or not _PACK_KEY.fullmatch(key) or key in keys:
            raise integrity(f"pack list of {snapshot}: not a pack's key, or one twice")
        if type(length) is not int or not 0 < length <= PACK_MAX:
            raise integrity(f"pack list of {snapshot}: impossible length")
        keys.add(key)
        packs.append(PackRecord(key, length, *read_pin(pin), _seal(line, sealed)))
    return packs


def _seal(line: Json, sealed: bool) -> str | None:
    seal = line.get("seal")
    if (seal is not None) != sealed:
        raise integrity(f"a pack {'without' if sealed else 'with'} a seal")
    if seal is not None and len(strict_base64(seal)) != SEAL:
        raise integrity("a seal of another length")
    return None if seal is None else str(seal)


def read_pin(pin: object) -> tuple[str, str]:
    """Gives kind and value of a checksum; raises INTEGRITY."""
    kind = pin.get("kind") if isinstance(pin, dict) else None
    if not isinstance(pin, dict) or type(kind) is not str or kind not in _PIN_LENGTHS:
        raise integrity("a pack without checksum")
    value = pin.get("value")
    if len(strict_base64(value)) != _PIN_LENGTHS[kind]:
        raise integrity("a checksum of another length")
    return kind, str(value)


def check_header(line: Json, kind: str, snapshot: str) -> None:
    """Refuses what is not the first line of such an object; INTEGRITY, FORMAT_NEWER."""
    if line.get("kind") != kind or type(line.get("format")) is not int:
        raise integrity(f"not the first line of {kind}")
    if line["format"] != 1:
        raise WorkerError(
            "FORMAT_NEWER",
            f"{snapshot} is of format {line['format']}, this worker reads format 1",
            "use the dumont release that made it",
        )
    if line.get("snapshot") != snapshot:
        raise integrity("belongs to another snapshot")


def json_line(value: object) -> bytes:
    """Gives one line of an object of the index."""
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"


def _no_constant(name: str) -> None:
    raise ValueError(name)


_parse = json.JSONDecoder(parse_constant=_no_constant).decode


def json_lines(data: bytes) -> Iterator[Json | Entry]:
    """Reads the lines of an object of the index; raises INTEGRITY."""
    for line in _gunzip(data).split("\n"):
        quick = quick_entry(line) if line.startswith(_ENTRY) else None
        yield quick or _object(line)


def first_line(lines: Iterator[Json | Entry]) -> Json:
    """Takes the header off."""
    line = next(lines, None)
    return line if isinstance(line, dict) else {}


def _object(line: str) -> Json:
    try:
        value = _parse(line)
    except (ValueError, RecursionError):
        raise integrity("a line is not JSON") from None
    if type(value) is not dict:
        raise integrity("a line is not an object")
    return value


def _gunzip(data: bytes) -> str:
    gzip = zlib.decompressobj(31)
    try:
        raw = gzip.decompress(data, SEGMENT_LIMIT + 1)
        if len(raw) > SEGMENT_LIMIT:
            raise integrity(f"holds more than {SEGMENT_LIMIT} bytes")
        text = raw.decode()
    except zlib.error as error:
        raise integrity(f"not gzip: {error}") from None
    except UnicodeDecodeError:
        raise integrity("not UTF-8") from None
    if not gzip.eof or gzip.unused_data:
        raise integrity("cut short, or followed by something")
    if not text.endswith("\n"):
        raise integrity("the last line is cut short")
    return text[:-1]
