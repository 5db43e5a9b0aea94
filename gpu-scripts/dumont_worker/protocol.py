"""What the operator's machine may say, validated before anything acts on it."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar, cast, get_args

from .byte_string import from_json, strict_base64
from .errors import WorkerError
from .parity_sums import PARITY_MOST
from .seal import HEADER, RUN_HEADER, ObjectSeal, RunSeal

VERSION = 1
MARKER = f"dumont-worker {VERSION}"
LINE_LIMIT = 1 << 20
HEARTBEAT_SECONDS = 10.0
SILENCE_SECONDS = 60.0

Id = int | str
CodecName = Literal["auto", "ans", "gzstd", "zstd", "none"]
T = TypeVar("T")

_HEX64 = re.compile(r"[0-9a-f]{64}\Z")
_HEX32 = re.compile(r"[0-9a-f]{32}\Z")
_SNAPSHOT = re.compile(r"[0-9]{8}T[0-9]{6}Z-[a-z2-7]{6}\Z")
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*){0,7}\Z")
# More than the format ever needs, less than would hurt.
_MOST_ITEMS = 1_000_000
_MOST_RATED = 16


@dataclass(frozen=True, slots=True)
class ObjectRef:
    """One index object in the store and the digest it must have."""

    key: str
    length: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Parent:
    """The snapshot a create leans on; `roots` are its paths, None when they are the request's."""

    id: str
    roots: tuple[bytes, ...] | None
    segments: tuple[ObjectRef, ...]
    packs: ObjectRef
    reuse: bool
    unusable: tuple[str, ...]
    ans: bool = True
    """Whether its ANS chunks may be named again: not where this release cannot read them."""
    groups: ObjectRef | None = None
    """The list of its groups, if they are to be kept."""


@dataclass(frozen=True, slots=True)
class CreateRequest:
    """`create` as in docs/protocol.md; sizes in bytes, paths as bytes."""

    id: Id
    snapshot: str
    repository: str
    lineage: str
    roots: tuple[bytes, ...]
    excludes: tuple[bytes, ...]
    exclude_caches: bool
    cross_mounts: bool
    protect: tuple[bytes, ...]
    parts: int
    memory: int
    codec: CodecName
    level: int
    delta: bool
    reread: bool
    pin: Literal["crc32", "md5"]
    dry_run: bool
    seal: RunSeal | None
    parent: Parent | None
    parity: int = 0


@dataclass(frozen=True, slots=True)
class ManifestRoot:
    """One root as the manifest records it."""

    path: bytes
    given: bytes | None
    type: Literal["dir", "file"]


@dataclass(frozen=True, slots=True)
class ManifestRules:
    """The rules a snapshot was taken with, needed to know what `--delete` may remove."""

    excludes: tuple[bytes, ...]
    exclude_caches: bool
    cross_mounts: bool
    skipped_mounts: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class RestoreRequest:
    """`restore` as in docs/protocol.md; sizes in bytes, paths as bytes."""

    id: Id
    snapshot: str
    lineage: str
    roots: tuple[ManifestRoot, ...]
    segments: tuple[ObjectRef, ...]
    packs: ObjectRef
    target: bytes | None
    include: tuple[bytes, ...]
    overwrite: Literal["always", "if-changed", "never"]
    delete: bool
    rules: ManifestRules
    devices: bool
    include_access_files: bool
    privileges: bool
    parts: int
    memory: int
    dry_run: bool
    salvage: bool
    groups: ObjectRef | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """The index of a snapshot to be transcoded."""

    id: str
    segments: tuple[ObjectRef, ...]
    packs: ObjectRef


@dataclass(frozen=True, slots=True)
class TranscodeRequest:
    """`transcode` as in docs/protocol.md; sizes in bytes."""

    id: Id
    snapshot: str
    source: Source
    parts: int
    memory: int
    level: int
    pin: Literal["crc32", "md5"]
    seal: RunSeal | None


@dataclass(frozen=True, slots=True)
class VerifyRequest:
    """`verify` as in docs/protocol.md; `ranges` are first and last numbers of packs."""

    id: Id
    snapshot: str
    segments: tuple[ObjectRef, ...]
    packs: ObjectRef
    ranges: tuple[tuple[int, int], ...]
    decode: bool
    parts: int
    memory: int


@dataclass(frozen=True, slots=True)
class RepairRequest:
    """`repair` as in docs/protocol.md; `lost` are keys, `memory` is in bytes."""

    id: Id
    snapshot: str
    segments: tuple[ObjectRef, ...]
    packs: ObjectRef
    groups: ObjectRef
    lost: tuple[str, ...]
    parts: int
    memory: int


@dataclass(frozen=True, slots=True)
class RateRequest:
    """`rate` as in docs/protocol.md; signed PUTs and GETs of the same objects, in order."""

    id: Id
    seed: str
    length: int
    puts: tuple[dict[str, Any], ...] = field(repr=False)
    gets: tuple[dict[str, Any], ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer to a request of this worker: its fields, or the operator's error."""

    to: int
    fields: dict[str, Any]
    error: tuple[str, str] | None


@dataclass(frozen=True, slots=True)
class Cancel:
    """Stop everything now."""


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """The other side lives."""


Request = (
    CreateRequest | RestoreRequest | TranscodeRequest | VerifyRequest | RateRequest | RepairRequest
)
Message = Request | Reply | Cancel | Heartbeat


def encode(type_: str, **fields: object) -> bytes:
    """One message as a line of the protocol; raises WorkerError when it would be too long."""
    line = json.dumps({"type": type_, **fields}, separators=(",", ":"), allow_nan=False).encode()
    if len(line) >= LINE_LIMIT:
        raise WorkerError("WORKER", f"a {type_} message of {len(line)} bytes is over the limit")
    return line + b"\n"


def parse(line: bytes) -> Message:
    """The message in one line; raises WorkerError('WORKER') that names the wrong field."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise _wrong("a line is not JSON") from error
    if not isinstance(value, dict):
        raise _wrong("a line is not an object")
    fields = _Fields(cast("dict[str, Any]", value))
    reader = _READERS.get(fields.text("type"))
    if reader is None:
        raise _wrong(f"unknown message type {fields.text('type')[:40]!r}")
    return reader(fields)


def request_id(line: bytes) -> Id | None:
    """The id of a request that could not be parsed, so that its error can still be addressed."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    found = value.get("id") if isinstance(value, dict) else None
    return found if isinstance(found, (int, str)) and not isinstance(found, bool) else None


def _wrong(what: str) -> WorkerError:
    return WorkerError("WORKER", f"the operator's machine broke the protocol: {what}")


class _Fields:
    """Typed access to one JSON object; every miss names the field."""

    def __init__(self, value: dict[str, Any], where: str = "") -> None:
        self.value = value
        self.where = where

    def _get(self, name: str, kind: type[T]) -> T:
        found = self.value.get(name)
        if not isinstance(found, kind) or (kind is not bool and isinstance(found, bool)):
            raise _wrong(f"field {self.where}{name} is missing or of a wrong type")
        return found

    def text(self, name: str, pattern: re.Pattern[str] | None = None) -> str:
        found = self._get(name, str)
        if pattern is not None and pattern.match(found) is None:
            raise _wrong(f"field {self.where}{name} has a wrong form")
        return found

    def flag(self, name: str) -> bool:
        return self._get(name, bool)

    def number(self, name: str, low: int, high: int) -> int:
        found = self._get(name, int)
        if not low <= found <= high:
            raise _wrong(f"field {self.where}{name} is out of range")
        return found

    def choice(self, name: str, choices: tuple[str, ...]) -> str:
        found = self._get(name, str)
        if found not in choices:
            raise _wrong(f"field {self.where}{name} is none of {', '.join(choices)}")
        return found

    def id(self) -> Id:
        found = self.value.get("id")
        if isinstance(found, bool) or not isinstance(found, (int, str)) or len(str(found)) > 64:
            raise _wrong("field id is missing or of a wrong type")
        return found

    def path(self, name: str, value: object = None) -> bytes:
        """An absolute path as byte string."""
        found = self.string(name, self.value.get(name) if value is None else value)
        if not found.startswith(b"/"):
            raise _wrong(f"field {self.where}{name} is not an absolute path")
        return found

    def string(self, name: str, value: object) -> bytes:
        try:
            found = from_json(value)
        except (WorkerError, ValueError, TypeError) as error:
            raise _wrong(f"field {self.where}{name} is not a byte string") from error
        if b"\0" in found or len(found) > 1 << 16:
            raise _wrong(f"field {self.where}{name} is not a byte string")
        return found

    def object(self, name: str) -> "_Fields":
        return _Fields(self._get(name, dict), f"{self.where}{name}.")

    def items(self, name: str, read: Callable[["_Fields", str, Any], T]) -> tuple[T, ...]:
        found = self._get(name, list)
        if len(found) > _MOST_ITEMS:
            raise _wrong(f"field {self.where}{name} is too long")
        return tuple(read(self, name, item) for item in found)

    def paths(self, name: str) -> tuple[bytes, ...]:
        return self.items(name, _Fields.path)

    def strings(self, name: str) -> tuple[bytes, ...]:
        return self.items(name, _Fields.string)


def _key(fields: _Fields, name: str, item: object) -> str:
    if not isinstance(item, str) or _KEY.match(item) is None:
        raise _wrong(f"field {fields.where}{name} holds something that is no key")
    return item


def _ref(fields: _Fields) -> ObjectRef:
    return ObjectRef(
        fields.text("key", _KEY),
        fields.number("length", 0, 1 << 53),
        fields.text("sha256", _HEX64),
    )


def _groups(fields: _Fields) -> ObjectRef | None:
    return None if fields.value.get("groups") is None else _ref(fields.object("groups"))


def _refs(fields: _Fields, name: str, item: object) -> ObjectRef:
    if not isinstance(item, dict):
        raise _wrong(f"field {fields.where}{name} holds something that is no object")
    return _ref(_Fields(cast("dict[str, Any]", item), f"{name}."))


def _parent(fields: _Fields) -> Parent:
    return Parent(
        fields.text("id", _SNAPSHOT),
        None if fields.value.get("roots") is None else fields.paths("roots"),
        fields.items("segments", _refs),
        _ref(fields.object("packs")),
        fields.flag("reuse"),
        fields.items("unusable", _key),
        fields.value.get("ans") is not False,
        _groups(fields),
    )


def object_seal(signed: dict[str, Any]) -> ObjectSeal | None:
    """What opens the object behind a URL of a reply to `fetch`; raises WORKER."""
    found = _seal(_Fields(signed), HEADER)
    return None if found is None else ObjectSeal(*found)


def _run_seal(fields: _Fields) -> RunSeal | None:
    found = _seal(fields, RUN_HEADER)
    return None if found is None else RunSeal(*found)


def _seal(fields: _Fields, header_length: int) -> tuple[bytes, bytes] | None:
    """Header and secret; none of them is ever named in an error."""
    if fields.value.get("seal") is None:
        return None
    told = fields.object("seal")
    header, secret = (_bytes(told.text(name)) for name in ("header", "secret"))
    if len(header) != header_length or header[:5] != b"dmtS\1" or len(secret) != 32:
        raise _wrong(f"field {told.where[:-1]} has a wrong form")
    return header, secret


def _bytes(text: str) -> bytes:
    try:
        return strict_base64(text)
    except WorkerError:
        raise _wrong("field seal is not base64") from None


def _roots(fields: _Fields, name: str, item: object) -> ManifestRoot:
    if not isinstance(item, dict):
        raise _wrong(f"field {fields.where}{name} holds something that is no object")
    root = _Fields(cast("dict[str, Any]", item), f"{name}.")
    given = root.path("given") if root.value.get("given") is not None else None
    kind = cast('Literal["dir", "file"]', root.choice("type", ("dir", "file")))
    return ManifestRoot(root.path("path"), given, kind)


def _create(fields: _Fields) -> CreateRequest:
    roots = fields.paths("roots")
    if not roots:
        raise _wrong("field roots is empty")
    repository, seal = fields.text("repository", _HEX32), _run_seal(fields)
    if seal is not None and seal.header[8:24].hex() != repository:
        raise _wrong("field seal is of another repository")
    return CreateRequest(
        id=fields.id(),
        snapshot=fields.text("snapshot", _SNAPSHOT),
        repository=repository,
        lineage=fields.text("lineage", _HEX32),
        roots=roots,
        excludes=fields.strings("excludes"),
        exclude_caches=fields.flag("excludeCaches"),
        cross_mounts=fields.flag("crossMounts"),
        protect=fields.paths("protect"),
        parts=fields.number("parts", 1, 1024),
        memory=fields.number("memory", 1, 1 << 50),
        codec=cast("CodecName", fields.choice("codec", get_args(CodecName))),
        level=fields.number("level", 1, 22),
        delta=fields.flag("delta"),
        reread=fields.flag("reread"),
        pin=cast('Literal["crc32", "md5"]', fields.choice("pin", ("crc32", "md5"))),
        dry_run=fields.flag("dryRun"),
        seal=seal,
        parent=None if fields.value.get("parent") is None else _parent(fields.object("parent")),
        parity=0 if fields.value.get("parity") is None else fields.number("parity", 0, PARITY_MOST),
    )


_OVERWRITE = ("always", "if-changed", "never")


def _rules(fields: _Fields) -> ManifestRules:
    return ManifestRules(
        fields.strings("excludes"),
        fields.flag("excludeCaches"),
        fields.flag("crossMounts"),
        fields.strings("skippedMounts"),
    )


def _restore(fields: _Fields) -> RestoreRequest:
    return RestoreRequest(
        id=fields.id(),
        snapshot=fields.text("snapshot", _SNAPSHOT),
        lineage=fields.text("lineage", _HEX32),
        roots=fields.items("roots", _roots),
        segments=fields.items("segments", _refs),
        packs=_ref(fields.object("packs")),
        target=None if fields.value.get("target") is None else fields.path("target"),
        include=fields.strings("include"),
        overwrite=cast(
            'Literal["always", "if-changed", "never"]', fields.choice("overwrite", _OVERWRITE)
        ),
        delete=fields.flag("delete"),
        rules=_rules(fields.object("rules")),
        devices=fields.flag("devices"),
        include_access_files=fields.flag("includeAccessFiles"),
        privileges=fields.flag("privileges"),
        parts=fields.number("parts", 1, 1024),
        memory=fields.number("memory", 1, 1 << 50),
        dry_run=fields.flag("dryRun"),
        salvage=fields.flag("salvage"),
        groups=_groups(fields),
    )


def _reply(fields: _Fields) -> Reply:
    error = None
    if fields.value.get("error") is not None:
        told = fields.object("error")
        error = (told.text("code")[:40], told.text("message")[:4000])
    return Reply(fields.number("to", 0, 1 << 53), fields.value, error)


def _transcode(fields: _Fields) -> TranscodeRequest:
    return TranscodeRequest(
        id=fields.id(),
        snapshot=fields.text("snapshot", _SNAPSHOT),
        source=_source(fields.object("source")),
        parts=fields.number("parts", 1, 1024),
        memory=fields.number("memory", 1, 1 << 50),
        level=fields.number("level", 1, 22),
        pin=cast('Literal["crc32", "md5"]', fields.choice("pin", ("crc32", "md5"))),
        seal=_run_seal(fields),
    )


def _verify(fields: _Fields) -> VerifyRequest:
    return VerifyRequest(
        id=fields.id(),
        snapshot=fields.text("snapshot", _SNAPSHOT),
        segments=fields.items("segments", _refs),
        packs=_ref(fields.object("packs")),
        ranges=fields.items("ranges", _range),
        decode=fields.flag("decode"),
        parts=fields.number("parts", 1, 1024),
        memory=fields.number("memory", 1, 1 << 50),
    )


def _repair(fields: _Fields) -> RepairRequest:
    return RepairRequest(
        id=fields.id(),
        snapshot=fields.text("snapshot", _SNAPSHOT),
        segments=fields.items("segments", _refs),
        packs=_ref(fields.object("packs")),
        groups=_ref(fields.object("groups")),
        lost=fields.items("lost", _key),
        parts=fields.number("parts", 1, 1024),
        memory=fields.number("memory", 1, 1 << 50),
    )


def _range(fields: _Fields, name: str, item: object) -> tuple[int, int]:
    if not isinstance(item, list) or len(item) != 2 or any(type(one) is not int for one in item):
        raise _wrong(f"field {fields.where}{name} holds something that is no range")
    first, last = item
    if not 0 <= first <= last < _MOST_ITEMS:
        raise _wrong(f"field {fields.where}{name} holds an impossible range")
    return first, last


def _rate(fields: _Fields) -> RateRequest:
    puts, gets = fields.items("puts", _signed), fields.items("gets", _signed)
    if not 0 < len(puts) == len(gets) <= _MOST_RATED:
        raise _wrong("fields puts and gets do not fit one another")
    length = fields.number("length", 1, 16 << 20)
    return RateRequest(fields.id(), fields.text("seed", _HEX32), length, puts, gets)


def _signed(fields: _Fields, name: str, item: object) -> dict[str, Any]:
    headers = item.get("headers") if isinstance(item, dict) else None
    if (
        not isinstance(item, dict)
        or not isinstance(item.get("url"), str)
        or not isinstance(headers, dict)
        or not all(isinstance(value, str) for value in headers.values())
    ):
        raise _wrong(f"field {fields.where}{name} holds something that is no signed request")
    return {"url": item["url"], "headers": headers}


def _source(fields: _Fields) -> Source:
    segments = fields.items("segments", _refs)
    return Source(fields.text("id", _SNAPSHOT), segments, _ref(fields.object("packs")))


_READERS: dict[str, Callable[[_Fields], Message]] = {
    "cancel": lambda _: Cancel(),
    "create": _create,
    "heartbeat": lambda _: Heartbeat(),
    "rate": _rate,
    "repair": _repair,
    "reply": _reply,
    "restore": _restore,
    "transcode": _transcode,
    "verify": _verify,
}
