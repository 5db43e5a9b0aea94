"""Makes test/fixtures/format-1. Run once, by hand: the files are kept and never made again.

Usage, from gpu-scripts: python tests/make_golden.py DIRECTORY (which must hold no store yet).
"""

import hashlib
import json
import random
import struct
import sys
import zlib
from base64 import b64encode
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from dumont_worker import delta, index
from dumont_worker.byte_string import to_json
from dumont_worker.codecs.base import Encoded
from dumont_worker.codecs.choose import encode_chunk, transform_of
from dumont_worker.content_hash import small_hash
from dumont_worker.entry import ChunkRecord, Entry, Extent, Stat
from dumont_worker.frame import encode_frame
from dumont_worker.index import IndexSummary, IndexWriter, PackRecord, encode_packs
from dumont_worker.native import blake3
from dumont_worker.planes import encode_planes

FIRST = "20261123T140200Z-golden"
SECOND = "20261123T150200Z-golde2"
THIRD = "20261123T160200Z-golde3"
LINEAGE = "0123456789abcdef0123456789abcdef"
SECOND_NS = 10**9
START = 1_795_442_520 * SECOND_NS
NEW = 1_795_446_120 * SECOND_NS
NEWEST = 1_795_449_720 * SECOND_NS

Data = list[tuple[int, bytes]]
"""A file's content: stretches by offset, holes between them."""

Difference = tuple[str, bytes]
"""How a chunk is to differ, and the raw bytes of its base."""

dice = random.Random(20261123)


def floats(count: int, keep_low_half: bool) -> bytes:
    words = [struct.unpack("<I", struct.pack("<f", dice.gauss(0, 0.05)))[0] for _ in range(count)]
    return b"".join([struct.pack("<I", w if keep_low_half else w & 0xFFFF0000) for w in words])


BF16 = b"".join([floats(1, False)[2:] for _ in range(12_000)]) + b"\x7f"
FP32 = floats(6_000, True) + b"end"
WIDENED = floats(6_000, False) + b"e"
# High halves of pure noise: both planes are stored as they are.
NOISE_HALVES = b"".join([b"\0\0" + dice.randbytes(2) for _ in range(3_000)])
NAN = struct.pack("<6I", 0x7FC00001, 0xFFC12345, 0x7F800001, 0x80000000, 0xFF800000, 0x00000001)
SPECIAL = NAN + floats(2_000, True)
BUNDLE = b"".join([b"small file %d\n" % n for n in range(7)])
"""Seven small files in one chunk, 13 bytes each."""
TEXT = b"".join([b"line %d of a file that zstd makes small\n" % n for n in range(60_000)])
RANDOM = dice.randbytes(5_000)


def moved(raw: bytes, width: int, often: int) -> bytes:
    """Floats near those of `raw`: up to four numbers away, every so many not at all."""
    words = bytearray(raw)
    for at in range(0, len(raw) - width + 1, width):
        if dice.randrange(often):
            place = slice(at, at + width)
            number = int.from_bytes(words[place], "little") + dice.randrange(-4, 5)
            words[place] = (number % (1 << (8 * width))).to_bytes(width, "little")
    return bytes(words)


TUNED_BF16 = moved(BF16, 2, 3)
BASE_FP32 = NAN[::-1] + floats(5_000, True) + b"tail"
STEP_FP32 = NAN + moved(BASE_FP32, 4, 9)[24:-4] + b"liat"
XOR_FP32 = moved(BASE_FP32, 4, 2)[:-4] + b"TAIL"
WIDE_WORDS = [word for (word,) in struct.iter_unpack("<I", WIDENED[:-1])]
TUNED_WIDE = b"".join([struct.pack("<I", w ^ dice.randrange(3) << 16) for w in WIDE_WORDS]) + b"E"
OTHER_TEXT = TEXT[:100_000]
TYPED_OVER = OTHER_TEXT.replace(b"9", b"8")
NOISE = dice.randbytes(700)
OTHER_NOISE = dice.randbytes(700)

ACL = struct.pack("<I", 2) + b"".join(
    [struct.pack("<HHI", *one) for one in ((1, 6, 2**32 - 1), (2, 4, 1000), (4, 4, 2**32 - 1))]
)
CAPABILITY = struct.pack("<5I", 0x02000001, 1 << 13, 0, 0, 0)


class Snapshot:
    """Builds one snapshot: an index, its own pack, and what readers must find."""

    def __init__(self, store: Path, name: str, scanned_at: int, parent: "Snapshot | None") -> None:
        self.store = store
        self.name = name
        self.parent = parent
        self.segments: dict[int, bytes] = {}
        self.writer = IndexWriter(name, scanned_at, self.segments.__setitem__)
        self.pack = bytearray()
        self.records: dict[bytes, ChunkRecord] = {}
        self.numbers: dict[bytes, int] = {}
        self.packs: list[PackRecord] = []
        self.expected: list[dict[str, object]] = []
        self.inode = 1000
        self.sums = {"raw": 0, "new": 0, "all": 0}
        self.delta = {"raw": 0, "stored": 0, "alone": 0}
        self.codecs: dict[str, dict[str, int]] = {}
        self.own = 0
        if parent:
            self.packs = list(parent.packs)
            self.own = len(self.packs)

    def chunk(self, raw: bytes, width: int | None, differs: Difference | None = None) -> int:
        raw_hash = blake3(raw)
        if raw_hash in self.numbers:
            return self.numbers[raw_hash]
        record = self.parent.records.get(raw_hash) if self.parent else None
        if record is None:
            encoded = encode_chunk(raw, width, "auto", 3)
            alone = 56 + encoded.length
            base = named = None
            if differs is not None:
                base = (differs[0], blake3(differs[1]))
                # The line of a base stands before those of its differences.
                named = (differs[0], self.chunk(differs[1], width))
                encoded = encode_difference(raw, differs, width)
            frame = b"".join(encode_frame(len(raw), raw_hash, encoded, base))
            record = ChunkRecord(
                raw_hash,
                len(raw),
                self.own,
                len(self.pack),
                len(frame),
                blake3(frame),
                encoded.transform,
                encoded.codec,
                named,
            )
            self.pack += frame
            self.sums["new"] += len(raw)
            kind = f"{record.transform}/{record.codec}"
            if named is not None:
                kind = f"{named[0]}/{kind}"
                self.delta["raw"] += len(raw)
                self.delta["stored"] += len(frame)
                self.delta["alone"] += alone
            sums = self.codecs.setdefault(kind, {"raw": 0, "stored": 0})
            sums["raw"] += len(raw)
            sums["stored"] += len(frame)
        self.sums["all"] += record.stored
        self.records[raw_hash] = record
        self.numbers[raw_hash] = self.writer.chunk(record)
        return self.numbers[raw_hash]

    def file(  # noqa: PLR0913
        self,
        path: bytes,
        data: Data,
        *,
        size: int | None = None,
        width: int | None = None,
        cut: int = 1 << 20,
        root: int = 0,
        bundle: bytes | None = None,
        differs: Difference | None = None,
        **more: object,
    ) -> Entry:
        end = size if size is not None else sum(len(piece) for _, piece in data)
        content = bytearray(end)
        extents = []
        for offset, stretch in data:
            content[offset : offset + len(stretch)] = stretch
            if bundle is not None:
                at = bundle.index(stretch)
                extents.append(Extent(offset, self.chunk(bundle, None), at, len(stretch)))
                continue
            for at in range(0, len(stretch), cut):
                piece = stretch[at : at + cut]
                extents.append(
                    Extent(offset + at, self.chunk(piece, width, differs), 0, len(piece))
                )
        self.inode += 1
        fields: dict[str, object] = {
            "mode": 0o644,
            "uid": 0,
            "gid": 0,
            "user": b"root",
            "group": b"root",
            "mtime": START + self.inode,
            "size": end,
            "hash": small_hash(content),
            "extents": tuple(extents),
            "stat": Stat(START + 7 * self.inode, self.inode, 66305, 0x1234ABCD),
            **more,
        }
        entry = Entry("file", root, path, **fields)  # type: ignore[arg-type]
        self.add(entry, hashlib.sha256(content).hexdigest())
        self.sums["raw"] += sum(len(piece) for _, piece in data)
        return entry

    def other(self, kind: str, path: bytes, mode: int, **more: object) -> Entry:
        fields: dict[str, object] = {
            "uid": 1000,
            "gid": 100,
            "user": b"me",
            "group": b"users",
            "mtime": START,
            **more,
        }
        entry = Entry(kind, 0, path, mode, **fields)  # type: ignore[arg-type]
        self.add(entry, None)
        return entry

    def link(self, path: bytes, first: Entry, sha256: str | None) -> None:
        self.add(first._replace(path=path, link=(first.root, first.path)), sha256)

    def add(self, entry: Entry, sha256: str | None) -> None:
        self.writer.entry(entry)
        self.expected.append(expectation(entry, sha256))

    def sha256_of(self, path: bytes) -> str:
        found = next(one for one in self.expected if one["path"] == to_json(path))
        return str(found["sha256"])

    def close(self) -> IndexSummary:
        summary = self.writer.close()
        key = f"packs/{self.name}/0-0-k7w2"
        pin = b64encode(struct.pack(">I", zlib.crc32(self.pack))).decode()
        self.packs.append(PackRecord(key, len(self.pack), "crc32", pin))
        write(self.store / key, bytes(self.pack))
        for number, data in self.segments.items():
            write(self.store / f"index/{self.name}/{number}", data)
        write(self.store / f"index/{self.name}/packs", encode_packs(self.name, self.packs))
        return summary


def encode_difference(raw: bytes, differs: Difference, width: int | None) -> Encoded:
    """What the page allows for a difference, whether or not the worker would ever store it."""
    change = delta.difference(raw, differs[1], differs[0], width or 1)
    if width is None:
        return encode_chunk(bytes(change), 1, "auto", 3)
    return encode_planes(change, transform_of(change, width))


def expectation(entry: Entry, sha256: str | None) -> dict[str, object]:
    return {
        "kind": entry.kind,
        "root": entry.root,
        "path": to_json(entry.path),
        "mode": entry.mode,
        "uid": entry.uid,
        "gid": entry.gid,
        "user": None if entry.user is None else to_json(entry.user),
        "group": None if entry.group is None else to_json(entry.group),
        "mtime": str(entry.mtime),
        "xattrs": [[to_json(n), b64encode(v).decode()] for n, v in entry.xattrs],
        "size": entry.size,
        "hash": entry.hash.hex() if entry.hash else None,
        "sha256": sha256,
        "data": [[e.offset, e.offset + e.length] for e in entry.extents],
        "link": [entry.link[0], to_json(entry.link[1])] if entry.link else None,
        "target": to_json(entry.target) if entry.target else None,
        "device": list(entry.device) if entry.device else None,
        "torn": entry.torn,
    }


def write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def fill_first(s: Snapshot) -> None:
    s.other("dir", b"", 0o755)
    s.file(b"bf16.safetensors", [(0, BF16)], width=2)
    s.other("block", b"block device", 0o660, device=(259, 1048575), uid=0, user=None)
    s.other("char", b"char device", 0o666, device=(1, 3), user=None, group=None)
    s.other("dir", b"dir", 0o1777, mtime=-1)
    hard = s.file(b"dir/hard link 1", [(0, b"linked")], xattrs=((b"user.a", b"\0\xff"),))
    s.other("dir", b"dir/sub", 0o2755)
    s.link(b"dir/sub/hard link 2", hard, s.sha256_of(hard.path))
    s.other("dir", b"dir-not-in-dir", 0)
    s.file(b"empty", [])
    fifo = s.other("fifo", b"fifo 1", 0o600)
    s.link(b"fifo 2", fifo, None)
    s.file(b"fp32 of bf16.bin", [(0, WIDENED)], width=None)
    s.file(b"fp32.bin", [(0, FP32)], width=4)
    s.other("dir", b"many", 0o700)
    for number in range(40):
        content = b"small file %d\n" % (number % 7)
        s.file(b"many/%03d" % number, [(0, content)], bundle=BUNDLE, uid=65534, user=None)
    s.other("symlink", b"na\nme", 0o777, target=b"dang\xffling")
    s.file(b"noise halves", [(0, NOISE_HALVES)], width=4)
    s.file(b"not utf-8 \xff\xfe", [(0, RANDOM)], mode=0o4755, mtime=-(2**40))
    s.file(b"sparse", [(4096, b"x" * 4096), (3 << 20, TEXT[:70_000])], size=(5 << 20) + 1)
    s.file(b"special values", [(0, SPECIAL)], width=4, xattrs=(
        (b"security.capability", CAPABILITY),
        (b"system.posix_acl_access", ACL),
        (b"user.empty", b""),
        (b"user.\xff", b"strange name"),
    ))  # fmt: skip
    s.file(b"text.log", [(0, TEXT)], cut=1_000_000)
    s.file(b"torn", [(0, b"half old, half new")], torn=True)
    s.file(b"void", [], size=(9 << 20) + 5)
    s.other("symlink", "zeichen ü → €".encode(), 0o777, target=b"/absolute/target")
    s.file(b"", [(0, b"a root that is a file\n")], root=1, mtime=2**63 + 5)


def fill_second(s: Snapshot) -> None:
    s.other("dir", b"", 0o755, mtime=NEW)
    s.file(b"bf16.safetensors", [(0, BF16)], width=2)
    s.file(b"new", [(0, b"written between the snapshots\n")], mtime=NEW)
    s.file(b"text.log", [(0, TEXT[:1_000_000] + b"another end\n")], cut=1_000_000, mtime=NEW)
    s.file(b"", [(0, b"a root that is a file\n")], root=1, mtime=2**63 + 5)


def fill_third(s: Snapshot) -> None:
    """Differences from a chunk that nothing uses any more, from another file's, of every sort."""
    s.other("dir", b"", 0o755, mtime=NEWEST)
    s.file(b"bf16.safetensors", [(0, TUNED_BF16)], width=2, differs=("ordered", BF16), mtime=NEWEST)
    s.file(b"bytes", [(0, OTHER_TEXT)], width=None)
    s.file(b"bytes typed over", [(0, TYPED_OVER)], width=None, differs=("xor", OTHER_TEXT))
    s.other("dir", b"checkpoints", 0o755)
    s.file(b"checkpoints/step-1", [(0, BASE_FP32)], width=4)
    s.file(b"checkpoints/step-2", [(0, STEP_FP32)], width=4, differs=("ordered", BASE_FP32))
    s.file(b"checkpoints/step-3", [(0, XOR_FP32)], width=4, differs=("xor", BASE_FP32))
    s.file(b"copy of step-2", [(8, STEP_FP32)], size=8 + len(STEP_FP32), width=4)
    s.file(b"new", [(0, b"written between the snapshots\n")], mtime=NEW)
    s.file(b"noise", [(0, NOISE)], width=None)
    s.file(b"noise of noise", [(0, OTHER_NOISE)], width=None, differs=("xor", NOISE))
    s.file(b"wide", [(0, WIDENED)], width=4)
    s.file(b"wide tuned", [(0, TUNED_WIDE)], width=4, differs=("xor", WIDENED))
    s.file(b"", [(0, b"a root that is a file\n")], root=1, mtime=2**63 + 5)


def manifest(s: Snapshot, summary: IndexSummary, sequence: int, created: str) -> bytes:
    def described(key: str) -> dict[str, object]:
        data = (s.store / key).read_bytes()
        return {"key": key, "length": len(data), "sha256": hashlib.sha256(data).hexdigest()}

    def count(*kinds: str) -> int:
        return sum(one["kind"] in kinds for one in s.expected)

    parent = None
    if s.parent:
        above = (s.store / f"snapshots/{s.parent.name}.json").read_bytes()
        parent = {"id": s.parent.name, "sha256": hashlib.sha256(above).hexdigest()}
    value = {
        "format": 1,
        "id": s.name,
        "lineage": LINEAGE,
        "label": "golden",
        "sequence": sequence,
        "parent": parent,
        "created": created,
        "host": {
            "address": "root@box.example:22",
            "box": "5e" * 32,
            "boot": "8c9d8f5e-0000-4000-8000-123456789abc",
            "os": "Debian GNU/Linux 12",
            "kernel": "6.1.0",
            "arch": "x86_64",
            "python": "3.11.7",
            "cpus": 2,
            "memory": 25769803776,
            "gpus": [
                {
                    "name": "NVIDIA H100",
                    "driver": "580.95.05",
                    "memory": 85520809984,
                    "capability": "9.0",
                }
            ],
        },
        "roots": [
            {"path": "/workspace", "given": "/workspace/", "type": "dir"},
            {"path": {"b64": b64encode(b"/etc/f\xff").decode()}, "type": "file"},
        ],
        "rules": {
            "excludes": ["*.tmp"],
            "excludeCaches": False,
            "crossMounts": False,
            "skippedMounts": [],
        },
        "counts": {
            "entries": summary.entries,
            "files": count("file"),
            "dirs": count("dir"),
            "symlinks": count("symlink"),
            "others": count("fifo", "char", "block"),
            "torn": sum(bool(one["torn"]) for one in s.expected),
            "unreadable": 0,
        },
        "bytes": {**s.sums, "stored": len(s.pack), "codecs": s.codecs}
        | ({"delta": s.delta} if s.delta["raw"] else {}),
        "seconds": {"scan": 0.25, "transfer": 1.5, "total": 2},
        "index": {
            "segments": [described(f"index/{s.name}/{n}") for n in sorted(s.segments)],
            "packs": described(f"index/{s.name}/packs"),
            "entries": summary.entries,
            "chunks": summary.chunks,
            "merkle": summary.merkle,
        },
        "decoders": list(summary.decoders),
        "nvidia": None,
        "warnings": {
            "count": 1 if sequence == 1 else 0,
            "first": [{"code": "torn", "path": "torn", "message": "changed while it was read"}][
                : 1 if sequence == 1 else 0
            ],
        },
        "versions": {"dumont": "0.1.0", "worker": "0.1.0"},
    }
    return json.dumps(value, separators=(",", ":")).encode()


def main(directory: Path) -> None:
    store = directory / "store"
    store.mkdir(parents=True)
    # Small segments, so that an index has several.
    index.SEGMENT_RAW = 12_000
    repository = {
        "format": 1,
        "id": "f0" * 16,
        "created": "2026-11-23T14:00:00.000Z",
        "pin": "crc32",
    }
    write(store / "dumont.json", json.dumps(repository).encode())
    first = Snapshot(store, FIRST, START, None)
    fill_first(first)
    summary = first.close()
    write(
        store / f"snapshots/{FIRST}.json",
        manifest(first, summary, 1, "2026-11-23T14:02:10.123Z"),
    )
    second = Snapshot(store, SECOND, NEW, first)
    fill_second(second)
    summary = second.close()
    write(
        store / f"snapshots/{SECOND}.json",
        manifest(second, summary, 2, "2026-11-23T15:02:05.000Z"),
    )
    third = Snapshot(store, THIRD, NEWEST, second)
    fill_third(third)
    summary = third.close()
    write(
        store / f"snapshots/{THIRD}.json",
        manifest(third, summary, 3, "2026-11-23T16:02:07.500Z"),
    )
    expected = {FIRST: first.expected, SECOND: second.expected, THIRD: third.expected}
    write(directory / "expected.json", json.dumps(expected, indent=1).encode())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
