"""Which NVIDIA GPUs the box has, as its driver tells, and whether nvCOMP runs on them."""

import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

_FIELDS = "index,uuid,name,driver_version,memory.total,memory.free,compute_cap"
_PATIENCE = 5.0
OLDEST_DRIVER = 525
"""Of the CUDA 12 runtime inside the pinned nvCOMP."""
OLDEST_CAPABILITY = (7, 0)
"""Volta: the oldest that the pinned nvCOMP holds machine code for."""
LEAST_MEMORY = 1 << 30
"""Two processes with a CUDA context each, and what goes at a time."""

Run = Callable[[Sequence[str]], str | None]


@dataclass(frozen=True, slots=True)
class Device:
    """One GPU, by the number that CUDA gives it in this environment; memory in bytes."""

    ordinal: int
    name: str
    driver: str
    memory: int
    free: int
    capability: str

    def fact(self) -> dict[str, Any]:
        """What `hello` and the manifest say of it."""
        return {
            "name": self.name,
            "driver": self.driver,
            "memory": self.memory,
            "capability": self.capability,
        }

    def unsuitable(self) -> str | None:
        """Says why nvCOMP does not run here, None when nothing speaks against it."""
        major = self.driver.partition(".")[0]
        if major.isdigit() and int(major) < OLDEST_DRIVER:
            return f"driver {self.driver} is too old, nvCOMP needs {OLDEST_DRIVER} or later"
        capability = self.capability.split(".")
        known = len(capability) == 2 and all(part.isdigit() for part in capability)
        if known and (int(capability[0]), int(capability[1])) < OLDEST_CAPABILITY:
            return f"{self.name} is too old for nvCOMP, which needs Volta or later"
        if self.free < LEAST_MEMORY:
            return f"{self.name} has only {self.free >> 20} MiB of free memory"
        return None


def devices(run: Run | None = None, visible: str | None = None) -> list[Device]:
    """Asks nvidia-smi; gives nothing where there is none, it fails or does not answer in time.

    `visible` is what CUDA_VISIBLE_DEVICES says (default: this process's), which nvidia-smi ignores.
    """
    answer = (run or _run)(
        ["nvidia-smi", f"--query-gpu={_FIELDS}", "--format=csv,noheader,nounits"]
    )
    rows = [[field.strip() for field in line.split(",")] for line in (answer or "").splitlines()]
    rows = [row for row in rows[:64] if len(row) == 7]
    told = os.environ.get("CUDA_VISIBLE_DEVICES") if visible is None else visible
    if told is not None:
        names = [name.strip() for name in told.split(",")]
        rows = [row for name in names for row in rows if _is_named(row, name)]
    return [_device(ordinal, row) for ordinal, row in enumerate(rows)]


def _is_named(row: Sequence[str], name: str) -> bool:
    index, uuid = row[:2]
    # CUDA takes any beginning of a UUID.
    return name == index or (name.startswith("GPU-") and uuid.startswith(name))


def refusal(found: Sequence[Device]) -> tuple[str, str] | None:
    """Says why no GPU codec can run on this box, and what to do; None when one may."""
    if not found:
        return (
            "the box shows no NVIDIA GPU (nvidia-smi names none)",
            "use --codec zstd, which restores anywhere, or a box with an NVIDIA GPU",
        )
    reasons = [device.unsuitable() for device in found]
    if None in reasons:
        return None
    return (
        "; ".join(sorted({reason for reason in reasons if reason})),
        "use --codec zstd, which restores anywhere; or free memory, a newer driver or GPU",
    )


def best(found: Sequence[Device]) -> Device | None:
    """Gives the suitable GPU with most free memory: the operator's own job may hold the others."""
    suitable = [device for device in found if device.unsuitable() is None]
    return max(suitable, key=lambda device: device.free, default=None)


def _run(command: Sequence[str]) -> str | None:
    program = shutil.which(command[0])
    if program is None:
        return None
    try:
        # A driver in trouble can hang for minutes.
        done = subprocess.run(
            [program, *command[1:]],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PATIENCE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout[: 1 << 16].decode("utf-8", "replace") if done.returncode == 0 else None


def _device(ordinal: int, row: Sequence[str]) -> Device:
    _, _, name, driver, total, free, capability = row
    return Device(
        ordinal, name[:100], driver[:40], _mebibytes(total), _mebibytes(free), capability[:10]
    )


def _mebibytes(text: str) -> int:
    return int(text) << 20 if text.isdigit() else 0
