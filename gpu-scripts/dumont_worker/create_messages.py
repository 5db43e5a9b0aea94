"""What coordinator and engines of a create say to each other."""

from typing import Literal, NamedTuple

from .cut import Unit

# A file is read once, and twice more when it changes meanwhile.
ATTEMPTS = 3


class FileStat(NamedTuple):
    """What shows that a file has changed, and what its entry says of it; times in ns."""

    dev: int
    ino: int
    size: int
    mtime: int
    ctime: int
    mode: int
    uid: int
    gid: int

    def same_content(self, other: "FileStat") -> bool:
        """Whether nothing hints at a write between the two."""
        return self[:5] == other[:5]


class Span(NamedTuple):
    """A stretch of a file and the chunk, by raw hash, that holds its bytes from `at` on."""

    offset: int
    hash: bytes
    at: int
    length: int


class Chunk(NamedTuple):
    """A chunk that this run stored, and where: `pack` is the engine's own number of its pack."""

    hash: bytes
    raw: int
    pack: int
    at: int
    stored: int
    frame: bytes
    transform: str
    codec: str
    base: tuple[str, bytes] | None = None
    """How it differs, and the raw hash of what it differs from."""
    alone: int = 0
    """About how long its frame would be without a base."""


class BaseFile(NamedTuple):
    """A file that holds bases, and how it looked."""

    root: bytes
    path: bytes
    expect: FileStat


class Base(NamedTuple):
    """Where another version of a piece lies: the number of a file, and the offset in it."""

    file: int
    offset: int


class SmallFile(NamedTuple):
    """A file to be read whole."""

    slot: int
    root: bytes
    path: bytes
    expect: FileStat


class Bundle(NamedTuple):
    """A unit of work: small files in path order, whose unknown ones share chunks."""

    unit: int
    files: tuple[SmallFile, ...]


class Stretch(NamedTuple):
    """A unit of work: a span of a larger file. A `lenient` one stores whatever it finds."""

    unit: int
    slot: int
    generation: int
    root: bytes
    path: bytes
    expect: FileStat
    span: Unit
    lenient: bool
    base_files: tuple[BaseFile, ...] = ()
    bases: tuple[tuple[Base, ...], ...] = ()
    """For each piece of the span; the nearest relative first."""


Standing = Literal["whole", "yours", "no"]
"""Whether a chunk may be a base: it is stored whole, the asker is to store it so, or it may not."""

Fate = Literal["ok", "torn", "changed", "vanished", "unreadable"]


class SmallDone(NamedTuple):
    """What became of a small file; `changed` says that it outgrew its bundle."""

    slot: int
    fate: Fate
    found: FileStat
    hash: bytes
    spans: tuple[Span, ...]
    error: str


class BundleDone(NamedTuple):
    """The answer to a Bundle."""

    unit: int
    files: tuple[SmallDone, ...]
    chunks: tuple[Chunk, ...]


class StretchDone(NamedTuple):
    """The answer to a Stretch: block hashes one after the other from block `first` on.

    A span that is the whole file gives the content `hash` instead.
    """

    unit: int
    slot: int
    generation: int
    fate: Fate
    first: int
    blocks: bytes
    spans: tuple[Span, ...]
    chunks: tuple[Chunk, ...]
    hash: bytes
    error: str


class MadeGroup(NamedTuple):
    """A group whose parity the store has accepted; `members` are the engine's own numbers."""

    members: tuple[int, ...]
    parity: tuple[tuple[str, int, str, str], ...]
    """Key, length, and pin of each."""


class StoredPack(NamedTuple):
    """A pack that the store has accepted."""

    pack: int
    key: str
    length: int
    pin_kind: str
    pin_value: str
    chunks: tuple[Chunk, ...]
    seal: str | None = None
