"""How many engines, threads and pack buffers fit the memory that a create may use."""

from dataclasses import dataclass

from .errors import WorkerError

MIB = 1 << 20
# Measured as peak resident memory, shared pages counted in every process.
COORDINATOR = 64 * MIB
CHUNK = 221
"""Of every chunk in the coordinator: 131 where the parent's are, 90 where those named are."""
CHUNKS_WITHIN = 50_000
"""So many have room in what the coordinator takes anyhow."""
ENGINE = 44 * MIB
THREAD = 34 * MIB
SEALED = 10 * MIB
"""Of every process besides, where what is stored is sealed."""
SEALED_THREAD = 5 * MIB
"""A frame before it is encrypted."""
GPU_CODEC = 576 * MIB
"""Of an engine with a GPU codec: shared memory, chunks that wait, and two processes, each of whose
CUDA contexts takes some 200 MiB."""
INDEX_OBJECT = 8 * MIB
"""Of the index, as it is stored; the coordinator sums such as well."""
SETS = 2
"""Groups whose sums an engine holds at most: the one it is at, and one that is being sent."""
SMALLEST_PACK = 4 * MIB + 4096
"""Room for one chunk that does not shrink, and its header."""
LARGEST_PACK = 16 * MIB
ENGINES_MOST = 8
ENGINES_A_GPU = 2
"""While one copies, the other codes."""


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


def plan_memory(  # noqa: PLR0913
    memory: int,
    parts: int,
    cpus: int,
    gpus: int = 0,
    chunks: int = 0,
    *,
    sealed: bool = False,
    parity: int = 0,
) -> MemoryPlan:
    """Plans for `memory` bytes and up to `parts` transfers at once; raises USAGE when none fits.

    With little memory engines go first, then compute threads, then parts, so that packs stay whole.
    `gpus`: how many GPUs are to code; every engine then has one of them. `chunks`: how many the
    parent has, which are held in tables besides. `parity`: sums of a group, each of a pack's size.
    """
    more = SEALED if sealed else 0
    coordinator = COORDINATOR + max(0, chunks - CHUNKS_WITHIN) * CHUNK + more
    coordinator += parity * INDEX_OBJECT
    engine = ENGINE + (GPU_CODEC if gpus else 0) + more
    thread = THREAD + (SEALED_THREAD if sealed else 0)
    most = min(cpus, ENGINES_MOST, parts, *([ENGINES_A_GPU * gpus] if gpus else []))
    for engines in range(most, 0, -1):
        for threads in (2, 1):
            left = memory - coordinator - engines * (engine + threads * thread)
            plan = _share(left, parts, engines, threads, SETS * parity)
            # Rather fewer engines than fewer than half of the parts asked for.
            if plan is not None and (engines == threads == 1 or 2 * sum(plan.parts) >= parts):
                return plan
    least = coordinator + engine + thread + (2 + SETS * parity) * SMALLEST_PACK
    shown = f"{-(-least // MIB)} MiB"
    raise WorkerError(
        "USAGE",
        f"a snapshot {'with a GPU codec ' if gpus else ''}needs at least {shown} of memory",
        f"--memory {shown}",
    )


def _share(left: int, parts: int, engines: int, threads: int, sums: int) -> MemoryPlan | None:
    most = left // SMALLEST_PACK // engines - sums
    slots = min(-(-parts // engines), most - threads, max(1, int(most / 1.5)))
    if slots < 1:
        return None
    buffers = max(slots + threads, -(-3 * slots // 2))
    size = min(LARGEST_PACK, left // ((buffers + sums) * engines))
    parts = min(parts, slots * engines)
    shares = tuple(parts // engines + (n < parts % engines) for n in range(engines))
    return MemoryPlan(threads, shares, buffers, size)
