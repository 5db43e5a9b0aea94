"""Parity of what a create stores: sums of exactly what lies in the store, and their list."""

import random
import signal
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from fake_operator import FakeStore, Fault, WorkerFailed
from parity_rig import MIB, SEED, ParityOperator, check_groups, groups_of, noise, packs_of
from processes import processes_of, resident
from sealing import SealedStore

from dumont_worker.errors import WorkerError
from dumont_worker.index import PackRecord
from dumont_worker.memory_plan import LARGEST_PACK, plan_memory
from dumont_worker.parity_create import GroupLedger
from dumont_worker.parity_groups import Group, Stored, encode_groups

ID = "20261123T140200Z-k3f7qz"
# One engine with packs that hold one file of `noise` each.
SMALL: dict[str, Any] = {"parts": 2, "memory": 190 * MIB, "codec": "none"}


@pytest.fixture
def store(request: pytest.FixtureRequest) -> Iterator[FakeStore]:
    made = SealedStore() if getattr(request, "param", "") == "sealed" else FakeStore()
    yield made
    made.close()


@pytest.fixture
def operator(store: FakeStore, tmp_path: Path) -> Iterator[ParityOperator]:
    with ParityOperator(store, tmp_path / "private") as made:
        yield made
    assert made.broken_rules + store.broken_rules == []


def parity_in(store: FakeStore) -> list[str]:
    return [key for key in store.objects if key.startswith("parity/")]


def test_without_parity_nothing_of_it_is_there(operator, store, tmp_path) -> None:
    result = operator.create(noise(tmp_path / "tree", 2), parity=0)
    assert "groups" not in result["index"]
    assert "parity" not in result
    assert "parity" not in result["bytes"]
    assert parity_in(store) == []


@pytest.mark.parametrize("store", ["plain", "sealed"], indirect=True)
@pytest.mark.parametrize("rows", [1, 4])
def test_parity_is_the_sum_of_what_lies_in_the_store(operator, store, tmp_path, rows) -> None:
    result = operator.create(noise(tmp_path / "tree", 3, 300_000), parity=rows)
    groups = check_groups(store, result, rows)
    members = {one["key"] for group in groups for one in group["members"]}
    segments = {one["key"] for one in result["index"]["segments"]}
    assert members == {*packs_of(store, result), *segments, result["index"]["packs"]["key"]}
    assert result["parity"] == {"kept": 0, "made": len(groups), "unprotected": 0}
    assert result["bytes"]["parity"] == sum(len(store.objects[key]) for key in parity_in(store))


def test_an_empty_tree_has_parity_of_its_index(operator, store, tmp_path) -> None:
    (tmp_path / "tree").mkdir()
    result = operator.create(tmp_path / "tree", parity=1)
    assert len(check_groups(store, result, 1)) == 1


def test_sixteen_packs_are_a_group(operator, store, tmp_path) -> None:
    result = operator.create(noise(tmp_path / "tree", 36), parity=2, **SMALL)
    groups = check_groups(store, result, 2)
    full, rest = divmod(len(packs_of(store, result)), 16)
    assert full > 0
    # Those of the index are a group of their own.
    sizes = [16] * full + [rest] * (rest > 0) + [2]
    assert sorted(len(group["members"]) for group in groups) == sorted(sizes)


@pytest.mark.parametrize("kind", ["ambiguous", "other", "expired"])
@pytest.mark.parametrize("prefix", ["packs/", "parity/"])
def test_what_is_sent_again_is_summed_once(operator, store, tmp_path, kind, prefix) -> None:
    store.faults = [Fault("PUT", kind, times=2, prefix=prefix)]
    result = operator.create(noise(tmp_path / "tree", 3, 300_000), parity=2)
    check_groups(store, result, 2)
    assert result["parity"]["unprotected"] == 0


def test_a_store_that_takes_no_parity_fails_the_create(operator, store, tmp_path) -> None:
    store.faults = [Fault("PUT", "full", prefix="parity/")]
    with pytest.raises(WorkerFailed, match="TARGET_UNWRITABLE"):
        operator.create(noise(tmp_path / "tree", 2), parity=2)


def stored(key: str) -> Stored:
    return Stored(key, 5, "crc32", "AAAAAA==")


def group(number: int, members: str) -> Group:
    return Group(tuple(stored(f"packs/{name}") for name in members), (stored(f"parity/{number}"),))


@pytest.mark.parametrize(
    ("kept", "packs", "groups", "unprotected"),
    [
        (["abcd"], "abx", ["abcd"], 1),
        (["abcd"], "ax", [], 2),
        (["abc"], "ab", ["abc"], 0),
        (["abc"], "a", [], 1),
        (["a"], "ax", ["a"], 1),
        (["ab", "bc"], "abc", ["ab"], 1),
        ([], "ab", [], 2),
    ],
)
def test_groups_are_kept_of_which_half_is_named(kept, packs, groups, unprotected) -> None:
    ledger = GroupLedger([group(n, one) for n, one in enumerate(kept)], lambda _: None)
    sent: list[bytes] = []

    def send(kind: str, part: int, data: bytes) -> dict[str, Any]:
        sent.append(data)
        return {"kind": kind, "part": part}

    named = [PackRecord(f"packs/{name}", 5, "crc32", "AAAAAA==") for name in packs]
    told = ledger.close(ID, named, None, send)
    expected = encode_groups(ID, [group(kept.index(one), one) for one in groups])
    assert sent == [expected] * bool(groups)
    if kept:
        assert told.told["parity"] == {"kept": len(groups), "made": 0, "unprotected": unprotected}


@pytest.mark.parametrize("store", ["plain", "sealed"], indirect=True)
def test_a_child_keeps_groups_that_it_may(operator, store, tmp_path) -> None:
    tree = noise(tmp_path / "tree", 3, 300_000)
    first = operator.create(tree, parity=1)
    gone = next(key for key in parity_in(store) if key in str(groups_of(store, first)[0]))
    second = operator.follow(tree, result=first, parity=1, but={"unusable": [gone]})
    assert second["parity"]["kept"] == 0
    assert second["parity"]["unprotected"] == len(packs_of(store, second)) > 0
    kept = operator.follow(tree, result=first)
    assert kept["parity"]["kept"] == 1
    plain = operator.create(tree, parent=None)
    assert "parity" not in plain


def test_a_damaged_list_of_the_parent_costs_its_groups_alone(operator, store, tmp_path) -> None:
    tree = noise(tmp_path / "tree", 2, 300_000)
    first = operator.create(tree, parity=1)
    store.objects[first["index"]["groups"]["key"]] = b"x" * first["index"]["groups"]["length"]
    second = operator.follow(tree, result=first, parity=1)
    assert second["parity"]["kept"] == 0
    assert [one["code"] for one in operator.of_type("warning")] == ["parity"]


def interrupted(store: FakeStore, private: Path, tree: Path) -> None:
    """A create that is killed when its first group is noted, and packs of another are sent."""
    with ParityOperator(store, private) as operator:

        def stop(key: str) -> None:
            if not key.startswith("packs/") or len(store.packs()) < 17:
                return
            journals = [*(private / "journal").iterdir()]
            for _ in range(3000):
                if any(b'{"group":' in journal.read_bytes() for journal in journals):
                    break
                Event().wait(0.01)
            operator.process.send_signal(signal.SIGKILL)

        store.before_put = stop
        with pytest.raises(WorkerFailed, match="ENDED"):
            operator.create(tree, parity=2, **SMALL)
    store.before_put = lambda key: None


def test_groups_of_an_interrupted_run_are_kept(store, tmp_path) -> None:
    tree = noise(tmp_path / "tree", 42)
    interrupted(store, tmp_path / "private", tree)
    before = store.packs()
    with ParityOperator(store, tmp_path / "private") as operator:
        result = operator.create(tree, parity=2, **SMALL)
    check_groups(store, result, 2)
    told = result["parity"]
    assert told["kept"] == 1
    named = {one["key"] for group in groups_of(store, result) for one in group["members"]}
    alone = [key for key in packs_of(store, result) if key not in named]
    # What had come after the group, and had not come to be a group itself.
    assert told["unprotected"] == len(alone) <= len(before) - 16


def test_groups_that_have_lost_something_meanwhile_are_not_kept(store, tmp_path) -> None:
    tree = noise(tmp_path / "tree", 42)
    interrupted(store, tmp_path / "private", tree)
    del store.objects[parity_in(store)[0]]
    with ParityOperator(store, tmp_path / "private") as operator:
        result = operator.create(tree, parity=2, **SMALL)
    check_groups(store, result, 2)
    assert result["parity"]["kept"] == 0
    assert result["parity"]["unprotected"] >= 16


def test_sums_are_planned_for() -> None:
    source = random.Random(SEED)
    for _ in range(300):
        memory, parts = source.randint(150, 4000) * MIB, source.randint(1, 64)
        cpus, rows = source.randint(1, 16), source.randint(1, 4)
        try:
            plan = plan_memory(memory, parts, cpus, parity=rows)
        except WorkerError:
            continue
        held = plan.engines * (plan.buffers + 2 * rows) * plan.pack_size
        assert held <= memory - (64 + 8 * rows) * MIB, f"seed {SEED}"
        assert plan.pack_size <= LARGEST_PACK
    assert plan_memory(1 << 30, 8, 2, parity=0) == plan_memory(1 << 30, 8, 2)


def test_a_create_with_parity_stays_within_its_memory(store, tmp_path) -> None:
    tree = noise(tmp_path / "tree", 70)
    limit, peak = 330 * MIB, 0
    with ParityOperator(store, tmp_path / "private") as operator:
        operator.start_create(tree, memory=limit, parts=16, parity=4, codec="none")
        done = Event()
        answer: list[Any] = []
        Thread(target=lambda: (answer.append(operator.wait()), done.set())).start()
        while not done.wait(0.01):
            peak = max(peak, sum(map(resident, processes_of(operator.process.pid))))
    assert answer[0]["parity"]["unprotected"] == 0
    assert 0 < peak < limit
