"""What an interrupted create had finished: accepted packs and whole files, line by line."""

import contextlib
import fcntl
import hashlib
import json
import os
import queue
import sys
import threading
import time
import zlib
from collections.abc import Iterator, Sequence
from typing import Any

from .box import PrivateDir
from .byte_string import from_json, to_json
from .create_messages import Chunk, Span, StoredPack
from .entry import (
    DELTAS,
    PACK_MAX,
    Entry,
    Stat,
    decode_chunk_record,
    digest,
    json_text,
    wide,
)
from .errors import WorkerError
from .parent import unchanged
from .parity_groups import Group, read_group

_KEPT_SECONDS = 14 * 24 * 3600
# Larger ones are not worth their memory: the run begins anew, and loses time only.
_LARGEST = 1 << 30
_FILES_MOST = 250_000
_LINE_MOST = 8 << 20
_WAITING_MOST = 800
# What may come of a line that is whole and yet nothing this worker writes.
_ODD = (WorkerError, KeyError, TypeError, ValueError, IndexError, OverflowError)
# Every hand-over wakes the writing thread, which takes the interpreter from the one that works.
_GATHERED_MOST = 64


class Journal:
    """The journal of one (repository, lineage, roots); held locked while it is open.

    `packs` and files are those of earlier runs; lines are added on any thread and written by a
    thread of the journal's own; those of packs are synced. A line that is damaged ends what is
    believed.
    """

    def __init__(self, path: bytes) -> None:
        """Opens and locks; raises LOCKED when another create of these roots is running."""
        self.packs: list[StoredPack] = []
        self.groups: list[Group] = []
        """Those of earlier runs that were whole."""
        self._runs: list[tuple[str, int]] = []
        self._nvcomp: str | None = None
        self._auto = False
        self._written_by: str | None = None
        self._files: dict[int, tuple[int, int, int]] = {}
        self._file = _open_locked(path)
        # Lines, and whether they are to be on the disk before the next are taken.
        self._queue: queue.SimpleQueue[tuple[bytes, bool] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._gathered: list[bytes] = []
        self._thread: threading.Thread | None = None
        self._run: dict[str, Any] = {}

    def load(self, parent: str | None, nvcomp: str | None = None, auto: bool = False) -> None:
        """Reads earlier runs; forgets them when `parent` shows that they were committed.

        Packs with ANS chunks count only if the same version of `nvcomp` is at hand that made them,
        and for `auto` only if it was not the operator who asked for them.
        """
        self._nvcomp, self._auto = nvcomp, auto
        if os.fstat(self._file.fileno()).st_size > _LARGEST:
            self._file.truncate(0)
        end = 0
        for offset, length, value in self._lines():
            try:
                self._take(offset, length, value)
            except _ODD:
                break
            end = offset + length
        # A torn tail would make the next line unreadable.
        self._file.truncate(end)
        # Snapshot ids begin with the store's time to the second.
        if parent is not None and self._runs and parent[:16] >= self._runs[-1][0][:16]:
            self._file.truncate(0)
            self.packs, self.groups, self._runs, self._files = [], [], [], {}

    def start(self, snapshot: str, scanned_at: int, nvcomp: str | None = None) -> None:
        """Begins this run's lines."""
        self._thread = threading.Thread(target=self._write, name="journal", daemon=True)
        self._thread.start()
        self._run = {"run": snapshot, "scannedAt": str(scanned_at)}
        self._add(_json(self._run | ({"nvcomp": nvcomp} if nvcomp else {})), synced=True)

    def choose(self, nvcomp: str) -> None:
        """Notes that from here on `auto` has chunks coded with this version."""
        self._add(_json(self._run | {"nvcomp": nvcomp, "chosen": True}), synced=True)

    def add_pack(self, pack: StoredPack) -> None:
        """Notes a pack that the store has accepted."""
        chunks = [_fields(chunk) for chunk in pack.chunks]
        pin = [pack.pin_kind, pack.pin_value]
        told = {"key": pack.key, "length": pack.length, "pin": pin, "chunks": chunks}
        self._add(_json(told | ({"seal": pack.seal} if pack.seal else {})), synced=True)

    def add_group(self, group: Group) -> None:
        """Notes packs that have parity."""
        self._add(_json({"group": group.fields()}), synced=True)

    def add_file(self, entry: Entry, content: bytes, spans: Sequence[Span]) -> None:
        """Notes a file that was read whole and unchanged."""
        stat = entry.stat
        # A disk that stands still must not make the queue grow: what is not noted is read again.
        if stat is None or self._queue.qsize() > _WAITING_MOST:
            return
        # A file's line is worth nothing before its packs' lines, which are synced.
        # Written by hand: it is done for every file, and costs a quarter of what `json` takes.
        places = ",".join([f'[{s.offset},"{s.hash.hex()}",{s.at},{s.length}]' for s in spans])
        self._add(
            f'{{"file":[{entry.root},{json_text(entry.path)}]'
            f',"stat":[{entry.size},"{entry.mtime}","{stat.ctime}","{stat.ino}","{stat.dev}"'
            f',"{stat.fs}"],"hash":"{content.hex()}","spans":[{places}]}}',
            synced=False,
        )

    def find(self, entry: Entry) -> tuple[bytes, list[Span]] | None:
        """Gives content hash and spans of a file that was read earlier and is quiet since."""
        place = self._files.get(_place_key(entry.root, entry.path))
        if place is None:
            return None
        try:
            return self._found(entry, *place)
        except _ODD:
            return None

    def _found(
        self, entry: Entry, offset: int, length: int, run: int
    ) -> tuple[bytes, list[Span]] | None:
        value = _checked(os.pread(self._file.fileno(), length, offset))
        if value is None or value["file"] != [entry.root, to_json(entry.path)]:
            return None
        size, mtime, *details = map(int, value["stat"])
        then = Entry(
            "file",
            entry.root,
            entry.path,
            *(entry.mode, entry.uid, entry.gid, None, None, mtime),
            size=size,
            stat=Stat(*details),
        )
        if not unchanged(entry, then, self._runs[run][1]):
            return None
        spans = [Span(o, digest(h), at, count) for o, h, at, count in value["spans"]]
        if any(type(n) is not int or n < 0 for o, _, at, count in spans for n in (o, at, count)):
            return None
        return digest(value["hash"]), spans

    def close(self) -> None:
        """Writes what is waiting, and unlocks."""
        if self._thread is not None:
            with self._lock:
                self._hand_over(synced=False)
            self._queue.put(None)
            self._thread.join(10.0)
        self._file.close()

    def _add(self, text: str, synced: bool) -> None:
        line = text.encode()
        with self._lock:
            self._gathered.append(b"%08x %s\n" % (zlib.crc32(line), line))
            if synced or len(self._gathered) >= _GATHERED_MOST:
                self._hand_over(synced)

    def _hand_over(self, synced: bool) -> None:
        self._queue.put((b"".join(self._gathered), synced))
        self._gathered = []

    def _write(self) -> None:
        try:
            os.lseek(self._file.fileno(), 0, os.SEEK_END)
            while (item := self._queue.get()) is not None:
                items = [item]
                # One sync for all that has come meanwhile.
                with contextlib.suppress(queue.Empty):
                    while (more := self._queue.get_nowait()) is not None:
                        items.append(more)
                    self._queue.put(None)
                data = memoryview(b"".join([lines for lines, _ in items]))
                while data:
                    data = data[os.write(self._file.fileno(), data) :]
                if any([synced for _, synced in items]):
                    os.fdatasync(self._file.fileno())
        except OSError as error:
            # The snapshot does not need the journal; only a run after an interruption would.
            print(f"the journal cannot be written: {error}", file=sys.stderr)

    def _lines(self) -> Iterator[tuple[int, int, dict[str, Any]]]:
        offset = 0
        self._file.seek(0)
        while line := self._file.readline(_LINE_MOST):
            value = _checked(line)
            if value is None:
                return
            yield offset, len(line), value
            offset += len(line)

    def _take(self, offset: int, length: int, value: dict[str, Any]) -> None:
        if "run" in value:
            self._runs.append((str(value["run"]), wide(value["scannedAt"])))
            chosen = value.get("chosen") is True
            self._written_by = None if self._auto and not chosen else value.get("nvcomp")
        elif not self._runs:
            raise ValueError
        elif "key" in value:
            number = len(self.packs)
            chunks = tuple(_chunk(number, fields) for fields in value["chunks"])
            kind, pin = value["pin"]
            _check_pack(value["key"], value["length"], kind, pin)
            if self._nvcomp != self._written_by and any(one.codec == "ans" for one in chunks):
                return
            what = (value["length"], kind, pin, chunks, value.get("seal"))
            self.packs.append(StoredPack(number, value["key"], *what))
        elif "group" in value:
            self.groups.append(read_group(value["group"]))
        elif len(self._files) < _FILES_MOST:
            root, path = value["file"]
            if type(root) is not int:
                raise ValueError
            key = _place_key(root, from_json(path))
            self._files[key] = (offset, length, len(self._runs) - 1)


def open_journal(private: PrivateDir, repository: str, lineage: str, roots: list[bytes]) -> Journal:
    """Opens the journal of these roots, and removes others that were left for two weeks."""
    directory = private.make("journal")
    name = "\0".join((repository, lineage)).encode() + b"\0" + b"\0".join(roots)
    path = os.path.join(directory, hashlib.sha256(name).hexdigest().encode())
    journal = Journal(path)
    _sweep(directory, path)
    return journal


def _sweep(directory: bytes, own: bytes) -> None:
    for item in os.scandir(directory):
        with contextlib.suppress(OSError, WorkerError):
            if item.path != own and item.stat().st_mtime < time.time() - _KEPT_SECONDS:
                with _open_locked(item.path):
                    os.unlink(item.path)


def _open_locked(path: bytes) -> Any:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        raise WorkerError(
            "LOCKED",
            "another create of the same paths is running on the box",
            "wait for it, or end it on the box",
            True,
        ) from None
    return os.fdopen(fd, "r+b", buffering=1 << 16)


def _json(value: dict[str, Any]) -> str:
    return json.dumps(value, separators=(",", ":"))


def _checked(line: bytes) -> dict[str, Any] | None:
    """The value of a line that was written whole."""
    if len(line) < 10 or not line.endswith(b"\n"):
        return None
    body = line[9:-1]
    if line[:9] != b"%08x " % zlib.crc32(body):
        return None
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _fields(chunk: Chunk) -> list[Any]:
    fields = [chunk.hash.hex(), chunk.raw, chunk.at, chunk.stored, chunk.frame.hex()]
    fields += [chunk.transform, chunk.codec]
    return fields if chunk.base is None else [*fields, chunk.base[0], chunk.base[1].hex()]


def _chunk(pack: int, fields: list[Any]) -> Chunk:
    raw_hash, raw, at, stored, frame, transform, codec, *base = fields
    line = {"chunk": 0, "hash": raw_hash, "raw": raw, "pack": pack, "at": at, "stored": stored}
    line |= {"frame": frame, "transform": transform, "codec": codec}
    record = decode_chunk_record(line)[1]
    found = Chunk(record.hash, raw, pack, at, stored, record.frame, transform, codec)
    if not base:
        return found
    operation, base_hash = base
    if operation not in DELTAS:
        raise ValueError
    return found._replace(base=(operation, digest(base_hash)))


def _check_pack(key: object, length: object, kind: object, pin: object) -> None:
    if not (type(key) is type(kind) is type(pin) is str and type(length) is int):
        raise ValueError
    if not 0 < length <= PACK_MAX:
        raise ValueError


def _place_key(root: int, path: bytes) -> int:
    return hash((root, path))
