"""A whole sealed store: what lies in it and on the box, what is refused, and the way back."""

import contextlib
import os
import random
import signal
import threading
import zipfile
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from compare_trees import compare_trees
from fake_operator import PACKAGE, FakeOperator, FakeStore, WorkerFailed, parent_of, restore_of
from processes import processes_of, resident, wait_until
from read_snapshot import Snapshot
from sealing import SealedStore, kind_of, shapes_of
from siblings import model, tuned
from siblings import safetensors as checkpoint
from test_create import make_tree
from test_sealed_create import store

__all__ = ["store"]

MIB = 1 << 20
NAME = "a-name-nobody-else-may-read"
TEXT = b"a text that nobody else may read\n"
NOISE = random.Random(5).randbytes(64)


def planted(root: Path) -> Path:
    """A tree of every shape, with words in it that must not be found outside."""
    make_tree(root)
    (root / NAME).write_bytes(TEXT * 9)
    (root / "noise").write_bytes(
        random.Random(6).randbytes(MIB) + NOISE + random.Random(7).randbytes(MIB)
    )
    state = model(3 * MIB)
    for step in range(3):
        checkpoint(root / f"step-{step}", state)
        state = tuned(state, step)
    return root


def words(root: Path) -> list[bytes]:
    weights = (root / "step-0").read_bytes()
    return [NAME.encode(), TEXT[:30], NOISE, weights[-64:], b"module07", os.fsencode(root)]


def found_in(objects: dict[str, bytes], root: Path) -> set[bytes]:
    return {word for word in words(root) for data in objects.values() if word in data}


def below(*directories: Path) -> Iterator[tuple[str, bytes]]:
    for directory in directories:
        for path in directory.rglob("*"):
            if path.is_file() and not path.is_symlink():
                yield str(path), path.read_bytes()


def keys_in(store: SealedStore, texts: Iterable[tuple[str, bytes]]) -> list[str]:
    """Where a key lies."""
    secrets = {*store.keys.told, *store.keys.masters.values()}
    shapes = [shape for secret in secrets for shape in shapes_of(secret)]
    return [where for where, text in texts if any(shape in text for shape in shapes)]


def test_nothing_of_the_tree_shows_in_the_store(
    operator: FakeOperator, store: SealedStore, tmp_path: Path
) -> None:
    root = planted(tmp_path / "tree")
    for codec in ("none", "zstd"):
        operator.create(root, codec=codec)
    assert found_in(store.objects, root) == set()
    for key, data in store.objects.items():
        header = store.keys.of_object(kind_of(key), data[24:96])["header"]
        assert data[:128] == b64decode(header)
        assert b"dmtC" not in data[:4096]
        assert data[128:130] != b"\x1f\x8b"


def test_all_of_it_would_show_without_a_seal(tmp_path: Path) -> None:
    # Else the test before proves nothing.
    root, plain = planted(tmp_path / "tree"), FakeStore()
    with FakeOperator(plain, tmp_path / "private") as operator:
        result = operator.create(root, codec="none", delta=False)
        snapshot = Snapshot(plain, result, operator.snapshot)
    shown = found_in(plain.objects, root)
    assert shown == {TEXT[:30], NOISE, (root / "step-0").read_bytes()[-64:]}
    assert NAME.encode() in snapshot.by_path()
    plain.close()


def test_everything_comes_back(operator: FakeOperator, store: SealedStore, tmp_path: Path) -> None:
    root, out = planted(tmp_path / "tree"), tmp_path / "out"
    created = operator.create(root)
    assert created["bytes"]["delta"]["raw"] > 0
    operator.send("restore", **restore_of(operator, created, out))
    result = operator.wait()
    assert (result["failed"], result["warnings"]) == (0, {})
    assert [str(one) for one in compare_trees(os.fsencode(root), os.fsencode(out))] == []


@pytest.mark.parametrize("decode", [True, False])
def test_packs_are_verified_and_damage_is_found(
    operator: FakeOperator, store: SealedStore, tmp_path: Path, decode: bool
) -> None:
    created = operator.create(planted(tmp_path / "tree"), parts=2, memory=300 * MIB)
    packs = Snapshot(store, created, operator.snapshot).packs
    damaged = store.objects[packs[0].key]
    store.objects[packs[0].key] = damaged[:-1] + bytes([damaged[-1] ^ 1])
    fields = {"ranges": [[0, len(packs) - 1]], "decode": decode, "parts": 4, "memory": 1 << 29}
    index = {name: created["index"][name] for name in ("segments", "packs")}
    operator.send("verify", id=900, snapshot=operator.snapshot, **index, **fields)
    assert operator.wait()["packs"] == len(packs) > 1
    wrong = {
        one["pack"]: len(one["chunks"]) for one in operator.of_type("checked") if one["reason"]
    }
    assert wrong == {0: 1}


def test_an_old_master_opens_what_it_sealed(
    operator: FakeOperator, store: SealedStore, tmp_path: Path
) -> None:
    root, out = planted(tmp_path / "tree"), tmp_path / "out"
    first = operator.create(root)
    store.keys.rotate()
    (root / "later").write_bytes(random.Random(8).randbytes(MIB))
    created = operator.create(root, parent=parent_of(first, operator.snapshot))
    snapshot = Snapshot(store, created, operator.snapshot)
    masters = {b64decode(pack.seal or "")[:8] for pack in snapshot.packs}
    assert masters == set(store.keys.masters)
    operator.send("restore", **restore_of(operator, created, out))
    assert operator.wait()["failed"] == 0
    assert compare_trees(os.fsencode(root), os.fsencode(out)) == []


def test_no_key_is_on_a_disk_or_in_a_command_line(store: SealedStore, tmp_path: Path) -> None:
    root, private, out = planted(tmp_path / "tree"), tmp_path / "private", tmp_path / "out"
    seen: set[int] = set()
    breaches: list[str] = []

    def look(_: object) -> None:
        pids = processes_of(operator.process.pid)
        seen.update(pids)
        proc = (Path(f"/proc/{pid}/{name}") for pid in pids for name in ("cmdline", "environ"))
        texts: list[tuple[str, bytes]] = []
        for path in proc:
            with contextlib.suppress(OSError):  # it has ended
                texts.append((str(path), path.read_bytes()))
        breaches.extend(keys_in(store, texts))

    with FakeOperator(store, private) as operator:
        operator.on_message = look
        operator.start_create(root, memory=300 * MIB, parts=2)
        wait_until(lambda: len(store.packs()) >= 2)
        operator.process.send_signal(signal.SIGKILL)
        operator.process.wait(10)
    assert keys_in(store, below(private)) == []
    with FakeOperator(store, private) as operator:
        operator.on_message = look
        created = operator.create(root, memory=300 * MIB, parts=2)
        journal = b"".join(text for _, text in below(private / "journal"))
        sealed = Snapshot(store, created, operator.snapshot).packs[0].seal or ""
        operator.send("restore", **restore_of(operator, created, out))
        assert operator.wait()["failed"] == 0
    assert sealed.encode() in journal
    assert len(seen) > 2
    assert keys_in(store, below(private)) == breaches == []
    assert keys_in(store, [("here", b"..." + b64encode(store.keys.told[0]))]) == ["here"]


def test_packs_of_a_sealed_run_are_not_named_by_an_open_one(tmp_path: Path) -> None:
    store = SealedStore()
    root = planted(tmp_path / "tree")
    with FakeOperator(store, tmp_path / "private") as operator:
        operator.create(root)
    with FakeOperator(store, tmp_path / "private") as operator:
        result = operator.create(root, seal=None)
        assert operator.earlier_asked == []
        assert result["reusedPacks"] == 0
        assert "seal" not in result["index"]["packs"]
    store.close()


def told_of(store: SealedStore, key: str) -> dict[str, str]:
    return store.keys.of_object(kind_of(key), store.seals[key])


def with_other_byte(told: dict[str, str], field: str, at: int) -> dict[str, str]:
    data = bytearray(b64decode(told[field]))
    data[at] ^= 1
    return told | {field: b64encode(data).decode()}


LIES = {
    "without a seal": (lambda told: None, "not sealed, unlike"),
    "with another commitment": (lambda told: with_other_byte(told, "header", 100), "another seal"),
    "with another salt": (lambda told: with_other_byte(told, "header", 70), "another seal"),
    "with another key": (lambda told: with_other_byte(told, "secret", 3), "belongs elsewhere"),
}


@pytest.mark.parametrize("kind", ["packs", "segment"])
@pytest.mark.parametrize("lie", LIES)
def test_an_index_that_is_told_wrongly_is_refused(
    operator: FakeOperator, store: SealedStore, tmp_path: Path, kind: str, lie: str
) -> None:
    created, snapshot = operator.create(make_tree(tmp_path / "tree")), operator.snapshot
    alter, words = LIES[lie]
    store.alter = lambda key, told: alter(told) if kind_of(key) == kind else told
    before = dict(store.objects)
    with pytest.raises(WorkerFailed, match=words) as failure:
        operator.create(tmp_path / "tree", parent=parent_of(created, snapshot))
    assert failure.value.code == "INTEGRITY"
    assert store.objects == before
    operator.snapshot = snapshot
    operator.send("restore", **restore_of(operator, created, tmp_path / "out"))
    with pytest.raises(WorkerFailed) as failure:
        operator.wait()
    assert failure.value.code == "INTEGRITY"
    assert not (tmp_path / "out").exists()


def test_a_pack_told_without_a_seal_ends_the_restore(
    operator: FakeOperator, store: SealedStore, tmp_path: Path
) -> None:
    created = operator.create(make_tree(tmp_path / "tree"))
    store.alter = lambda key, told: None if kind_of(key) == "pack" else told
    operator.send("restore", **restore_of(operator, created, tmp_path / "out"))
    with pytest.raises(WorkerFailed, match=r"INTEGRITY: packs/.* is not sealed"):
        operator.wait()


def test_a_pack_told_with_the_seal_of_another_is_damaged(
    operator: FakeOperator, store: SealedStore, tmp_path: Path
) -> None:
    root, out = planted(tmp_path / "tree"), tmp_path / "out"
    created = operator.create(root, parts=2, memory=300 * MIB)
    packs = store.packs()
    assert len(packs) > 1
    others = dict(zip(packs, packs[1:] + packs[:1], strict=True))
    store.alter = lambda key, told: told_of(store, others[key]) if key in others else told
    operator.send("restore", **restore_of(operator, created, out))
    result = operator.wait()
    assert result["failed"] > 0
    assert {failure["code"] for failure in result["failures"]} == {"damaged"}
    assert not any(path.stat().st_size for path in out.rglob("*") if path.is_file())


def test_a_seal_in_an_open_store_is_refused(tmp_path: Path) -> None:
    class Liar(FakeStore):
        def opening(self, key: str) -> dict[str, Any]:
            return {"seal": sealed.keys.of_object(kind_of(key), bytes(72))} if self.lies else {}

        lies = False

    sealed, store = SealedStore(), Liar()
    sealed.keys.masters[bytes(8)] = bytes(32)
    root = make_tree(tmp_path / "tree")
    with FakeOperator(store, tmp_path / "private") as operator:
        created = operator.create(root)
        store.lies = True
        with pytest.raises(WorkerFailed, match=r"INTEGRITY: index/.* is sealed, unlike"):
            operator.create(root, parent=parent_of(created, operator.snapshot))
    store.close()
    sealed.close()


def without_cipher(tmp_path: Path) -> Path:
    """The worker on a Python that has no cryptography."""
    archive = tmp_path / "worker.pyz"
    with zipfile.ZipFile(archive, "w") as pyz:
        text = "import sys\nsys.modules['cryptography'] = None\n"
        text += "from dumont_worker.__main__ import main\nexit(main())\n"
        pyz.writestr("__main__.py", text)
        for module in PACKAGE.rglob("*.py"):
            pyz.write(module, module.relative_to(PACKAGE.parent))
    return archive


def test_a_box_that_cannot_encrypt_says_so_and_reads_nothing(
    operator: FakeOperator, store: SealedStore, tmp_path: Path
) -> None:
    assert "aes-256-gcm" in operator.hello["capabilities"]
    root, out = make_tree(tmp_path / "tree"), tmp_path / "out"
    created = operator.create(root)
    store.gets.clear()
    with FakeOperator(store, tmp_path / "other", program=without_cipher(tmp_path)) as other:
        assert "aes-256-gcm" not in other.hello["capabilities"]
        assert "zstd" in other.hello["capabilities"]
        with pytest.raises(WorkerFailed, match="BOX_UNSUITABLE: this store is sealed"):
            other.create(root, parent=parent_of(created, operator.snapshot))
        other.snapshot = operator.snapshot
        other.send("restore", **restore_of(operator, created, out))
        with pytest.raises(WorkerFailed, match="BOX_UNSUITABLE: this store is sealed"):
            other.wait()
    assert store.gets == {}
    assert not out.exists()


def test_an_open_store_never_loads_what_encrypts(tmp_path: Path) -> None:
    store = FakeStore()
    loaded: set[str] = set()

    def look(_: object) -> None:
        for pid in processes_of(operator.process.pid):
            maps = Path(f"/proc/{pid}/maps")
            loaded.update(
                line.split()[-1] for line in maps.read_text().splitlines() if ".so" in line
            )

    with FakeOperator(store, tmp_path / "private") as operator:
        operator.on_message = look
        operator.create(make_tree(tmp_path / "tree"))
    assert any("blake3" in name for name in loaded)
    assert not [name for name in loaded if "cryptography" in name or "cffi" in name]
    store.close()


def test_memory_of_a_restore_stays_within_its_bound(
    operator: FakeOperator, store: SealedStore, tmp_path: Path
) -> None:
    root = planted(tmp_path / "tree")
    for number in range(2):
        (root / f"more{number}").write_bytes(random.Random(number).randbytes(60 * MIB))
    created = operator.create(root)
    request = restore_of(operator, created, tmp_path / "out")
    answers: list[dict[str, Any]] = []
    peak = 0
    with FakeOperator(store, tmp_path / "private") as fresh:
        fresh.snapshot = operator.snapshot
        fresh.send("restore", **request | {"memory": 256 * MIB, "parts": 32})
        waiting = threading.Thread(target=lambda: answers.append(fresh.wait()))
        waiting.start()
        while waiting.is_alive():
            peak = max(peak, sum(map(resident, processes_of(fresh.process.pid))))
            waiting.join(0.005)
    assert answers[0]["failed"] == 0
    assert 0 < peak < 256 * MIB
