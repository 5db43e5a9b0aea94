"""Checks nvCOMP on a machine with a GPU and settles what cannot be known without one.

    python gpu-scripts/gpu_check.py --nvcomp DIR --native DIR > report.json

DIR holds the pinned nvCOMP and the worker's helpers with numpy; `node bench/gpu.js` makes both and
calls this. Prints one JSON document. Exit codes: 0 all is well, 1 something came back wrong or not
at all, 2 no usable GPU (the document says why and what to do).
"""

import argparse
import importlib
import json
import math
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
CHUNK = 4 << 20
OK, WRONG, NO_GPU = 0, 1, 2
QUESTION_SECONDS = 120


def main() -> int:
    """Prints the report; gives the exit code."""
    options = _options()
    sys.path[:0] = [str(HERE), *([options.native] if options.native else [])]
    gpu = importlib.import_module("dumont_worker.gpu.devices")
    found = gpu.devices()
    report: dict[str, Any] = {
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "nvcomp": importlib.import_module("dumont_worker.gpu.requirement").installed(
            options.nvcomp
        ),
        "devices": [{**device.fact(), "free": device.free} for device in found],
    }
    refusal = gpu.refusal(found)
    if refusal is not None:
        reason, remedy = refusal
        return _end({**report, "result": "no GPU", "reason": reason, "remedy": remedy}, NO_GPU)
    device = gpu.best(found)
    report["device"] = device.name
    samples = _samples(options)
    report["codecs"] = [
        _codec(options, device.ordinal, name, split, samples)
        for name, split in (("ans", False), ("ans", True), ("gzstd", True))
    ]
    report["cpu"] = _cpu(samples)
    report["questions"] = _questions(options, device.ordinal)
    wrong = [one["codec"] for one in report["codecs"] if one["off"] or not one["same"]]
    report["result"] = f"wrong: {', '.join(wrong)}" if wrong else "well"
    return _end(report, WRONG if wrong else OK)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Checks nvCOMP on a machine with a GPU.")
    parser.add_argument("--nvcomp", required=True, help="directory that holds nvCOMP")
    parser.add_argument("--other", help="another build of the same release, to read each other's")
    parser.add_argument("--native", help="directory with the worker's helpers and numpy")
    parser.add_argument("--mebibytes", type=int, default=256, help="of each sort of data")
    parser.add_argument("--only", action="append", help="this question alone; may be repeated")
    parser.add_argument("files", nargs="*", help="raw bf16 or fp16 data besides the synthetic")
    return parser.parse_args()


def _end(report: dict[str, Any], code: int) -> int:
    print(json.dumps(report, indent=1))
    return code


def _samples(options: argparse.Namespace) -> dict[str, tuple[int, list[bytes]]]:
    """Gives chunks by sort of data, with the width of their elements."""
    weights = importlib.import_module("gpu_questions").weights
    length = options.mebibytes << 20
    samples = {name: (width, _cut(weights(name, length))) for name, width in _WIDTHS.items()}
    for path in options.files:
        with open(path, "rb") as file:
            samples[Path(path).name] = (2, _cut(file.read(length)))
    return samples


_WIDTHS = {"bf16": 2, "fp16": 2, "fp32": 4, "bf16 in fp32": 4, "fp8": 1}


def _cut(data: bytes) -> list[bytes]:
    return [data[at : at + CHUNK] for at in range(0, len(data), CHUNK)]


def _codec(
    options: argparse.Namespace,
    device: int,
    name: str,
    split: bool,
    samples: dict[str, tuple[int, list[bytes]]],
) -> dict[str, Any]:
    """Sends the samples there and back as a create and a restore do."""
    child = importlib.import_module("dumont_worker.gpu.child")
    codec_module = importlib.import_module("dumont_worker.gpu.codec")
    blake3 = importlib.import_module("dumont_worker.native").blake3
    warnings: list[str] = []
    setting = child.GpuSetting(options.nvcomp, options.native, device, start=180, patience=120)
    codec = codec_module.GpuCodec(setting, name, warnings.append, split)
    table: list[dict[str, Any]] = []
    same = True
    try:
        begun = time.monotonic()
        codec.ready()
        ready = time.monotonic() - begun
        for sort, (width, raws) in samples.items():
            chunks = [codec_module.Chunk(raw, blake3(raw), width) for raw in raws]
            begun = time.monotonic()
            made = codec.encode(chunks)
            encoding = time.monotonic() - begun
            kept = [(raw, one) for raw, one in zip(raws, made, strict=True) if one is not None]
            row = {
                "data": sort,
                "chunks": len(raws),
                "coded": len(kept),
                "ratio": _ratio(sum(one.length for _, one in kept), sum(len(r) for r, _ in kept)),
                "encodeAndProve": _speed(sum(map(len, raws)), encoding),
            }
            if name == "ans" and kept:
                payloads = [
                    codec_module.Payload(b"".join(one.parts), one.transform, len(raw))
                    for raw, one in kept
                ]
                begun = time.monotonic()
                back = codec.decode(payloads)
                row["decode"] = _speed(sum(map(len, back)), time.monotonic() - begun)
                same = same and back == [raw for raw, _ in kept]
            table.append(row)
    finally:
        off, faults, library = codec.off, codec.faults, codec.library
        codec.close()
    return {
        "codec": name + (" on planes" if split else ""),
        "requirement": library.requirement() if library else None,
        "startAndSelfTest": round(ready, 3),
        "off": off,
        "faults": faults,
        "warnings": warnings,
        "same": same,
        "data": table,
    }


def _cpu(samples: dict[str, tuple[int, list[bytes]]]) -> list[dict[str, Any]]:
    """What one thread of the portable codec makes of the same data."""
    frame = importlib.import_module("dumont_worker.frame")
    blake3 = importlib.import_module("dumont_worker.native").blake3
    encode = importlib.import_module("dumont_worker.codecs.choose").encode_chunk
    table = []
    for sort, (width, raws) in samples.items():
        frames: list[tuple[bytes, bytes]] = []
        begun = time.monotonic()
        for raw in raws[:8]:
            encoded = encode(raw, width, "zstd", 3)
            frames.append((raw, b"".join(frame.encode_frame(len(raw), blake3(raw), encoded))))
        encoding = time.monotonic() - begun
        begun = time.monotonic()
        for raw, stored in frames:
            frame.decode_frame(stored, blake3(raw), len(raw))
        raw_bytes = sum(len(raw) for raw, _ in frames)
        table.append(
            {
                "data": sort,
                "ratio": _ratio(sum(len(stored) for _, stored in frames), raw_bytes),
                "encode": _speed(raw_bytes, encoding),
                "decode": _speed(raw_bytes, time.monotonic() - begun),
            }
        )
    return table


def _questions(options: argparse.Namespace, device: int) -> dict[str, Any]:
    """Asks each question in a process of its own: some of them may well kill it."""
    names = importlib.import_module("gpu_questions").QUESTIONS
    answers = {}
    for name in options.only or names:
        command = [sys.executable, "-I", str(HERE / "gpu_questions.py"), name, str(device)]
        command += [options.nvcomp, options.native or "", options.other or ""]
        answers[name] = _answer(command)
    return answers


def _answer(command: list[str]) -> Any:
    environment = importlib.import_module("dumont_worker.gpu.child").gpu_environment
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=QUESTION_SECONDS,
            check=False,
            env=environment(),
        )
    except subprocess.TimeoutExpired:
        return {"failed": f"no end within {QUESTION_SECONDS} s"}
    if done.returncode != 0:
        how = f"signal {-done.returncode}" if done.returncode < 0 else "an exception"
        last = done.stderr.strip().splitlines()[-1:] or ["no message"]
        return {"failed": f"{how}: {last[0][:500]}"}
    return json.loads(done.stdout)


def _speed(length: int, seconds: float) -> float | None:
    """Gives GB/s."""
    return round(length / max(seconds, 1e-9) / 1e9, 3) if length else None


def _ratio(stored: int, raw: int) -> float | None:
    ratio = stored / raw if raw else math.nan
    return None if math.isnan(ratio) else round(ratio, 4)


if __name__ == "__main__":
    sys.exit(main())
