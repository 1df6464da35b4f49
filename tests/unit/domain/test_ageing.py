"""Waiting raises what is low, level by level, and never over a P0."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.domain.ageing import HIGHEST, STEP, Waiting, overdue, urgency

COVERS = ("C8",)

WAITS = st.builds(
    Waiting, st.integers(1, 1000), st.integers(0, 9), st.floats(0, 1e7, allow_nan=False)
)


def test_each_step_of_waiting_is_one_level() -> None:
    assert [urgency(1, STEP * n) for n in (0, 0.99, 1, 3, 7, 100)] == [1, 1, 2, 4, 8, 8]
    assert urgency(9, 0) == urgency(9, 1e9) == 9
    assert urgency(5, -60.0) == 5


@given(st.integers(0, 9))
def test_whoever_waits_long_enough_counts_as_the_highest_that_waiting_gives(priority: int) -> None:
    assert urgency(priority, STEP * HIGHEST) == max(priority, HIGHEST)


@given(WAITS, st.lists(WAITS, max_size=9))
def test_what_goes_before_is_more_urgent_or_as_urgent_and_older(
    taken: Waiting, heads: list[Waiting]
) -> None:
    chosen = overdue(taken, heads)
    mine = urgency(taken.priority, taken.waited)
    if taken.priority == 9:
        assert chosen is None
    if chosen is not None:
        theirs = urgency(chosen.priority, chosen.waited)
        assert theirs > mine or (theirs == mine and chosen.seq < taken.seq)
        assert all(theirs >= urgency(one.priority, one.waited) for one in heads)


def test_nobody_who_waits_is_no_reason() -> None:
    assert overdue(Waiting(1, 0, 0.0), []) is None
