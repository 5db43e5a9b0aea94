"""The GPU codec on the strict fake: whatever fails wherever, what comes out is right or nothing."""

import importlib.util
import os
import random
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from dumont_worker.codecs import zstd
from dumont_worker.codecs.base import Encoded
from dumont_worker.errors import WorkerError
from dumont_worker.frame import decode_frame, encode_frame
from dumont_worker.gpu import codec as codec_module
from dumont_worker.gpu.child import GpuSetting, gpu_environment
from dumont_worker.gpu.codec import FAULTS_MOST, Chunk, GpuCodec, Payload, tiles
from dumont_worker.gpu.errors import GpuFault
from dumont_worker.gpu.payload import GpuCodecName, put_together, take_apart
from dumont_worker.gpu.self_test import Trial, trials
from dumont_worker.gpu.ways import ANS, Way
from dumont_worker.native import blake3

FAKE = Path(__file__).parent / "fake_nvcomp"
NATIVE = str(Path(zstd.zstd().__file__ or "").parents[2])  # where the helpers of the tests lie
SMALL = 2
"""Buffers of the shortened self-test: call 3 of anything is the first of real use."""

CHUNK_FAULTS = ("oom", "error", "corrupt", "short", "segv", "kill", "hang", "none", "late")
START_FAULTS = ("oom", "error", "segv", "kill", "hang")
# A copy neither shortens nor is late, and what `corrupt` would do to one is not the fake's to say.
POSSIBLE = {
    "import": START_FAULTS,
    "codec": START_FAULTS,
    "cuda": ("oom", "error", "segv", "kill", "hang", "none"),
    "encode": CHUNK_FAULTS,
    "decode": CHUNK_FAULTS,
    "cpu": ("oom", "error", "corrupt", "segv", "kill", "hang", "none"),
}
CASES = [
    (codec, f"{fault}@{place}", when)
    for codec, places in (
        ("ans", tuple(POSSIBLE)),
        ("gzstd", ("import", "codec", "cuda", "encode", "cpu")),
    )
    for place in places
    for fault in POSSIBLE[place]
    for when in (("start",) if place in ("import", "codec") else ("self-test", "use"))
]


def weights(length: int, seed: int = 0) -> bytes:
    source = random.Random(seed)
    raw = bytearray(source.randbytes(length))
    raw[1::2] = source.randbytes(len(raw[1::2])).translate(
        bytes(0x38 + (v & 3) for v in range(256))
    )
    return bytes(raw)


def chunk(raw: bytes, width: int | None = 2) -> Chunk:
    return Chunk(raw, blake3(raw), width)


CHUNKS = [
    chunk(weights(200_000)),
    chunk(weights(131_073, 1)),
    chunk(weights(150_003, 2), 4),
    chunk(random.Random(3).randbytes(100_000), 1),
    chunk(b"".join(b"\0\0" + weights(2, n) for n in range(30_000)), 4),
    chunk(b"all work and no play" * 9000, None),
    chunk(weights(5000, 4)),
]


@pytest.fixture
def fake(tmp_path: Path) -> Path:
    return Path(shutil.copytree(FAKE, tmp_path / "fake"))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    def short(codec: GpuCodecName) -> Iterator[Trial]:
        kind, width = ("zstd", 1) if codec == "gzstd" else ("f2", 2)
        for number in range(SMALL):
            yield Trial(f"trial {number}", kind, width, weights(4096, number))

    monkeypatch.setattr(codec_module, "trials", short)


class Run:
    def __init__(self, fake: Path, codec: GpuCodecName = "ans", **more: Any) -> None:
        self.warnings: list[str] = []
        ways = more.pop("ways", ANS)
        setting = GpuSetting(str(fake), NATIVE, **more)
        self.codec = GpuCodec(setting, codec, self.warnings.append, ways)

    def __enter__(self) -> "Run":
        return self

    def __exit__(self, *_: object) -> None:
        self.codec.close()
        assert children() == set()


def children() -> set[str]:
    task = Path(f"/proc/{os.getpid()}/task")
    return {
        pid
        for thread in task.iterdir()
        for pid in (thread / "children").read_text().split()
        if b"gpu" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    }


def fake_module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fake", FAKE / "nvidia/nvcomp/__init__.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def decode_apart(encoded: Encoded, expected: bytes) -> bytes:
    """Decodes without any GPU process."""
    length = len(expected)
    payload = memoryview(b"".join(encoded.parts))
    if encoded.codec == "ans":
        nvcomp = fake_module()
        parts = take_apart(payload, encoded.transform, length)
        bodies = [
            bytes(nvcomp.Codec().decode(nvcomp.as_array(part.body).cuda()).cpu())
            if part.kind
            else part.body
            for part in parts
        ]
        return bytes(put_together(bodies, encoded.transform, length))
    raw_hash = blake3(expected)
    frame = b"".join(encode_frame(length, raw_hash, encoded))
    return bytes(decode_frame(frame, raw_hash, length))


def assert_right_or_nothing(chunks: list[Chunk], made: list[Encoded | None]) -> int:
    for one, encoded in zip(chunks, made, strict=True):
        if encoded is not None:
            assert encoded.length < len(one.raw)
            assert decode_apart(encoded, bytes(one.raw)) == one.raw
    return sum(encoded is not None for encoded in made)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(("codec", "switch", "when"), CASES)
def test_a_fault_leaves_right_chunks_or_none(
    fake: Path, codec: GpuCodecName, switch: str, when: str
) -> None:
    number = "" if when != "use" else f":{SMALL + 1}"
    (fake / "switches").write_text(switch + number)
    # Too short a patience on a busy machine is a fault as well, at another place.
    patience = 0.5 if switch.startswith("hang") else 30.0
    with Run(fake, codec, start=patience if when == "start" else 30.0, patience=patience) as run:
        for _ in range(FAULTS_MOST + 2):
            assert_right_or_nothing(CHUNKS, run.codec.encode(CHUNKS))
        assert run.codec.faults <= FAULTS_MOST + 1
        # Too little memory fails chunks, not the GPU; a start without any fails the GPU.
        in_use = switch.startswith("oom") and when == "use"
        assert run.codec.faults == 0 if in_use else run.codec.faults > 0
        assert len(run.warnings) == (0 if in_use else 1)
        assert in_use or run.codec.off is not None


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("fault", ["segv@encode", "kill@decode", "error@cpu", "hang@decode"])
def test_after_one_fault_the_gpu_is_used_again(fake: Path, fault: str) -> None:
    (fake / "switches").write_text(f"{fault}:{SMALL + 1} once")
    with Run(fake, patience=3.0) as run:
        first = run.codec.encode(CHUNKS)
        assert first == [None] * len(CHUNKS)
        assert assert_right_or_nothing(CHUNKS, run.codec.encode(CHUNKS)) == 4
        assert (run.codec.faults, run.codec.off, len(run.warnings)) == (1, None, 1)


@pytest.mark.parametrize("codec", ["ans", "gzstd"])
def test_the_whole_self_test_is_passed(fake: Path, codec: GpuCodecName) -> None:
    with Run(fake, codec) as run:
        assert run.codec.ready() is None
        assert run.codec.library is not None
        assert run.codec.library.requirement()["name"] == "nvcomp-ans-6+fake"


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("codec", ["ans", "gzstd"])
@pytest.mark.parametrize("way", ["words", "planes"])
@pytest.mark.parametrize("api", ["", "list-api"])
def test_chunks_come_back(fake: Path, codec: GpuCodecName, way: Way, api: str) -> None:
    (fake / "switches").write_text(api)
    with Run(fake, codec, ways={1: "words", 2: way, 4: way}) as run:
        made = run.codec.encode(CHUNKS)
        assert_right_or_nothing(CHUNKS, made)
        found = [None if one is None else (one.transform, one.codec) for one in made]
        if codec == "gzstd":
            halved = ("planes2of4", "zstd")
            assert found[:3] == [("planes2", "zstd")] * 2 + [("planes4", "zstd")]
            assert found[3:] == [None, halved, ("none", "zstd"), None]
        else:
            whole = [("none", "ans")] * 3
            planes = [("planes2", "ans")] * 2 + [("planes4", "ans")]
            assert found[:3] == (planes if way == "planes" else whole)
            # Noise gains nothing, text has matches, and small chunks are not worth it.
            assert found[3:] == [None, ("planes2of4", "ans"), None, None]
            payloads = [
                Payload(b"".join(one.parts), one.transform, len(own.raw))
                for own, one in zip(CHUNKS, made, strict=True)
                if one is not None
            ]
            given = [own.raw for own, one in zip(CHUNKS, made, strict=True) if one is not None]
            assert run.codec.decode(payloads) == given
        assert (run.warnings, run.codec.off) == ([], None)


@pytest.mark.usefixtures("quick")
def test_more_than_fits_goes_in_turns(fake: Path) -> None:
    with Run(fake, room=2 << 20) as run:
        many = [chunk(weights(900_000, seed)) for seed in range(7)]
        assert assert_right_or_nothing(many, run.codec.encode(many)) == 7


@pytest.mark.usefixtures("quick")
def test_threads_share_one_codec(fake: Path) -> None:
    with Run(fake) as run:
        counts: list[int] = []

        def work() -> None:
            for _ in range(5):
                counts.append(assert_right_or_nothing(CHUNKS, run.codec.encode(CHUNKS)))

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert counts == [4] * 20


@pytest.mark.usefixtures("quick")
def test_closing_while_threads_encode_leaves_no_process(fake: Path) -> None:
    with Run(fake) as run:
        run.codec.ready()
        going = threading.Semaphore(0)

        def work() -> None:
            for _ in range(5):
                assert_right_or_nothing(CHUNKS, run.codec.encode(CHUNKS))
                going.release()

        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        going.acquire()
        run.codec.close()
        for thread in threads:
            thread.join()
        assert run.warnings == []


@pytest.mark.parametrize(
    ("switch", "said"), [("no-driver", "driver version"), ("no-device", "no CUDA-capable device")]
)
def test_a_box_without_a_gpu_says_so(fake: Path, switch: str, said: str) -> None:
    (fake / "switches").write_text(switch)
    with Run(fake) as run:
        assert said in (run.codec.ready() or "")
        assert run.codec.encode(CHUNKS) == [None] * len(CHUNKS)
        assert len(run.warnings) == 1


def test_nothing_installed_is_a_reason(tmp_path: Path) -> None:
    with Run(tmp_path) as run:
        assert "ModuleNotFoundError" in (run.codec.ready() or "")


def test_another_release_is_refused(fake: Path) -> None:
    module = fake / "nvidia/nvcomp/__init__.py"
    module.write_text(module.read_text().replace('"6.0.0"', '"6.1.0"'))
    with Run(fake) as run:
        assert "nvCOMP 6.1.0 instead of 6.0" in (run.codec.ready() or "")


def test_a_library_from_elsewhere_is_refused(fake: Path, tmp_path: Path) -> None:
    strange = tmp_path / "libnvcomp.so.6"
    strange.write_bytes(b"x" * 4096)
    module = fake / "nvidia/nvcomp/__init__.py"
    load = f"\nimport mmap\nM = mmap.mmap(os.open({str(strange)!r}, os.O_RDONLY), 0, prot=1)\n"
    module.write_text(module.read_text() + load)
    with Run(fake) as run:
        assert "another nvCOMP was loaded" in (run.codec.ready() or "")


@pytest.mark.usefixtures("quick")
def test_little_memory_halves_what_goes_at_a_time(fake: Path) -> None:
    module = fake / "nvidia/nvcomp/__init__.py"
    limit = 'if len(entries) > 2:\n        raise RuntimeError("out of memory")\n    made = []'
    module.write_text(module.read_text().replace("made = []", limit, 1))
    with Run(fake) as run:
        many = [chunk(weights(70_000, seed)) for seed in range(9)]
        assert assert_right_or_nothing(many, run.codec.encode(many)) == 9
        assert run.warnings == []


@pytest.mark.usefixtures("quick")
def test_a_chunk_that_changed_in_memory_ends_the_run(fake: Path) -> None:
    with Run(fake) as run:
        raw = bytearray(weights(100_000))
        digest = blake3(raw)
        raw[7] ^= 1
        with pytest.raises(WorkerError) as raised:
            run.codec.encode([Chunk(raw, digest, 2)])
        assert raised.value.code == "INTEGRITY"


@pytest.mark.usefixtures("quick")
def test_a_damaged_payload_is_a_fault(fake: Path) -> None:
    with Run(fake) as run:
        with pytest.raises(GpuFault) as raised:
            run.codec.decode([Payload(b"\x02" + b"\x26\x13\x91\x52\x05\x03\x02" * 9, "none", 90)])
        assert "a container of nvCOMP 5.3, ANS" in raised.value.message


def test_the_whole_self_test_covers_what_weights_look_like() -> None:
    found = list(trials("ans"))
    assert {trial.kind for trial in found} == {"u1", "f2", "f4"}
    assert {len(trial.raw) for trial in found} >= {16, 16 << 20, (16 << 20) + 16}


def test_only_what_is_needed_of_the_environment_reaches_the_library(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept = {"CUDA_VISIBLE_DEVICES": "1", "LD_LIBRARY_PATH": "/usr/local/nvidia/lib64"}
    dropped = ("LD_PRELOAD", "LD_AUDIT", "NVCOMP_LOG_LEVEL", "NVCOMP_LOG_FILE", "PYTHONPATH")
    for name in (*dropped, "NVCOMP_PREFER_SYSTEM_LIBRARY", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    for name, value in kept.items():
        monkeypatch.setenv(name, value)
    found = gpu_environment(0)
    assert kept.items() <= found.items()
    assert not {name for name in found if name.startswith(("NVCOMP_", "LD_PRE", "LD_AU", "AWS"))}
    assert "PYTHONPATH" not in found


@pytest.mark.usefixtures("quick")
def test_a_second_gpu_is_used_as_the_first_is(fake: Path) -> None:
    with Run(fake, device=1) as run:
        assert assert_right_or_nothing(CHUNKS, run.codec.encode(CHUNKS)) == 4
        assert run.warnings == []


@pytest.mark.parametrize(
    ("visible", "device", "seen"),
    [(None, 0, None), (None, 2, "2"), ("3,GPU-7", 0, "3,GPU-7"), ("3, GPU-7", 1, "GPU-7")],
)
def test_a_process_sees_none_but_its_own_gpu(
    monkeypatch: pytest.MonkeyPatch, visible: str | None, device: int, seen: str | None
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert gpu_environment(device).get("CUDA_VISIBLE_DEVICES") == seen


@pytest.mark.parametrize("switch", ["", "hang@encode", "hang@decode"])
def test_no_process_outlives_a_worker_that_is_killed(fake: Path, switch: str) -> None:
    (fake / "switches").write_text(switch)
    body = f"""
        import sys, time
        sys.path.insert(0, {str(Path(codec_module.__file__).parents[2])!r})
        from dumont_worker.gpu.codec import GpuCodec
        from dumont_worker.gpu.child import GpuSetting
        import os, threading
        codec = GpuCodec(GpuSetting({str(fake)!r}, {NATIVE!r}), "ans", print)
        threading.Thread(target=codec.ready, daemon=True).start()
        print("begun", flush=True)
        time.sleep(60)
        """
    worker = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(body)], stdout=subprocess.PIPE, text=True
    )
    assert worker.stdout is not None
    assert worker.stdout.readline() == "begun\n"
    expected = 1 if switch == "hang@encode" else 2
    pids: list[str] = []
    while len(pids) < expected or (switch and not (fake / "hanging").exists()):
        time.sleep(0.02)
        pids = [
            pid
            for thread in Path(f"/proc/{worker.pid}/task").iterdir()
            for pid in (thread / "children").read_text().split()
        ]
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    worker.stdout.close()
    deadline = time.monotonic() + 20
    while any(alive(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert [pid for pid in pids if alive(pid)] == []


def alive(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_tiles_hold_what_fits_and_leave_out_what_never_does() -> None:
    assert tiles([4, 4, 4, 11, 2, 10, 1], 10) == [[0, 1], [2, 4], [5], [6]]
    assert tiles([], 10) == []


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("fault", ["kill@decode", "segv@encode", "error@cpu"])
def test_one_fault_is_one_however_many_threads_meet_it(fake: Path, fault: str) -> None:
    (fake / "switches").write_text(f"{fault}:{SMALL + 1} once")
    made: list[list[Encoded | None]] = []
    with Run(fake) as run:
        threads = [
            threading.Thread(target=lambda: made.append(run.codec.encode(CHUNKS))) for _ in range(6)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(made) == 6  # none of them raised
        for each in made:
            assert_right_or_nothing(CHUNKS, each)
        assert (run.codec.faults, run.codec.off) == (1, None)
