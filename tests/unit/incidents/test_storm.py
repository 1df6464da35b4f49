"""10,000 alerts over 500 fingerprints: few runs, few incidents, nothing lost."""

from __future__ import annotations

import random
from collections import Counter
from datetime import timedelta
from typing import Any

from engine.language.rules import Rule
from tests.unit.incidents.conftest import MakeKit
from tests.unit.incidents.kit import ALL, START, firing, rule


def test_a_storm_degrades_to_few_runs(make: MakeKit) -> None:
    kit = make(rule(run_per=("ns",)), rule("noise", 'alertname="Noise"', mode="off"))
    kinds = [
        firing("Down" if n % 5 else "Noise", ns=f"ns-{n % 20}", pod=str(n)) for n in range(500)
    ]
    chosen = random.Random(11).choices(kinds, k=10_000)
    for start in range(0, len(chosen), 100):
        kit.accept(*chosen[start : start + 100])
        if start % 2000 == 0:
            kit.triage.tick()
    kit.triage.drain()

    alerts = kit.store.read(lambda tx: tx.alerts.list(ALL))
    seen = {alert.fingerprint for alert in chosen}
    assert len(alerts) == len(seen)
    assert sum(row.deliveries for row in alerts) == 10_000
    down = {row.alert.labels["ns"] for row in alerts if row.alert.name == "Down"}
    assert len(kit.runs()) == len(kit.incidents()) == len(down)
    said = Counter(verdict for verdict, _ in kit.said())
    assert said.total() == len(seen)
    assert said["run"] == len(down)


def test_an_alert_that_flaps_a_hundred_times_runs_once_a_throttle(make: MakeKit) -> None:
    from engine.language.rules import Throttle

    kit = make(rule(throttle=Throttle(every=3600)))
    for n in range(100):
        kit.post(firing(at=START + timedelta(seconds=n)))
    assert len(kit.runs()) == 1
    assert len(kit.incidents()) == 1


def test_the_p0_of_a_storm_starts_first_and_runs_stay_within_the_rules_concurrency(
    make: MakeKit,
) -> None:
    """20 rules over 500 fingerprints in 11 groups; the P0 comes in the middle of it all."""
    from engine.language.rules import Concurrency, Priority

    rules = [
        rule(
            f"rule-{n}",
            f'alertname="Down{n}"',
            run_per=("pod",) if n % 2 else (),
            concurrency=Concurrency(group=f"group-{n % 10 if n < 19 else n}", when_busy="join"),
            priority=Priority(cases=(("P0", "alert.labels.impact | default('') == 'consumer'"),)),
        )
        for n in range(20)
    ]
    kit = make(*rules)
    kinds = [firing(f"Down{n % 19}", pod=str(n)) for n in range(499)]
    urgent = firing("Down19", pod="499", impact="consumer")
    chosen = random.Random(7).choices(kinds, k=9_999)
    chosen.insert(5_000, urgent)
    for start in range(0, len(chosen), 500):
        kit.accept(*chosen[start : start + 500])
    kit.triage.drain()

    runs = kit.runs()
    groups = Counter(run.group for run in runs)
    assert len(groups) == 11
    assert set(groups.values()) == {1}
    assert len(kit.incidents()) <= 20
    (claimed,) = kit.store.write(
        lambda tx: tx.runs.claim("w1", 1) if tx.workers.beat("w1", 5.0) else ()
    )
    assert claimed.priority == 9
    assert claimed.rule == "rule-19"


def test_a_p0_that_joins_a_busy_group_makes_its_waiting_run_a_p0(make: MakeKit) -> None:
    from engine.language.rules import Concurrency, Priority

    def of(name: str, alertname: str, **priority: Any) -> Rule:
        return rule(
            name,
            f'alertname="{alertname}"',
            concurrency=Concurrency(group="etl", when_busy="join"),
            **priority,
        )

    urgent = Priority(cases=(("P0", True),))
    kit = make(
        of("slow", "Slow"), of("down", "Down", priority=urgent), rule("other", 'alertname="Other"')
    )
    kit.post(firing("Other"))
    kit.post(firing("Slow"))
    (joined,) = kit.post(firing("Down"))
    assert kit.said(joined) == [("join", "busy_join")]
    assert len(kit.runs()) == 2
    kit.post(firing("Down", pod="2"))
    (claimed,) = kit.store.write(
        lambda tx: tx.runs.claim("w1", 1) if tx.workers.beat("w1", 5.0) else ()
    )
    assert (claimed.rule, claimed.priority) == ("slow", 9), "it goes before what came earlier"
    (incident,) = (one for one in kit.incidents() if one.id == claimed.incident_id)
    assert kit.story(incident.id).count("incident.note") == 1


def _p0(**more: Any) -> Rule:
    from engine.language.rules import Priority

    when = "alert.labels.impact | default('') == 'consumer'"
    return rule("down", run_per=("pod",), priority=Priority(cases=(("P0", when),)), **more)


def test_a_p0_is_decided_before_hundreds_that_came_earlier(make: MakeKit) -> None:
    kit = make(_p0())
    kit.accept(*(firing("Down", pod=str(n)) for n in range(400)))
    kit.accept(firing("Down", pod="p0", impact="consumer"))
    kit.accept(*(firing("Down", pod=str(n)) for n in range(400, 500)))
    assert kit.triage.tick() == 1
    (first,) = kit.runs()
    assert (first.priority, first.inputs.get("pod", "p0")) == (9, "p0")
    kit.triage.drain()
    alerts = kit.store.read(lambda tx: tx.alerts.list(ALL))
    assert len(kit.runs()) == len(alerts) == 501, "the others are decided all the same, each once"
    assert [run.priority for run in kit.runs()].count(9) == 1


def test_p0s_without_end_starve_nobody(make: MakeKit) -> None:
    kit = make(_p0())
    kit.accept(*(firing("Down", pod=str(n)) for n in range(300)))
    decided = []
    for n in range(6):
        kit.accept(firing("Down", pod=f"p0-{n}", impact="consumer"))
        kit.triage.tick()
        decided.append(sum(run.priority != 9 for run in kit.runs()))
    assert decided[0] == 0
    assert decided[-1] == 300, "every other round is theirs"


def test_a_reload_looks_again_at_what_waits(make: MakeKit) -> None:
    kit = make(rule("down", run_per=("pod",)))
    kit.accept(*(firing("Down", pod=str(n)) for n in range(250)))
    kit.accept(firing("Down", pod="p0", impact="consumer"))
    assert kit.triage.tick() == 100
    kit.triage.reload((_p0(),))
    assert kit.triage.tick() == 1
    assert max(run.priority for run in kit.runs()) == 9


def test_a_p0_with_a_mistake_in_its_rule_waits_its_turn(make: MakeKit) -> None:
    from engine.language.rules import Priority

    wrong = Priority(cases=(("P0", "alert.labels.nowhere == 'x'"),))
    kit = make(rule("down", run_per=("pod",), priority=wrong))
    kit.accept(*(firing("Down", pod=str(n)) for n in range(150)))
    assert kit.triage.tick() == 100
    kit.triage.drain()
    assert {verdict for verdict, _ in kit.said()} == {"skip"}
