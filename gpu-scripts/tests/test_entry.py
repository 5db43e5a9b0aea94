import json
import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dumont_worker.byte_string import from_json, to_json
from dumont_worker.entry import (
    ChunkRecord,
    Entry,
    Extent,
    Stat,
    decode_chunk_record,
    decode_entry,
    encode_chunk_record,
    encode_entry,
    leaf,
    path_key,
)
from dumont_worker.errors import WorkerError
from dumont_worker.quick_entry import quick_entry

FILE: dict[str, Any] = {
    "entry": "file",
    "root": 0,
    "path": "dir/name",
    "mode": 0o644,
    "uid": 0,
    "gid": 0,
    "mtime": "1795442520000000001",
    "size": 10,
    "hash": "ab" * 32,
    "extents": [[0, 0, 0, 4], [6, 1, 100, 4]],
    "stat": {"ctime": "-5", "ino": "18446744073709551615", "dev": "1", "fs": "2"},
}
SYMLINK: dict[str, Any] = {
    **{name: FILE[name] for name in ("root", "path", "mode", "uid", "gid", "mtime")},
    "entry": "symlink",
    "target": "../x",
}
DEVICE = {**{k: v for k, v in SYMLINK.items() if k != "target"}, "entry": "char", "device": [1, 3]}
CHUNK: dict[str, Any] = {
    "chunk": 7,
    "hash": "01" * 32,
    "raw": 4194304,
    "pack": 0,
    "at": 56,
    "stored": 2796202,
    "frame": "02" * 32,
    "transform": "planes2",
    "codec": "zstd",
}

names = st.binary(min_size=1, max_size=12).filter(
    lambda name: not set(name) & {0, 0x2F} and name not in (b".", b"..")
)
paths = st.lists(names, max_size=4).map(b"/".join)
texts = st.binary(max_size=12).filter(lambda text: 0 not in text)
hashes = st.binary(min_size=32, max_size=32)
common: dict[str, Any] = {
    "root": st.integers(0, 9),
    "path": paths,
    "mode": st.integers(0, 0o7777),
    "uid": st.integers(0, 2**32 - 1),
    "gid": st.integers(0, 2**32 - 1),
    "user": st.none() | texts,
    "group": st.none() | texts,
    "mtime": st.integers(-(10**29), 10**29),
    "xattrs": st.dictionaries(texts.filter(bool), st.binary(max_size=20), max_size=3).map(
        lambda pairs: tuple(sorted(pairs.items()))
    ),
}


def make_entry(kind: str, **fields: Any) -> Entry:
    """What is not given keeps its default; of a NamedTuple, `builds` would make it up."""
    return Entry(kind, **fields)


entries = st.one_of(
    st.builds(make_entry, st.just("dir"), **common),
    st.builds(make_entry, st.just("symlink"), target=texts.filter(bool), **common),
    st.builds(
        make_entry,
        st.sampled_from(["char", "block"]),
        device=st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1)),
        link=st.none() | st.tuples(st.integers(0, 9), paths),
        **common,
    ),
    st.builds(
        make_entry,
        st.just("file"),
        size=st.integers(2**23, 2**53 - 1),
        hash=hashes,
        extents=st.just(()) | st.just((Extent(0, 3, 5, 7), Extent(7, 0, 0, 4 << 20))),
        torn=st.booleans(),
        stat=st.none() | st.builds(Stat, *[st.integers(-(2**63), 2**64)] * 4),
        **common,
    ),
)


OWNER = '"mode":420,"uid":0,"gid":4294967295,"user":"root","group":"w\u00e4"'
FILE_LINE = (
    f'{{"entry":"file","root":0,"path":"a/.b/..c",{OWNER},"mtime":"-5","size":7'
    f',"hash":"{"a1" * 32}","extents":[[0,3,4194297,7]]'
    ',"stat":{"ctime":"1","ino":"2","dev":"3","fs":"-4"}}'
)
DIRECTORY_LINE = f'{{"entry":"dir","root":0,"path":"",{OWNER},"mtime":"0"}}'


@settings(deadline=None)
@given(entries)
def test_any_entry_comes_back(entry: Entry) -> None:
    line = encode_entry(entry)
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert decode_entry(json.loads(line)) == entry


@settings(deadline=None)
@given(st.binary(max_size=30).filter(lambda data: 0 not in data))
def test_any_byte_string_comes_back(data: bytes) -> None:
    assert from_json(json.loads(json.dumps(to_json(data)))) == data


def test_bytes_that_are_not_utf8_become_base64() -> None:
    assert to_json(b"caf\xc3\xa9") == "café"
    assert to_json(b"caf\xe9") == {"b64": "Y2Fm6Q=="}


@pytest.mark.parametrize(
    "value",
    [
        None,
        1,
        [],
        {},
        b"bytes",
        "a\0b",
        "\ud800",
        {"b64": "AA=="},
        {"b64": "Y2Fm6R=="},
        {"b64": "Y2Fm6Q"},
        {"b64": "Y2F m6Q="},
        {"b64": 1},
        {"b64": "YQ==", "more": 1},
        {"b65": "YQ=="},
    ],
)
def test_what_is_no_byte_string_is_refused(value: object) -> None:
    with pytest.raises(WorkerError) as caught:
        from_json(value)
    assert caught.value.code == "INTEGRITY"


@pytest.mark.parametrize("line", [FILE, SYMLINK, DEVICE])
def test_the_lines_below_are_good_before_they_are_spoiled(line: dict[str, Any]) -> None:
    decode_entry(line)


@pytest.mark.parametrize(
    ("line", "changes"),
    [
        (FILE, {"entry": "socket"}),
        (FILE, {"entry": None}),
        (FILE, {"entry": ["file"]}),
        *[
            (FILE, {"path": path})
            for path in ("/etc", "..", "a/../b", "a//b", "a/", ".", "./a", "a/.", "a\0b", None, 3)
        ],
        (FILE, {"path": {"b64": "Li4vYQ=="}}),
        *[
            (FILE, {name: value})
            for name in ("root", "mode", "uid", "gid", "size")
            for value in (-1, True, 1.0, "1", None, 2**53, 2**63, 2**64)
        ],
        (FILE, {"mode": 0o10000}),
        (FILE, {"uid": 2**32}),
        *[
            (FILE, {"mtime": value})
            for value in (1, "1.0", "", "+1", "01", "-0", "1e3", " 1", "1\n", "٣", "9" * 31, None)
        ],
        *[(FILE, {"hash": value}) for value in (None, "ab", "AB" * 32, "ab" * 33, "zz" * 32)],
        *[
            (FILE, {"extents": value})
            for value in (
                None,
                {},
                [[0, 0, 0]],
                [[0, 0, 0, 0]],
                [[-1, 0, 0, 1]],
                [[0, -1, 0, 1]],
                [[0, 0, -1, 1]],
                [[0, 0, 0, -1]],
                [[0, 0, 0, True]],
                [[0, 0, 0, 1.0]],
                [[0, 0, 0, "1"]],
                [[0, 0, 0, 11]],
                [[8, 0, 0, 3]],
                [[0, 0, 0, 4], [3, 1, 0, 1]],
                [[4, 0, 0, 1], [0, 0, 0, 1]],
                [[0, 0, 4 << 20, 1]],
                [[0, 0, 0, 2**63]],
            )
        ],
        *[
            (FILE, {"xattrs": value})
            for value in (
                None,
                {"user.a": ""},
                ["user.a"],
                [["user.a"]],
                [["", ""]],
                [["user.a", "%"]],
                [["user.b", ""], ["user.a", ""]],
                [["user.a", ""], ["user.a", ""]],
                [["user.a", None]],
            )
        ],
        *[(FILE, {"link": value}) for value in (None, "a", {"root": 0}, {"root": -1, "path": ""})],
        (FILE, {"link": {"root": 0, "path": "../a"}}),
        (FILE, {"torn": 1}),
        (FILE, {"torn": "true"}),
        (FILE, {"stat": None}),
        (FILE, {"stat": {"ctime": "1", "ino": "1", "dev": "1"}}),
        (FILE, {"stat": {"ctime": 1, "ino": "1", "dev": "1", "fs": "1"}}),
        (FILE, {"target": "x"}),
        (FILE, {"device": [1, 3]}),
        (FILE, {"user": None}),
        (FILE, {"user": 0}),
        (SYMLINK, {"target": ""}),
        (SYMLINK, {"target": "a\0"}),
        (SYMLINK, {"target": None}),
        (SYMLINK, {"size": 1}),
        (SYMLINK, {"extents": []}),
        *[
            (DEVICE, {"device": value})
            for value in (None, [], [1], [1, 2, 3], [1, -1], [1, True], [1, 2**32], "1:3")
        ],
    ],
)
def test_a_forbidden_value_is_refused(line: dict[str, Any], changes: dict[str, Any]) -> None:
    with pytest.raises(WorkerError) as caught:
        decode_entry({**line, **changes})
    assert caught.value.code == "INTEGRITY"


@pytest.mark.parametrize("name", ["root", "path", "mode", "uid", "gid", "mtime", "size", "hash"])
def test_a_missing_field_is_refused(name: str) -> None:
    with pytest.raises(WorkerError):
        decode_entry({key: value for key, value in FILE.items() if key != name})


@settings(deadline=None)
@given(entries)
def test_an_entry_is_read_quickly_as_it_is_read_slowly(entry: Entry) -> None:
    line = encode_entry(entry).decode().rstrip("\n")
    assert quick_entry(line) in (None, decode_entry(json.loads(line)))


@pytest.mark.parametrize("line", [FILE_LINE, DIRECTORY_LINE])
def test_what_is_written_every_day_is_read_quickly(line: str) -> None:
    found = quick_entry(line)
    assert found == decode_entry(json.loads(line))
    assert found is not None
    assert encode_entry(found) == line.encode() + b"\n"


@settings(max_examples=2000, deadline=None)
@given(
    st.sampled_from([FILE_LINE, DIRECTORY_LINE]),
    st.integers(0, 400),
    st.integers(0, 3),
    st.sampled_from(['"', "\\", "/", "/..", ".", "0", "-", "9999999999999999", "\x1f", "\n", "\0"])
    | st.text(max_size=3),
)
def test_no_damage_makes_quick_reading_differ(line: str, at: int, cut: int, put: str) -> None:
    damaged = line[:at] + put + line[at + cut :]
    found = quick_entry(damaged)
    if found is not None:
        assert found == decode_entry(json.loads(damaged))


def test_unknown_fields_are_ignored() -> None:
    assert decode_entry({**FILE, "colour": "red"}) == decode_entry(FILE)


def test_a_size_that_json_cannot_hold_is_not_written() -> None:
    with pytest.raises(WorkerError):
        encode_entry(decode_entry(FILE)._replace(size=2**53))


def test_a_chunk_comes_back() -> None:
    number, record = decode_chunk_record(CHUNK)
    assert json.loads(encode_chunk_record(number, record)) == CHUNK
    delta = ChunkRecord(record.hash, 9, 2, 0, 90, record.frame, "planes4", "zstd", base=("xor", 3))
    assert decode_chunk_record(json.loads(encode_chunk_record(7, delta))) == (7, delta)


@pytest.mark.parametrize(
    "changes",
    [
        {"chunk": -1},
        {"chunk": True},
        {"hash": "01"},
        {"frame": None},
        {"raw": 0},
        {"raw": (4 << 20) + 1},
        {"raw": 1.5},
        {"pack": -1},
        {"pack": "0"},
        {"at": -1},
        {"at": 32 << 20},
        {"stored": 56},
        {"stored": 0},
        {"raw": 10, "stored": 115},
        {"transform": "planes3"},
        {"transform": None},
        {"transform": ["none"]},
        {"codec": "lz4"},
        {"codec": {}},
        {"delta": None},
        {"delta": {"op": "xor"}},
        {"delta": {"op": "none", "base": 1}},
        {"delta": {"op": "xor", "base": 7}},
        {"delta": {"op": "xor", "base": -1}},
        {"delta": {"op": [], "base": 1}},
    ],
)
def test_a_forbidden_chunk_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(WorkerError) as caught:
        decode_chunk_record({**CHUNK, **changes})
    assert caught.value.code == "INTEGRITY"


def test_a_directory_sorts_before_what_it_holds_and_before_longer_names() -> None:
    ordered = [b"", b"a", b"a/b", b"a/b/c", b"a-b", b"a0", b"b\xff", b"\xff"]
    assert sorted(reversed(ordered), key=path_key) == ordered


def test_a_leaf_has_the_fields_of_the_page() -> None:
    entry = Entry(
        "file",
        1,
        b"p\xff",
        0o644,
        1000,
        100,
        b"me",
        None,
        -7,
        xattrs=((b"user.a", b"\0"), (b"user.b", b"")),
        size=3,
        hash=b"h" * 32,
        link=(0, b"first"),
        torn=True,
        stat=Stat(1, 2, 3, 4),
        extents=(Extent(0, 0, 0, 3),),
    )

    def sized(*fields: bytes) -> bytes:
        return b"".join([struct.pack("<I", len(field)) + field for field in fields])

    assert leaf(entry) == sized(
        b"file", b"1", b"p\xff", b"420", b"1000", b"100", b"me", b"", b"-7", b"3", b"h" * 32,
        b"", b"", b"0", b"first", sized(b"user.a", b"\0", b"user.b", b""), b"torn",
    )  # fmt: skip
    assert leaf(entry._replace(extents=(), stat=None)) == leaf(entry)


@pytest.mark.parametrize(
    "changes",
    [
        {"root": 2},
        {"path": b"q"},
        {"mode": 0},
        {"uid": 1},
        {"gid": 1},
        {"user": b"a"},
        {"group": b"a"},
        {"mtime": 0},
        {"size": 4},
        {"hash": bytes(32)},
        {"link": (0, b"a")},
        {"torn": True},
        {"xattrs": ((b"user.a", b""),)},
        {"kind": "fifo"},
    ],
)
def test_every_property_changes_the_leaf(changes: dict[str, Any]) -> None:
    entry = decode_entry(FILE)
    assert leaf(entry._replace(**changes)) != leaf(entry)
