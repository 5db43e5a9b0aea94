"""What restore's tests stand on.

Snapshots made in memory, a store over HTTP that can fail, an operator that answers.
"""

import gzip
import hashlib
import os
import queue
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from dumont_worker import delta, restore, restore_engine
from dumont_worker.box import PrivateDir
from dumont_worker.cancellation import Cancelled
from dumont_worker.codecs.base import Encoded
from dumont_worker.codecs.choose import encode_chunk
from dumont_worker.content_hash import BlockHasher, content_hash, zero_block_hash
from dumont_worker.engine import as_worker_error
from dumont_worker.engine_pool import EnginePool
from dumont_worker.entry import ChunkRecord, Entry, Extent
from dumont_worker.errors import WorkerError
from dumont_worker.frame import encode_frame
from dumont_worker.index import IndexWriter, PackRecord, encode_packs
from dumont_worker.native import blake3
from dumont_worker.planes import encode_planes
from dumont_worker.progress import Progress
from dumont_worker.protocol import ManifestRoot, ManifestRules, ObjectRef, RestoreRequest
from dumont_worker.roots import resolve_roots
from dumont_worker.rules import Rules
from dumont_worker.scan import Scan
from dumont_worker.serve import Box

SNAPSHOT = "20261123T140200Z-k3f7qz"
LINEAGE = "0123456789abcdef0123456789abcdef"
PIECE = 1 << 20
BUNDLE = 1 << 20
NO_RULES = ManifestRules((), False, False, ())


class Store:
    """Objects over HTTP with ranges; faults by key."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.missing: set[str] = set()
        self.before: Callable[[str, int], None] = lambda key, count: None
        self.spoil: Callable[[str, bytes], bytes] = lambda key, data: data
        self.expired: set[str] = set()
        self.requests: list[tuple[str, int, int]] = []
        self.lock = threading.Lock()
        store = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                store.answer(self)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        key, _, token = handler.path[1:].partition("?")
        first, last = map(int, handler.headers["range"].removeprefix("bytes=").split("-"))
        with self.lock:
            self.requests.append((key, first, last))
            count = len(self.requests)
        self.before(key, count)
        if token in self.expired:
            self._refuse(handler, 403, b"<Code>AccessDenied</Code>Request has expired")
            return
        data = self.objects.get(key)
        if data is None or key in self.missing:
            self._refuse(handler, 404, b"<Code>NoSuchKey</Code>")
            return
        body = self.spoil(key, data)[first : last + 1]
        handler.send_response(206)
        end = first + len(body) - 1
        handler.send_header("content-range", f"bytes {first}-{end}/{len(data)}")
        handler.send_header("content-length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def _refuse(self, handler: BaseHTTPRequestHandler, status: int, body: bytes) -> None:
        handler.send_response(status)
        handler.send_header("content-length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def url(self, key: str, token: str) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/{key}?{token}"

    def fetched(self, prefix: str = "packs/") -> int:
        return sum(last - first + 1 for key, first, last in self.requests if key.startswith(prefix))

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


class FakeLink:
    """The operator's machine, in memory."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.progress = Progress()
        self.cancelled = threading.Event()
        self.warnings: Counter[str] = Counter()
        self.notes: Counter[str] = Counter()
        self.told: list[tuple[str, bytes, str]] = []
        self.yes: object = True
        self.asked: list[dict[str, Any]] = []
        self.checks = 0
        self.on_check: Callable[[int], None] = lambda count: None
        self.tokens = 0
        self.lost: list[dict[str, Any]] = []

    def check(self) -> None:
        self.checks += 1
        self.on_check(self.checks)
        if self.cancelled.is_set():
            raise Cancelled

    def request(self, type_: str, patience: float = 120.0, **fields: Any) -> dict[str, Any]:
        self.check()
        if type_ == "confirm":
            self.asked.append(fields)
            return {"yes": self.yes}
        assert type_ == "fetch"
        self.tokens += 1
        token = f"t{self.tokens}"
        urls = [
            {"key": key, "url": self.store.url(key, token), "headers": {}} for key in fields["keys"]
        ]
        return {"urls": urls}

    def warn(self, code: str, path: bytes, message: str) -> None:
        self.warnings[code] += 1
        self.told.append((code, path, message))

    def note(self, code: str, path: bytes) -> None:
        self.notes[code] += 1

    def send(self, type_: str, **fields: Any) -> None:
        assert type_ == "lost"
        self.lost.append(fields)


class Quiet:
    def warn(self, code: str, path: bytes, message: str) -> None:
        raise AssertionError((code, path, message))

    def note(self, code: str, path: bytes) -> None:
        pass


@dataclass
class Snapshot:
    roots: tuple[ManifestRoot, ...]
    segments: tuple[ObjectRef, ...]
    packs: ObjectRef
    rules: ManifestRules = NO_RULES
    entries: list[Entry] = field(default_factory=list)
    records: list[ChunkRecord] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)

    def key_of(self, path: bytes) -> str:
        return self.keys[self.chunk_of(path).pack]

    def chunk_of(self, path: bytes) -> ChunkRecord:
        entry = next(entry for entry in self.entries if entry.path == path)
        return self.records[entry.extents[0].chunk]


class Maker:
    """Writes a snapshot the simplest way: small files bundled, large ones in pieces of 1 MiB."""

    def __init__(self, store: Store, pack_bytes: int) -> None:
        self._store = store
        self._pack_bytes = pack_bytes
        self._pack = bytearray()
        self._numbers: dict[bytes, int] = {}
        self._packs: list[PackRecord] = []
        self._segments: list[ObjectRef] = []
        self.writer = IndexWriter(SNAPSHOT, 1, self._segment)
        self.records: list[ChunkRecord] = []

    def _segment(self, number: int, data: bytes) -> None:
        self._segments.append(self.put(f"index/{SNAPSHOT}/{number}", data))

    def put(self, key: str, data: bytes) -> ObjectRef:
        self._store.objects[key] = bytes(data)
        return ObjectRef(key, len(data), hashlib.sha256(data).hexdigest())

    def chunk(self, raw: bytes) -> int:
        raw_hash = blake3(raw)
        if raw_hash in self._numbers:
            return self._numbers[raw_hash]
        return self._add(raw, encode_chunk(raw, None, "zstd", 1))

    def difference(self, raw: bytes, base: bytes, operation: str = "xor") -> int:
        """Store 16-bit words as their difference from a chunk, which is stored before."""
        number = self.chunk(base)
        change = delta.difference(raw, base, operation, 2)
        return self._add(raw, encode_planes(change, "planes2"), (operation, number))

    def _add(self, raw: bytes, encoded: Encoded, base: tuple[str, int] | None = None) -> int:
        raw_hash = blake3(raw)
        named = (base[0], self.records[base[1]].hash) if base is not None else None
        frame = b"".join(encode_frame(len(raw), raw_hash, encoded, named))
        if self._pack and len(self._pack) + len(frame) > self._pack_bytes:
            self.flush()
        at, pack = len(self._pack), len(self._packs)
        record = ChunkRecord(
            raw_hash,
            len(raw),
            pack,
            at,
            len(frame),
            blake3(frame),
            encoded.transform,
            encoded.codec,
            base,
        )
        self._pack += frame
        self.records.append(record)
        self._numbers[raw_hash] = self.writer.chunk(record)
        return self._numbers[raw_hash]

    def flush(self) -> None:
        if self._pack:
            key = f"packs/{SNAPSHOT}/0-{len(self._packs)}-aaaa"
            self.put(key, self._pack)
            self._packs.append(PackRecord(key, len(self._pack), "crc32", "AAAAAA=="))
            self._pack = bytearray()

    def finish(self, roots: tuple[ManifestRoot, ...], entries: list[Entry]) -> Snapshot:
        self.writer.close()
        self.flush()
        packs = self.put(f"index/{SNAPSHOT}/packs", encode_packs(SNAPSHOT, self._packs))
        keys = [pack.key for pack in self._packs]
        return Snapshot(roots, tuple(self._segments), packs, NO_RULES, entries, self.records, keys)


def data_of(path: bytes, size: int) -> Iterator[tuple[int, bytes]]:
    with open(path, "rb") as file:
        end = 0
        while end < size:
            try:
                start = os.lseek(file.fileno(), end, os.SEEK_DATA)
            except OSError:
                return
            end = os.lseek(file.fileno(), start, os.SEEK_HOLE)
            for at in range(start, end, PIECE):
                yield at, os.pread(file.fileno(), min(PIECE, end - at), at)


def hash_of(size: int, pieces: list[tuple[int, bytes]]) -> bytes:
    if size > 1 << 30:
        touched: dict[int, bytearray] = {}
        for at, piece in pieces:
            for n, byte_block in split_by_block(at, piece, size):
                start, data = byte_block
                length = min(1 << 20, size - (n << 20))
                touched.setdefault(n, bytearray(length))[start : start + len(data)] = data
        blocks = [zero_block_hash(min(1 << 20, size - at)) for at in range(0, size, 1 << 20)]
        for n, block in touched.items():
            blocks[n] = blake3(block)
        return content_hash(size, blocks)
    hasher = BlockHasher(0)
    found = []
    done = 0
    for at, piece in pieces:
        found += hasher.zeros(at - done)
        found += hasher.feed(piece)
        done = at + len(piece)
    found += hasher.zeros(size - done)
    found += hasher.finish(size)
    return content_hash(size, [value for _, value in sorted(found)])


def split_by_block(at: int, piece: bytes, size: int) -> Iterator[tuple[int, tuple[int, bytes]]]:
    done = 0
    while done < len(piece):
        start = (at + done) % (1 << 20)
        data = piece[done : done + (1 << 20) - start]
        yield (at + done) >> 20, (start, data)
        done += len(data)


def snapshot_of(
    store: Store,
    paths: list[Path | bytes],
    rules: ManifestRules = NO_RULES,
    pack_bytes: int = 4 << 20,
    change: Callable[[Entry], Entry] = lambda entry: entry,
) -> Snapshot:
    """Save trees as they are now."""
    roots = resolve_roots([os.fsencode(path) for path in paths])
    maker = Maker(store, pack_bytes)
    scanned = list(Scan(roots, Rules(rules.excludes, rules.exclude_caches), Quiet()))
    entries: list[Entry] = []
    known: dict[tuple[int, bytes], Entry] = {}
    bundle: list[tuple[int, bytes]] = []

    def flush() -> None:
        at = 0
        chunk = maker.chunk(b"".join(data for _, data in bundle))
        for number, data in bundle:
            entries[number] = entries[number]._replace(
                hash=blake3(data),
                extents=(Extent(0, chunk, at, len(data)),),
            )
            at += len(data)
        bundle.clear()

    for entry in scanned:
        root = roots[entry.root]
        place = root.path + b"/" + entry.path if entry.path else root.path
        entries.append(entry)
        if entry.kind != "file" or entry.link is not None:
            continue
        number = len(entries) - 1
        pieces = list(data_of(long_path(place), entry.size))
        if 0 < entry.size <= 65536 and len(pieces) == 1 and len(pieces[0][1]) == entry.size:
            bundle.append((number, pieces[0][1]))
            if sum(len(data) for _, data in bundle) > BUNDLE:
                flush()
        else:
            extents = tuple(Extent(at, maker.chunk(data), 0, len(data)) for at, data in pieces)
            value = hash_of(entry.size, pieces)
            entries[number] = entry._replace(hash=value, extents=extents)
    if bundle:
        flush()
    for number, entry in enumerate(entries):
        if entry.kind == "file" and entry.link is None:
            known[(entry.root, entry.path)] = entry
        elif entry.kind == "file" and entry.link is not None:
            first = known[entry.link]
            entries[number] = entry._replace(hash=first.hash, extents=first.extents)
    entries = [change(entry) for entry in entries]
    for entry in entries:
        maker.writer.entry(entry)
    manifest = tuple(
        ManifestRoot(r.path, None, "dir" if r.kind == "dir" else "file") for r in roots
    )
    return replace(maker.finish(manifest, entries), rules=rules)


def long_path(path: bytes) -> bytes:
    """Return a path that can be opened, however long the real one is."""
    while len(path) > 4000:
        cut = path.rfind(b"/", 0, 3000)
        fd = os.open(path[:cut], os.O_PATH | os.O_DIRECTORY)
        path = b"/proc/self/fd/%d/" % fd + path[cut + 1 :]
    return path


def raw_index(store: Store, lines: list[bytes]) -> tuple[ObjectRef, ...]:
    """Put a hand-written index, as a hostile store would."""
    header = (
        b'{"kind":"index","format":1,"snapshot":"%s","segment":0,"cutter":1,"scannedAt":"1"}'
        % SNAPSHOT.encode()
    )
    data = gzip.compress(b"\n".join([header, *lines]) + b"\n")
    key = f"index/{SNAPSHOT}/0"
    store.objects[key] = data
    return (ObjectRef(key, len(data), hashlib.sha256(data).hexdigest()),)


def request_of(snapshot: Snapshot, target: Path | None, **changes: Any) -> RestoreRequest:
    wanted: dict[str, Any] = {
        "id": 1,
        "snapshot": SNAPSHOT,
        "lineage": LINEAGE,
        "roots": snapshot.roots,
        "segments": snapshot.segments,
        "packs": snapshot.packs,
        "target": None if target is None else os.fsencode(target),
        "include": (),
        "overwrite": "if-changed",
        "delete": False,
        "rules": snapshot.rules,
        "devices": False,
        "include_access_files": False,
        "privileges": True,
        "parts": 4,
        "memory": 512 << 20,
        "dry_run": False,
        "salvage": False,
    }
    return RestoreRequest(**(wanted | changes))


class _Port:
    def __init__(self, number: int, on_message: Callable[[int, tuple[Any, ...]], None]) -> None:
        self.inbox: queue.SimpleQueue[tuple[Any, ...]] = queue.SimpleQueue()
        self.failed = threading.Event()
        self._number = number
        self._on_message = on_message

    def send(self, message: tuple[Any, ...]) -> None:
        self._on_message(self._number, message)

    def fail(self, error: BaseException) -> None:
        if not self.failed.is_set():
            self.failed.set()
            self.send(("failed", as_worker_error(error)))


class ThreadPool:
    """Engines as threads of this process: for tests that change its user."""

    def __init__(
        self, count: int, role: str, settings: dict[str, Any], on_message: Any, native: str | None
    ) -> None:
        self._ports = [_Port(number, on_message) for number in range(count)]
        for number, port in enumerate(self._ports):
            engine = restore_engine.Engine(port, number, settings)  # type: ignore[arg-type]
            threading.Thread(target=engine.serve, daemon=True).start()

    def send(self, engine: int, message: tuple[Any, ...]) -> None:
        self._ports[engine].inbox.put(message)

    def kill(self) -> None:
        for port in self._ports:
            port.failed.set()
            port.inbox.put(("end",))


class Rig:
    """A box with its private directory, a store and an operator."""

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch
        self.store = Store()
        self.private = PrivateDir(os.fsencode(scratch / "private"))
        # One engine: tests share the machine with others.
        self.box = Box(self.private, None, "0" * 64, 1)
        self.link = FakeLink(self.store)
        self.pool: Any = EnginePool

    def save(self, *paths: Path | bytes, **options: Any) -> Snapshot:
        return snapshot_of(self.store, list(paths), **options)

    def restore(self, snapshot: Snapshot, target: Path | None, **changes: Any) -> dict[str, Any]:
        """Restore with a fresh operator, who can be replaced before by `self.link = …`."""
        link, self.link = self.link, FakeLink(self.store)
        self.last = link
        request = request_of(snapshot, target, **changes)
        return restore.run(link, request, self.box, self.pool)  # type: ignore[arg-type]

    def fails(self, snapshot: Snapshot, target: Path | None, **changes: Any) -> WorkerError:
        try:
            self.restore(snapshot, target, **changes)
        except WorkerError as error:
            return error
        raise AssertionError("the restore should have failed")


@contextmanager
def rig(scratch: Path) -> Iterator[Rig]:
    made = Rig(scratch)
    try:
        yield made
    finally:
        made.store.close()


def temps_below(directory: Path) -> list[str]:
    return [
        name
        for _, directories, files in os.walk(directory)
        for name in directories + files
        if name.startswith(".dumont-")
    ]


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def damage(box: Rig, snapshot: Snapshot, path: bytes) -> None:
    chunk, key = snapshot.chunk_of(path), snapshot.key_of(path)
    box.store.objects[key] = flipped(box.store.objects[key], chunk.at + chunk.stored - 1)
