"""Whole creates: the real worker against a strict operator and store."""

import contextlib
import gzip
import json
import os
import random
import signal
import socket
import struct
import threading
import time
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fake_operator import PACKAGE, FakeOperator, FakeStore, Fault, WorkerFailed, parent_of
from processes import is_running, processes_of, resident, wait_until
from read_snapshot import Snapshot, assert_same
from siblings import model, tuned
from siblings import safetensors as checkpoint

from dumont_worker.frame import FrameHeader, parse_header
from dumont_worker.mounts import memory_devices

MIB = 1 << 20


def pretend_ctime(store: FakeStore, segment: dict[str, Any], path: Path) -> None:
    """Makes a parent's index say that a file has the change time it has now."""
    lines = gzip.decompress(store.plain(segment)).splitlines(keepends=True)
    for number, line in enumerate(lines):
        value = json.loads(line)
        if value.get("path") == path.name and "stat" in value:
            value["stat"]["ctime"] = str(path.stat().st_ctime_ns)
            lines[number] = json.dumps(value, separators=(",", ":")).encode() + b"\n"
    store.rewrite(segment, gzip.compress(b"".join(lines)))


def noise(length: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(length)


def make_tree(root: Path) -> Path:
    root.mkdir()
    (root / "empty").touch()
    (root / "code").mkdir()
    for number in range(40):
        (root / "code" / f"module{number:02}.py").write_text(f"x = {number}\n" * (number * 20))
    (root / "big.bin").write_bytes(noise(9 * MIB))
    (root / "text.txt").write_bytes(b"all work and no play\n" * 300_000)
    (root / "link").symlink_to("code/nowhere")
    os.link(root / "code" / "module07.py", root / "twin.py")
    os.mkfifo(root / "pipe")
    (root / os.fsdecode(b"bad\xff\nname")).write_bytes(b"!")
    with (root / "sparse").open("wb") as file:
        file.seek(50 * MIB + 12345)
        file.write(noise(MIB, 2))
        file.truncate(70 * MIB + 7)
    return root


def safetensors(path: Path, tensors: list[bytes]) -> None:
    header: dict[str, Any] = {}
    at = 0
    for number, data in enumerate(tensors):
        span = [at, at + len(data)]
        header[f"t{number}"] = {"dtype": "U8", "shape": [len(data)], "data_offsets": span}
        at += len(data)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(tensors))


def scanned_later(store: FakeStore, parent: dict[str, Any]) -> dict[str, Any]:
    """The same parent as if its scan had begun in an hour, so that fresh files count as settled."""
    for segment in parent["segments"]:
        lines = gzip.decompress(store.plain(segment)).split(b"\n", 1)
        header = json.loads(lines[0])
        header["scannedAt"] = str(int(header["scannedAt"]) + 3600 * 10**9)
        store.rewrite(segment, gzip.compress(json.dumps(header).encode() + b"\n" + lines[1]))
    return parent


def test_a_snapshot_holds_the_tree(
    operator: FakeOperator, store: FakeStore, tmp_path: Path
) -> None:
    root = make_tree(tmp_path / "tree")

    result = operator.create(root)

    snapshot = Snapshot(store, result, operator.snapshot)
    assert_same(snapshot, root)
    entries = snapshot.by_path()
    assert entries[b"twin.py"].link == (0, b"code/module07.py")
    assert sum(extent.length for extent in entries[b"sparse"].extents) < 2 * MIB
    counts = result["counts"]
    assert (counts["files"], counts["dirs"], counts["symlinks"], counts["others"]) == (46, 2, 1, 1)
    assert result["bytes"]["stored"] == sum(len(store.objects[key]) for key in store.packs())
    assert result["bytes"]["all"] == sum(chunk.stored for chunk in snapshot.chunks)


def test_it_works_from_a_zip_archive(store: FakeStore, tmp_path: Path) -> None:
    archive = tmp_path / "worker.pyz"
    with zipfile.ZipFile(archive, "w") as pyz:
        pyz.writestr("__main__.py", "from dumont_worker.__main__ import main\nexit(main())\n")
        for module in PACKAGE.rglob("*.py"):
            pyz.write(module, module.relative_to(PACKAGE.parent))
    root = make_tree(tmp_path / "tree")
    with FakeOperator(store, tmp_path / "private", program=archive) as operator:
        result = operator.create(root)
        assert_same(Snapshot(store, result, operator.snapshot), root)


def test_several_roots_and_a_file_root_keep_their_places(
    operator: FakeOperator, store: FakeStore, tmp_path: Path
) -> None:
    first, second, single = tmp_path / "a", tmp_path / "b", tmp_path / "c.txt"
    for root in (first, second):
        root.mkdir()
        (root / "file").write_text(root.name)
    single.write_text("alone")

    result = operator.create(second, single, first)

    snapshot = Snapshot(store, result, operator.snapshot)
    assert [root["path"] for root in result["roots"]] == [str(first), str(second), str(single)]
    for number, root in enumerate((first, second, single)):
        assert_same(snapshot, root, number)


def test_nothing_new_stores_no_pack(
    operator: FakeOperator, store: FakeStore, tmp_path: Path
) -> None:
    root = make_tree(tmp_path / "tree")
    first = operator.create(root)
    packs = store.packs()

    result = operator.create(root, parent=parent_of(first, operator.snapshot))

    assert store.packs() == packs
    assert (result["bytes"]["new"], result["bytes"]["stored"]) == (0, 0)
    assert_same(Snapshot(store, result, operator.snapshot), root)


def engines_of(worker: int) -> list[int]:
    def command(pid: int) -> bytes:
        with contextlib.suppress(OSError):
            return Path(f"/proc/{pid}/cmdline").read_bytes()
        return b""

    return [pid for pid in processes_of(worker)[1:] if b"\0engine\0" in command(pid)]


def test_settled_files_are_not_read_again(
    operator: FakeOperator, store: FakeStore, tmp_path: Path
) -> None:
    if tmp_path.stat().st_dev in memory_devices():
        pytest.skip("files in memory are always read again")
    root = make_tree(tmp_path / "tree")
    first = operator.create(root)
    parent = scanned_later(store, parent_of(first, operator.snapshot))
    engines: list[int] = []
    operator.on_message = lambda _: engines.extend(engines_of(operator.process.pid))

    result = operator.create(root, parent=parent)

    # Nothing to read, so no engine was ever started.
    assert engines == []
    assert_same(Snapshot(store, result, operator.snapshot), root)


def test_settled_files_are_read_again_when_asked_for_and_found_where_they_lie(
    operator: FakeOperator, store: FakeStore, tmp_path: Path
) -> None:
    root = make_tree(tmp_path / "tree")
    first = operator.create(root)
    parent = scanned_later(store, parent_of(first, operator.snapshot))
    # Changed behind the file system's back: size and times are as they were.
    path = root / "big.bin"
    found = path.stat()
    with path.open("r+b") as file:
        file.write(b"another beginning")
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    for segment in parent["segments"]:
        pretend_ctime(store, segment, path)

    unnoticed = operator.create(root, parent=parent)
    assert unnoticed["bytes"]["new"] == 0
    noticed = operator.create(root, parent=parent, reread=True)
    assert 0 < noticed["bytes"]["new"] < 5 * MIB
    assert_same(Snapshot(store, noticed, operator.snapshot), root)


def test_one_changed_tensor_costs_its_own_chunks_only(
    operator: FakeOperator, store: FakeStore, tmp_path: Path
) -> None:
    root = tmp_path / "tree"
    root.mkdir()
    tensors = [noise(2 * MIB, seed) for seed in range(8)]
    safetensors(root / "model.safetensors", tensors)
    first = operator.create(root)

    tensors[3] = noise(2 * MIB, 99)
    safetensors(root / "model.safetensors", tensors)
    result = operator.create(root, parent=parent_of(first, operator.snapshot))

    assert 2 * MIB <= result["bytes"]["new"] < 3 * MIB
    assert_same(Snapshot(store, result, operator.snapshot), root)


def test_a_moved_small_file_is_found_by_its_content(
    operator: FakeOperator, store: FakeStore, tmp_path: Path
) -> None:
    root = make_tree(tmp_path / "tree")
    first = operator.create(root)
    (root / "code" / "module30.py").rename(root / "moved.py")

    result = operator.create(root, parent=parent_of(first, operator.snapshot))

    assert result["bytes"]["new"] == 0
    assert_same(Snapshot(store, result, operator.snapshot), root)


def test_chunks_of_unusable_packs_are_stored_again(
    operator: FakeOperator, store: FakeStore, tmp_path: Path
) -> None:
    root = make_tree(tmp_path / "tree")
    first = operator.create(root)
    parent = parent_of(first, operator.snapshot)
    lost = store.packs()[0]
    parent["unusable"] = [lost]

    result = operator.create(root, parent=scanned_later(store, parent))

    snapshot = Snapshot(store, result, operator.snapshot)
    assert lost not in {pack.key for pack in snapshot.packs}
    assert result["bytes"]["new"] > 0
    assert_same(snapshot, root)


def test_a_parent_of_another_box_is_not_leaned_on(
    operator: FakeOperator, store: FakeStore, tmp_path: Path
) -> None:
    root = make_tree(tmp_path / "tree")
    first = operator.create(root)
    parent = parent_of(first, operator.snapshot) | {"reuse": False}

    result = operator.create(root, parent=parent)

    packs = Snapshot(store, result, operator.snapshot).packs
    assert {pack.key.split("/")[1] for pack in packs} == {operator.snapshot}


def test_a_damaged_index_of_the_parent_is_refused(
    operator: FakeOperator, store: FakeStore, tmp_path: Path
) -> None:
    root = make_tree(tmp_path / "tree")
    parent = parent_of(operator.create(root), operator.snapshot)
    key = parent["segments"][0]["key"]
    store.objects[key] = store.objects[key][:-1] + b"?"

    with pytest.raises(WorkerFailed) as failure:
        operator.create(root, parent=parent)

    assert failure.value.code == "INTEGRITY"


def test_equal_content_is_stored_once(
    operator: FakeOperator, store: FakeStore, tmp_path: Path
) -> None:
    root = tmp_path / "tree"
    for name in ("a", "b", "c"):
        (root / name).mkdir(parents=True)
        (root / name / "big").write_bytes(noise(5 * MIB))
        for number in range(10):
            (root / name / f"small{number}").write_bytes(noise(1000, number))

    result = operator.create(root)

    assert result["bytes"]["new"] <= 5 * MIB + 2 * 10_000
    assert_same(Snapshot(store, result, operator.snapshot), root)


def test_a_file_that_never_stands_still_is_stored_as_torn(
    operator: FakeOperator, store: FakeStore, tmp_path: Path
) -> None:
    root = tmp_path / "tree"
    root.mkdir()
    (root / "quiet").write_text("quiet")
    path = root / "busy"
    path.write_bytes(bytes(40 * MIB))
    stop = threading.Event()

    def write() -> None:
        with path.open("r+b", buffering=0) as file:
            while not stop.is_set():
                file.seek(0)
                file.write(os.urandom(16))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        result = operator.create(root)
    finally:
        stop.set()
        writer.join()

    entries = Snapshot(store, result, operator.snapshot).by_path()
    assert entries[b"busy"].torn
    assert entries[b"busy"].size == 40 * MIB
    assert not entries[b"quiet"].torn
    assert result["warnings"] == {"torn": 1}
    assert result["counts"]["torn"] == 1
    assert [(w["code"], w["path"]) for w in operator.of_type("warning")] == [("torn", str(path))]


@pytest.mark.parametrize(
    "fault",
    [
        Fault("PUT", "ambiguous", 2),
        Fault("PUT", "busy", 2),
        Fault("PUT", "error", 1, 1),
        Fault("PUT", "expired", 2),
        Fault("PUT", "cut", 2),
        Fault("PUT", "other", 1),
        Fault("PUT", "ambiguous", 1, 0, "index/"),
        Fault("PUT", "busy", 1, 1, "index/"),
    ],
    ids=lambda fault: f"{fault.prefix}{fault.kind}",
)
def test_a_store_in_trouble_is_outlasted(
    operator: FakeOperator, store: FakeStore, tmp_path: Path, fault: Fault
) -> None:
    root = make_tree(tmp_path / "tree")
    # It counts down, and other stores are tried with the same.
    fault = replace(fault)
    store.faults.append(fault)

    result = operator.create(root, parts=2)

    assert fault.times == 0
    snapshot = Snapshot(store, result, operator.snapshot)
    assert_same(snapshot, root)
    if fault.kind in ("ambiguous", "other"):
        assert {stored for _, stored in operator.settled} == {fault.kind == "ambiguous"}


def test_a_store_that_refuses_ends_the_run_with_its_reason(
    operator: FakeOperator, store: FakeStore, tmp_path: Path
) -> None:
    root = make_tree(tmp_path / "tree")
    store.faults.append(Fault("PUT", "early", 100))

    with pytest.raises(WorkerFailed) as failure:
        operator.create(root)

    assert failure.value.code == "ACCESS_DENIED"
    assert "AccessDenied" in str(failure.value)
    assert not any(key.startswith("index/") for key in store.objects)
    assert processes_of(operator.process.pid) == [operator.process.pid]


@pytest.mark.parametrize("kind", ["truncated", "busy", "expired"])
def test_an_index_is_fetched_through_trouble(
    operator: FakeOperator, store: FakeStore, tmp_path: Path, kind: Any
) -> None:
    root = make_tree(tmp_path / "tree")
    parent = parent_of(operator.create(root), operator.snapshot)
    store.faults.append(Fault("GET", kind, 1, 0, "index/"))

    result = operator.create(root, parent=parent)

    assert result["bytes"]["new"] == 0


def test_a_store_that_takes_every_url_for_an_expired_one_is_named(
    operator: FakeOperator, store: FakeStore, tmp_path: Path
) -> None:
    root = make_tree(tmp_path / "tree")
    parent = parent_of(operator.create(root), operator.snapshot)
    store.faults.append(Fault("GET", "expired", 99, 0, "index/"))

    with pytest.raises(WorkerFailed, match="every URL for an expired one") as failure:
        operator.create(root, parent=parent)

    assert failure.value.code == "ACCESS_DENIED"


def big_tree(root: Path, count: int = 24) -> Path:
    root.mkdir()
    for number in range(count):
        (root / f"file{number:02}").write_bytes(noise(5 * MIB, number))
        (root / f"small{number:02}").write_bytes(noise(3000, 1000 + number))
    return root


def noted_packs(private: Path) -> int:
    """How many packs the journal on the disk knows of."""
    return sum(
        file.read_bytes().rpartition(b"\n")[0].count(b'"pin":[')
        for file in private.glob("journal/*")
    )


def test_an_interrupted_create_goes_on_where_it_was(store: FakeStore, tmp_path: Path) -> None:
    root = big_tree(tmp_path / "tree")
    with FakeOperator(store, tmp_path / "private") as operator:
        operator.start_create(root, memory=300 * MIB, parts=4)
        wait_until(lambda: noted_packs(tmp_path / "private") >= 8)
        operator.process.send_signal(signal.SIGKILL)
        operator.process.wait(10)
    finished = {key: len(store.objects[key]) for key in store.packs()}
    assert not any(key.startswith("index/") for key in store.objects)

    with FakeOperator(store, tmp_path / "private") as operator:
        result = operator.create(root, memory=300 * MIB, parts=4)
        asked = {pack["key"] for pack in operator.earlier_asked}
        snapshot = Snapshot(store, result, operator.snapshot)

    # The last packs may have been accepted by the store without the journal knowing.
    assert len(asked) >= 8
    assert result["reusedPacks"] == len(asked)
    assert {pack.key for pack in snapshot.packs} >= asked
    again = sum(store.puts[key] for key in finished)
    assert again == len(finished)
    raw = result["bytes"]["raw"]
    assert result["bytes"]["new"] <= raw - 0.8 * sum(finished[key] for key in asked)
    assert_same(snapshot, root)


def test_packs_that_the_operator_does_not_accept_are_sent_again(
    store: FakeStore, tmp_path: Path
) -> None:
    root = big_tree(tmp_path / "tree", 6)
    store.faults.append(Fault("PUT", "early", 1, 0, "index/"))
    with FakeOperator(store, tmp_path / "private") as operator, pytest.raises(WorkerFailed):
        operator.create(root)
    with FakeOperator(store, tmp_path / "private") as operator:
        operator.refuse_earlier = True
        result = operator.create(root)
        assert operator.earlier_asked
        assert result["reusedPacks"] == 0
        assert_same(Snapshot(store, result, operator.snapshot), root)


def checkpoints(root: Path, count: int) -> Path:
    """Steps of one run, each of 20 MiB in bf16."""
    root.mkdir()
    state = model(24 * MIB, 16 * MIB)
    for step in range(count):
        checkpoint(root / f"step-{step}", state)
        state = tuned(state, step)
    return root


def frames(pack: bytes) -> Iterator[FrameHeader]:
    at = 0
    while at < len(pack):
        header = parse_header(memoryview(pack)[at:])
        yield header
        at += header.length


def test_an_unchanged_file_of_the_parent_is_a_base_without_being_read(
    operator: FakeOperator, store: FakeStore, tmp_path: Path
) -> None:
    root = checkpoints(tmp_path / "tree", 1)
    first = operator.create(root)
    before = set(store.packs())
    checkpoint(root / "step-1", tuned(model(24 * MIB, 16 * MIB), 1))

    parent = scanned_later(store, parent_of(first, operator.snapshot))
    result = operator.create(root, parent=parent)

    snapshot = Snapshot(store, result, operator.snapshot)
    assert_same(snapshot, root)
    leaning = [chunk for chunk in snapshot.chunks if chunk.base is not None]
    assert len(leaning) >= 5
    for chunk in leaning:
        assert chunk.base is not None
        assert snapshot.packs[snapshot.chunks[chunk.base[1]].pack].key in before
    # Nothing of the base was stored again.
    assert result["bytes"]["new"] < 21 * MIB


def test_an_interrupted_create_goes_on_with_differences(store: FakeStore, tmp_path: Path) -> None:
    root = checkpoints(tmp_path / "tree", 4)
    with FakeOperator(store, tmp_path / "private") as operator:
        operator.start_create(root, memory=256 * MIB, parts=32)
        wait_until(lambda: noted_packs(tmp_path / "private") >= 3)
        operator.process.send_signal(signal.SIGKILL)
        operator.process.wait(10)

    with FakeOperator(store, tmp_path / "private") as operator:
        result = operator.create(root, memory=256 * MIB, parts=32)
        snapshot = Snapshot(store, result, operator.snapshot)

    assert result["reusedPacks"] >= 3
    assert any(chunk.base is not None for chunk in snapshot.chunks)
    assert_same(snapshot, root)


def test_differences_whose_base_an_interrupted_run_has_lost_are_stored_again(
    store: FakeStore, tmp_path: Path
) -> None:
    root = checkpoints(tmp_path / "tree", 2)
    store.faults.append(Fault("PUT", "early", 1, 0, "index/"))
    with FakeOperator(store, tmp_path / "private") as operator, pytest.raises(WorkerFailed):
        operator.create(root, memory=256 * MIB, parts=32)
    headers = {key: list(frames(store.objects[key])) for key in store.packs()}
    bases = {one.base[1] for found in headers.values() for one in found if one.base is not None}
    lost = next(key for key, found in headers.items() if any(h.raw_hash in bases for h in found))
    assert bases - {one.raw_hash for one in headers[lost]}
    del store.objects[lost]

    with FakeOperator(store, tmp_path / "private") as operator:
        result = operator.create(root, memory=256 * MIB, parts=32)
        snapshot = Snapshot(store, result, operator.snapshot)

    assert result["reusedPacks"] >= 1
    assert lost not in {pack.key for pack in snapshot.packs}
    assert_same(snapshot, root)


def test_after_the_commit_the_journal_begins_anew(store: FakeStore, tmp_path: Path) -> None:
    root = big_tree(tmp_path / "tree", 4)
    with FakeOperator(store, tmp_path / "private") as operator:
        first = operator.create(root)
        parent = parent_of(first, operator.snapshot)
        operator.create(root, parent=parent)
        assert operator.earlier_asked == []
        # Without that parent the snapshot was never committed, as far as anybody knows.
        operator.create(root)
        assert operator.earlier_asked == []


def test_memory_stays_below_its_bound(store: FakeStore, tmp_path: Path) -> None:
    root = tmp_path / "tree"
    root.mkdir()
    for number in range(3):
        (root / f"noise{number}").write_bytes(noise(100 * MIB, number))
    limit = 256 * MIB
    peak = 0

    # A slow store, so that every buffer there may be is full.
    def slow(_: str) -> None:
        wait_until(lambda: store.most_busy > 8)
        time.sleep(0.2)

    store.before_put = slow
    with FakeOperator(store, tmp_path / "private") as operator:
        operator.start_create(root, memory=limit, parts=32)
        done = threading.Event()
        answer: list[Any] = []
        threading.Thread(target=lambda: (answer.append(operator.wait()), done.set())).start()
        while not done.wait(0.01):
            peak = max(peak, sum(map(resident, processes_of(operator.process.pid))))
        snapshot = Snapshot(store, answer[0], operator.snapshot)
    assert len(snapshot.entries) == 4
    assert store.most_busy > 8
    assert limit / 3 < peak < limit


def test_too_little_memory_is_refused_with_the_least(
    operator: FakeOperator, tmp_path: Path
) -> None:
    with pytest.raises(WorkerFailed) as failure:
        operator.create(make_tree(tmp_path / "tree"), memory=32 * MIB)
    assert failure.value.code == "USAGE"
    assert "MiB" in failure.value.error["hint"]


@pytest.mark.parametrize("how", ["cancel", "end of stdin", "kill"])
def test_an_interruption_leaves_no_process(store: FakeStore, tmp_path: Path, how: str) -> None:
    root = big_tree(tmp_path / "tree")
    blocked = threading.Event()
    store.before_put = lambda _: blocked.wait(120) and None
    operator = FakeOperator(store, tmp_path / "private")
    operator.start_create(root, memory=300 * MIB, parts=4)
    wait_until(lambda: store.busy >= 2)
    running = processes_of(operator.process.pid)
    assert len(running) > 1
    if how == "cancel":
        operator.send("cancel")
    elif how == "kill":
        operator.process.kill()
    elif operator.process.stdin:
        operator.process.stdin.close()

    wait_until(lambda: operator.process.poll() is not None)
    wait_until(lambda: not any(map(is_running, running)))
    blocked.set()

    assert operator.process.returncode == (-signal.SIGKILL if how == "kill" else 130)
    assert any((tmp_path / "private" / "journal").iterdir())


def test_a_dead_engine_ends_the_run_in_words(store: FakeStore, tmp_path: Path) -> None:
    root = big_tree(tmp_path / "tree")
    blocked = threading.Event()
    store.before_put = lambda _: blocked.wait(120) and None
    with FakeOperator(store, tmp_path / "private") as operator:
        operator.start_create(root, memory=300 * MIB, parts=4)
        wait_until(lambda: store.busy >= 2)
        engine = processes_of(operator.process.pid)[-1]
        os.kill(engine, signal.SIGKILL)
        with pytest.raises(WorkerFailed) as failure:
            operator.wait(5)
        blocked.set()
        assert failure.value.code == "WORKER"
        assert "SIGKILL" in str(failure.value)
        assert processes_of(operator.process.pid) == [operator.process.pid]
        # The session goes on: the same request may be sent again.
        assert operator.create(root)["counts"]["files"] == 48


def test_two_creates_of_the_same_roots_do_not_run_at_once(store: FakeStore, tmp_path: Path) -> None:
    root = big_tree(tmp_path / "tree")
    blocked = threading.Event()
    store.before_put = lambda _: blocked.wait(120) and None
    with (
        FakeOperator(store, tmp_path / "private") as first,
        FakeOperator(store, tmp_path / "private") as second,
    ):
        first.start_create(root)
        wait_until(lambda: store.busy >= 1)
        with pytest.raises(WorkerFailed) as failure:
            second.create(root)
        assert failure.value.code == "LOCKED"
        blocked.set()
        first.wait()


def test_as_many_transfers_run_at_once_as_parts_were_asked_for(
    store: FakeStore, tmp_path: Path
) -> None:
    root = tmp_path / "tree"
    root.mkdir()
    for number in range(40):
        (root / f"file{number:02}").write_bytes(noise(4 * MIB, number))
    all_there = threading.Barrier(7)

    def meet(key: str) -> None:
        if key.startswith("packs/"):
            with contextlib.suppress(threading.BrokenBarrierError):
                all_there.wait(2)

    store.before_put = meet
    with FakeOperator(store, tmp_path / "private") as operator:
        operator.create(root, parts=7, memory=300 * MIB)
    assert store.most_busy >= 7


def test_dumonts_own_directory_is_left_out(
    operator: FakeOperator, store: FakeStore, tmp_path: Path
) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "pack").write_bytes(b"pack")
    (tmp_path / "work").write_text("work")

    result = operator.create(tmp_path, protect=[str(tmp_path / "store")])

    assert set(Snapshot(store, result, operator.snapshot).by_path()) == {b"", b"work"}
    assert result["notes"]["protected"] == 2


def test_sockets_are_a_note_and_excluded_files_too(
    operator: FakeOperator, store: FakeStore, tmp_path: Path
) -> None:
    root = tmp_path / "tree"
    root.mkdir()
    (root / "a.tmp").write_bytes(b"12345")
    (root / "a.txt").touch()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(root / "socket"))

    result = operator.create(root, excludes=["*.tmp"])

    listener.close()
    assert set(Snapshot(store, result, operator.snapshot).by_path()) == {b"", b"a.txt"}
    assert result["notes"] == {"excluded": 1, "socket": 1}
    assert result["leftOut"]["excluded"] == {"count": 1, "bytes": 5}
    assert result["warnings"] == {}


def test_a_dry_run_stores_nothing(operator: FakeOperator, store: FakeStore, tmp_path: Path) -> None:
    result = operator.create(make_tree(tmp_path / "tree"), dryRun=True)

    assert store.objects == {}
    assert "index" not in result
    assert result["counts"]["files"] == 46
    assert [sample["codec"] for sample in result["sample"]] == ["zstd", "none"]
    assert result["sample"][0]["stored"] < result["sample"][1]["stored"]
    assert not (tmp_path / "private" / "journal").exists()


def test_a_missing_root_is_a_usage_error(operator: FakeOperator, tmp_path: Path) -> None:
    with pytest.raises(WorkerFailed) as failure:
        operator.create(tmp_path / "nowhere")
    assert failure.value.code == "USAGE"


@pytest.mark.parametrize("codec", ["none", "zstd"])
def test_the_codec_asked_for_is_used(
    operator: FakeOperator, store: FakeStore, tmp_path: Path, codec: str
) -> None:
    root = make_tree(tmp_path / "tree")

    result = operator.create(root, codec=codec)

    assert set(result["decoders"]) <= ({"zstd"} if codec == "zstd" else set())
    assert_same(Snapshot(store, result, operator.snapshot), root)


def test_md5_pins_where_the_store_wants_them(
    operator: FakeOperator, store: FakeStore, tmp_path: Path
) -> None:
    root = make_tree(tmp_path / "tree")
    result = operator.create(root, pin="md5")
    snapshot = Snapshot(store, result, operator.snapshot)
    assert {pack.pin_kind for pack in snapshot.packs} == {"md5"}
    assert_same(snapshot, root)


def test_progress_ends_with_everything_counted(operator: FakeOperator, tmp_path: Path) -> None:
    root = make_tree(tmp_path / "tree")

    result = operator.create(root)

    last = operator.of_type("progress")[-1]
    assert last["phase"] == "index"
    assert (last["files"], last["filesTotal"]) == (46, 46)
    assert last["raw"] == last["rawTotal"]
    assert last["transferred"] == last["stored"] == result["bytes"]["stored"]
    assert last["parts"] == []
