"""10,000 alerts over 500 fingerprints: few runs, few incidents, nothing lost."""

from __future__ import annotations

import random
from collections import Counter
from datetime import timedelta

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
