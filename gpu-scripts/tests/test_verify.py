"""A box reads packs and says what is wrong with them: of the golden snapshots, over HTTP."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import golden
import pytest
from restore_rig import FakeLink, Rig, flipped, rig

from dumont_worker import verify
from dumont_worker.cancellation import Cancelled
from dumont_worker.entry import Entry
from dumont_worker.errors import WorkerError
from dumont_worker.protocol import ObjectRef, VerifyRequest

LEANING = golden.SNAPSHOTS[2]


class Link(FakeLink):
    """Keeps what it is told of packs."""

    def __init__(self, store: Any) -> None:
        super().__init__(store)
        self.checked: dict[int, dict[str, Any]] = {}

    def send(self, type_: str, **fields: Any) -> None:
        assert type_ == "checked"
        pack = fields.pop("pack")
        assert pack not in self.checked
        self.checked[pack] = fields


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Rig]:
    with rig(tmp_path) as made:
        for file in golden.STORE.rglob("*"):
            if file.is_file():
                made.store.objects[str(file.relative_to(golden.STORE))] = file.read_bytes()
        yield made


def request(snapshot: str, **changes: Any) -> VerifyRequest:
    index = golden.manifest(snapshot)["index"]
    last = len(golden.packs(snapshot)) - 1
    wanted: dict[str, Any] = {
        "id": 1,
        "snapshot": snapshot,
        "segments": tuple(ObjectRef(**segment) for segment in index["segments"]),
        "packs": ObjectRef(**index["packs"]),
        "ranges": ((0, last),),
        "decode": True,
        "parts": 4,
        "memory": 512 << 20,
    }
    return VerifyRequest(**(wanted | changes))


def checked(box: Rig, snapshot: str, **changes: Any) -> dict[int, dict[str, Any]]:
    link = Link(box.store)
    result = verify.run(link, request(snapshot, **changes), box.box)  # type: ignore[arg-type]
    assert result["packs"] == len(link.checked)
    return link.checked


def refused(box: Rig, snapshot: str, **changes: Any) -> WorkerError:
    with pytest.raises(WorkerError) as failure:
        checked(box, snapshot, **changes)
    return failure.value


GOOD = {"reason": None, "chunks": [], "bases": []}


@pytest.mark.parametrize("decode", [False, True])
@pytest.mark.parametrize("snapshot", golden.SNAPSHOTS)
def test_whole_packs_are_whole(box: Rig, snapshot: str, decode: bool) -> None:
    found = checked(box, snapshot, decode=decode)
    assert found == dict.fromkeys(range(len(golden.packs(snapshot))), GOOD)


def test_only_packs_that_were_asked_for_are_read(box: Rig) -> None:
    assert set(checked(box, LEANING, ranges=((1, 1),), decode=False)) == {1}
    keys = {key for key, _, _ in box.store.requests if key.startswith("packs/")}
    assert keys == {golden.packs(LEANING)[1].key}


def test_a_missing_pack_loses_all_its_chunks(box: Rig) -> None:
    box.store.missing.add(golden.packs(LEANING)[0].key)
    found = checked(box, LEANING, decode=False)
    records = golden.records(LEANING)
    assert "missing" in found[0]["reason"]
    assert found[0]["chunks"] == [n for n, record in enumerate(records) if record.pack == 0]
    assert found[1] == GOOD


@pytest.mark.parametrize("decode", [False, True])
def test_one_flipped_bit_is_found_in_its_chunk(box: Rig, decode: bool) -> None:
    number = next(n for n, one in enumerate(golden.records(LEANING)) if one.pack == 1)
    record = golden.records(LEANING)[number]
    key = golden.packs(LEANING)[1].key
    box.store.objects[key] = flipped(box.store.objects[key], record.at + record.stored - 1)
    found = checked(box, LEANING, decode=decode, ranges=((1, 1),))[1]
    assert number in found["chunks"]
    assert "chunks are damaged" in found["reason"]


def test_bytes_outside_the_chunks_count_too(box: Rig) -> None:
    spare = next(
        (pack, at)
        for pack, record in enumerate(golden.packs(LEANING))
        for at in range(record.length)
        if not any(
            one.pack == pack and one.at <= at < one.at + one.stored
            for one in golden.records(LEANING)
        )
    )
    pack, at = spare
    key = golden.packs(LEANING)[pack].key
    box.store.objects[key] = flipped(box.store.objects[key], at)
    found = checked(box, LEANING, ranges=((pack, pack),))[pack]
    assert found["chunks"] == []
    assert "outside" in found["reason"]


def test_a_damaged_base_is_named_by_what_differs_from_it(box: Rig) -> None:
    records = golden.records(LEANING)
    leaning = next(
        one for one in records if one.base is not None and records[one.base[1]].pack != one.pack
    )
    assert leaning.base is not None
    base = records[leaning.base[1]]
    key = golden.packs(LEANING)[base.pack].key
    box.store.objects[key] = flipped(box.store.objects[key], base.at + base.stored - 1)
    pack = leaning.pack
    found = checked(box, LEANING, ranges=((pack, pack),))[pack]
    assert found == {"reason": None, "chunks": [], "bases": [leaning.base[1]]}


def test_a_damaged_index_ends_it(box: Rig) -> None:
    key = f"index/{LEANING}/0"
    box.store.objects[key] = flipped(box.store.objects[key], 40)
    assert refused(box, LEANING).code == "INTEGRITY"


def test_packs_that_are_not_there_are_not_asked_for(box: Rig) -> None:
    count = len(golden.packs(LEANING))
    assert refused(box, LEANING, ranges=((0, count),)).code == "WORKER"
    assert refused(box, LEANING, ranges=((0, 1), (1, 1))).code == "WORKER"


def test_an_expired_url_is_replaced(box: Rig) -> None:
    expired = []

    def expire(key: str, _count: int) -> None:
        if key.startswith("packs/") and not expired:
            expired.append(key)
            box.store.expired.update(f"t{n}" for n in range(1, 3))

    box.store.before = expire
    assert checked(box, LEANING, decode=False, parts=1)[0] == GOOD
    assert expired


def test_an_interruption_ends_it(box: Rig) -> None:
    link = Link(box.store)
    link.on_check = lambda count: link.cancelled.set() if count > 3 else None
    with pytest.raises(Cancelled):
        verify.run(link, request(LEANING), box.box)  # type: ignore[arg-type]


def test_a_gpu_that_is_not_there_is_only_missed_for_decoding(
    box: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify._Verify, "needs_gpu", lambda _: True)
    assert refused(box, LEANING).code == "BOX_UNSUITABLE"
    assert checked(box, LEANING, decode=False)[0] == GOOD


def test_the_golden_index_is_what_the_tests_take_it_for() -> None:
    assert any(not isinstance(line, Entry) for line in golden.reader(LEANING))
    index = golden.manifest(LEANING)["index"]
    data = (golden.STORE / index["packs"]["key"]).read_bytes()
    assert hashlib.sha256(data).hexdigest() == index["packs"]["sha256"]
