"""Gates: four eyes, lent and scoped roles, items, escalation, emergency; no yes without the right people."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from engine.domain.errors import InvalidInput, Refused
from engine.domain.people import Actor, Scope
from engine.domain.run import RunMode, RunState
from engine.journal.rows import GateRow
from engine.running.services import ApprovalRule
from tests.harness import ALICE, BOB, Harness
from tests.harness_programs import program, setting
from tests.toys import Table

DAN = Actor("dan", frozenset({"sre"}))
EVE = Actor("eve", frozenset({"viewer"}))
LEAD = Actor("lena", frozenset({"lead"}))
UP = program(setting("up", "x", 2))
EACH = program(
    {
        **setting("each", "{{ item }}", 2),
        "foreach": {"items": ["a", "b", "c"], "key": "{{ item }}"},
    },
    {**setting("last", "z", 9)},
)


@pytest.fixture
def h(tmp_path: Path) -> Iterator[Harness]:
    made = Harness(tmp_path, Table(x=1, a=1, b=1, c=1, z=1))
    yield made
    made.store.close()


def gated(h: Harness, plan: object = UP, requester: Actor = ALICE) -> tuple[str, GateRow]:
    run = h.start(plan, RunMode.APPROVE, requester)  # type: ignore[arg-type]
    h.settle()
    return run, gate_of(h, run)


def gate_of(h: Harness, run: str) -> GateRow:
    """The run's newest gate."""
    return h.store.read(lambda tx: tx.gates.of_run(run))[-1]


def need(h: Harness, approvals: int = 1, **more: object) -> None:
    h.services.approval = ApprovalRule("sre", approvals, 3600.0, **more)  # type: ignore[arg-type]


# ---------------------------------------------------------------- closed gates


def test_a_closed_gate_says_when_by_whom_and_why(h: Harness) -> None:
    run, gate = gated(h)
    h.commands.approve(gate.id, BOB, "looks right", gate.fingerprint)
    h.settle()
    assert h.table.values["x"] == 2
    with pytest.raises(Refused, match=r"closed: approved at 2\d.* UTC by bob: approved by bob"):
        h.commands.reject(gate.id, DAN)
    with pytest.raises(Refused, match="closed: approved"):
        h.commands.withdraw(gate.id, BOB)
    closed = next(entry for entry in h.entries(run) if entry.kind == "gate.closed")
    assert closed.body["by"] == "bob"


def test_a_person_behind_the_author_does_not_decide(h: Harness) -> None:
    h.services.person = lambda name: {"bob@example.org": "bob"}.get(name, name)
    _, gate = gated(h, program(setting("up", "x", 2), author="bob@example.org"))
    with pytest.raises(Refused, match="bob asked for this run or wrote its playbook"):
        h.commands.approve(gate.id, BOB)


# ---------------------------------------------------------------- roles that reach so far


def test_a_role_reaches_its_packs_and_namespaces_only(h: Harness) -> None:
    _, gate = gated(h)
    etl = Actor("ed", frozenset({"sre"}), scopes=(("sre", Scope(packs=frozenset({"etl"}))),))
    with pytest.raises(Refused, match="ed's role sre reaches the packs etl, not toys"):
        h.commands.approve(gate.id, etl)
    narrow = Scope(namespaces=frozenset({"prod"}))
    ned = Actor("ned", frozenset({"sre"}), scopes=(("sre", narrow),))
    with pytest.raises(Refused, match="reaches the namespaces prod, and this names none"):
        h.commands.approve(gate.id, ned)
    h.programs[UP.playbook] = UP
    run = h.commands.start(
        UP.playbook, {"namespace": "prod"}, requester=ALICE, mode=RunMode.APPROVE
    )
    h.settle()
    assert h.commands.approve(gate_of(h, run).id, ned)["quorum"]


# ---------------------------------------------------------------- lent roles


def test_a_lent_role_votes_for_its_holder_until_its_time(h: Harness) -> None:
    run, gate = gated(h, requester=DAN)
    with pytest.raises(Refused, match="eve lacks the role sre"):
        h.commands.approve(gate.id, EVE)
    lent = h.commands.delegate(ALICE, "sre", "eve", 600.0, "on a train")
    h.commands.approve(gate.id, EVE)
    with pytest.raises(Refused, match="eve has voted for alice already"):
        h.commands.approve(gate.id, ALICE)
    h.settle()
    assert h.row(run).state is RunState.SUCCEEDED
    (vote,) = h.store.read(lambda tx: tx.gates.votes(gate.id))
    assert (vote.actor, vote.via) == ("eve", "cli, for alice")
    h.table.values["x"] = 1
    _, later = gated(h, requester=DAN)
    h.clock.advance(601)
    with pytest.raises(Refused, match="lacks the role sre"):
        h.commands.approve(later.id, EVE)
    kinds = [entry.kind for entry in h.store.read(lambda tx: tx.journal.read("node:local"))]
    assert "role.lent" in kinds
    with pytest.raises(Refused, match="over already"):
        h.commands.revoke(ALICE, lent["id"], lambda: False)


def test_only_a_holder_lends_and_never_past_four_eyes(h: Harness) -> None:
    with pytest.raises(Refused, match="eve does not hold the role sre"):
        h.commands.delegate(EVE, "sre", "bob", 60.0)
    with pytest.raises(InvalidInput, match="another person"):
        h.commands.delegate(ALICE, "sre", "alice", 60.0)
    with pytest.raises(InvalidInput, match="14 days"):
        h.commands.delegate(ALICE, "sre", "eve", 15 * 86_400.0)
    h.commands.delegate(ALICE, "sre", "eve", 600.0)
    _, gate = gated(h, requester=ALICE)
    with pytest.raises(Refused, match="alice, whose role eve holds, asked for this run"):
        h.commands.approve(gate.id, EVE)


def test_a_lent_role_taken_back_counts_no_more(h: Harness) -> None:
    lent = h.commands.delegate(BOB, "sre", "eve", 600.0)
    with pytest.raises(Refused, match="between bob and eve"):
        h.commands.revoke(DAN, lent["id"], lambda: False)
    h.commands.revoke(BOB, lent["id"], lambda: False)
    _, gate = gated(h)
    with pytest.raises(Refused, match="lacks the role sre"):
        h.commands.approve(gate.id, EVE)


# ---------------------------------------------------------------- items


def test_rejected_items_are_skipped_and_the_plan_shows_the_rest(h: Harness) -> None:
    run, gate = gated(h, EACH)
    h.commands.choose(
        gate.id, BOB, without={"each": ["b"]}, reason="b is ours", fingerprint=gate.fingerprint
    )
    h.settle()
    assert h.row(run).state is RunState.SUCCEEDED
    assert h.table.values == {"x": 1, "a": 2, "b": 1, "c": 2, "z": 9}
    assert h.outcome(run, "each[b]")["reason"] == "rejected by bob: b is ours"
    first, second = h.store.read(lambda tx: tx.gates.of_run(run))
    assert (first.state, second.state) == ("void", "approved")
    assert first.fingerprint != second.fingerprint
    shown = h.store.read(lambda tx: tx.blobs.plan(run, second.fingerprint))
    states = {line["address"]: line["state"] for line in shown["steps"]}
    assert states["each[b]"] == "skipped"
    assert states["each[a]"] == "planned"


def test_a_second_person_sees_the_chosen_subset_before_they_decide(h: Harness) -> None:
    need(h, 2)
    run, gate = gated(h, EACH)
    h.commands.choose(gate.id, BOB, only={"each": ["a"]})
    h.settle()
    again = gate_of(h, run)
    assert again.id != gate.id
    assert again.body["rejected"] == {"each": {"b": "rejected by bob", "c": "rejected by bob"}}
    assert h.row(run).state is RunState.AWAITING_APPROVAL
    with pytest.raises(Refused, match=r"closed: void .* by bob"):
        h.commands.approve(gate.id, DAN)
    h.commands.approve(again.id, DAN, fingerprint=again.fingerprint)
    h.settle()
    assert h.table.values["a"] == 2
    assert h.table.values["b"] == h.table.values["c"] == 1


def test_a_choice_that_meets_a_changed_world_does_not_count_as_a_yes(h: Harness) -> None:
    run, gate = gated(h, EACH)
    h.commands.choose(gate.id, BOB, only={"each": ["a"]})
    h.table.values["a"] = 5
    h.settle()
    assert h.row(run).state is RunState.AWAITING_APPROVAL
    again = gate_of(h, run)
    assert any(item["field"] == "value (before)" for item in again.body["drift"])
    assert h.store.read(lambda tx: tx.gates.votes(again.id)) == []


@pytest.mark.parametrize(
    ("only", "without", "said"),
    [
        ({"each": ["d"]}, None, "each has no item 'd'; it has: a, b, c"),
        ({"eech": ["a"]}, None, "'eech' has no items in this plan; steps with items: each"),
        (None, {"each": ["a", "b", "c"]}, "nothing would be left of each"),
        ({"each": ["a", "b", "c"]}, None, "these are all items"),
        (None, None, "say which items"),
    ],
)
def test_a_choice_names_items_that_there_are(
    h: Harness,
    only: dict[str, list[str]] | None,
    without: dict[str, list[str]] | None,
    said: str,
) -> None:
    _, gate = gated(h, EACH)
    with pytest.raises(InvalidInput, match=said):
        h.commands.choose(gate.id, BOB, only=only, without=without)


# ---------------------------------------------------------------- time


def test_time_asks_the_next_role_and_never_approves(h: Harness) -> None:
    need(h, on_timeout="escalate", escalation=("sre", "lead"))
    run, gate = gated(h)
    h.pass_time(3700, step=600)
    second = gate_of(h, run)
    assert second.role == "lead"
    assert "sre did not decide in time" in second.body["reason"]
    with pytest.raises(Refused, match=r"closed: escalated .*lead is asked now"):
        h.commands.approve(gate.id, BOB)
    with pytest.raises(Refused, match="lacks the role lead"):
        h.commands.approve(second.id, BOB)
    h.commands.approve(second.id, LEAD)
    h.settle()
    assert h.row(run).state is RunState.SUCCEEDED


def test_when_nobody_is_left_a_person_is_paged_and_nothing_runs(h: Harness) -> None:
    need(h, on_timeout="escalate", escalation=("sre", "lead"))
    run, _ = gated(h)
    h.pass_time(7400, step=600)
    assert h.row(run).state is RunState.NEEDS_HUMAN
    assert h.table.writes == []
    (page,) = h.store.read(lambda tx: tx.pages.list())
    assert page.run_id == run


def test_a_gate_step_escalates_too(h: Harness) -> None:
    h.services.approval = replace(h.services.approval, escalation=("sre", "lead"))
    plan = program(
        {"id": "ask", "kind": "gate", "role": "sre", "within": 600.0, "on_timeout": "escalate"},
        setting("up", "x", 2),
    )
    run = h.start(plan)
    h.settle()
    h.pass_time(700, step=350)
    assert gate_of(h, run).role == "lead"
    h.commands.approve(gate_of(h, run).id, LEAD)
    h.settle()
    assert h.table.values["x"] == 2


# ---------------------------------------------------------------- emergency


def test_broken_glass_approves_alone_and_shouts(h: Harness) -> None:
    need(h, 2)
    h.commands.break_glass_role = "lead"
    run, gate = gated(h, requester=LEAD)
    with pytest.raises(Refused, match="bob lacks the role lead"):
        h.commands.break_glass(gate.id, BOB, "now")
    with pytest.raises(InvalidInput, match="say why"):
        h.commands.break_glass(gate.id, LEAD, "  ")
    with pytest.raises(Refused, match="the plan has changed"):
        h.commands.break_glass(gate.id, LEAD, "now", "0" * 16)
    h.commands.break_glass(gate.id, LEAD, "everything burns", gate.fingerprint)
    h.settle()
    assert h.row(run).state is RunState.SUCCEEDED
    assert "gate.break_glass" in h.kinds(run)
    assert gate_of(h, run).closed_why == "BREAK-GLASS by lena: everything burns"


def test_broken_glass_still_binds_to_the_plan_that_was_seen(h: Harness) -> None:
    h.commands.break_glass_role = "lead"
    run, gate = gated(h)
    h.commands.break_glass(gate.id, LEAD, "now", gate.fingerprint)
    h.table.values["x"] = 7
    h.settle()
    assert h.row(run).state is RunState.AWAITING_APPROVAL
    assert h.table.writes == []


def test_nobody_breaks_a_glass_that_is_not_there_or_over_a_no(h: Harness) -> None:
    _, gate = gated(h)
    with pytest.raises(Refused, match="nobody may break the glass"):
        h.commands.break_glass(gate.id, LEAD, "now")
    h.commands.break_glass_role = "lead"
    h.commands.reject(gate.id, BOB)
    with pytest.raises(Refused, match="bob has rejected this plan"):
        h.commands.break_glass(gate.id, LEAD, "now")
