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
    """The shape of one create: upload slots of every engine, and what each engine has besides."""

    threads: int
    parts: tuple[int, ...]
    buffers: int
    pack_size: int

    @property
    def engines(self) -> int:
        """How many engine processes."""
        return len(self.parts)

    def first_part(self, engine: int) -> int:
        """The number of an engine's first part among all."""
        return sum(self.parts[:engine])


def plan_memory(memory: int, parts: int, cpus: int) -> MemoryPlan:
    """Plans for `memory` bytes and up to `parts` transfers at once; raises USAGE when none fits.

    With little memory engines go first, then compute threads, then parts, so that packs stay whole.
    """
    for engines in range(min(cpus, ENGINES_MOST, parts), 0, -1):
        for threads in (2, 1):
            left = memory - COORDINATOR - engines * (ENGINE + threads * THREAD)
            plan = _share(left, parts, engines, threads)
            # Rather fewer engines than fewer than half of the parts asked for.
            if plan is not None and (engines == threads == 1 or 2 * sum(plan.parts) >= parts):
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
    parts = min(parts, slots * engines)
    shares = tuple(parts // engines + (n < parts % engines) for n in range(engines))
    return MemoryPlan(threads, shares, buffers, size)
