"""The parts of the GPU codec that need no process: channel, layout, frames, devices, choice."""

import os
import random
import socket
import struct
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dumont_worker.codecs import zstd
from dumont_worker.errors import WorkerError
from dumont_worker.gpu.area import Area, Span
from dumont_worker.gpu.channel import Channel
from dumont_worker.gpu.choice import Contestant, Measured, choose, measure
from dumont_worker.gpu.devices import Device, best, devices, refusal
from dumont_worker.gpu.errors import GpuFault
from dumont_worker.gpu.payload import (
    SMALLEST,
    GpuCodecName,
    assemble,
    lay_out,
    put_together,
    take_apart,
)
from dumont_worker.gpu.pinning import pin
from dumont_worker.gpu.use import gpu_use
from dumont_worker.gpu.ways import Way
from dumont_worker.gpu.zstd_frame import with_content_size
from dumont_worker.native import zstd as zstd_module

TRANSFORMS = ("none", "planes2", "planes4", "planes2of4")


# The channel


@pytest.fixture
def ends() -> Iterator[tuple[Channel, socket.socket]]:
    ours, theirs = socket.socketpair()
    channel = Channel(ours)
    yield channel, theirs
    channel.close()
    theirs.close()


@pytest.mark.parametrize(
    ("sent", "kind"),
    [
        (b"", "crash"),
        (b"\x05\0", "crash"),
        (struct.pack("<I", 1 << 21), "protocol"),
        (struct.pack("<I", 4) + b"{\xff}}", "protocol"),
        (struct.pack("<I", 2) + b"[]", "protocol"),
        (struct.pack("<I", 9) + b"{}", "crash"),
    ],
)
def test_what_is_no_message_is_a_fault(
    ends: tuple[Channel, socket.socket], sent: bytes, kind: str
) -> None:
    channel, theirs = ends
    theirs.sendall(sent)
    theirs.shutdown(socket.SHUT_WR)
    with pytest.raises(GpuFault) as raised:
        channel.receive(30)
    assert raised.value.kind == kind


@pytest.mark.parametrize("sent", [b"", b"\x09\0\0\0{"])
def test_half_a_message_is_not_waited_for_without_end(
    ends: tuple[Channel, socket.socket], sent: bytes
) -> None:
    channel, theirs = ends
    theirs.sendall(sent)
    with pytest.raises(GpuFault) as raised:
        channel.receive(0.05)
    assert raised.value.kind == "hang"


def test_who_takes_nothing_is_not_waited_for_without_end(
    ends: tuple[Channel, socket.socket],
) -> None:
    channel, _ = ends
    channel.send({"text": ""}, 0.05)
    with pytest.raises(GpuFault) as raised:
        channel.send({"text": "x" * 1_000_000}, 0.05)
    assert raised.value.kind == "hang"


def test_messages_come_as_they_were_sent() -> None:
    ours, theirs = map(Channel, socket.socketpair())
    ours.send({"items": [["f2", 0, 7], None]}, 30)
    assert theirs.receive(30) == {"items": [["f2", 0, 7], None]}
    ours.close()
    theirs.close()


# The shared memory


@pytest.mark.parametrize("span", [(-1, 4), (0, 101), (97, 4), (100, 1), (3, -1)])
def test_a_span_outside_of_the_memory_is_a_fault(span: tuple[int, int]) -> None:
    area = Area.make(100)
    with pytest.raises(GpuFault):
        area.asked.get(Span(*span))
    area.close()


def test_more_than_fits_is_a_fault_and_clearing_makes_room() -> None:
    area = Area.make(100)
    assert area.answer.put(b"x" * 30) == (0, 30)
    assert area.answer.put(b"y" * 36) == (64, 36)
    with pytest.raises(GpuFault):
        area.answer.put(b"z")
    area.answer.clear()
    assert bytes(area.answer.get(area.answer.put(b"z"))) == b"z"
    area.close()


class Driver:
    """libcuda, one of whose calls may fail."""

    def __init__(self, failing: str | None = None) -> None:
        self.calls: list[str] = []
        self.failing = failing
        self.locked = 0

    def __getattr__(self, name: str) -> Callable[..., int]:
        def call(*arguments: Any) -> int:
            self.calls.append(name)
            if name == "cuMemHostRegister_v2":
                self.locked = arguments[1].value
            return 1 if name == self.failing else 0

        return call


LOCKING = [
    "cuInit",
    "cuDeviceGet",
    "cuDevicePrimaryCtxRetain",
    "cuCtxSetCurrent",
    "cuMemHostRegister_v2",
]


def test_shared_memory_is_locked_whole_in_the_context_of_the_library() -> None:
    area = Area.make(4096)
    driver = Driver()
    assert pin(area.answer.whole, driver)
    assert driver.calls == LOCKING
    assert driver.locked == 4096
    area.close()


@pytest.mark.parametrize("failing", LOCKING)
def test_memory_that_cannot_be_locked_is_used_as_it_is(failing: str) -> None:
    driver = Driver(failing)
    assert not pin(memoryview(bytearray(100)), driver)
    assert driver.calls == LOCKING[: LOCKING.index(failing) + 1]


# Layout and payload


def code(data: Any) -> bytes:
    return b"<" + bytes(data)[:-100] + b">"


@pytest.mark.parametrize("codec", ["ans", "gzstd"])
@pytest.mark.parametrize("way", ["words", "planes"])
@pytest.mark.parametrize("width", [None, 1, 2, 4])
@pytest.mark.parametrize("more", [0, 1, 2, 3])
def test_a_payload_is_taken_apart_as_it_was_put_together(
    codec: GpuCodecName, way: Way, width: int | None, more: int
) -> None:
    raw = random.Random(more).randbytes(SMALLEST + more)
    layout = lay_out(raw, width, codec, {1: "words", 2: way, 4: way})
    if codec == "ans" and width is None:
        assert layout is None
        return
    assert layout is not None
    kept = [bytes(buffer) for buffer in layout.buffers]
    encoded = assemble(layout, [code(buffer) for buffer in kept])
    assert encoded is not None
    assert encoded.length < len(raw)
    if encoded.codec != "ans":
        return
    payload = memoryview(b"".join(encoded.parts))
    *parts, tail = take_apart(payload, encoded.transform, len(raw))
    assert [part.kind for part in parts] == [layout.kind] * len(kept)
    assert [bytes(part.body) for part in parts] == [code(buffer) for buffer in kept]
    assert bytes(put_together([*kept, tail.body], encoded.transform, len(raw))) == raw


@pytest.mark.parametrize("width", [1, 2, 4])
def test_what_the_table_does_not_name_is_left_to_the_cpu(width: int) -> None:
    assert lay_out(bytes(SMALLEST), width, "ans", {}) is None
    assert lay_out(bytes(SMALLEST), width, "gzstd", {}) is not None


def test_what_gains_nothing_is_left_to_the_cpu() -> None:
    raw = random.Random(1).randbytes(SMALLEST)
    layout = lay_out(raw, 2, "ans", {2: "planes"})
    assert layout is not None
    assert assemble(layout, [None, None]) is None
    longer = [bytes(buffer) + b"more" for buffer in layout.buffers]
    assert assemble(layout, longer) is None
    whole = lay_out(raw, 2, "ans")
    assert whole is not None
    assert assemble(whole, [raw[1:]]) is None


@pytest.mark.parametrize("length", [0, 1, 5, SMALLEST - 1])
def test_small_chunks_are_left_to_the_cpu(length: int) -> None:
    assert lay_out(bytes(length), 2, "ans") is None
    assert lay_out(bytes(length), None, "gzstd") is None


@settings(deadline=None)
@given(st.binary(max_size=200), st.sampled_from(TRANSFORMS), st.integers(1, 400))
def test_nonsense_is_a_fault_or_taken_apart_within_its_bounds(
    payload: bytes, transform: str, length: int
) -> None:
    try:
        parts = take_apart(memoryview(payload), transform, length)
    except GpuFault:
        return
    assert sum(len(part.body) for part in parts) <= len(payload)
    try:
        raw = put_together([part.body for part in parts], transform, length)
    except GpuFault:
        return
    assert len(raw) == length


# zstd frames


def unsized(data: bytes) -> bytes:
    module: Any = zstd_module()
    compressor = module.ZstdCompressor(level=1)
    return bytes(compressor.compress(data) + compressor.flush())


@settings(deadline=None)
@given(st.binary(max_size=5000).map(lambda data: data * 9))
def test_a_frame_without_a_size_gets_one(data: bytes) -> None:
    frame = unsized(data)
    with pytest.raises(WorkerError):
        zstd.decompress(frame, len(data))
    sized = with_content_size(frame, len(data))
    assert sized is not None
    assert zstd.decompress(sized, len(data)) == data
    with pytest.raises(WorkerError):
        zstd.decompress(with_content_size(frame, len(data) + 1) or b"", len(data) + 1)


def test_a_frame_with_a_size_stays_as_it_is() -> None:
    frame = zstd.compress(b"x" * 100_000, 1)
    assert with_content_size(frame, 100_000) == frame


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\x28\xb5\x2f\xfd",
        b"\x27\xb5\x2f\xfd\x00\x58\x00\x00",
        b"\x50\x2a\x4d\x18\x04\x00\x00\x00abcd",
        b"\x28\xb5\x2f\xfd\x08\x58\x00\x00",
        b"\x28\xb5\x2f\xfd\x01\x58\x07\x00",
    ],
)
def test_what_is_no_plain_frame_is_refused(frame: bytes) -> None:
    assert with_content_size(frame, 7) is None


# Devices

TWO = """0, GPU-aaaa, NVIDIA A100-SXM4-80GB, 550.54.15, 81920, 80000, 8.0
1, GPU-bbbb, NVIDIA GeForce GTX 1080, 550.54.15, 8192, 8000, 6.1
"""


def asked(answer: str | None) -> Callable[[Sequence[str]], str | None]:
    return lambda _: answer


def test_gpus_are_told_apart_by_what_nvcomp_needs() -> None:
    good, old = devices(asked(TWO), "0,1")
    assert good.unsuitable() is None
    assert "needs Volta" in (old.unsuitable() or "")
    assert best([good, old]) == good
    assert refusal([good, old]) is None
    assert refusal([old]) is not None


def test_engines_take_the_gpus_that_will_do_in_turn_the_freest_first() -> None:
    found = [
        Device(0, "T4", "550.1", 16 << 30, 2 << 30, "7.5"),
        Device(1, "P100", "550.1", 16 << 30, 15 << 30, "6.0"),
        Device(2, "L4", "550.1", 24 << 30, 20 << 30, "8.9"),
    ]
    use = gpu_use("ans", str(Path(__file__).parent / "fake_nvcomp"), None, found)
    assert [use.setting(engine).device for engine in range(4)] == [2, 0, 2, 0]


@pytest.mark.parametrize(
    ("visible", "names"),
    [("1", [6.1]), ("1,0", [6.1, 8.0]), ("GPU-bb", [6.1]), ("", []), ("MIG-x", []), ("7", [])],
)
def test_cuda_s_own_order_counts(visible: str, names: list[float]) -> None:
    found = devices(asked(TWO), visible)
    assert [float(device.capability) for device in found] == names
    assert [device.ordinal for device in found] == list(range(len(found)))


@pytest.mark.parametrize("answer", [None, "", "No devices were found\n", "a,b\n", "\xff, , ,\n"])
def test_no_answer_is_no_gpu_and_says_what_to_do(answer: str | None) -> None:
    found = devices(asked(answer))
    assert found == []
    assert best(found) is None
    reason, remedy = refusal(found) or ("", "")
    assert "no NVIDIA GPU" in reason
    assert "--codec zstd" in remedy


@pytest.mark.parametrize(
    ("device", "said"),
    [
        (Device(0, "T4", "470.1", 16 << 30, 15 << 30, "7.5"), "driver 470.1 is too old"),
        (Device(0, "T4", "550.1", 16 << 30, 1 << 20, "7.5"), "only 1 MiB of free memory"),
        (Device(0, "P100", "550.1", 16 << 30, 15 << 30, "6.0"), "needs Volta"),
        (Device(0, "?", "[N/A]", 16 << 30, 15 << 30, "[N/A]"), None),
    ],
)
def test_each_reason_is_named(device: Device, said: str | None) -> None:
    found = device.unsuitable()
    assert found is None if said is None else said in (found or "")


# The choice


def measured(codec: Any, speed: float, ratio: float, lanes: int = 1) -> Measured:
    return Measured(codec, 1_000_000_000, int(ratio * 1e9), 1e9 / speed, lanes)


CPU, GPU = measured("zstd", 1e9, 0.666), measured("ans", 20e9, 0.66)


@pytest.mark.parametrize(
    ("table", "uplink", "codec", "why"),
    [
        ([CPU, GPU], 0.1e9, "zstd", "within 15% of the fastest"),
        ([CPU, GPU], 3e9, "ans", "the uplink is the limit"),
        ([CPU, measured("ans", 2e9, 0.66)], 3e9, "ans", "the codec is the limit"),
        ([CPU, measured("ans", 1.1e9, 0.66)], 3e9, "zstd", "restores anywhere"),
        ([CPU, GPU, measured("gzstd", 19e9, 0.67)], 3e9, "gzstd", "restores anywhere"),
        ([CPU, measured("ans", 1.16e9, 0.66)], 3e9, "ans", "the codec is the limit"),
        ([measured("zstd", 1e9, 0.666, 8), GPU], 3e9, "zstd", "within 15%"),
        ([CPU, GPU], None, "zstd", "has not been measured"),
        ([CPU], 3e9, "zstd", "no other codec"),
        ([], 3e9, "zstd", "nothing was measured"),
        ([CPU, measured("none", 50e9, 1.0)], 50e9, "zstd", "no other codec"),
        ([CPU, Measured("ans", 0, 0, 1.0)], 3e9, "zstd", "no other codec"),
    ],
)
def test_the_fastest_wins_and_ties_go_to_what_restores_anywhere(
    table: list[Measured], uplink: float | None, codec: str, why: str
) -> None:
    choice = choose(table, uplink)
    assert choice.codec == codec
    assert why in choice.why
    assert choice.why.startswith(codec)
    assert "\n" not in choice.why


class Clock:
    def __init__(self) -> None:
        self.time = 0.0

    def __call__(self) -> float:
        return self.time

    def codec(self, seconds: float, ratio: float) -> Callable[[Sequence[bytes]], int]:
        def encode(batch: Sequence[bytes]) -> int:
            self.time += seconds
            return int(sum(map(len, batch)) * ratio)

        return encode


def test_measuring_ends_when_its_time_is_over_and_leaves_out_what_fails() -> None:
    def fails(_: Sequence[bytes]) -> int:
        raise RuntimeError("no")

    clock = Clock()
    table = measure(
        [
            Contestant("zstd", clock.codec(0.1, 0.5), 4),
            Contestant("ans", clock.codec(5.0, 0.4)),
            Contestant("gzstd", fails),
        ],
        [[b"x" * 1000] * 2] * 100,
        len,
        1.0,
        clock,
    )
    assert [(one.codec, one.raw, one.stored, one.lanes) for one in table] == [
        ("zstd", 8000, 4000, 4),
        ("ans", 2000, 800, 1),
    ]
    assert clock.time == pytest.approx(5.4)


def fake_smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\n" + script)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")


def test_gpus_are_read_from_their_own_tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = "echo '0, GPU-1, NVIDIA H100 80GB HBM3, 570.86.15, 81559, 81000, 9.0'; echo odd"
    fake_smi(tmp_path, monkeypatch, script)
    assert [device.fact() for device in devices(visible=None)] == [
        {
            "name": "NVIDIA H100 80GB HBM3",
            "driver": "570.86.15",
            "memory": 81559 << 20,
            "capability": "9.0",
        }
    ]


@pytest.mark.parametrize("script", ["exit 9", "kill -9 $$"])
def test_a_driver_in_trouble_is_no_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    fake_smi(tmp_path, monkeypatch, script)
    assert [device.fact() for device in devices(visible=None)] == []


def test_a_driver_that_hangs_is_no_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_smi(tmp_path, monkeypatch, "true")

    def hang(*_: object, **__: object) -> None:
        raise subprocess.TimeoutExpired("nvidia-smi", 5)

    monkeypatch.setattr(subprocess, "run", hang)
    assert [device.fact() for device in devices(visible=None)] == []
