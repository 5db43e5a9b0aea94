"""Checks nvCOMP on a machine with a GPU and settles what cannot be known without one.

    python3 gpu-scripts/gpu_check.py --out report.json

Needs Python 3.10 or later, no root, and a way to a package index; without one, gather the wheels
elsewhere (`--fetch DIR`), carry them along, and give `--wheels DIR`. Takes less than ten minutes
(`--seconds`). The report is one JSON document, on stdout at the end and in `--out` after every
step, so that whatever fails or ends it leaves what was found. Exit codes: 0 all is well,
1 something came back wrong or not at all, 2 no usable GPU or no nvCOMP (the report says why).
"""

import argparse
import platform
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

from dumont_worker.gpu import devices, ways
from dumont_worker.gpu.requirement import installed
from gpu_checks import wheels
from gpu_checks.asking import answer_to
from gpu_checks.codecs import CodecRun, Samples, on_cpu, samples_of
from gpu_checks.questions import MAY_DIE, QUESTIONS, answer
from gpu_checks.report import Json, Overdue, Report
from gpu_checks.settled import settled

OK, WRONG, NO_GPU = 0, 1, 2
SECONDS = 540
CODEC_SHARE, CPU_SHARE, QUESTION_SHARE = 2 / 9, 1 / 9, 1 / 9
"""Of all seconds, what a step may take at most; together it is more, for few take as much."""
_WORDS: dict[int, ways.Way] = {1: "words", 2: "words", 4: "words"}
_PLANES: dict[int, ways.Way] = {1: "words", 2: "planes", 4: "planes"}


def main() -> int:
    """Makes the report; gives the exit code."""
    if sys.argv[1:2] == ["ask"]:
        answer(sys.argv[2:])
    options = _options()
    if options.fetch:
        return _fetch(options)
    report = Report(options.out, options.seconds)

    def told(_: int, __: Any) -> None:
        report.stop()
        raise Overdue("it was told to end")

    signal.signal(signal.SIGTERM, told)
    signal.signal(signal.SIGINT, told)
    try:
        with tempfile.TemporaryDirectory(prefix="gpu-check-") as own:
            return _check(options, report, Path(own))
    except Overdue as overdue:
        report.found["troubles"].append(str(overdue))
        return report.end("not finished", WRONG)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Checks nvCOMP on a machine with a GPU.")
    parser.add_argument("--out", type=Path, help="file for the report, written after every step")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="for all of it")
    parser.add_argument("--wheels", type=Path, help="folder with the pinned wheels: needs no index")
    parser.add_argument("--fetch", type=Path, help="download the wheels into this folder, no more")
    parser.add_argument("--python", default=None, help="with --fetch: of the machine, such as 3.12")
    parser.add_argument("--arch", default=None, help="with --fetch: of the machine, such as x86_64")
    parser.add_argument("--nvcomp", help="directory that holds nvCOMP already")
    parser.add_argument("--native", help="directory with the worker's helpers and numpy")
    parser.add_argument("--cuda13", action="store_true", help="get the build for CUDA 13 as well")
    parser.add_argument("--other", help="another build of the same release, to read each other's")
    parser.add_argument("--mebibytes", type=int, default=256, help="of each sort of data")
    parser.add_argument("--only", action="append", help="this question alone; may be repeated")
    parser.add_argument("files", nargs="*", help="real weights: safetensors, or raw bf16 or fp16")
    return parser.parse_args()


def _fetch(options: argparse.Namespace) -> int:
    """Gathers wheels for a machine that has no way out."""
    python = options.python or f"{sys.version_info[0]}.{sys.version_info[1]}"
    arch = options.arch or platform.machine()
    glibc = [f"manylinux_2_{minor}_{arch}" for minor in (28, 27, 17)] + [f"manylinux2014_{arch}"]
    there = ["--implementation", "cp", "--python-version", python]
    there += [part for name in glibc for part in ("--platform", name)]
    try:
        for purpose, wanted in wheels.pins(arch, python).items():
            if purpose != wheels.CUDA13 or options.cuda13:
                wheels.fetch(wanted, options.fetch, there)
    except wheels.Missing as missing:
        print(missing, file=sys.stderr)
        return WRONG
    return OK


def _check(options: argparse.Namespace, report: Report, own: Path) -> int:
    found = devices.devices()
    report.found["devices"] = [{**device.fact(), "free": device.free} for device in found]
    refusal = devices.refusal(found)
    if refusal is not None:
        report.found["reason"], report.found["remedy"] = refusal
        return report.end("no GPU", NO_GPU)
    try:
        _equip(options, own)
    except wheels.Missing as missing:
        report.found["reason"] = str(missing)
        return report.end("no nvCOMP", NO_GPU)
    sys.path[:0] = [options.native] if options.native else []
    device = devices.best(found)
    assert device is not None
    report.found["device"] = device.name
    report.found["nvcomp"] = installed(options.nvcomp)
    _measure(options, report, device.ordinal)
    return _judge(report)


def _equip(options: argparse.Namespace, own: Path) -> None:
    """Unpacks what was not given; raises Missing."""
    if options.nvcomp and options.native and not options.cuda13:
        return
    wanted = wheels.here()
    if options.nvcomp is None:
        print("NVIDIA's nvCOMP is used under NVIDIA's own licence", file=sys.stderr)
    places = [(wheels.NVCOMP, "nvcomp"), (wheels.HELPERS, "native")]
    for purpose, name in [*places, *([(wheels.CUDA13, "other")] if options.cuda13 else [])]:
        if getattr(options, name) is None:
            folder = options.wheels
            if folder is None:
                folder = own / "wheels"
                wheels.fetch(wanted[purpose], folder)
            wheels.unpack(wanted[purpose], folder, own / name)
            setattr(options, name, str(own / name))


def _measure(options: argparse.Namespace, report: Report, device: int) -> None:
    samples: Samples = {}
    all_of = options.seconds
    length = options.mebibytes << 20
    report.step(
        "samples", all_of * CPU_SHARE, lambda: samples.update(samples_of(options.files, length))
    )
    with_gpu = (options.nvcomp, options.native, device)
    codecs: list[Json] = report.found.setdefault("codecs", [])
    for label, run in (
        ("ans", CodecRun(*with_gpu, "ans", _WORDS)),
        ("gzstd on planes", CodecRun(*with_gpu, "gzstd", _PLANES)),
        ("ans on planes", CodecRun(*with_gpu, "ans", _PLANES)),
    ):
        codecs.append({"codec": label} | run.told)
        run.told = codecs[-1]
        report.step(label, all_of * CODEC_SHARE, lambda run=run: run.there_and_back(samples))  # type: ignore[misc]
    table: list[Json] = report.found.setdefault("cpu", [])
    report.step("cpu", all_of * CPU_SHARE, lambda: on_cpu(table, samples))
    answers: Json = report.found.setdefault("questions", {})
    shared = [str(length), options.nvcomp, options.native or "", options.other or ""]
    for name in options.only or QUESTIONS:

        def ask(name: str = name) -> None:
            answers[name] = answer_to([name, *shared], device, report.left(all_of * QUESTION_SHARE))

        report.step(f"question {name}", 2 * all_of * QUESTION_SHARE, ask)


def _judge(report: Report) -> int:
    found = report.found
    told = settled(found)
    ours = {
        "ANS": {str(width): way for width, way in ways.ANS.items()},
        "BLOCK": ways.BLOCK,
        "PINNED": ways.PINNED,
    }
    found["settled"] = told | {"differs": [name for name in told if told[name] != ours[name]]}
    wrong = [one["codec"] for one in found["codecs"] if one["off"] or not one["same"]]
    if wrong:
        return report.end(f"wrong: {', '.join(wrong)}", WRONG)
    asked = found["questions"]
    open_ones = [name for name in asked if "failed" in asked[name] and name not in MAY_DIE]
    missing = [*found["troubles"], *(f"question {name}" for name in open_ones)]
    if missing:
        return report.end(f"incomplete: {'; '.join(missing)}", WRONG)
    return report.end("well", OK)


if __name__ == "__main__":
    sys.exit(main())
