"""Hunts in one reader for some seconds: `python -m fuzz NAME SECONDS SEED`; keeps what it finds.

Without arguments it names the readers.
"""

import hashlib
import random
import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path

try:
    import atheris
except ImportError:
    atheris = None

# What is not measured when it is imported is not steered by.
with atheris.instrument_imports(include=["dumont_worker"]) if atheris else nullcontext():
    from .targets import TARGETS, Target

from .spoil import spoil

_MEMORY_MOST = 1024
"""MiB of the whole process; a reader that needs more is a finding."""


def main(name: str, seconds: int, seed: int) -> int:
    """Gives the exit status: 0 nothing found, 1 found, 2 no such reader."""
    target = next((one for one in TARGETS if one.name == name), None)
    if target is None:
        print(f"{name} is none of {', '.join(one.name for one in TARGETS)}", file=sys.stderr)
        return 2
    if atheris is None:
        return _hunt_blindly(target, seconds, seed)
    _hunt_by_coverage(target, seconds, seed)
    return 0


def _hunt_by_coverage(target: Target, seconds: int, seed: int) -> None:
    """Ends the process: libFuzzer prints the number of runs, and writes what it found."""
    target.corpus.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for number, data in enumerate(target.inputs()):
            (Path(folder) / str(number)).write_bytes(data)
        limits = {
            "max_total_time": seconds,
            "max_len": 1 << 16,
            "rss_limit_mb": _MEMORY_MOST,
            "timeout": 20,
            "seed": seed,
            "artifact_prefix": f"{target.corpus}/found-",
            "print_final_stats": 1,
            "verbosity": 0,
        }
        flags = [f"-{name}={value}" for name, value in limits.items()]
        atheris.Setup([sys.argv[0], *flags, folder], target.run, enable_python_coverage=True)
        atheris.Fuzz()


def _hunt_blindly(target: Target, seconds: int, seed: int) -> int:
    chance = random.Random(seed)
    inputs = target.inputs()
    end = time.monotonic() + seconds
    runs = 0
    while time.monotonic() < end:
        which, count = chance.getrandbits(32), chance.randint(1, 8)
        numbers = [chance.getrandbits(32) for _ in range(4 * count)]
        changes = list(zip(*[iter(numbers)] * 4, strict=True))
        data = spoil(inputs, which, changes)
        runs += 1
        try:
            target.run(data)
        except Exception:
            _keep(target, data)
            raise
    print(f"{target.name}: {runs} runs, seed {seed}, without coverage", file=sys.stderr)
    return 0


def _keep(target: Target, data: bytes) -> None:
    target.corpus.mkdir(parents=True, exist_ok=True)
    path = target.corpus / f"found-{hashlib.sha256(data).hexdigest()[:16]}"
    path.write_bytes(data)
    print(f"kept as {path}", file=sys.stderr)


if __name__ == "__main__":
    if len(sys.argv) == 1:
        print(*(one.name for one in TARGETS), sep="\n")
        sys.exit(0)
    sys.exit(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
