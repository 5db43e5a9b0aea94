"""Memory: a plan never promises more than it was given."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dumont_worker.errors import WorkerError
from dumont_worker.memory_plan import (
    CHUNK,
    CHUNKS_WITHIN,
    COORDINATOR,
    ENGINE,
    ENGINES_MOST,
    GPU_CODEC,
    LARGEST_PACK,
    MIB,
    SMALLEST_PACK,
    THREAD,
    MemoryPlan,
    plan_memory,
)


@given(st.integers(1, 16 << 10), st.integers(1, 1024), st.integers(1, 256))
def test_a_plan_fits_its_memory(mebibytes: int, parts: int, cpus: int) -> None:
    memory = mebibytes * MIB
    code = ""
    try:
        plan = plan_memory(memory, parts, cpus)
    except WorkerError as error:
        code = error.code
        plan = None
    if plan is None:
        assert (code, memory < 256 * MIB) == ("USAGE", True)
        return
    buffers = plan.engines * plan.buffers * plan.pack_size
    assert COORDINATOR + plan.engines * (ENGINE + plan.threads * THREAD) + buffers <= memory
    assert 1 <= sum(plan.parts) <= parts
    assert min(plan.parts) >= 1
    assert plan.engines <= min(cpus, ENGINES_MOST)
    assert SMALLEST_PACK <= plan.pack_size <= LARGEST_PACK
    # Every thread may hold an open pack while every slot sends one.
    assert plan.buffers >= max(plan.parts) + plan.threads


def test_the_default_gives_all_parts() -> None:
    plan = plan_memory(1 << 30, 32, 2)
    assert (plan.parts, plan.threads) == ((16, 16), 2)
    assert plan.pack_size > 8 * MIB


def test_tables_of_a_large_parent_leave_less_for_packs() -> None:
    small, large = (plan_memory(1 << 30, 32, 2, chunks=count) for count in (50_000, 1_000_000))
    taken = (1_000_000 - CHUNKS_WITHIN) * CHUNK
    assert small == plan_memory(1 << 30, 32, 2)
    assert _all(large) <= (1 << 30) - taken < _all(small) + taken


def test_a_parent_too_large_is_refused_with_what_is_needed() -> None:
    with pytest.raises(WorkerError, match=r"at least 3[0-9]{2} MiB") as failure:
        plan_memory(256 * MIB, 32, 2, chunks=1_000_000)
    assert failure.value.code == "USAGE"


def _all(plan: MemoryPlan) -> int:
    buffers = plan.engines * plan.buffers * plan.pack_size
    return COORDINATOR + plan.engines * (ENGINE + plan.threads * THREAD) + buffers


def test_parts_that_do_not_divide_are_all_handed_out() -> None:
    assert sum(plan_memory(4 << 30, 13, 4).parts) == 13


def test_little_memory_takes_engines_before_parts() -> None:
    plan = plan_memory(256 * MIB, 32, 8)
    assert plan.engines == 1
    assert sum(plan.parts) >= 8


def test_too_little_memory_is_refused_with_what_is_needed() -> None:
    with pytest.raises(WorkerError) as failure:
        plan_memory(64 * MIB, 32, 2)
    assert failure.value.hint is not None
    least = int(failure.value.hint.split()[1])
    assert plan_memory(least * MIB, 32, 2).parts == (1,)


def test_gpus_cost_engines_and_each_has_room_for_its_own() -> None:
    plan = plan_memory(1 << 30, 32, 16, gpus=1)
    buffers = plan.engines * plan.buffers * plan.pack_size
    assert plan.engines == 1
    rest = COORDINATOR + plan.engines * (ENGINE + GPU_CODEC + plan.threads * THREAD)
    assert rest + buffers <= 1 << 30
    assert plan_memory(16 << 30, 32, 16, gpus=1).engines == 2
    assert plan_memory(16 << 30, 32, 16, gpus=8).engines == ENGINES_MOST


def test_too_little_memory_for_a_gpu_is_refused_by_that_name() -> None:
    with pytest.raises(WorkerError, match="with a GPU codec"):
        plan_memory(256 * MIB, 32, 2, gpus=1)
