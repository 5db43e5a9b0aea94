"""Restores of snapshots that hold chunks as differences, made by the real worker."""

import os
import threading
from pathlib import Path

import pytest
from compare_trees import compare_trees
from fake_operator import FakeOperator, FakeStore
from processes import processes_of, resident
from read_snapshot import Snapshot as Saved
from restore_rig import SNAPSHOT, FakeLink, Rig, Snapshot, ThreadPool, flipped, temps_below
from siblings import MIB, model, safetensors, torch_zip, tuned

from dumont_worker import restore_plan, restore_writer
from dumont_worker.cancellation import Cancelled
from dumont_worker.entry import ChunkRecord
from dumont_worker.protocol import ManifestRoot, ObjectRef


@pytest.fixture(scope="module")
def family(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base and its fine-tune, a stranger, three steps of a run; a fp32 pair; a torch pair.

    Which of three or more is the base of which depends on the order in which threads get to them.
    """
    top = tmp_path_factory.mktemp("family") / "source"
    top.mkdir()
    first = model(6 * MIB, 2 * MIB)
    safetensors(top / "a-base", first)
    safetensors(top / "b-step", tuned(first, 2))
    step = model(3 * MIB, seed=7)
    for number in range(3):
        safetensors(top / f"c-step-{number}", step)
        step = tuned(step, number)
    safetensors(top / "d-stranger", model(2 * MIB, seed=9))
    whole = model(6 * MIB, seed=4)
    safetensors(top / "e-whole", whole, "F32")
    safetensors(top / "f-whole", tuned(whole, 5), "F32")
    torch_zip(top / "g.pt", whole)
    torch_zip(top / "h.pt", tuned(whole, 6))
    return top


class Family:
    """A snapshot of a family in the store of a rig."""

    def __init__(self, box: Rig, source: Path, saved: Saved) -> None:
        box.store.objects |= saved.store.objects
        self.saved = saved
        index = saved.result["index"]
        self.box = box
        self.snapshot = Snapshot(
            (ManifestRoot(os.fsencode(source), None, "dir"),),
            tuple(ObjectRef(**segment) for segment in index["segments"]),
            ObjectRef(**index["packs"]),
        )

    def chunks(self, name: str) -> list[ChunkRecord]:
        entry = self.saved.by_path()[name.encode()]
        return [self.saved.chunks[extent.chunk] for extent in entry.extents]

    def bases(self, name: str) -> list[ChunkRecord]:
        bases = [chunk.base[1] for chunk in self.chunks(name) if chunk.base is not None]
        return [self.saved.chunks[base] for base in dict.fromkeys(bases)]

    def leaning(self) -> set[str]:
        """Files with at least one difference."""
        return {path.decode() for path in self.saved.by_path() if self.bases(path.decode())}

    def key(self, chunk: ChunkRecord) -> str:
        return self.saved.packs[chunk.pack].key

    def spoil(self, chunk: ChunkRecord) -> None:
        objects, key = self.box.store.objects, self.key(chunk)
        objects[key] = flipped(objects[key], chunk.at + chunk.stored - 1)


@pytest.fixture(scope="module")
def created(family: Path, tmp_path_factory: pytest.TempPathFactory) -> Saved:
    store = FakeStore()
    try:
        with FakeOperator(store, tmp_path_factory.mktemp("private") / "creator") as operator:
            result = operator.create(family, snapshot=SNAPSHOT)
        return Saved(store, result, SNAPSHOT)
    finally:
        store.close()


@pytest.fixture
def saved(box: Rig, family: Path, created: Saved) -> Family:
    made = Family(box, family, created)
    assert made.leaning() >= {"b-step", "f-whole", "h.pt"}
    assert any(name.startswith("c-step") for name in made.leaning())
    assert "a-base" not in made.leaning()
    return made


def failed(result) -> dict[str, str]:
    return {os.path.basename(item["path"]): item["code"] for item in result["failures"]}


def same(one: Path, other: Path) -> bool:
    return compare_trees(os.fsencode(one), os.fsencode(other), []) == []


def total(chunks: list[ChunkRecord]) -> int:
    return sum(chunk.stored for chunk in {chunk.hash: chunk for chunk in chunks}.values())


def test_everything_comes_back_and_nothing_is_fetched_twice(
    box, saved, family, tmp_path, monkeypatch
):
    # Else bytes between two wanted frames may be fetched along.
    monkeypatch.setattr(restore_plan, "GAP", 0)
    result = box.restore(saved.snapshot, tmp_path / "out")
    assert result["failed"] == 0
    assert same(family, tmp_path / "out")
    assert temps_below(tmp_path / "out") == []
    assert box.store.fetched() == total(saved.saved.chunks)


def test_each_base_is_decoded_once(box, saved, family, tmp_path, monkeypatch):
    decoded: list[bytes] = []
    real = restore_writer.decode_frame

    def count(frame, raw_hash, *rest, **named):
        decoded.append(raw_hash)
        return real(frame, raw_hash, *rest, **named)

    monkeypatch.setattr(restore_writer, "decode_frame", count)
    box.pool = ThreadPool
    assert box.restore(saved.snapshot, tmp_path / "out")["failed"] == 0
    assert len(decoded) == len(set(decoded))
    assert same(family, tmp_path / "out")


@pytest.mark.parametrize("name", ["b-step", "c-step-2", "f-whole", "h.pt", "a-base", "d-stranger"])
def test_one_file_fetches_its_chunks_and_their_bases_only(box, saved, family, tmp_path, name):
    result = box.restore(saved.snapshot, tmp_path / "out", include=(name.encode(),))
    assert result["failed"] == 0
    assert (tmp_path / "out" / name).read_bytes() == (family / name).read_bytes()
    needed = {chunk.hash: chunk for chunk in [*saved.chunks(name), *saved.bases(name)]}
    least = total(list(needed.values()))
    assert result["bytes"]["fetched"] == box.store.fetched()
    # What lies between two wanted frames is fetched along where it is little.
    assert least <= box.store.fetched() <= least + len(needed) * 256 * 1024
    asked = {key for key, _, _ in box.store.requests if key.startswith("packs/")}
    assert asked == {saved.key(chunk) for chunk in needed.values()}


def test_a_dry_run_foretells_what_one_file_costs(box, saved, tmp_path):
    told = box.restore(saved.snapshot, tmp_path / "out", include=(b"f-whole",), dry_run=True)
    assert told["bytes"]["fetched"] == total([*saved.chunks("f-whole"), *saved.bases("f-whole")])
    told = box.restore(saved.snapshot, tmp_path / "out", dry_run=True)
    assert told["bytes"]["fetched"] == total(saved.saved.chunks)


def test_a_base_that_is_there_already_is_not_fetched(box, saved, family, tmp_path):
    box.restore(saved.snapshot, tmp_path / "out")
    os.unlink(tmp_path / "out/b-step")
    (tmp_path / "out/f-whole").write_bytes(b"something else")
    before = box.store.fetched()
    result = box.restore(saved.snapshot, tmp_path / "out")
    assert (result["failed"], result["written"]) == (0, 2)
    assert same(family, tmp_path / "out")
    needed = [*saved.chunks("b-step"), *saved.chunks("f-whole")]
    assert box.store.fetched() - before <= total(needed) + len(needed) * 256 * 1024
    assert total(needed) + total(saved.bases("b-step")) > box.store.fetched() - before


def test_a_file_that_was_kept_though_it_is_another_is_no_base(box, saved, family, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    size = (family / "a-base").stat().st_size
    (out / "a-base").write_bytes(os.urandom(size))
    result = box.restore(saved.snapshot, out, overwrite="never")
    assert result["failed"] == 0
    for name in saved.leaning():
        assert (out / name).read_bytes() == (family / name).read_bytes()


def test_a_removed_base_pack_fails_what_leans_on_it_by_name(box, saved, family, tmp_path):
    base = saved.bases("f-whole")[0]
    box.store.missing.add(saved.key(base))
    result = box.restore(saved.snapshot, tmp_path / "out")
    lost = [chunk.hash for chunk in saved.saved.chunks if saved.key(chunk) == saved.key(base)]
    hit = {
        path.decode()
        for path in saved.saved.by_path()
        for chunk in [*saved.chunks(path.decode()), *saved.bases(path.decode())]
        if chunk.hash in lost
    }
    assert failed(result) == dict.fromkeys(hit, "damaged")
    for path, entry in saved.saved.by_path().items():
        if entry.kind == "file" and path.decode() not in hit:
            assert (tmp_path / "out" / path.decode()).read_bytes() == (
                family / path.decode()
            ).read_bytes()
    assert temps_below(tmp_path / "out") == []


def test_a_damaged_base_fails_exactly_its_own_file_and_those_that_lean_on_it(
    box, saved, family, tmp_path
):
    base = saved.bases("b-step")[0]
    saved.spoil(base)
    hit = {
        path.decode()
        for path in saved.saved.by_path()
        for chunk in [*saved.chunks(path.decode()), *saved.bases(path.decode())]
        if chunk.hash == base.hash
    }
    assert hit >= {"a-base", "b-step"}
    result = box.restore(saved.snapshot, tmp_path / "out")
    assert failed(result) == dict.fromkeys(hit, "damaged")
    for name in saved.leaning() - hit:
        assert (tmp_path / "out" / name).read_bytes() == (family / name).read_bytes()


def test_one_file_with_a_damaged_base_fails(box, saved, tmp_path):
    saved.spoil(saved.bases("b-step")[0])
    result = box.restore(saved.snapshot, tmp_path / "out", include=(b"b-step",))
    assert failed(result) == {"b-step": "damaged"}
    assert not (tmp_path / "out/b-step").exists()


def test_a_base_damaged_on_the_way_is_fetched_again(box, saved, family, tmp_path):
    base = saved.bases("b-step")[0]
    key, spoiled = saved.key(base), []

    def spoil(asked: str, data: bytes) -> bytes:
        if asked != key or spoiled:
            return data
        spoiled.append(asked)
        return flipped(data, base.at + base.stored - 1)

    box.store.spoil = spoil
    result = box.restore(saved.snapshot, tmp_path / "out", include=(b"b-step",))
    assert (result["failed"], spoiled) == (0, [key])
    assert (tmp_path / "out/b-step").read_bytes() == (family / "b-step").read_bytes()


def test_a_base_altered_during_the_restore_spoils_nothing_else(box, saved, family, tmp_path):
    out, altered = tmp_path / "out", threading.Event()

    def alter(key: str, _: int) -> None:
        # As soon as it is finished, before those that lean on it are.
        if key.startswith("packs/") and (out / "a-base").exists() and not altered.is_set():
            with (out / "a-base").open("r+b") as file:
                file.seek(MIB)
                file.write(bytes(3 * MIB))
            altered.set()

    box.store.before = alter
    assert box.restore(saved.snapshot, out)["failed"] == 0
    assert altered.is_set()
    assert (out / "b-step").read_bytes() == (family / "b-step").read_bytes()
    assert (out / "h.pt").read_bytes() == (family / "h.pt").read_bytes()


def test_a_base_that_nobody_may_open_is_fetched(box, saved, family, tmp_path):
    out = tmp_path / "out"

    def take_away(key: str, _: int) -> None:
        if key.startswith("packs/") and (out / "a-base").exists():
            os.rename(out / "a-base", tmp_path / "elsewhere")
            os.mkfifo(out / "a-base")
            box.store.before = lambda *_: None

    box.store.before = take_away
    assert box.restore(saved.snapshot, out)["failed"] == 0
    assert (tmp_path / "elsewhere").exists()
    assert (out / "b-step").read_bytes() == (family / "b-step").read_bytes()


def test_an_interrupted_restore_goes_on_and_fetches_no_finished_base_again(
    box, saved, family, tmp_path
):
    link = box.link

    def stop(_: int) -> None:
        if (tmp_path / "out/a-base").exists():
            link.cancelled.set()

    link.on_check = stop
    with pytest.raises(Cancelled):
        box.restore(saved.snapshot, tmp_path / "out")
    assert not (tmp_path / "out/h.pt").exists()
    assert temps_below(tmp_path / "out") == []
    before = box.store.fetched()
    result = box.restore(saved.snapshot, tmp_path / "out")
    assert result["failed"] == 0
    assert same(family, tmp_path / "out")
    assert box.store.fetched() - before < total(saved.saved.chunks)


def test_expired_urls_of_bases_are_asked_for_again(box, saved, family, tmp_path):
    box.store.expired = {"t2"}
    result = box.restore(saved.snapshot, tmp_path / "out", include=(b"f-whole", b"h.pt"))
    assert result["failed"] == 0
    assert (tmp_path / "out/f-whole").read_bytes() == (family / "f-whole").read_bytes()
    assert box.last.tokens > 2


def test_memory_stays_within_its_bound(saved, box, family, tmp_path):
    peak = []

    def look(_: int) -> None:
        peak.append(sum(map(resident, processes_of(os.getpid())[1:])))

    box.link = FakeLink(box.store)
    box.link.on_check = look
    result = box.restore(saved.snapshot, tmp_path / "out", memory=256 * MIB, parts=32)
    assert result["failed"] == 0
    # The engines; the coordinator is this process, which holds the store as well.
    assert 0 < max(peak) < (256 - 40) * MIB
