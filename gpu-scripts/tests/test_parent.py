from hashlib import sha256

import pytest

from dumont_worker.entry import ChunkRecord, Entry, Extent, Stat
from dumont_worker.errors import WorkerError
from dumont_worker.index import IndexWriter, PackRecord
from dumont_worker.parent import SETTLED_NS, ParentIndex, Source, unchanged

SNAPSHOT = "20261123T140200Z-k3f9qz"
SCANNED = 1_000 * SETTLED_NS
OLD = SCANNED - 2 * SETTLED_NS


def digest(name: object) -> bytes:
    return sha256(str(name).encode()).digest()


def chunk(
    name: object, pack: int = 0, stored: int = 100, base: tuple[str, int] | None = None
) -> ChunkRecord:
    return ChunkRecord(
        digest(name), 200, pack, 0, stored, digest(f"frame of {name}"), "planes2", "zstd", base
    )


def directory(root: int, path: bytes) -> Entry:
    return Entry("dir", root, path, 0o755, 0, 0, b"root", None, OLD)


def file(root: int, path: bytes, content: object, *extents: Extent) -> Entry:
    size = extents[-1].offset + extents[-1].length if extents else 0
    stat = Stat(OLD, 7, 8, 9)
    return Entry(
        "file", root, path, 0o644, 0, 0, None, None, OLD,
        size=size, hash=digest(content), extents=extents, stat=stat,
    )  # fmt: skip


def pack(number: int, length: int = 200) -> PackRecord:
    return PackRecord(f"packs/{SNAPSHOT}/0-{number}-a", length, "crc32", "AAAAAA==")


class Fixture:
    """A parent index in memory, which counts how often it is fetched."""

    def __init__(self, lines: list[ChunkRecord | Entry]) -> None:
        self.segments: list[bytes] = []
        self.fetched = 0
        writer = IndexWriter(SNAPSHOT, SCANNED, lambda n, data: self.segments.append(data))
        for line in lines:
            if isinstance(line, Entry):
                writer.entry(line)
            else:
                writer.chunk(line)
        writer.close()

    def fetch(self, number: int) -> bytes:
        self.fetched += 1
        return self.segments[number]

    def open(
        self,
        packs: list[PackRecord],
        roots: list[bytes],
        now: list[bytes] | None = None,
        **options: object,
    ) -> ParentIndex:
        source = Source(
            SNAPSHOT,
            len(self.segments),
            self.fetch,
            packs,
            roots,
            **options,  # type: ignore[arg-type]
        )
        return ParentIndex(source, now or roots)


TREE: list[ChunkRecord | Entry] = [
    directory(0, b""),
    chunk("c0"),
    file(0, b"a", "a", Extent(0, 0, 10, 50)),
    directory(0, b"d"),
    chunk("c1", 1),
    file(0, b"d/x", "x", Extent(0, 1, 0, 100), Extent(100, 0, 0, 20)),
    file(0, b"d-e", "de"),
    directory(1, b""),
    file(1, b"a", "a", Extent(0, 0, 10, 50)),
]
PACKS = [pack(0), pack(1)]
ROOTS = [b"/w", b"/z"]


def test_finds_entries_at_the_same_place_in_one_pass() -> None:
    parent = Fixture(TREE).open(PACKS, ROOTS)
    for line in TREE:
        if isinstance(line, Entry):
            assert parent.find(line) == line


def test_passes_over_what_is_gone_and_does_not_find_what_is_new() -> None:
    parent = Fixture(TREE).open(PACKS, ROOTS)
    assert parent.find(directory(0, b"")) is not None
    assert parent.find(directory(0, b"b")) is None
    assert parent.find(directory(0, b"d/aa")) is None
    found = parent.find(directory(0, b"d-e"))
    assert found is not None
    assert found.kind == "file"
    assert parent.find(directory(1, b"zz")) is None
    assert parent.find(directory(1, b"zzz")) is None


def test_what_is_asked_for_out_of_order_is_not_found() -> None:
    parent = Fixture(TREE).open(PACKS, ROOTS)
    assert parent.find(directory(0, b"d")) is not None
    assert parent.find(directory(0, b"a")) is None
    assert parent.find(directory(0, b"d/x")) is not None


@pytest.mark.parametrize(
    ("now", "wanted", "found"),
    [
        ([b"/z"], directory(0, b"a"), 1),
        ([b"/n", b"/w", b"/z"], directory(1, b"d"), 0),
        ([b"/other"], directory(0, b"a"), None),
    ],
)
def test_roots_are_matched_by_path_not_by_number(
    now: list[bytes], wanted: Entry, found: int | None
) -> None:
    parent = Fixture(TREE).open(PACKS, ROOTS, now)
    entry = parent.find(wanted)
    assert (entry.root if entry else None) == found


def test_gives_chunks_by_number_and_by_hash() -> None:
    delta = chunk("c2", 1, 90, ("xor", 1))
    parent = Fixture([*TREE, delta]).open(PACKS, ROOTS)
    assert parent.chunk(0) == TREE[1]
    assert parent.chunk(2) == delta
    assert parent.by_hash(digest("c1")) == 1
    assert parent.by_hash(digest("none")) is None
    assert parent.scanned_at == SCANNED


def test_finds_small_content_wherever_it_lay() -> None:
    fixture = Fixture(TREE)
    parent = fixture.open(PACKS, ROOTS)
    # Small files lie in one piece; others would have to be read again.
    assert parent.by_content(120, digest("x")) is None
    assert parent.by_content(50, digest("a")) == (Extent(0, 0, 10, 50),)
    assert parent.by_content(50, digest("b")) is None
    assert parent.by_content(51, digest("a")) is None
    assert parent.by_content(0, digest("de")) is None
    assert fixture.fetched == 1


def test_content_with_a_hole_or_torn_is_not_offered() -> None:
    holed = file(0, b"h", "h", Extent(10, 0, 0, 50))
    torn = file(0, b"t", "t", Extent(0, 0, 0, 50))._replace(torn=True)
    parent = Fixture([directory(0, b""), chunk("c0"), holed, torn]).open([pack(0)], [b"/w"])
    assert parent.by_content(60, digest("h")) is None
    assert parent.by_content(50, digest("t")) is None


def test_chunks_of_packs_that_are_mostly_dead_are_not_offered() -> None:
    parent = Fixture(TREE).open([pack(0, 401), pack(1, 400)], ROOTS)
    assert parent.by_hash(digest("c0")) is None
    assert parent.by_hash(digest("c1")) == 1
    assert parent.by_content(50, digest("a")) is None
    assert not parent.usable((Extent(0, 0, 0, 1),))
    assert parent.usable((Extent(0, 1, 0, 1),))


def test_chunks_of_unusable_packs_and_deltas_that_lean_on_them_are_not_offered() -> None:
    delta = chunk("c2", 1, 90, ("xor", 0))
    parent = Fixture([*TREE, delta]).open(PACKS, ROOTS, unusable=[PACKS[0].key])
    assert parent.by_hash(digest("c0")) is None
    assert parent.by_hash(digest("c2")) is None
    assert parent.by_hash(digest("c1")) == 1


def test_nothing_is_offered_when_chunks_may_not_be_reused() -> None:
    parent = Fixture(TREE).open(PACKS, ROOTS, reuse=False)
    assert parent.by_hash(digest("c1")) is None
    assert parent.by_content(50, digest("a")) is None
    assert parent.find(directory(0, b"a")) is not None


def test_extents_that_leave_their_chunk_are_not_usable() -> None:
    parent = Fixture(TREE).open(PACKS, ROOTS)
    assert parent.usable((Extent(0, 0, 100, 100),))
    assert not parent.usable((Extent(0, 0, 101, 100),))
    assert not parent.usable((Extent(0, 2, 0, 1),))


def test_reads_an_index_of_many_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dumont_worker.index.SEGMENT_RAW", 400)
    fixture = Fixture(TREE)
    assert len(fixture.segments) > 3
    parent = fixture.open(PACKS, ROOTS)
    for line in TREE:
        if isinstance(line, Entry):
            assert parent.find(line) == line
    assert fixture.fetched == len(fixture.segments)


def test_segments_that_do_not_fit_in_memory_are_fetched_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("dumont_worker.parent._CACHED_SEGMENTS", 0)
    fixture = Fixture(TREE)
    parent = fixture.open(PACKS, ROOTS)
    assert parent.find(directory(1, b"a")) is not None
    assert fixture.fetched == 2


def test_refuses_an_index_that_contradicts_itself() -> None:
    fixture = Fixture(TREE)
    with pytest.raises(WorkerError, match="do not fit") as refused:
        fixture.open([pack(0)], ROOTS)
    assert refused.value.code == "INTEGRITY"
    fixture.segments[0] = Fixture(TREE).segments[0][:-20]
    with pytest.raises(WorkerError):
        fixture.open(PACKS, ROOTS)


def test_refuses_the_index_of_another_snapshot() -> None:
    fixture = Fixture(TREE)
    source = Source("20261123T140200Z-aaaaaa", 1, fixture.fetch, PACKS, ROOTS)
    with pytest.raises(WorkerError, match="another snapshot"):
        ParentIndex(source, ROOTS)


class TestUnchanged:
    then = file(0, b"f", "f", Extent(0, 0, 0, 50))
    now = then._replace(hash=None, extents=())

    def test_a_file_that_looks_the_same_and_is_old_is_unchanged(self) -> None:
        assert unchanged(self.now, self.then, SCANNED)

    @pytest.mark.parametrize(
        "change",
        [
            {"size": 51},
            {"mtime": OLD + 1},
            {"stat": Stat(OLD + 1, 7, 8, 9)},
            {"stat": Stat(OLD, 6, 8, 9)},
            {"stat": Stat(OLD, 7, 8, 10)},
            {"stat": None},
            {"kind": "symlink"},
        ],
    )
    def test_any_difference_makes_it_changed(self, change: dict[str, object]) -> None:
        assert not unchanged(self.now._replace(**change), self.then, SCANNED)  # type: ignore[arg-type]

    def test_the_device_number_may_change_over_a_reboot(self) -> None:
        assert unchanged(self.now._replace(stat=Stat(OLD, 7, 99, 9)), self.then, SCANNED)

    def test_a_torn_entry_is_read_again(self) -> None:
        assert not unchanged(self.now, self.then._replace(torn=True), SCANNED)

    @pytest.mark.parametrize("field", ["mtime", "ctime"])
    def test_one_that_changed_shortly_before_the_parents_scan_is_read_again(
        self, field: str
    ) -> None:
        late = SCANNED - SETTLED_NS
        if field == "mtime":
            pair = [one._replace(mtime=late) for one in (self.now, self.then)]
        else:
            pair = [one._replace(stat=Stat(late, 7, 8, 9)) for one in (self.now, self.then)]
        assert not unchanged(pair[0], pair[1], SCANNED)
        assert unchanged(pair[0], pair[1], SCANNED + 1)
