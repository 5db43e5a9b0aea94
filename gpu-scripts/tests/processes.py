"""Processes and their memory, as /proc tells of them."""

import contextlib
from pathlib import Path


def processes_of(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children")
    with contextlib.suppress(OSError):
        found = [int(child) for child in children.read_text().split()]
        return [pid] + [one for child in found for one in processes_of(child)]
    return []


def resident(pid: int) -> int:
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096
    return 0
