"""One thing goes wrong at a time, and the end is the same or honest."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from engine.edges.rehearsal import suite
from engine.edges.rehearsal.chaos import disturb
from engine.edges.rehearsal.ends import End, judged
from engine.edges.rehearsal.services import Servers
from engine.edges.rehearsal.stage import Ground

ROOT = Path(__file__).parents[2]
CALM = End(("succeeded",), ('["cluster:a"]',), (("decisions", 1),), "all steps done")


def test_a_canary_that_fails_comes_to_the_same_end_whatever_goes_wrong(
    ground: Ground, servers: Servers
) -> None:
    found = suite.find([ROOT / "playbooks/etl"], "the canary fails")
    (chaos,) = disturb(ground, found, servers.service, jobs=1)
    assert not chaos.differing, [f"{one.trouble}: {one.why}" for one in chaos.differing]
    assert chaos.same > 20
    assert chaos.honest >= 1  # what fails for ever stops for a person


def test_the_same_end_is_the_same() -> None:
    assert judged(CALM, CALM) == ("same", "")


def test_an_end_that_names_a_person_is_honest() -> None:
    end = replace(CALM, states=("needs_human",), changes=(), reason="cannot be told")
    assert judged(CALM, end)[0] == "honest"


def test_a_success_over_another_world_differs_and_says_in_what() -> None:
    verdict, why = judged(CALM, replace(CALM, changes=('["cluster:a"]', '["cluster:b"]')))
    assert verdict == "differs"
    assert "cluster:b" in why
    assert judged(CALM, replace(CALM, changes=()))[0] == "differs"


def test_a_message_that_comes_twice_differs() -> None:
    verdict, why = judged(CALM, replace(CALM, messages=(("decisions", 2),)))
    assert verdict == "differs"
    assert "decisions was told 2 times instead of 1" in why


def test_a_run_that_is_not_over_differs() -> None:
    assert judged(CALM, replace(CALM, states=("running",)))[0] == "differs"
