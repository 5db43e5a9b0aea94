import json
import tracemalloc
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from dumont_worker import index
from dumont_worker.entry import ChunkRecord, Entry, Extent
from dumont_worker.errors import WorkerError
from dumont_worker.index import (
    IndexReader,
    IndexWriter,
    PackRecord,
    decode_packs,
    encode_packs,
)

SNAPSHOT = "20261123T140200Z-k3f7qz"
PACKS = [
    PackRecord(f"packs/{SNAPSHOT}/0-0-a", 1000, "crc32", "AAAAAA=="),
    PackRecord("packs/20251123T140200Z-k3f7qa/31-12-x9", 32 << 20, "md5", "A" * 22 + "=="),
]


def chunk(number: int, **changes: Any) -> ChunkRecord:
    digest = number.to_bytes(32, "little")
    record = ChunkRecord(digest, 100, number % 2, 100 * number, 90, digest, "planes2", "zstd")
    return record._replace(**changes)


def entry(path: bytes, kind: str = "dir", root: int = 0, **changes: Any) -> Entry:
    fields = {"size": 100, "hash": bytes(32)} if kind == "file" else {}
    return Entry(kind, root, path, 0o755, 0, 0, b"root", None, 1, **{**fields, **changes})


def write(lines: list[ChunkRecord | Entry]) -> tuple[list[bytes], index.IndexSummary]:
    segments: dict[int, bytes] = {}
    writer = IndexWriter(SNAPSHOT, 5, segments.__setitem__)
    for line in lines:
        if isinstance(line, Entry):
            writer.entry(line)
        else:
            writer.chunk(line)
    summary = writer.close()
    assert list(segments) == list(range(len(segments)))
    return list(segments.values()), summary


GOOD: list[ChunkRecord | Entry] = [
    entry(b""),
    chunk(0),
    entry(b"a", "file", extents=(Extent(0, 0, 0, 100),)),
    entry(b"b"),
    chunk(1, transform="none", base=("xor", 0)),
    entry(b"b/c", "file", extents=(Extent(50, 1, 10, 50),)),
    entry(b"b/d", "file", link=(0, b"b/c"), extents=(Extent(50, 1, 10, 50),)),
    entry(b"b-", "fifo"),
    entry(b"", "file", root=1, extents=(Extent(0, 0, 0, 100),)),
]


def raw_lines(segment: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in zlib.decompress(segment, 31).splitlines()]


def pack_up(lines: list[Any]) -> bytes:
    text = b"".join([json.dumps(line).encode() + b"\n" for line in lines])
    gzip = zlib.compressobj(wbits=31)
    return gzip.compress(text) + gzip.flush()


def read(segments: list[bytes], packs: list[PackRecord] | None = None) -> IndexReader:
    reader = IndexReader(segments, SNAPSHOT, packs)
    list(reader)
    return reader


def refused(segments: list[bytes], packs: list[PackRecord] | None = None) -> WorkerError:
    with pytest.raises(WorkerError) as caught:
        read(segments, packs)
    return caught.value


def test_chunks_and_entries_come_back_in_order() -> None:
    segments, summary = write(GOOD)
    reader = IndexReader(segments, SNAPSHOT, [PACKS[0], PACKS[1]])
    numbers = iter(range(2))
    expected = [line if isinstance(line, Entry) else (next(numbers), line) for line in GOOD]
    assert list(reader) == expected
    assert reader.summary() == summary
    assert reader.scanned_at == 5
    assert summary.decoders == ("planes2", "xor", "zstd")


def test_many_segments_read_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    one, summary = write(GOOD)
    monkeypatch.setattr(index, "SEGMENT_RAW", 600)
    many, same = write(GOOD)
    assert len(many) > 3
    assert same == summary
    assert list(IndexReader(many, SNAPSHOT)) == list(IndexReader(one, SNAPSHOT))


def test_an_empty_workspace_still_has_a_segment() -> None:
    segments, summary = write([])
    assert len(segments) == 1
    assert read(segments).summary() == summary


def test_equal_input_gives_equal_segments() -> None:
    assert write(GOOD)[0] == write(GOOD)[0]


def test_a_line_longer_than_a_segment_stands_in_one_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(index, "SEGMENT_RAW", 600)
    long = entry(b"a", "symlink", target=b"t" * 2000)
    segments, summary = write([entry(b""), long, entry(b"b")])
    assert len(segments) == 3
    assert read(segments).summary() == summary


def test_a_line_that_no_reader_would_accept_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "SEGMENT_LIMIT", 1000)
    with pytest.raises(WorkerError):
        write([entry(b""), entry(b"a", "symlink", target=b"t" * 2000)])


@pytest.mark.parametrize(
    "lines",
    [
        [entry(b"a")],
        [entry(b""), entry(b"b"), entry(b"a")],
        [entry(b""), entry(b"a"), entry(b"a")],
        [entry(b""), entry(b"a/b")],
        [entry(b""), entry(b"a", "fifo"), entry(b"a/b")],
        [entry(b""), entry(b"", root=2)],
        [entry(b""), entry(b"a", "file", extents=(Extent(0, 0, 0, 1),))],
    ],
)
def test_the_writer_refuses_what_readers_would(lines: list[ChunkRecord | Entry]) -> None:
    with pytest.raises(ValueError, match=r"b'.*'"):
        write(lines)


SPOILED: dict[str, Callable[[list[dict[str, Any]]], object]] = {
    "another snapshot": lambda lines: lines[0].update(snapshot="20261123T140200Z-aaaaaa"),
    "another segment number": lambda lines: lines[0].update(segment=1),
    "true as a segment number": lambda lines: lines[0].update(segment=False),
    "another kind": lambda lines: lines[0].update(kind="packs"),
    "no format": lambda lines: lines[0].pop("format"),
    "format true": lambda lines: lines[0].update(format=True),
    "no scan time": lambda lines: lines[0].pop("scannedAt"),
    "no cutter": lambda lines: lines[0].pop("cutter"),
    "no header": lambda lines: lines.pop(0),
    "a line that is a list": lambda lines: lines.append([]),  # type: ignore[arg-type]
    "a chunk number that jumps": lambda lines: lines[5].update(chunk=2),
    "a chunk number again": lambda lines: lines[5].update(chunk=0),
    "the same chunk twice": lambda lines: lines[5].update(hash=lines[2]["hash"]),
    "a chunk outside its pack": lambda lines: lines[2].update(at=911),
    "a chunk in an unlisted pack": lambda lines: lines[5].update(pack=2),
    "a listed pack that is not named": lambda lines: lines[5].update(pack=0),
    "a chunk of another place": lambda lines: lines.insert(1, lines.pop(5)),
    "an unknown delta base": lambda lines: lines[5]["delta"].update(base=1),
    "an extent of a later chunk": lambda lines: lines[3]["extents"][0].__setitem__(1, 1),
    "an extent outside its chunk": lambda lines: lines[3]["extents"][0].__setitem__(2, 1),
    "paths out of order": lambda lines: lines[4].update(path="0"),
    "a path twice": lambda lines: lines[4].update(path="a"),
    "a path without its directory": lambda lines: lines.pop(4),
    "a path below a file": lambda lines: lines[4].update(path="a/b"),
    "a path below a symlink": lambda lines: lines[4].update(entry="symlink", target="/etc"),
    "a path that climbs": lambda lines: lines[6].update(path="b/../../c"),
    "a root out of turn": lambda lines: lines[9].update(root=2),
    "a root that goes back": lambda lines: lines.append({**lines[4], "path": "z"}),
    "a root without itself": lambda lines: lines[9].update(path="x"),
    "a link to nothing": lambda lines: lines[7]["link"].update(path="b/e"),
    "a link to a later member": lambda lines: lines[6].update(link={"root": 0, "path": "b/d"}),
    "a link to a directory": lambda lines: lines[7]["link"].update(path="b"),
    "a link to a link": lambda lines: lines.insert(
        8, {**lines[7], "path": "b/e", "link": {"root": 0, "path": "b/d"}}
    ),
    "a link of other content": lambda lines: lines[7].update(hash="11" * 32),
    "a link of other metadata": lambda lines: lines[7].update(mode=0o777),
    "a link of other extents": lambda lines: lines[7]["extents"][0].__setitem__(2, 11),
    "a link in another root": lambda lines: lines[7]["link"].update(root=1),
    "a link of another kind": lambda lines: lines[8].update(link={"root": 0, "path": "b/c"}),
}


@pytest.mark.parametrize("what", SPOILED)
def test_every_lie_is_refused(what: str) -> None:
    lines = raw_lines(write(GOOD)[0][0])
    assert len(read([pack_up(lines)], PACKS).summary().merkle) == 64
    SPOILED[what](lines)
    assert refused([pack_up(lines)], PACKS).code == "INTEGRITY"


def test_an_error_names_the_segment() -> None:
    lines = raw_lines(write(GOOD)[0][0])
    lines[4].update(path="..")
    assert refused([pack_up(lines)]).message.startswith(f"index segment 0 of {SNAPSHOT}: ")


def test_a_newer_format_is_named() -> None:
    lines = raw_lines(write(GOOD)[0][0])
    lines[0]["format"] = 2
    error = refused([pack_up(lines)])
    assert error.code == "FORMAT_NEWER"
    assert "format 2" in error.message


def test_segments_must_come_in_order_and_from_one_scan(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "SEGMENT_RAW", 600)
    segments, _ = write(GOOD)
    assert "another segment" in refused([segments[1], segments[0]]).message
    assert "another segment" in refused(segments[1:]).message
    lines = raw_lines(segments[1])
    lines[0]["scannedAt"] = "6"
    assert "different scans" in refused([segments[0], pack_up(lines)]).message


def test_no_segment_at_all_is_refused() -> None:
    assert refused([]).code == "INTEGRITY"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data[:-1],
        lambda data: data[:20],
        lambda data: b"",
        lambda data: data + b"x",
        lambda data: data + data,
        lambda data: b"no gzip at all",
        lambda data: pack_up([])[:-8],
        lambda _: zlib.compress(b"{}\n"),
    ],
)
def test_damaged_gzip_is_refused(spoil: Callable[[bytes], bytes]) -> None:
    assert refused([spoil(write(GOOD)[0][0])]).code == "INTEGRITY"


@pytest.mark.parametrize(
    "text",
    [b"", b"{}", b"\n", b"{\n", b"\xff\n", b'{"kind":NaN}\n', b"[" * 100_000 + b"\n", b"1\n"],
)
def test_what_is_no_line_of_json_is_refused(text: bytes) -> None:
    gzip = zlib.compressobj(wbits=31)
    assert refused([gzip.compress(text) + gzip.flush()]).code == "INTEGRITY"


def test_a_bomb_is_refused_without_being_blown_up() -> None:
    gzip = zlib.compressobj(9, wbits=31)
    bomb = b"".join([gzip.compress(bytes(1 << 20)) for _ in range(200)]) + gzip.flush()
    assert len(bomb) < 1 << 20
    tracemalloc.start()
    try:
        assert "more than" in refused([bomb]).message
        assert tracemalloc.get_traced_memory()[1] < 150 << 20
    finally:
        tracemalloc.stop()


def test_the_list_of_packs_comes_back() -> None:
    assert decode_packs(encode_packs(SNAPSHOT, PACKS), SNAPSHOT) == PACKS
    assert decode_packs(encode_packs(SNAPSHOT, []), SNAPSHOT) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"pack": 1},
        {"pack": False},
        {"key": PACKS[1].key},
        {"key": "packs/../../etc"},
        {"key": "/packs/x"},
        {"key": f"packs/{SNAPSHOT}/0-0-a/b"},
        {"key": f"packs/{SNAPSHOT}/0-0-a\n"},
        {"key": None},
        {"length": 0},
        {"length": (32 << 20) + 1},
        {"length": True},
        {"length": -1},
        {"pin": None},
        {"pin": {"kind": "sha1", "value": "AAAAAA=="}},
        {"pin": {"kind": [], "value": "AAAAAA=="}},
        {"pin": {"kind": "crc32", "value": "AAAA"}},
        {"pin": {"kind": "md5", "value": "AAAAAA=="}},
        {"pin": {"kind": "crc32", "value": "AAAAAA"}},
    ],
)
def test_a_lying_list_of_packs_is_refused(changes: dict[str, Any]) -> None:
    lines = raw_lines(encode_packs(SNAPSHOT, PACKS))
    lines[1].update(changes)
    with pytest.raises(WorkerError) as caught:
        decode_packs(pack_up(lines), SNAPSHOT)
    assert caught.value.code == "INTEGRITY"


def test_the_list_of_another_snapshot_is_refused() -> None:
    with pytest.raises(WorkerError, match="another snapshot"):
        decode_packs(encode_packs("20261123T140200Z-aaaaaa", PACKS), SNAPSHOT)
