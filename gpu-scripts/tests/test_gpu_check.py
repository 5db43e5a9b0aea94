"""The one command for a machine with a GPU, on machines without: on the fake, and on nothing."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest

from dumont_worker.codecs import zstd
from dumont_worker.gpu import ways
from gpu_checks import wheels
from gpu_checks.questions import QUESTIONS
from gpu_checks.settled import settled

HERE = Path(__file__).parent
NATIVE = str(Path(zstd.zstd().__file__ or "").parents[2])
MEASUREMENTS = HERE.parents[1] / "docs" / "measurements"


def prepared(tmp_path: Path, switches: str | None, *more: str) -> tuple[list[str], dict[str, str]]:
    """Command and environment; `switches` None: on a box whose nvidia-smi knows no GPU."""
    fake = Path(shutil.copytree(HERE / "fake_nvcomp", tmp_path / "fake"))
    (fake / "switches").write_text(switches or "")
    smi = tmp_path / "nvidia-smi"
    shown = "0, GPU-1, Fake GPU, 550.1, 16000, 15000, 8.0"
    smi.write_text("#!/bin/sh\n" + ("exit 9\n" if switches is None else f"echo '{shown}'\n"))
    smi.chmod(0o755)
    command = [sys.executable, str(HERE.parent / "gpu_check.py"), "--nvcomp", str(fake)]
    command += ["--native", NATIVE, "--mebibytes", "1", "--out", str(tmp_path / "report.json")]
    return [*command, *more], {"PATH": f"{tmp_path}:{os.environ['PATH']}"}


def check(tmp_path: Path, switches: str | None, *more: str) -> tuple[int, Any]:
    """Runs the check to its end."""
    # On a busy machine steps take their time.
    command, environment = prepared(tmp_path, switches, "--seconds", "2700", *more)
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=600, check=False, env=environment
    )
    report = json.loads(done.stdout)
    assert json.loads((tmp_path / "report.json").read_text()) == report
    return done.returncode, report


def test_a_machine_without_a_gpu_is_told_so(tmp_path: Path) -> None:
    code, report = check(tmp_path, None)
    assert (code, report["result"]) == (2, "no GPU")
    assert "no NVIDIA GPU" in report["reason"]
    assert report["remedy"]


def test_a_whole_report_answers_every_question(tmp_path: Path) -> None:
    other = shutil.copytree(HERE / "fake_nvcomp", tmp_path / "other")
    code, report = check(tmp_path, "", "--other", str(other))
    assert (code, report["result"]) == (0, "well")
    assert report["nvcomp"] == "6.0.0.12+fake"
    assert [one["codec"] for one in report["codecs"]] == ["ans", "gzstd on planes", "ans on planes"]
    for one in report["codecs"]:
        assert [row["data"] for row in one["data"]] == [
            "bf16",
            "fp16",
            "fp32",
            "bf16 in fp32",
            "fp8",
        ]
        assert all(row["coded"] == 1 and 0 < row["ratio"] < 1 for row in one["data"])
    asked = report["questions"]
    assert list(asked) == list(QUESTIONS)
    assert [name for name in asked if "failed" in asked[name]] == []
    assert asked["forms"]["encoded dtype"] == "|i1"
    assert asked["zstd frames"]["bf16"]["same"]
    assert asked["other build"] == {
        "same bytes": True,
        "we read theirs": "nothing",
        "they read ours": True,
    }
    assert asked["blocks"]["bf16 as planes by 512 KiB"]["readByOurs"]
    assert len(asked["blocks"]) == 7 * 5
    # The fake has no driver that could lock memory.
    assert set(report["settled"]) == {"ANS", "BLOCK", "differs"}
    assert set(report["seconds"]) >= {"ans", "cpu", "question blocks"}


def test_a_library_that_gives_wrong_bytes_is_not_well(tmp_path: Path) -> None:
    code, report = check(tmp_path, "corrupt@decode", "--only", "deterministic")
    assert code == 1
    assert report["result"] == "wrong: ans, ans on planes"


def test_a_question_that_kills_its_process_keeps_what_was_told(tmp_path: Path) -> None:
    code, report = check(tmp_path, "segv@encode:31", "--only", "blocks", "--only", "copies")
    blocks = report["questions"]["blocks"]
    assert blocks.pop("failed").startswith("signal 11")
    assert 0 < len(blocks) < 35
    assert "plain 4 MiB" in report["questions"]["copies"]
    assert code == 1


def test_dying_of_what_is_wrong_on_purpose_is_an_answer(tmp_path: Path) -> None:
    code, report = check(tmp_path, "segv@decode:500", "--only", "damaged")
    assert (code, report["result"]) == (0, "well")


def test_what_has_no_time_left_is_named(tmp_path: Path) -> None:
    code, report = check(tmp_path, "", "--seconds", "0")
    assert code == 1
    assert "ans: no time was left" in report["troubles"]
    assert report["questions"] == {}


def test_a_gpu_that_hangs_does_not_outlast_the_time_for_all(tmp_path: Path) -> None:
    code, report = check(tmp_path, "hang@decode", "--seconds", "6", "--only", "zstd frames")
    assert code == 1
    assert report["result"].startswith("wrong: ans")
    assert any(trouble.startswith("ans: no") for trouble in report["troubles"])


def test_a_check_that_is_told_to_end_leaves_its_report_and_no_process(tmp_path: Path) -> None:
    command, environment = prepared(tmp_path, "hang@encode:40")
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
        deadline = time.monotonic() + 60
        while not (tmp_path / "fake" / "hanging").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        told, _ = process.communicate(timeout=60)
    report = json.loads(told)
    assert process.returncode == 1
    assert "it was told to end" in report["troubles"][0]
    assert report["codecs"][0]["codec"] == "ans"
    assert json.loads((tmp_path / "report.json").read_text()) == report


# Wheels


def wheel(folder: Path, name: str, files: dict[str, str]) -> wheels.Pin:
    folder.mkdir(exist_ok=True)
    file = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return wheels.Pin(name, "1.0", hashlib.sha256(file.read_bytes()).hexdigest())


def test_wheels_are_found_by_hash_whatever_lies_beside_them(tmp_path: Path) -> None:
    pin = wheel(tmp_path / "wheels", "one", {"one/__init__.py": "x = 1"})
    wheel(tmp_path / "wheels", "two", {"two/__init__.py": ""})
    wheels.unpack([pin], tmp_path / "wheels", tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["one"]


def test_a_wheel_of_another_hash_is_none(tmp_path: Path) -> None:
    pin = wheel(tmp_path / "wheels", "one", {"one/__init__.py": ""})._replace(sha256="0" * 64)
    with pytest.raises(wheels.Missing, match=r"no wheel of one 1\.0"):
        wheels.unpack([pin], tmp_path / "wheels", tmp_path / "out")


def test_what_this_python_has_anyhow_need_not_be_carried_along(tmp_path: Path) -> None:
    pin = wheels.Pin("json", "1.0", "0" * 64, "json")
    wheels.unpack([pin], tmp_path, tmp_path / "out")
    with pytest.raises(wheels.Missing):
        wheels.unpack([pin._replace(module="no_such_module")], tmp_path, tmp_path / "out")


@pytest.mark.parametrize("name", ["../out.py", "/tmp/out.py", "a/../../out.py"])
def test_a_wheel_does_not_leave_its_directory(tmp_path: Path, name: str) -> None:
    pin = wheel(tmp_path / "wheels", "one", {name: ""})
    with pytest.raises(wheels.Missing, match="names"):
        wheels.unpack([pin], tmp_path / "wheels", tmp_path / "in" / "out")


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
@pytest.mark.parametrize("python", ["3.10", "3.11", "3.12", "3.13", "3.14"])
def test_every_python_of_a_box_has_its_pins(machine: str, python: str) -> None:
    found = wheels.pins(machine, python)
    assert {pin.name for pin in found[wheels.NVCOMP]} == {
        "nvidia-nvcomp-cu12",
        "nvidia-libnvcomp-cu12",
    }
    assert {"blake3", "numpy"} <= {pin.name for pin in found[wheels.HELPERS]}
    # The other build is there to compare with, where somebody asks for it.
    other = {pin.name for pin in found[wheels.CUDA13]}
    assert other == ({"nvidia-nvcomp-cu13", "nvidia-libnvcomp-cu13"} if "x86" in machine else set())


def test_another_python_is_told_which_will_do() -> None:
    with pytest.raises(wheels.Missing, match=r"3\.10 to 3\.14"):
        wheels.pins("x86_64", "3.9")


def test_a_check_without_its_wheels_says_so(tmp_path: Path) -> None:
    command, environment = prepared(tmp_path, "")
    at = command.index("--nvcomp")
    (tmp_path / "none").mkdir()
    command[at : at + 2] = ["--wheels", str(tmp_path / "none")]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, env=environment
    )
    report = json.loads(done.stdout)
    assert (done.returncode, report["result"]) == (2, "no nvCOMP")
    assert "nvidia-nvcomp-cu12" in report["reason"]
    assert "under NVIDIA's own licence" in done.stderr


# What a report settles


def row(data: str, way: str, ratio: float, block: int = 512, speed: float = 50.0) -> Any:
    width = {"fp32": 4, "fp8": 1}.get(data, 2)
    told = {"data": data, "way": way, "width": width, "block": block, "ratio": ratio}
    return told | {"encode": speed, "decode": speed, "readByOurs": True}


def report_of(rows: list[Any], **questions: Any) -> Any:
    asked = {"blocks": {str(number): one for number, one in enumerate(rows)}, **questions}
    return {"questions": asked, "cpu": [{"data": "fp8", "ratio": 0.8}]}


FLOATS = [row("bf16", "words", 0.67), row("fp16", "words", 0.85), row("fp32", "words", 0.84)]


def test_words_stay_where_planes_save_little() -> None:
    planes = [row("bf16", "planes", 0.667), row("fp16", "planes", 0.849)]
    told = settled(report_of([*FLOATS, *planes, row("fp32", "planes", 0.82)]))
    assert told == {"BLOCK": 512, "ANS": {"2": "words", "4": "planes"}}


def test_single_bytes_go_to_the_gpu_where_it_stores_no_more_than_the_cpu() -> None:
    assert settled(report_of([*FLOATS, row("fp8", "words", 0.8)]))["ANS"]["1"] == "words"
    assert "1" not in settled(report_of([*FLOATS, row("fp8", "words", 0.81)]))["ANS"]


def test_the_fastest_block_of_those_that_store_least_is_taken() -> None:
    def all_of(block: int, ratio: float, speed: float) -> list[Any]:
        return [row(one, "words", ratio, block, speed) for one in ("bf16", "fp16", "fp32")]

    rows = [*all_of(64, 0.7, 300), *all_of(256, 0.671, 200), *all_of(512, 0.67, 100)]
    assert settled(report_of(rows))["BLOCK"] == 256
    # A block that was not asked for everything tells nothing.
    assert settled(report_of([*rows, row("bf16", "words", 0.5, 1024)]))["BLOCK"] == 256


def test_a_block_whose_containers_do_not_come_back_is_none() -> None:
    rows = [
        *FLOATS,
        *(row(one["data"], "words", 0.1, 64) | {"readByOurs": False} for one in FLOATS),
    ]
    assert settled(report_of(rows))["BLOCK"] == 512


@pytest.mark.parametrize(("speed", "pinned"), [(11.0, False), (20.0, True)])
def test_memory_is_locked_where_that_is_clearly_faster(speed: float, pinned: bool) -> None:
    copies = {"plain 4 MiB": {"cuda": 10.0}, "pinned 4 MiB": {"cuda": speed}}
    assert settled(report_of(FLOATS, copies=copies))["PINNED"] is pinned


def test_a_report_that_tells_nothing_settles_nothing() -> None:
    assert settled({}) == {}
    assert settled({"questions": {"blocks": {"failed": "signal 11"}}}) == {}


def test_the_table_is_what_the_latest_report_of_a_gpu_settled() -> None:
    """While docs/measurements holds none, no GPU has been reached and nothing is settled."""
    for file in sorted(MEASUREMENTS.glob("gpu-*.json"))[-1:]:
        report = json.loads(file.read_text())
        assert "fake" not in report["nvcomp"]
        told = settled(report)
        assert {int(width): way for width, way in told["ANS"].items()} == ways.ANS
        assert told["BLOCK"] == ways.BLOCK
        assert told.get("PINNED", ways.PINNED) == ways.PINNED
