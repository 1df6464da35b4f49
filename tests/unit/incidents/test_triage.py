"""From accepted alerts to decisions, runs and incidents, on the real SQLite store."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from engine.domain.errors import InvalidInput, NotFound, Refused
from engine.domain.incident import IncidentState
from engine.domain.people import Actor
from engine.domain.run import RunMode, RunState
from engine.journal.rows import BrakeRow
from engine.journal.store import Tx
from engine.language.rules import Concurrency, Count, Priority, Schedule, Throttle
from engine.running.requests import RunRequest
from tests.unit.incidents.conftest import MakeKit
from tests.unit.incidents.kit import START, Kit, ago, create_run, firing, resolved, rule

ALICE = Actor("alice", frozenset({"sre"}))


def test_a_matching_rule_opens_an_incident_and_starts_a_run(make: MakeKit) -> None:
    kit = make(rule(inputs={"namespace": "{{ alert.labels.ns }}", "n": "{{ 2 + 1 }}"}, mode="auto"))
    (alert_id,) = kit.post(firing(notes={"summary": "it is down"}))

    (run,) = kit.runs()
    incident = kit.incident()
    assert run.inputs == {"namespace": "a", "n": 3}
    assert (run.rule, run.mode, run.incident_id) == ("down", RunMode.AUTO, incident.id)
    assert run.trigger["kind"] == "alert"
    assert run.trigger["alert"]["id"] == alert_id
    assert incident.title == "Down (ns=a)"
    assert incident.severity == "P2"
    assert incident.body["summary"] == "it is down"
    assert kit.story(incident.id) == ["incident.opened", "incident.run"]
    (decision,) = kit.decisions(alert_id)
    assert (decision.verdict, decision.rule) == ("run", "down")
    assert (decision.run_id, decision.incident_id) == (run.id, incident.id)


def test_an_unmatched_alert_is_stored_only(make: MakeKit) -> None:
    kit = make(rule())
    (alert_id,) = kit.post(firing("Other"))
    assert kit.said(alert_id) == [("note", "not_matched")]
    assert kit.runs() == []
    assert kit.incidents() == []
    assert kit.triage.tick() == 0
    made = kit.body("node:local", "decisions.made")
    assert made[0]["decisions"][0]["reason"] == "not_matched: no rule matched"


def test_redelivery_and_restart_start_nothing_more(make: MakeKit) -> None:
    kit = make(rule())
    for _ in range(3):
        kit.post(firing(), firing())
        kit.restart()
    assert len(kit.runs()) == 1
    assert kit.said() == [("run", "matched")]


def test_accepted_before_a_crash_is_decided_after_it(make: MakeKit) -> None:
    kit = make(rule())
    kit.accept(firing())
    kit.restart()
    kit.triage.drain()
    assert len(kit.runs()) == 1


def test_later_alerts_of_the_episode_join(make: MakeKit) -> None:
    kit = make(rule())
    kit.post(firing(pod="1"))
    (joined,) = kit.post(firing(pod="2"))
    (apart,) = kit.post(firing(pod="3", ns="b"))
    assert kit.said(joined) == [("join", "open_episode")]
    assert kit.said(apart) == [("run", "matched")]
    assert len(kit.runs()) == 2
    first = kit.incidents()[0]
    assert kit.story(first.id) == ["incident.opened", "incident.run", "incident.joined"]


def test_without_run_per_the_alerts_group_is_the_episode(make: MakeKit) -> None:
    kit = make(rule(run_per=None))
    kit.post(firing(pod="1"), group_labels={"ns": "a"})
    kit.post(firing(pod="2"), group_labels={"ns": "a"})
    kit.post(firing(pod="3"), group_labels={"ns": "b"})
    assert [verdict for verdict, _ in kit.said()] == ["run", "join", "run"]


def test_resolved_never_starts_anything(make: MakeKit) -> None:
    kit = make(rule())
    (alert_id,) = kit.post(resolved(firing()))
    assert kit.said(alert_id) == [("note", "resolved")]
    assert kit.runs() == []
    (late,) = kit.post(firing())  # the firing one comes after its own end
    assert kit.said(late) == [("skip", "resolved")]
    assert kit.runs() == []


def test_an_episode_closes_when_all_resolved_and_the_run_ended(make: MakeKit) -> None:
    kit = make(rule())
    one, two = firing(pod="1"), firing(pod="2")
    kit.post(one, two)
    (run,) = kit.runs()
    kit.post(resolved(one))
    kit.end(run.id)
    assert kit.episode() is not None, "one still fires"
    (again,) = kit.post(firing(pod="3"))
    assert kit.said(again) == [("join", "run_ended")]
    assert "nothing starts again until they resolve" in kit.decisions(again)[0].reason

    kit.post(resolved(two), resolved(firing(pod="3")))
    assert kit.episode() is None
    assert kit.incident().state is IncidentState.RESOLVED
    kit.post(firing(pod="1", at=START.replace(hour=4)))
    assert len(kit.runs()) == 2
    assert len(kit.incidents()) == 2


def test_all_resolved_while_the_run_is_at_work(make: MakeKit) -> None:
    kit = make(rule(on_resolved="cancel"))
    one, two = firing(pod="1"), firing(pod="2")
    kit.post(one, two)
    (run,) = kit.runs()
    kit.post(resolved(one))
    assert kit.resolutions == []
    kit.post(resolved(two))
    assert kit.resolutions == [(run.id, "cancel")]
    assert kit.episode() is not None
    assert kit.incident().state is IncidentState.OPEN
    kit.end(run.id, RunState.CANCELLED)
    assert kit.episode() is None
    assert kit.incident().state is IncidentState.RESOLVED


@pytest.mark.parametrize(
    ("state", "verified", "after"),
    [
        (RunState.SUCCEEDED, True, IncidentState.VERIFIED),
        (RunState.SUCCEEDED, False, IncidentState.MITIGATED),
        (RunState.FAILED, None, IncidentState.OPEN),
        (RunState.UNDONE, None, IncidentState.OPEN),
        (RunState.PLANNED, None, IncidentState.OPEN),
        (RunState.NEEDS_HUMAN, None, IncidentState.OPEN),
    ],
)
def test_how_a_run_ends_moves_the_incident(
    make: MakeKit, state: RunState, verified: Any, after: IncidentState
) -> None:
    kit = make(rule())
    kit.post(firing())
    kit.end(kit.runs()[0].id, state, verified=verified)
    assert kit.incident().state is after


def test_a_run_that_needs_a_person_keeps_everything_open(make: MakeKit) -> None:
    kit = make(rule())
    kit.post(firing())
    (run,) = kit.runs()
    kit.end(run.id, RunState.NEEDS_HUMAN)
    kit.post(resolved(firing()))
    assert kit.incident().state is IncidentState.OPEN
    (again,) = kit.post(firing(at=START.replace(hour=4)))
    assert kit.said(again) == [("join", "needs_human")]
    assert kit.resolutions == []
    kit.post(resolved(firing(at=START.replace(hour=4))))
    kit.end(run.id, RunState.CANCELLED)
    assert kit.incident().state is IncidentState.RESOLVED
    assert kit.episode() is None


def test_another_alert_reopens_a_verified_incident(make: MakeKit) -> None:
    kit = make(rule())
    kit.post(firing(pod="1"))
    kit.end(kit.runs()[0].id, verified=True)
    assert kit.incident().state is IncidentState.VERIFIED
    kit.post(firing(pod="2"))
    assert kit.incident().state is IncidentState.OPEN
    assert kit.story(kit.incident().id)[-2:] == ["incident.joined", "incident.state"]


# ---------------------------------------------------------------- which rules


def test_the_first_rule_of_a_file_wins_unless_it_continues(make: MakeKit) -> None:
    kit = make(
        rule("one", continue_=True),
        rule("two"),
        rule("three"),
        rule("four", file="other.yaml"),
    )
    kit.post(firing())
    assert [run.rule for run in kit.runs()] == ["one", "two", "four"]
    assert len(kit.incidents()) == 1, "rules that take the same alert tell one story"


def test_a_rule_that_is_off_says_so_and_still_ends_its_file(make: MakeKit) -> None:
    kit = make(rule("one", mode="off"), rule("two"))
    (alert_id,) = kit.post(firing())
    assert kit.said(alert_id) == [("skip", "off")]
    assert kit.incidents() == []


def test_a_reload_takes_hold_of_the_next_alert(make: MakeKit) -> None:
    kit = make(rule())
    kit.triage.reload([])
    (alert_id,) = kit.post(firing())
    assert kit.said(alert_id) == [("note", "not_matched")]


# ---------------------------------------------------------------- waiting


def test_firing_for_waits_and_then_runs(make: MakeKit) -> None:
    kit = make(rule(firing_for=300.0))
    (alert_id,) = kit.post(firing(at=ago(60)))
    assert kit.said(alert_id) == [("wait", "firing_for")]
    assert kit.incidents() == []
    kit.later(239)
    assert kit.runs() == []
    kit.restart()
    kit.later(1)
    assert kit.said(alert_id) == [("wait", "firing_for"), ("run", "matched")]


def test_firing_for_is_dropped_with_a_reason_when_it_resolves(make: MakeKit) -> None:
    kit = make(rule(firing_for=300.0))
    (alert_id,) = kit.post(firing())
    kit.post(resolved(firing()))
    kit.later(400)
    assert kit.said(alert_id) == [("wait", "firing_for"), ("skip", "resolved")]
    assert "resolved before it had fired for 5m" in kit.decisions(alert_id)[-1].reason
    assert kit.runs() == []


def test_a_postponed_alert_whose_rule_is_gone(make: MakeKit) -> None:
    kit = make(rule(firing_for=300.0))
    (alert_id,) = kit.post(firing())
    kit.triage.reload([])
    kit.later(400)
    assert kit.said(alert_id)[-1] == ("skip", "rule_gone")
    assert kit.triage.tick() == 0


def group(when_busy: Any) -> Concurrency:
    return Concurrency(group="{{ alert.labels.team }}", when_busy=when_busy)


def busy_kit(make: MakeKit, when_busy: str) -> tuple[Kit, str]:
    kit = make(rule(concurrency=group(when_busy)))
    kit.post(firing(team="t"))
    (second,) = kit.post(firing(team="t", ns="b"))
    return kit, second


def test_busy_join(make: MakeKit) -> None:
    kit, second = busy_kit(make, "join")
    assert kit.said(second) == [("join", "busy_join")]
    assert len(kit.incidents()) == 1
    assert kit.runs()[0].group == "t"
    (apart,) = kit.post(firing(team="u", ns="c"))
    assert kit.said(apart) == [("run", "matched")]


def test_busy_skip(make: MakeKit) -> None:
    kit, second = busy_kit(make, "skip")
    assert kit.said(second) == [("skip", "busy_skip")]
    assert kit.episode(ns="b") is None


def test_busy_queue_runs_when_the_other_has_ended(make: MakeKit) -> None:
    kit, second = busy_kit(make, "queue")
    assert kit.said(second) == [("wait", "queued")]
    assert len(kit.incidents()) == 2, "it is wrong now, although nothing runs yet"
    kit.later(300)
    assert kit.said(second) == [("wait", "queued")], "asking again in vain is not told again"
    kit.end(kit.runs()[0].id)
    kit.triage.drain()
    assert kit.said(second) == [("wait", "queued"), ("run", "matched")]
    assert len(kit.runs()) == 2
    assert len(kit.incidents()) == 2
    story = kit.story(kit.incidents()[1].id)
    assert story == ["incident.opened", "incident.run"]


def test_a_queued_alert_that_resolves_is_dropped(make: MakeKit) -> None:
    kit, second = busy_kit(make, "queue")
    kit.post(resolved(firing(team="t", ns="b")))
    kit.end(kit.runs()[0].id)
    kit.triage.drain()
    assert kit.said(second) == [("wait", "queued"), ("skip", "resolved")]
    assert kit.incidents()[1].state is IncidentState.RESOLVED


# ---------------------------------------------------------------- windows


def test_count_counts_episodes_not_deliveries(make: MakeKit) -> None:
    kit = make(rule(count=Count(at_least=3, within=600, by=("ns",)), run_per=("ns", "pod")))
    for _ in range(4):
        kit.post(firing(pod="1"))
    kit.post(firing(pod="2", ns="other"))
    kit.post(firing(pod="2"))
    assert kit.said() == [("skip", "count")] * 3
    assert kit.runs() == []
    kit.restart()  # windows are durable
    kit.post(firing(pod="3"))
    assert kit.said()[-1] == ("run", "matched")


def test_count_forgets_what_is_out_of_the_window(make: MakeKit) -> None:
    kit = make(rule(count=Count(at_least=2, within=600), run_per=("pod",)))
    kit.post(firing(pod="1"))
    kit.clock.advance(601)
    kit.post(firing(pod="2", at=START))
    assert kit.runs() == []
    kit.clock.advance(599)
    kit.post(firing(pod="3", at=START))
    assert len(kit.runs()) == 1


def test_throttle_by_labels_survives_a_restart(make: MakeKit) -> None:
    kit = make(rule(throttle=Throttle(every=1800, by=("ns",)), run_per=("ns", "pod")))
    kit.post(firing(pod="1"))
    kit.restart()
    (held,) = kit.post(firing(pod="2"))
    (apart,) = kit.post(firing(pod="2", ns="b"))
    assert kit.said(held) == [("skip", "throttled")]
    assert kit.said(apart) == [("run", "matched")]
    kit.clock.advance(1800)
    (after,) = kit.post(firing(pod="3"))
    assert kit.said(after) == [("run", "matched")]


# ---------------------------------------------------------------- asked, paused, priority, errors


def test_an_alert_that_is_too_old_is_asked_about(make: MakeKit) -> None:
    kit = make(rule(), max_alert_age=3600.0)
    (old,) = kit.post(firing(at=ago(3601), pod="1"))
    assert kit.said(old) == [("ask", "too_old")]
    assert kit.runs() == []
    incident = kit.incident()
    assert kit.story(incident.id) == ["incident.opened", "incident.note"]
    (fresh,) = kit.post(firing(pod="2"))  # of the same episode, in which nothing has run
    assert kit.said(fresh) == [("run", "matched")]
    assert kit.incident().id == incident.id


def test_a_person_acts_on_an_alert_that_was_asked_about(make: MakeKit) -> None:
    kit = make(rule(), max_alert_age=3600.0)
    (old,) = kit.post(firing(at=ago(7200)))
    run_id = kit.triage.act(old, ALICE)
    (run,) = kit.runs()
    assert (run.id, run.requester, run.incident_id) == (run_id, "alice", kit.incident().id)
    assert kit.decisions(old)[-1].reason == "matched: alice asked for it"
    with pytest.raises(Refused, match=f"run {run_id} of this episode is queued"):
        kit.triage.act(old, ALICE)
    kit.end(run_id, RunState.FAILED)
    assert kit.triage.act(old, ALICE, "down") != run_id
    with pytest.raises(NotFound, match="no alert"):
        kit.triage.act("nothing", ALICE)
    with pytest.raises(NotFound, match="no rule other"):
        kit.triage.act(old, ALICE, "other")


def brake(kit: Kit, name: str, engaged: bool, **body: Any) -> None:
    row = BrakeRow(name, engaged, "alice", "migration", START, body)
    kit.store.write(lambda tx: tx.brakes.set(row))


def test_paused_is_a_skip_that_people_see(make: MakeKit) -> None:
    kit = make(rule())
    brake(kit, "kill", True)
    (held,) = kit.post(firing(pod="1"))
    assert kit.said(held) == [("skip", "paused")]
    note = kit.body(kit.incident().id, "incident.note")[0]
    assert note["text"] == "paused by alice: migration"
    brake(kit, "kill", False)
    (after,) = kit.post(firing(pod="2"))
    assert kit.said(after) == [("run", "matched")]


def test_a_rules_own_cooldown_holds_that_rule_alone(make: MakeKit) -> None:
    kit = make(rule(), rule("other", 'alertname="Other"'))
    brake(kit, "cooldown:rule:down", True, until="2026-11-23T04:00:00Z")
    (held,) = kit.post(firing())
    assert kit.said(held) == [("skip", "cooldown")]
    (free,) = kit.post(firing("Other"))
    assert kit.said(free) == [("run", "matched")]


def test_cooldown_and_breaker_come_from_the_brakes(make: MakeKit) -> None:
    kit = make(rule(mode="auto"))
    brake(kit, "cooldown:ops/repair", True, until="2026-11-23T04:00:00Z")
    (held,) = kit.post(firing(pod="1"))
    assert kit.said(held) == [("skip", "cooldown")]
    kit.clock.advance(3600)
    brake(kit, "breaker:ops/repair", True)
    kit.post(firing(pod="2"))
    assert kit.runs()[0].mode is RunMode.APPROVE


@pytest.mark.parametrize(
    ("labels", "priority", "severity"),
    [({"p": "0"}, 9, "P0"), ({"p": "1"}, 7, "P1"), ({}, 5, "P2")],
)
def test_priority_cases_are_asked_in_their_order(
    make: MakeKit, labels: dict[str, str], priority: int, severity: str
) -> None:
    cases = (
        ("P1", "alert.labels.p == '1' or alert.labels.p == '0'"),
        ("P0", "trigger.labels.p == '0'"),
        ("P2", True),
    )
    kit = make(rule(priority=Priority(cases=cases)))
    kit.post(firing(p=labels.get("p", "2")))
    assert kit.runs()[0].priority == priority
    assert kit.incident().severity == severity


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"inputs": {"x": "{{ alert.labels.missing }}"}}, "missing"),
        ({"priority": Priority(cases=(("P0", "alert.labels.missing == 'x'"),))}, "missing"),
        ({"concurrency": Concurrency(group="{{ nonsense }}")}, "concurrency.group of rule down"),
    ],
)
def test_a_failing_template_is_a_decision_and_a_note(
    make: MakeKit, changes: dict[str, Any], text: str
) -> None:
    kit = make(rule(**changes))
    (alert_id,) = kit.post(firing())
    assert kit.said(alert_id) == [("skip", "error")]
    assert text in kit.decisions(alert_id)[0].reason
    assert text in kit.body(kit.incident().id, "incident.note")[0]["text"]
    assert kit.runs() == []


def test_inputs_that_the_playbook_refuses(make: MakeKit) -> None:
    def refuse(tx: Tx, request: RunRequest) -> str:
        raise InvalidInput("inputs.threshold is not a number")

    kit = make(rule(), create=refuse)
    (alert_id,) = kit.post(firing())
    assert kit.said(alert_id) == [("skip", "error")]
    assert "inputs.threshold" in kit.decisions(alert_id)[0].reason


def test_one_alert_that_breaks_deciding_does_not_stop_the_others(make: MakeKit) -> None:
    def fragile(tx: Tx, request: RunRequest) -> str:
        if request.trigger["labels"].get("pod") == "bad":
            raise ZeroDivisionError("of our own making")
        return create_run(tx, request)

    kit = make(rule(run_per=("pod",)), create=fragile)
    ids = kit.post(firing(pod="1"), firing(pod="bad"), firing(pod="2"))
    assert [kit.said(one) for one in ids] == [
        [("run", "matched")],
        [("skip", "error")],
        [("run", "matched")],
    ]
    assert "ZeroDivisionError: of our own making" in kit.decisions(ids[1])[0].reason


def test_alert_text_is_data(make: MakeKit) -> None:
    kit = make(rule(inputs={"text": "{{ alert.annotations.summary }}"}))
    kit.post(firing(notes={"summary": "{{ 7 * 7 }}"}, pod="{{ 1 }}"))
    assert kit.runs()[0].inputs == {"text": "{{ 7 * 7 }}"}


def test_serving_decides_at_once_and_outlives_mistakes(make: MakeKit) -> None:
    kit = make(rule(), rule("broken", None, schedule=Schedule(fields={"hour": "noon"})))
    stop = threading.Event()
    serving = threading.Thread(target=kit.triage.serve, args=(stop,))
    serving.start()
    try:
        for pod in ("1", "2"):
            kit.accept(firing(pod=pod, ns=pod))
            until = time.monotonic() + 10
            while len(kit.runs()) < int(pod):
                assert time.monotonic() < until, kit.triage.trouble
                time.sleep(0.005)
        assert "noon" in (kit.triage.trouble or "")
        kit.triage.reload([rule()])
        while kit.triage.trouble is not None:
            assert time.monotonic() < until + 10
            time.sleep(0.005)
    finally:
        stop.set()
        kit.triage.wake()
        serving.join()
