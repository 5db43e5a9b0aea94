"""Asks questions, some of which may well kill who asks."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dumont_worker.gpu.child import gpu_environment

from .report import Json

_DYING = 5.0


def answer_to(arguments: Sequence[str], device: int, seconds: float) -> Json:
    """Asks in a process of its own; gives what was told, and under `failed` why no more was."""
    program = Path(__file__).resolve().parents[1] / "gpu_check.py"
    command = [sys.executable, "-E", "-s", str(program), "ask", *arguments]
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=errors,
            env=gpu_environment(device),
        )
        failed = None
        try:
            code = process.wait(max(1.0, seconds))
            if code != 0:
                failed = f"signal {-code}" if code < 0 else "an exception"
        except subprocess.TimeoutExpired:
            failed = f"no end within {seconds:.0f} s"
        finally:
            process.kill()
        # A driver in trouble can hold a process for ever; nobody waits for it.
        try:
            process.wait(_DYING)
        except subprocess.TimeoutExpired:
            failed = f"{failed}, and it cannot be killed"
        out.seek(0)
        errors.seek(0)
        answer = dict(told for told in map(_told, out.read().splitlines()) if told)
        said = errors.read().decode("utf-8", "replace").strip().splitlines()[-1:]
    return answer if failed is None else {**answer, "failed": ": ".join([failed, *said])[:500]}


def _told(line: bytes) -> tuple[str, Any] | None:
    try:
        name, value = json.loads(line)
    # The library may print as well.
    except (ValueError, TypeError):
        return None
    return str(name), value
