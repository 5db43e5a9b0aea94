"""What reads foreign bytes, what it may answer, and what must hold whatever they are."""

import gzip
import io
import json
import os
import re
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from types import ModuleType

from dumont_worker import protocol
from dumont_worker.byte_string import from_json, to_json
from dumont_worker.codecs import numpy_planes, pure_planes, zstd
from dumont_worker.entry import CHUNK_MAX, Entry, Stat, decode_entry, is_plain_path
from dumont_worker.errors import WorkerError
from dumont_worker.frame import HEADER, HEADER_WITH_BASE, decode_frame, parse_header
from dumont_worker.ignore_patterns import parse_patterns
from dumont_worker.index import IndexReader, decode_packs, read_chunks, read_segment
from dumont_worker.journal import Journal
from dumont_worker.mounts import parse_mountinfo
from dumont_worker.native import blake3
from dumont_worker.parity_groups import decode_groups
from dumont_worker.planes import WIDTHS, decode_planes
from dumont_worker.quick_entry import quick_entry
from dumont_worker.seal import HEADER as SEAL_HEADER
from dumont_worker.seal import ObjectSeal, RunSeal, Sealer, open_whole
from dumont_worker.tensor_files import find_tensors

_FIXTURES = Path(__file__).parents[2] / "test/fixtures"
_STORE = _FIXTURES / "format-1/store"
_CORPUS = Path(__file__).parent / "corpus"
_SNAPSHOT = "20261123T140200Z-golden"
_DAMAGE = ("INTEGRITY", "FORMAT_NEWER")


@dataclass(frozen=True, slots=True)
class Target:
    """One reader; `run` raises for whatever it does that it must not."""

    name: str
    seeds: Callable[[], list[bytes]]
    run: Callable[[bytes], None]

    @property
    def corpus(self) -> Path:
        """Where its findings are kept."""
        return _CORPUS / self.name

    def inputs(self) -> list[bytes]:
        """Its seeds, and everything kept."""
        kept = sorted(self.corpus.iterdir()) if self.corpus.is_dir() else []
        return [*self.seeds(), *(path.read_bytes() for path in kept)]


class BrokenError(AssertionError):
    """A property that does not hold."""


def _insist(holds: bool, what: str) -> None:
    if not holds:
        raise BrokenError(what)


def _refusing(codes: tuple[str, ...], work: Callable[[], object]) -> object | None:
    """What the work gave, or None where it refused as documented."""
    try:
        return work()
    except WorkerError as error:
        if error.code not in codes:
            raise
        _insist(len(error.message) < 5000, "an error without end")
        return None


def _frames() -> list[bytes]:
    """Every frame of the golden packs that is short enough to be spoilt often."""
    found = []
    for pack in sorted(_STORE.glob("packs/*/*")):
        data = memoryview(pack.read_bytes())
        while data:
            header = parse_header(data)
            if header.length < 20_000:
                found.append(bytes(data[: header.length]))
            data = data[header.length :]
    return found


def _payloads(transformed: bool) -> list[bytes]:
    return [
        frame[header.header_length :]
        for frame in _frames()
        if ((header := parse_header(frame)).transform != "none") == transformed
    ]


def _frame(data: bytes) -> None:
    """Checksums are made right, so that what lies behind them is reached."""
    frame = bytearray(data)
    base = b""
    if len(frame) >= HEADER:
        length = frame[5]
        base = bytes(min(struct.unpack_from("<I", frame, 12)[0], CHUNK_MAX))
        if length == HEADER_WITH_BASE and len(frame) >= length:
            frame[52:84] = blake3(base)
        if length in (HEADER, HEADER_WITH_BASE) and len(frame) >= length:
            struct.pack_into("<I", frame, length - 4, zlib.crc32(frame[: length - 4]))
    codes = (*_DAMAGE, "BOX_UNSUITABLE")
    header = _refusing(codes, lambda: parse_header(frame))
    if header is None:
        return
    raw_length = struct.unpack_from("<I", frame, 12)[0]
    _insist(raw_length <= CHUNK_MAX, "a chunk beyond its bound")
    for into in (None, memoryview(bytearray(raw_length))):
        raw = _refusing(
            codes,
            lambda into=into: decode_frame(  # type: ignore[misc]
                frame, bytes(frame[20:52]), raw_length, None, into, find_base=lambda _: base
            ),
        )
        _insist(raw is None or len(raw) == raw_length, "length of a chunk")  # type: ignore[arg-type]


def _zstd(data: bytes) -> None:
    for length in (1, 1000, 65_536, 65_792):
        content = _refusing(_DAMAGE, lambda n=length: zstd.decompress(data, n))  # type: ignore[misc]
        _insist(content is None or len(content) == length, "length of a frame")  # type: ignore[arg-type]


def _planes(data: bytes) -> None:
    for transform, codec, length in product(WIDTHS, ("none", "zstd"), (7, len(data), 3001)):
        what = (memoryview(data), transform, codec, length)
        pure, fast = _decoded_planes(what, pure_planes), _decoded_planes(what, numpy_planes)
        _insist(pure == fast, "decoders that differ")


def _decoded_planes(what: tuple[memoryview, str, str, int], use: ModuleType) -> object:
    payload, transform, codec, length = what
    raw = memoryview(bytearray(length))
    return _refusing(_DAMAGE, lambda: bytes(decode_planes(payload, transform, codec, raw, use)))


def _plain_lines(kind: str) -> list[bytes]:
    return [
        re.sub(rb'"snapshot":"[^"]*"', f'"snapshot":"{_SNAPSHOT}"'.encode(), gzip.decompress(data))
        for data in (path.read_bytes() for path in sorted(_STORE.glob(f"index/*/{kind}")))
    ]


def _index(data: bytes) -> None:
    segment = gzip.compress(data, 1)
    reader = IndexReader([segment], _SNAPSHOT)
    _refusing(_DAMAGE, lambda: _check_lines(iter(reader)))
    _refusing(_DAMAGE, lambda: list(read_segment(segment)))
    _refusing(_DAMAGE, lambda: list(read_chunks(segment, _SNAPSHOT)[1]))
    for line in data.decode(errors="replace").split("\n"):
        quick = quick_entry(line)
        if quick is not None:
            _insist(quick == decode_entry(json.loads(line)), f"two readings of {line}")


def _check_lines(lines: Iterator[tuple[int, object] | Entry]) -> None:
    for line in lines:
        if not isinstance(line, Entry):
            continue
        for path in (line.path, line.link[1] if line.link else b""):
            _insist(is_plain_path(path) and b"\0" not in path, "a path that leaves its root")
        for extent in line.extents:
            _insist(extent.offset + extent.length <= line.size, "an extent behind its file")
            _insist(0 <= extent.at <= extent.at + extent.length <= CHUNK_MAX, "an extent")


def _packs(data: bytes) -> None:
    for packed in (gzip.compress(data, 1), data):
        packs = _refusing(_DAMAGE, lambda packed=packed: decode_packs(packed, _SNAPSHOT))  # type: ignore[misc]
        for pack in packs or ():  # type: ignore[attr-defined]
            _insist(re.fullmatch(r"packs/[\w-]+/[\w-]+", pack.key) is not None, "a key elsewhere")
            _insist(0 < pack.length <= 32 << 20, "length of a pack")


def _pack_seeds() -> list[bytes]:
    return _plain_lines("packs") + [
        path.read_bytes() for path in sorted(_STORE.glob("index/*/packs"))
    ]


def _groups(data: bytes) -> None:
    for packed in (gzip.compress(data, 1), data):
        groups = _refusing(_DAMAGE, lambda packed=packed: decode_groups(packed, _SNAPSHOT))  # type: ignore[misc]
        keys: set[str] = set()
        for group in groups or ():  # type: ignore[attr-defined]
            _insist(0 < len(group.members) <= 16 and 0 < len(group.parity) <= 4, "a group")
            for one in group.objects:
                _insist(
                    re.fullmatch(r"[a-z]+/[\w-]+/[\w-]+", one.key) is not None, "a key elsewhere"
                )
                _insist(0 < one.length <= 32 << 20, "length of an object")
                _insist(one.key not in keys, "an object twice")
                keys.add(one.key)


def _group_seeds() -> list[bytes]:
    listed = next((_FIXTURES / "format-1-parity").glob("index/*/groups")).read_bytes()
    plain = re.sub(
        rb'"snapshot":"[^"]*"', f'"snapshot":"{_SNAPSHOT}"'.encode(), gzip.decompress(listed)
    )
    return [plain, listed]


def _byte_string(data: bytes) -> None:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return
    for one in value if isinstance(value, list) else [value]:
        found = _refusing(_DAMAGE, lambda one=one: from_json(one))  # type: ignore[misc]
        if isinstance(found, bytes):
            _insist(
                b"\0" not in found and from_json(to_json(found)) == found, "a name that changes"
            )


def _messages() -> list[bytes]:
    return (_FIXTURES / "protocol/operator-to-worker.jsonl").read_bytes().splitlines()


def _protocol(data: bytes) -> None:
    message = _refusing(("WORKER",), lambda: protocol.parse(data))
    protocol.request_id(data)
    if isinstance(message, protocol.RestoreRequest):
        _insist(message.target is None or message.target.startswith(b"/"), "a target")
    if isinstance(message, protocol.CreateRequest):
        _insist(all(root.startswith(b"/") for root in message.roots), "a root")


def _tensors(data: bytes) -> None:
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.flush()
        layout = find_tensors(file.fileno(), len(data))
    if layout is None:
        return
    end = layout.header
    for tensor in layout.tensors:
        _insist(end <= tensor.start < tensor.end <= len(data), "a tensor outside of its file")
        end = tensor.end


def _safetensors() -> bytes:
    header = {"__metadata__": {"format": "pt"}}
    tensors = {"a": {"dtype": "BF16", "shape": [4], "data_offsets": [0, 8]}}
    tensors["b"] = {"dtype": "F32", "shape": [2], "data_offsets": [8, 16]}
    text = json.dumps(header | tensors, separators=(",", ":")).encode()
    return struct.pack("<Q", len(text)) + text + bytes(16)


def _torch(wide: bool) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", b"pickle" * 4)
        for number in range(3):
            with archive.open(f"archive/data/{number}", "w", force_zip64=wide) as entry:
                entry.write(bytes(32))
    return file.getvalue()


def _torch_wide_directory() -> bytes:
    """An archive whose directory itself gives offsets and lengths with 64 bits."""
    plain = bytearray(_torch(True))
    at = plain.index(b"PK\x01\x02", plain.index(b"PK\x01\x02") + 1)
    name, extra = struct.unpack_from("<2H", plain, at + 28)
    if extra == 0:
        field = struct.pack(
            "<2H3Q", 1, 24, *(struct.unpack_from("<L", plain, at + n)[0] for n in (24, 20, 42))
        )
        struct.pack_into("<H", plain, at + 30, len(field))
        plain[at + 46 + name : at + 46 + name] = field
        end = plain.rindex(b"PK\x05\x06")
        (length,) = struct.unpack_from("<L", plain, end + 12)
        struct.pack_into("<L", plain, end + 12, length + len(field))
    for place in (20, 24, 42):
        struct.pack_into("<L", plain, at + place, 0xFFFFFFFF)
    return bytes(plain)


def _gguf() -> bytes:
    def text(value: str) -> bytes:
        return struct.pack("<Q", len(value)) + value.encode()

    pairs = text("general.alignment") + struct.pack("<LL", 4, 32)
    pairs += text("names") + struct.pack("<LLQ", 9, 8, 2) + text("a") + text("b")
    pairs += text("nested") + struct.pack("<LLQLQ", 9, 9, 1, 4, 1) + struct.pack("<L", 7)
    body = struct.pack("<4sLQQ", b"GGUF", 3, 2, 3) + pairs
    for name, offset in (("one", 0), ("two", 64)):
        body += text(name) + struct.pack("<LQQLQ", 2, 4, 4, 0, offset)
    return body + bytes(-len(body) % 32) + bytes(128)


_PATHS = (b"a", b"a/b/c.txt", b".git/config", b"x" * 200, b"\xff\xfe/\n", b"a/" * 40 + b"b")


def _patterns(data: bytes) -> None:
    for pattern in parse_patterns(data)[:50]:
        for path in _PATHS:
            pattern.matches(path, path.rpartition(b"/")[2], False)


_FILE = Entry("file", 0, b"a", 0o644, 0, 0, None, None, 5, size=7, stat=Stat(5, 1, 2, 3))


def _journal(data: bytes) -> None:
    """Checksums of all lines are right: only their content lies."""
    lines = b"".join(b"%08x %s\n" % (zlib.crc32(line), line) for line in data.split(b"\n"))
    with tempfile.TemporaryDirectory() as folder:
        for text in (lines, data):
            path = os.fsencode(os.path.join(folder, "journal"))
            Path(os.fsdecode(path)).write_bytes(text)
            journal = Journal(path)
            try:
                journal.load(None)
                content, spans = journal.find(_FILE) or (bytes(32), [])
                _insist(len(content) == 32, "a content hash")
                for offset, found, at, length in spans:
                    _insist(min(offset, at, length) >= 0 and len(found) == 32, "a span")
                for pack in journal.packs:
                    _insist(type(pack.length) is int and pack.length > 0, "length of a pack")
                    protocol.encode("earlier", packs=[pack.key, pack.length, pack.pin_value])
                for group in journal.groups:
                    protocol.encode("earlier", packs=[one.fields() for one in group.objects])
            finally:
                journal.close()


def _journal_seeds() -> list[bytes]:
    run = '{"run":"20261123T140200Z-k3f7qz","scannedAt":"900000000000"}'
    chunk = ["72" * 32, 4096, 56, 500, "66" * 32, "planes2", "zstd", "xor", "61" * 32]
    pack = {
        "key": "packs/20261123T140200Z-k3f7qz/3-0-0",
        "length": 1000,
        "pin": ["crc32", "OuWuBA=="],
        "chunks": [chunk, chunk[:7]],
    }
    file = {
        "file": [0, "a"],
        "stat": [7, "5", "5", "1", "2", "3"],
        "hash": "63" * 32,
        "spans": [[0, "72" * 32, 5, 7]],
    }
    member = {"key": pack["key"], "length": 1000, "pin": {"kind": "crc32", "value": "OuWuBA=="}}
    parity = member | {"key": "parity/20261123T140200Z-k3f7qz/3-0-0"}
    group = {"group": {"members": [member], "parity": [parity]}}
    return ["\n".join((run, *map(json.dumps, (pack, group, file)))).encode()]


def _mounts(data: bytes) -> None:
    table = parse_mountinfo(data)
    table.holding(b"/a/b")
    table.below(b"/")


_RUN = RunSeal(b"dmtS\1\0\0\0" + bytes(56), bytes(32))
_PLAIN = b"what was sealed " * 8


def _sealed_object() -> bytes:
    return bytes(Sealer(_RUN, bytes).whole("segment", _PLAIN)[0])


def _sealed(data: bytes) -> None:
    made = Sealer(_RUN, bytes).begin("segment")
    plain = _refusing(_DAMAGE, lambda: made.open(SEAL_HEADER, data[SEAL_HEADER:]))
    _insist(plain in (None, _PLAIN), "something else than what was sealed")
    for header in (made.header, data[:SEAL_HEADER]):
        # The operator's word for the key, which is another one here.
        told = ObjectSeal(header, bytes(32))
        found = _refusing(_DAMAGE, lambda told=told: open_whole(told, "segment", data))  # type: ignore[misc]
        _insist(found is None, "something opened with another key")


TARGETS = (
    Target("frame", _frames, _frame),
    Target("zstd", lambda: _payloads(False), _zstd),
    Target("planes", lambda: _payloads(True), _planes),
    Target("index", lambda: _plain_lines("[0-9]"), _index),
    Target("packs", _pack_seeds, _packs),
    Target("groups", _group_seeds, _groups),
    Target(
        "byte-string",
        lambda: [b'"a b"', b'{"b64":"/wBh"}', b'"\\ud83d\\ude00"', b'["a",{"b64":"//79"}]'],
        _byte_string,
    ),
    Target("protocol", _messages, _protocol),
    Target(
        "tensors",
        lambda: [_safetensors(), _torch(False), _torch(True), _torch_wide_directory(), _gguf()],
        _tensors,
    ),
    Target(
        "patterns",
        lambda: [b"*.py[co]\n!keep/**/x\n/build/\n# no\n\\#a\\ \n[[:alpha:]-z]?\n**\na**b*c*d\n"],
        _patterns,
    ),
    Target("journal", _journal_seeds, _journal),
    Target("sealed", lambda: [_sealed_object()], _sealed),
    Target("mounts", lambda: [b"36 35 98:0 /mnt1 /mnt\\0402 rw - ext3 /dev/root rw\n"], _mounts),
)
