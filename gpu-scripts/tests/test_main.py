"""How the worker starts."""

import os
import subprocess
import sys
from pathlib import Path

import dumont_worker

_WITH_CORE_DUMPS = 'ulimit -c unlimited 2>/dev/null || ulimit -c "$(ulimit -H -c)"; exec "$@"'


def test_the_worker_leaves_no_core_dump(tmp_path: Path) -> None:
    package = os.path.dirname(dumont_worker.__file__)
    command = [sys.executable, "-I", package, "--private", str(tmp_path / "private")]
    worker = subprocess.Popen(
        ["/bin/sh", "-c", _WITH_CORE_DUMPS, "sh", *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with worker:
        assert worker.stdin is not None
        assert worker.stdout is not None
        assert worker.stdout.readline() == b"dumont-worker 1\n"
        limits = Path(f"/proc/{worker.pid}/limits").read_text().splitlines()
        (core,) = (line for line in limits if line.startswith("Max core file size"))
        worker.stdin.close()
        assert core.split()[4:6] == ["0", "0"]
