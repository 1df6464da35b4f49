"""The incident's table of states, whole."""

from __future__ import annotations

import itertools

import pytest

from engine.domain.incident import TRANSITIONS, ForbiddenMove, advance, after_relapse, after_success
from engine.domain.incident import IncidentState as S
from engine.domain.run import ENDS, RunState
from engine.incidents.lifecycle import AT_WORK

ALLOWED = {
    S.OPEN: {S.ACKNOWLEDGED, S.MITIGATED, S.VERIFIED, S.RESOLVED, S.CLOSED},
    S.ACKNOWLEDGED: {S.OPEN, S.MITIGATED, S.VERIFIED, S.RESOLVED, S.CLOSED},
    S.MITIGATED: {S.OPEN, S.VERIFIED, S.RESOLVED, S.CLOSED},
    S.VERIFIED: {S.OPEN, S.RESOLVED, S.CLOSED},
    S.RESOLVED: {S.REOPENED, S.CLOSED},
    S.CLOSED: {S.REOPENED},
    S.REOPENED: {S.ACKNOWLEDGED, S.MITIGATED, S.VERIFIED, S.RESOLVED, S.CLOSED},
}


@pytest.mark.parametrize("pair", list(itertools.product(S, S)), ids=lambda p: f"{p[0]}-{p[1]}")
def test_every_pair(pair: tuple[S, S]) -> None:
    current, to = pair
    if to in ALLOWED[current]:
        assert advance(current, to) is to
    else:
        with pytest.raises(ForbiddenMove, match=f"cannot go from {current.value} to {to.value}"):
            advance(current, to)


def test_the_table_names_every_state() -> None:
    assert set(TRANSITIONS) == set(S)


@pytest.mark.parametrize(
    ("current", "verified", "to"),
    [
        (S.OPEN, False, S.MITIGATED),
        (S.OPEN, True, S.VERIFIED),
        (S.ACKNOWLEDGED, False, S.MITIGATED),
        (S.MITIGATED, True, S.VERIFIED),
        (S.MITIGATED, False, S.MITIGATED),
        (S.VERIFIED, False, S.VERIFIED),  # what was proved is not unproved by a second run
        (S.VERIFIED, True, S.VERIFIED),
        (S.RESOLVED, True, S.RESOLVED),
        (S.CLOSED, True, S.CLOSED),
    ],
)
def test_after_a_run_that_succeeded(current: S, verified: bool, to: S) -> None:
    assert after_success(current, verified=verified) is to


def test_a_run_that_needs_a_person_is_not_over() -> None:
    assert set(RunState) - AT_WORK == ENDS - {RunState.NEEDS_HUMAN}


@pytest.mark.parametrize(
    ("current", "to"),
    [
        (S.OPEN, S.OPEN),
        (S.ACKNOWLEDGED, S.ACKNOWLEDGED),
        (S.MITIGATED, S.OPEN),
        (S.VERIFIED, S.OPEN),
        (S.RESOLVED, S.REOPENED),
        (S.CLOSED, S.REOPENED),
        (S.REOPENED, S.REOPENED),
    ],
)
def test_after_an_alert_that_fires_again(current: S, to: S) -> None:
    assert after_relapse(current) is to
