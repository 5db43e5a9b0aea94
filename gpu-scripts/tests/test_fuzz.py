"""A few hundred hostile inputs for each reader, always the same; `npm run fuzz` makes millions."""

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from fuzz.spoil import spoil
from fuzz.targets import TARGETS, Target

SEED = 20_261_123
number = st.integers(0, 2**32 - 1)
changes = st.lists(st.tuples(number, number, number, number), min_size=1, max_size=8)


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_everything_kept_is_borne(target: Target) -> None:
    inputs = target.inputs()
    assert inputs
    for data in inputs:
        target.run(data)


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: f"{target.name}, seed {SEED}")
def test_what_is_made_of_it_is_borne(target: Target) -> None:
    inputs = target.inputs()

    @seed(SEED)
    @settings(
        max_examples=300,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(number, changes)
    def borne(which: int, made: list[tuple[int, int, int, int]]) -> None:
        target.run(spoil(inputs, which, made))

    borne()
