"""How many engines, threads and pack buffers fit the memory that a create may use."""

from dataclasses import dataclass

from .errors import WorkerError

MIB = 1 << 20
# Measured as peak resident memory, shared pages counted in every process.
COORDINATOR = 64 * MIB
ENGINE = 44 * MIB
THREAD = 34 * MIB
SMALLEST_PACK = 4 * MIB + 4096
"""Room for one chunk that does not shrink, and its header."""
LARGEST_PACK = 16 * MIB
ENGINES_MOST = 8


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """The shape of one create: `parts` upload slots and `buffers` pack buffers for each engine."""

    engines: int
    threads: int
    parts: int
    buffers: int
    pack_size: int


def plan_memory(memory: int, parts: int, cpus: int) -> MemoryPlan:
    """Plans for `memory` bytes and up to `parts` transfers at once; raises USAGE when none fits.

    With little memory engines go first, then compute threads, then parts, so that packs stay whole.
    """
    for engines in range(min(cpus, ENGINES_MOST, parts), 0, -1):
        for threads in (2, 1):
            left = memory - COORDINATOR - engines * (ENGINE + threads * THREAD)
            plan = _share(left, parts, engines, threads)
            # A plan that cuts the parts asked for by more than half is worth trying with fewer engines.
            if plan is not None and (engines == threads == 1 or 2 * plan.parts * engines >= parts):
                return plan
    least = COORDINATOR + ENGINE + THREAD + 2 * SMALLEST_PACK
    shown = f"{-(-least // MIB)} MiB"
    raise WorkerError("USAGE", f"a snapshot needs at least {shown} of memory", f"--memory {shown}")


def _share(left: int, parts: int, engines: int, threads: int) -> MemoryPlan | None:
    most = left // SMALLEST_PACK // engines
    slots = min(-(-parts // engines), most - threads, max(1, int(most / 1.5)))
    if slots < 1:
        return None
    buffers = max(slots + threads, -(-3 * slots // 2))
    size = min(LARGEST_PACK, left // (buffers * engines))
    return MemoryPlan(engines, threads, slots, buffers, size)
