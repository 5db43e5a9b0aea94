"""The one command for a machine with a GPU, on machines without: on the fake, and on nothing."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from dumont_worker.codecs import zstd

HERE = Path(__file__).parent
NATIVE = str(Path(zstd.zstd().__file__ or "").parents[2])


def check(tmp_path: Path, switches: str | None, *more: str) -> tuple[int, Any]:
    """Runs the check; `switches` None: on a box whose nvidia-smi knows no GPU."""
    fake = Path(shutil.copytree(HERE / "fake_nvcomp", tmp_path / "fake"))
    (fake / "switches").write_text(switches or "")
    smi = tmp_path / "nvidia-smi"
    shown = "0, GPU-1, Fake GPU, 550.1, 16000, 15000, 8.0"
    smi.write_text("#!/bin/sh\n" + ("exit 9\n" if switches is None else f"echo '{shown}'\n"))
    smi.chmod(0o755)
    command = [sys.executable, str(HERE.parent / "gpu_check.py"), "--nvcomp", str(fake)]
    done = subprocess.run(
        [*command, "--native", NATIVE, "--mebibytes", "1", *more],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}"},
    )
    return done.returncode, json.loads(done.stdout)


def test_a_machine_without_a_gpu_is_told_so(tmp_path: Path) -> None:
    code, report = check(tmp_path, None)
    assert (code, report["result"]) == (2, "no GPU")
    assert "no NVIDIA GPU" in report["reason"]
    assert report["remedy"]


def test_a_whole_report_says_which_library_it_is_of(tmp_path: Path) -> None:
    code, report = check(tmp_path, "", "--only", "forms", "--only", "zstd frames")
    assert (code, report["result"]) == (0, "well")
    assert report["nvcomp"] == "6.0.0.12+fake"
    assert [one["codec"] for one in report["codecs"]] == ["ans", "ans on planes", "gzstd on planes"]
    for one in report["codecs"]:
        assert [row["data"] for row in one["data"]] == [
            "bf16",
            "fp16",
            "fp32",
            "bf16 in fp32",
            "fp8",
        ]
        assert all(row["coded"] == 1 and 0 < row["ratio"] < 1 for row in one["data"])
    assert report["questions"]["forms"]["encoded dtype"] == "|i1"
    assert report["questions"]["zstd frames"]["bf16"]["same"]


def test_a_library_that_gives_wrong_bytes_is_not_well(tmp_path: Path) -> None:
    code, report = check(tmp_path, "corrupt@decode", "--only", "deterministic")
    assert code == 1
    assert report["result"] == "wrong: ans, ans on planes"


def test_a_question_that_kills_its_process_is_answered_so(tmp_path: Path) -> None:
    _, report = check(tmp_path, "segv@decode", "--only", "damaged")
    assert report["questions"]["damaged"]["failed"].startswith("signal 11")
