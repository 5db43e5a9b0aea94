"""Lines of the index, entries of the tree and stored chunks, as values, JSON and Merkle leaf."""

import re
import struct
from base64 import b64encode
from functools import lru_cache
from json.encoder import encode_basestring
from typing import Any, NamedTuple

from .byte_string import from_json, strict_base64
from .errors import WorkerError, integrity

CHUNK_MAX = 4 << 20
"""Most raw bytes of one chunk."""
SAFE = (1 << 53) - 1
"""Largest integer that travels as a JSON number."""
UINT32 = (1 << 32) - 1
MODE_MAX = 0o7777
KINDS = ("file", "dir", "symlink", "fifo", "char", "block")
LINKABLE = ("file", "symlink", "fifo", "char", "block")
TRANSFORMS = ("none", "planes2", "planes4", "planes2of4")
CODECS = ("none", "zstd", "ans")
DELTAS = ("xor", "ordered")

Json = dict[str, Any]


class Extent(NamedTuple):
    """A stretch of a file and where in a chunk its bytes lie."""

    offset: int
    chunk: int
    at: int
    length: int


class Stat(NamedTuple):
    """What the next incremental compares: change time in ns, inode, device, file-system id."""

    ctime: int
    ino: int
    dev: int
    fs: int


class Entry(NamedTuple):
    """One file, directory, link or node of the workspace; mtime in ns, path below its root."""

    kind: str
    root: int
    path: bytes
    mode: int
    uid: int
    gid: int
    user: bytes | None
    group: bytes | None
    mtime: int
    xattrs: tuple[tuple[bytes, bytes], ...] = ()
    size: int = 0
    hash: bytes | None = None
    extents: tuple[Extent, ...] = ()
    link: tuple[int, bytes] | None = None
    target: bytes | None = None
    device: tuple[int, int] | None = None
    torn: bool = False
    stat: Stat | None = None


class ChunkRecord(NamedTuple):
    """Where a chunk's frame lies and how it is coded; `base` is a delta's operation and base."""

    hash: bytes
    raw: int
    pack: int
    at: int
    stored: int
    frame: bytes
    transform: str
    codec: str
    base: tuple[str, int] | None = None


def path_key(path: bytes) -> tuple[bytes, ...]:
    """Gives what path order compares: the components; the root itself is the empty tuple."""
    return tuple(path.split(b"/")) if path else ()


def encode_entry(entry: Entry) -> bytes:
    """Gives the index line of an entry; raises WORKER for a size that format 1 cannot hold."""
    kind = entry.kind
    owner = _owner(entry.mode, entry.uid, entry.gid, entry.user, entry.group)
    line = (
        f'{{"entry":"{kind}","root":{entry.root},"path":{json_text(entry.path)}{owner}'
        f',"mtime":"{entry.mtime}"'
    )
    if entry.xattrs:
        pairs = (
            f'[{json_text(name)},"{b64encode(value).decode()}"]' for name, value in entry.xattrs
        )
        line += f',"xattrs":[{",".join(pairs)}]'
    if kind == "file":
        line += _file_fields(entry)
    if entry.link is not None:
        line += f',"link":{{"root":{entry.link[0]},"path":{json_text(entry.link[1])}}}'
    if entry.target is not None:
        line += f',"target":{json_text(entry.target)}'
    if entry.device is not None:
        line += f',"device":[{entry.device[0]},{entry.device[1]}]'
    return (line + "}\n").encode()


# Few owners and modes make up a whole workspace.
@lru_cache(4096)
def _owner(mode: int, uid: int, gid: int, user: bytes | None, group: bytes | None) -> str:
    line = f',"mode":{mode},"uid":{uid},"gid":{gid}'
    if user is not None:
        line += f',"user":{json_text(user)}'
    if group is not None:
        line += f',"group":{json_text(group)}'
    return line


def _file_fields(entry: Entry) -> str:
    if entry.hash is None or not 0 <= entry.size <= SAFE:
        raise WorkerError("WORKER", f"a file of {entry.size} bytes cannot be described")
    fields = f',"size":{entry.size},"hash":"{entry.hash.hex()}"'
    if entry.extents:
        fields += f',"extents":[{",".join(["[%d,%d,%d,%d]" % e for e in entry.extents])}]'  # noqa: UP031
    if entry.torn:
        fields += ',"torn":true'
    stat = entry.stat
    if stat is not None:
        fields += (
            f',"stat":{{"ctime":"{stat.ctime}","ino":"{stat.ino}"'
            f',"dev":"{stat.dev}","fs":"{stat.fs}"}}'
        )
    return fields


def json_text(value: bytes) -> str:
    """Gives a byte string as it stands in a line of JSON."""
    try:
        return encode_basestring(value.decode())
    except UnicodeDecodeError:
        return f'{{"b64":"{b64encode(value).decode()}"}}'


def decode_entry(line: Json) -> Entry:
    """Gives the entry of an index line; raises INTEGRITY for every value that format 1 forbids."""
    kind = line.get("entry")
    if type(kind) is not str or kind not in KINDS:
        raise integrity("an entry of unknown kind")
    for name, kinds in _ONLY.items():
        if name in line and kind not in kinds:
            raise integrity(f"a {kind} with {name}")
    is_file = kind == "file"
    size = whole_number(line, "size", SAFE) if is_file else 0
    return Entry(
        kind,
        whole_number(line, "root", UINT32),
        entry_path(line.get("path")),
        whole_number(line, "mode", MODE_MAX),
        whole_number(line, "uid", UINT32),
        whole_number(line, "gid", UINT32),
        from_json(line["user"]) if "user" in line else None,
        from_json(line["group"]) if "group" in line else None,
        wide(line.get("mtime")),
        _xattrs(line["xattrs"]) if "xattrs" in line else (),
        size,
        digest(line.get("hash")) if is_file else None,
        _extents(line["extents"], size) if "extents" in line else (),
        _link(line["link"]) if "link" in line else None,
        _target(line.get("target")) if kind == "symlink" else None,
        _device(line.get("device")) if kind in ("char", "block") else None,
        _torn(line["torn"]) if "torn" in line else False,
        _stat(line["stat"]) if "stat" in line else None,
    )


_WIDE = re.compile(r"-?(?:0|[1-9][0-9]{0,29})", re.ASCII)
_HEX = re.compile(r"[0-9a-f]{64}", re.ASCII)
_ONLY = {
    "size": ("file",),
    "hash": ("file",),
    "extents": ("file",),
    "torn": ("file",),
    "stat": ("file",),
    "target": ("symlink",),
    "device": ("char", "block"),
    "link": LINKABLE,
}


def whole_number(line: Json, name: str, most: int) -> int:
    """Reads an integer from 0 to `most`."""
    value = line.get(name)
    # bool is an int to isinstance, and JSON's true is no number.
    if type(value) is not int or not 0 <= value <= most:
        raise integrity(f"{name} is not a whole number from 0 to {most}")
    return value


def wide(value: object) -> int:
    """Reads a wide integer."""
    if type(value) is not str or not _WIDE.fullmatch(value) or value == "-0":
        raise integrity("not a wide integer")
    return int(value)


def digest(value: object) -> bytes:
    """Reads a 256-bit hash."""
    if type(value) is not str or not _HEX.fullmatch(value):
        raise integrity("not a hash")
    return bytes.fromhex(value)


def entry_path(value: object) -> bytes:
    """Reads a path below a root: no empty, `.` or `..` component, so never absolute."""
    path = from_json(value)
    if not is_plain_path(path):
        raise integrity("a path leaves its root or is not in its plain form")
    return path


_NO_COMPONENT = re.compile(rb"(?:\A|/)\.{0,2}(?:/|\Z)")


def is_plain_path(path: bytes) -> bool:
    """Whether a path stays below its root: no empty, `.` or `..` component; empty is the root."""
    return not path or _NO_COMPONENT.search(path) is None


def _xattrs(value: object) -> tuple[tuple[bytes, bytes], ...]:
    if type(value) is not list:
        raise integrity("xattrs are not a list")
    pairs: list[tuple[bytes, bytes]] = []
    for item in value:
        if type(item) is not list or len(item) != 2:
            raise integrity("an xattr is not a pair")
        name = from_json(item[0])
        if not name or (pairs and pairs[-1][0] >= name):
            raise integrity("xattrs are not sorted by name")
        pairs.append((name, strict_base64(item[1])))
    return tuple(pairs)


def _extents(value: object, size: int) -> tuple[Extent, ...]:
    if type(value) is not list:
        raise integrity("extents are not a list")
    extents: list[Extent] = []
    end = 0
    for item in value:
        if type(item) is not list or len(item) != 4:
            raise integrity("an extent is not four numbers")
        offset, chunk, at, length = item
        if not (type(offset) is type(chunk) is type(at) is type(length) is int):
            raise integrity("an extent is not four numbers")
        if offset < end or chunk < 0 or at < 0 or length < 1 or at + length > CHUNK_MAX:
            raise integrity("an extent overlaps another or leaves its chunk")
        end = offset + length
        extents.append(Extent(offset, chunk, at, length))
    if end > size:
        raise integrity("an extent ends behind its file")
    return tuple(extents)


def _link(value: object) -> tuple[int, bytes]:
    if type(value) is not dict:
        raise integrity("a hard link is not an object")
    return whole_number(value, "root", UINT32), entry_path(value.get("path"))


def _target(value: object) -> bytes:
    target = from_json(value)
    if not target:
        raise integrity("a symbolic link without target")
    return target


def _device(value: object) -> tuple[int, int]:
    if type(value) is not list or len(value) != 2:
        raise integrity("a device is not two numbers")
    for number in value:
        if type(number) is not int or not 0 <= number <= UINT32:
            raise integrity("a device is not two numbers")
    return value[0], value[1]


def _torn(value: object) -> bool:
    if type(value) is not bool:
        raise integrity("torn is not true or false")
    return value


def _stat(value: object) -> Stat:
    if type(value) is not dict:
        raise integrity("stat is not an object")
    return Stat(
        wide(value.get("ctime")),
        wide(value.get("ino")),
        wide(value.get("dev")),
        wide(value.get("fs")),
    )


def encode_chunk_record(number: int, chunk: ChunkRecord) -> bytes:
    """Gives the index line of a chunk."""
    delta = f',"delta":{{"op":"{chunk.base[0]}","base":{chunk.base[1]}}}' if chunk.base else ""
    return (
        f'{{"chunk":{number},"hash":"{chunk.hash.hex()}","raw":{chunk.raw},"pack":{chunk.pack}'
        f',"at":{chunk.at},"stored":{chunk.stored},"frame":"{chunk.frame.hex()}"'
        f',"transform":"{chunk.transform}","codec":"{chunk.codec}"{delta}}}\n'
    ).encode()


def decode_chunk_record(line: Json) -> tuple[int, ChunkRecord]:
    """Gives the number and record of a chunk line; raises INTEGRITY for values format 1 forbids."""
    number = whole_number(line, "chunk", UINT32)
    transform, codec = line.get("transform"), line.get("codec")
    if transform not in TRANSFORMS or codec not in CODECS:
        raise integrity("a chunk with an unknown transform or codec")
    raw, stored = (
        whole_number(line, "raw", CHUNK_MAX),
        whole_number(line, "stored", CHUNK_MAX + 104),
    )
    # A frame is a header and a payload that is never longer than the raw bytes; a seal adds 16.
    if raw < 1 or not 57 <= stored <= raw + 104:
        raise integrity("a chunk of impossible length")
    at = whole_number(line, "at", PACK_MAX)
    if at + stored > PACK_MAX:
        raise integrity("a chunk ends behind its pack")
    return number, ChunkRecord(
        digest(line.get("hash")),
        raw,
        whole_number(line, "pack", UINT32),
        at,
        stored,
        digest(line.get("frame")),
        transform,
        codec,
        _base(line["delta"], number) if "delta" in line else None,
    )


PACK_MAX = 32 << 20
"""Most bytes of one pack."""


def _base(value: object, number: int) -> tuple[str, int]:
    if type(value) is not dict or value.get("op") not in DELTAS:
        raise integrity("an unknown delta")
    base = whole_number(value, "base", UINT32)
    if base >= number:
        raise integrity("a delta's base does not stand before it")
    return value["op"], base


_length = struct.Struct("<I").pack
_HASH_LENGTH = _length(32)
# Target, device, both fields of a hard link, attributes, torn: most files have none of them.
_REST_EMPTY = 6 * _length(0)


def leaf(entry: Entry) -> bytes:
    """Gives the bytes of an entry's Merkle leaf: 17 fields, each with its length before it."""
    path, mtime = entry.path, b"%d" % entry.mtime
    parts = [
        _leaf_head(entry.kind, entry.root),
        _length(len(path)),
        path,
        _leaf_owner(entry.mode, entry.uid, entry.gid, entry.user, entry.group),
        _length(len(mtime)),
        mtime,
        _sized(b"%d" % entry.size if entry.kind == "file" else b""),
    ]
    if entry.hash is not None:
        parts += (_HASH_LENGTH, entry.hash)
    else:
        parts.append(_sized(b""))
    parts.append(_leaf_rest(entry))
    return b"".join(parts)


def _leaf_rest(entry: Entry) -> bytes:
    link, device = entry.link, entry.device
    if not (link or device or entry.target or entry.xattrs or entry.torn):
        return _REST_EMPTY
    fields = (
        entry.target or b"",
        b"%d:%d" % device if device else b"",
        b"%d" % link[0] if link else b"",
        link[1] if link else b"",
        b"".join([_sized(name) + _sized(value) for name, value in entry.xattrs]),
        b"torn" if entry.torn else b"",
    )
    return b"".join(map(_sized, fields))


# Few owners and modes make up a whole workspace.
@lru_cache(4096)
def _leaf_owner(mode: int, uid: int, gid: int, user: bytes | None, group: bytes | None) -> bytes:
    fields = (b"%d" % mode, b"%d" % uid, b"%d" % gid, user or b"", group or b"")
    return b"".join(map(_sized, fields))


@lru_cache(256)
def _leaf_head(kind: str, root: int) -> bytes:
    return _sized(kind.encode()) + _sized(b"%d" % root)


def _sized(field: bytes) -> bytes:
    return _length(len(field)) + field
