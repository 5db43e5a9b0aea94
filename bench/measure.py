"""Runs a command and writes what it took: seconds of wall and CPU, peak memory, open connections.

usage: measure.py [--memory] [--port PORT] --out FILE -- COMMAND...

CPU seconds are those of the command and of everything it started, also of what outlived its parent
(this process reaps it). With --memory the proportional set sizes of the whole tree are summed every
50 ms, which costs CPU itself: use it in runs whose times do not count.
The exit status is the command's.
"""

import argparse
import ctypes
import json
import os
import resource
import sys
import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

INTERVAL = 0.05
PR_SET_CHILD_SUBREAPER = 36
ESTABLISHED = "01"


@dataclass(slots=True)
class Peaks:
    """The highest sums seen over the whole process tree."""

    pss: int = 0
    processes: int = 0
    connections: int = 0
    samples: int = 0


@dataclass(slots=True)
class Sampler:
    """Looks at the tree below this process until it is stopped."""

    port: int
    peaks: Peaks = field(default_factory=Peaks)
    stopped: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Sample until stopped."""
        while not self.stopped.wait(INTERVAL):
            tree = descendants(os.getpid())
            self.peaks.pss = max(self.peaks.pss, sum(proportional_bytes(pid) for pid in tree))
            self.peaks.processes = max(self.peaks.processes, len(tree))
            self.peaks.connections = max(self.peaks.connections, connections_to(self.port))
            self.peaks.samples += 1


def descendants(root: int) -> list[int]:
    """Pids of all processes below one."""
    children: dict[int, list[int]] = defaultdict(list)
    for name in os.listdir("/proc"):
        if name.isdigit():
            parent = parent_of(name)
            if parent is not None:
                children[parent].append(int(name))
    found: list[int] = []
    waiting = list(children[root])
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        waiting.extend(children[pid])
    return found


def parent_of(pid: str) -> int | None:
    """Parent of a process; None when it is gone."""
    try:
        stat = Path("/proc", pid, "stat").read_bytes()
    except OSError:
        return None
    return int(stat[stat.rindex(b")") + 1 :].split()[1])


def proportional_bytes(pid: int) -> int:
    """Proportional set size: shared pages are divided among those that share them."""
    try:
        lines = Path("/proc", str(pid), "smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


def connections_to(port: int) -> int:
    """Established connections of this machine to a local port, seen from the client's side."""
    if port == 0:
        return 0
    wanted = f":{port:04X}"
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    fields = (line.split() for line in lines)
    return sum(1 for each in fields if each[2].endswith(wanted) and each[3] == ESTABLISHED)


def run_to_end(command: list[str]) -> tuple[int, float]:
    """Start, wait for the command and every orphan it left; gives exit status and wall seconds."""
    begun = time.monotonic()
    pid = os.posix_spawnp(command[0], command, os.environ)
    status, seconds = 0, 0.0
    while True:
        try:
            gone, raw = os.waitpid(-1, 0)
        except ChildProcessError:
            return status, seconds
        if gone == pid:
            seconds = time.monotonic() - begun
            status = os.waitstatus_to_exitcode(raw)


def main() -> int:
    """Run from the command line; returns the command's exit status."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    sampler = Sampler(options.port)
    thread = threading.Thread(target=sampler.run, daemon=True)
    if options.memory:
        thread.start()
    status, wall = run_to_end(options.command)
    sampler.stopped.set()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    result = {"status": status, "wall": wall, "user": used.ru_utime, "system": used.ru_stime}
    if options.memory:
        thread.join()
        peaks = sampler.peaks
        result |= {
            "peakBytes": peaks.pss,
            "processes": peaks.processes,
            "connections": peaks.connections,
            "samples": peaks.samples,
        }
    options.out.write_text(json.dumps(result))
    return status if 0 <= status < 256 else 1


if __name__ == "__main__":
    sys.exit(main())
