"""What the worker relies on in the real nvCOMP wheel, as far as it shows without a GPU.

Needs the pinned wheels; they are fetched by hash into a cache, and where that cannot be, or the
machine has none, these tests are skipped. With a GPU some of them would say other things, so they
run the library where no device is visible.
"""

import os
import platform
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from dumont_worker.codecs import zstd
from dumont_worker.gpu.child import GpuSetting
from dumont_worker.gpu.codec import Chunk, GpuCodec
from dumont_worker.gpu.container import Container, describe, sniff
from dumont_worker.gpu.requirement import PINNED, Library, capabilities, generation, installed
from dumont_worker.native import blake3

ROOT = Path(__file__).parents[2]
PINS = ROOT / "gpu-scripts/requirements" / f"nvcomp-{platform.machine()}.txt"
CACHE = ROOT / ".cache" / f"nvcomp-{PINNED}-{platform.machine()}"
PACKAGE = ROOT / "gpu-scripts"


@pytest.fixture(scope="session")
def wheel() -> str:
    if installed(str(CACHE)) is None:
        install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile"]
        install += ["--require-hashes", "--only-binary", ":all:", "--target", str(CACHE)]
        done = subprocess.run(
            [*install, "-r", str(PINS)], capture_output=True, text=True, timeout=600, check=False
        )
        assert "do not match the hashes" not in done.stderr.lower(), done.stderr
        if done.returncode != 0:
            pytest.skip(f"the pinned nvCOMP cannot be had here: {done.stderr.strip()[-200:]}")
    return str(CACHE)


def say(wheel: str, body: str) -> list[str]:
    """Runs lines with `m` the module, loaded as a GPU process loads it; gives what they print."""
    head = f"""
        import sys
        sys.path.insert(0, {str(PACKAGE)!r})
        from dumont_worker.gpu.nvcomp import KINDS, codec_arguments, load
        m = load({wheel!r})

        def said(call):
            try:
                call()
                return "nothing"
            except Exception as error:
                return f"{{type(error).__name__}}: {{error}}".splitlines()[0]
        """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(head) + textwrap.dedent(body)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env={"PATH": os.environ["PATH"], "CUDA_VISIBLE_DEVICES": ""},
    )
    return done.stdout.splitlines()


NO_GPU = re.compile(r"RuntimeError: CUDA Runtime API failure: .* : code=1000\.")


def test_it_imports_with_no_gpu_and_is_the_pinned_one(wheel: str) -> None:
    version, cuda = say(wheel, "print(m.__version__, m.__cuda_version__, sep='\\n')")
    assert PINNED.startswith(version + ".")
    assert installed(wheel) == PINNED
    assert Library(PINNED, int(cuda)).requirement() == {
        "name": "nvcomp-ans-6",
        "distribution": "nvidia-nvcomp-cu12",
        "version": "6.0.0.12",
        "cuda": 12090,
    }


def test_it_is_found_beside_packages_that_would_hide_it(wheel: str, tmp_path: Path) -> None:
    (tmp_path / "nvidia").mkdir()
    (tmp_path / "nvidia/__init__.py").touch()
    body = f"""
        import importlib
        sys.path.insert(0, {str(tmp_path)!r})
        print(importlib.import_module("nvidia.nvcomp").__file__)
        """
    assert say(wheel, body)[0].startswith(wheel)


def test_every_codec_of_ours_is_known_down_to_its_last_keyword(wheel: str) -> None:
    body = """
        for kind in KINDS:
            arguments = codec_arguments(m, kind)
            print(said(lambda: m.Codec(**arguments)))
            for name in arguments:
                wrong = {name + "x": value for name, value in arguments.items()}
                wrong["algorithm"] = arguments["algorithm"]
                print(said(lambda: m.Codec(**wrong)))
        """
    lines = say(wheel, body)
    known = [line for line in lines if NO_GPU.match(line)]
    refused = [line for line in lines if line.startswith("ValueError: Unsupported argument")]
    assert len(known) == 4
    assert known + refused == sorted(lines, key=lambda line: not NO_GPU.match(line))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("m.Codec(algorithm='gANS')", 'ValueError: Unknown algorithm: "gANS".'),
        ("m.Codec(algorithm='ANS', level=3)", 'ValueError: Unsupported argument: "level".'),
        ("m.Codec('ANS')", "TypeError: __init__(): incompatible constructor arguments"),
        ("m.Codec(bitstream_kind=1)", "RuntimeError: Unable to cast Python instance"),
        ("m.Codec(checksum_policy=3)", "RuntimeError: Unable to cast Python instance"),
        ("m.Codec(algorithm='ANS', uncomp_chunk_size=-1)", "RuntimeError: Unable to cast"),
        ("m.as_arrays([])", "ValueError: Cannot create a BatchArray from an empty list"),
    ],
)
def test_wrong_calls_are_refused_as_the_fake_refuses_them(
    wheel: str, call: str, message: str
) -> None:
    assert say(wheel, f"print(said(lambda: {call}))")[0].startswith(message)
    # Of other errors than ValueError the kind is enough: their words are pybind11's.
    least = message if message.startswith("ValueError") else message.partition(":")[0]
    fake = str(Path(__file__).parent / "fake_nvcomp")
    assert say(fake, f"print(said(lambda: {call}))")[0].startswith(least)


@pytest.mark.parametrize(
    "call",
    [
        "m.as_array(b'x')",
        "m.as_array(memoryview(bytearray(16)))",
        "m.as_arrays([b'x'])",
        "m.Codec()",
        "m.Codec(algorithm='aNs')",
    ],
)
def test_whatever_touches_a_gpu_says_that_there_is_none(wheel: str, call: str) -> None:
    assert NO_GPU.match(say(wheel, f"print(said(lambda: {call}))")[0])


@pytest.mark.parametrize(
    ("name", "signatures"),
    [
        ("Codec.encode", ["array: nvidia.nvcomp.nvcomp_impl.Array, out", "srcs: nvidia.nvcomp."]),
        ("Codec.decode", ["src: nvidia.nvcomp.nvcomp_impl.Array, data_type: str = ''", "srcs: "]),
        ("as_array", ["as_array(source: object, cuda_stream: int = 0)"]),
        ("as_arrays", ["as_arrays(sources: list[object], cuda_stream: int = 0)"]),
        ("Array.cpu", ["cpu(self: nvidia.nvcomp.nvcomp_impl.Array) -> object", "or None if copy"]),
        ("Array.cuda", ["synchronize: bool = True", "or None if copy"]),
        ("BatchArray.__getitem__", ["index: int) -> object", "must not outlive"]),
    ],
)
def test_signatures_are_what_they_were(wheel: str, name: str, signatures: list[str]) -> None:
    text = " ".join(" ".join(say(wheel, f"print(m.{name}.__doc__)")).split())
    assert [one for one in signatures if one in text] == signatures


def test_enums_are_what_they_were_and_the_fake_has_the_same(wheel: str) -> None:
    body = """
        for name in ("BitstreamKind", "ChecksumPolicy", "ExecutionPolicy", "DecompressBackend",
                     "ArrayBufferKind"):
            members = getattr(m, name).__members__
            print(name, sorted((int(one.value), key) for key, one in members.items()))
        """
    found = say(wheel, body)
    assert found[0] == (
        "BitstreamKind [(0, 'NVCOMP_NATIVE'), (1, 'RAW'), (2, 'WITH_UNCOMPRESSED_SIZE')]"
    )
    assert say(str(Path(__file__).parent / "fake_nvcomp"), body) == found


def test_the_worker_goes_on_without_a_gpu(wheel: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    native = str(Path(zstd.zstd().__file__ or "").parents[2])
    warnings: list[str] = []
    codec = GpuCodec(GpuSetting(wheel, native), "ans", warnings.append)
    raw = bytes(1 << 20)
    try:
        assert codec.encode([Chunk(raw, blake3(raw), 2)]) == [None]
        assert "CUDA Runtime API failure" in (codec.off or "")
        assert len(warnings) == 1
    finally:
        codec.close()


def test_containers_tell_who_made_them() -> None:
    assert sniff(b"\x26\x13\x91\x52\x05\x03\x02\0\0") == Container(5, 3, "ANS")
    assert sniff(b"\x27\x13\x91\x52\x06\x00\x06") == Container(6, 0, "Zstd")
    assert describe(b"\x27\x13\x91\x52\x06\x00\xee") == "a container of nvCOMP 6.0, unknown codec"
    for other in (b"", b"\x27\x13\x91", b"FAKE-nvcomp\0\0\0", b"\x28\x13\x91\x52\x06\x00\x06"):
        assert sniff(other) is None
        assert describe(other) == "no nvCOMP container"


def test_generations_part_what_is_not_known_to_be_one_format() -> None:
    assert generation("6.0.0.12") == generation("6.0.1.3") == "nvcomp-ans-6"
    assert generation("6.1.0.0") == "nvcomp-ans-6.1"
    assert generation("5.3.0.16") == "nvcomp-ans-5.3"
    assert generation("6.0.0.12+fake") == "nvcomp-ans-6+fake"


def test_ans_is_offered_only_where_both_library_and_gpu_are(tmp_path: Path) -> None:
    fake = str(Path(__file__).parent / "fake_nvcomp")
    assert capabilities(fake, True) == ["ans", "nvcomp-ans-6+fake"]
    for directory, usable in ((fake, False), (None, True), (str(tmp_path), True)):
        assert capabilities(directory, usable) == []
