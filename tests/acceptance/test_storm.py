"""10,000 alerts over 500 fingerprints at the real server: few incidents, few runs, and the P0 before what waits."""

from __future__ import annotations

import json
import sqlite3
import time
from pathlib import Path
from typing import Any

import httpx

from tests.acceptance.test_serve import CONFIG, PLAYBOOK, Place, until
from tests.databases import put_database

GROUPS = 19
FIRST = (
    10  # kinds of alerts from the beginning on; the others begin with the P0, and stand before it
)
P0_COMES = 5_000
STARTED = time.strftime("%Y-%m-%dT%H:%M:00Z", time.gmtime())


def rule(n: int, **more: Any) -> dict[str, Any]:
    return {
        "name": f"rule-{n}",
        "matchers": [f'alertname="Down{n}"'],
        "mode": "auto",
        "playbook": "notes/keep",
        "inputs": {"name": "{{ alert.labels.alertname }}"},
        "concurrency": {"group": f"group-{n}", "when_busy": "join"},
        **more,
    }


def delivery(*numbers: int) -> dict[str, Any]:
    """Alerts by number: 499 of 19 kinds, and the last one, which is the P0."""
    alerts = [
        {
            "status": "firing",
            "labels": {"alertname": "Urgent" if n == 499 else f"Down{n % GROUPS}", "pod": str(n)},
            "startsAt": STARTED,
            "fingerprint": f"f{n}",
        }
        for n in numbers
    ]
    labels = {"group": "storm"}
    return {
        "version": "4",
        "receiver": "stanch",
        "groupKey": "{}",
        "groupLabels": labels,
        "alerts": alerts,
    }


def test_a_storm_is_few_incidents_and_the_p0_goes_before_what_waits(tmp_path: Path) -> None:
    urgent = rule(19, matchers=['alertname="Urgent"'], priority={"P0": True})
    rules = [*map(rule, range(GROUPS)), urgent]
    (tmp_path / "stanch.yaml").write_text(CONFIG + "workers: {threads: 1}\n")
    put_database(tmp_path / "var/stanch.db")
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules/storm.yaml").write_text(json.dumps({"rules": rules}))
    (tmp_path / "playbooks/notes").mkdir(parents=True)
    (tmp_path / "playbooks/notes/keep.yaml").write_text(PLAYBOOK)
    with Place(tmp_path).serving() as (url, _), httpx.Client(base_url=url, timeout=60) as http:
        until(lambda: httpx.get(f"{url}/readyz").status_code == 200)
        for start in range(0, 10_000, 100):
            pool = [n for n in range(499) if start >= P0_COMES or n % GROUPS < FIRST]
            numbers = [pool[n % len(pool)] for n in range(start, start + 99)]
            last = 499 if start == P0_COMES else numbers[0]
            answer = http.post("/hooks/alertmanager", json=delivery(*numbers, last))
            assert answer.status_code == 200
        until(lambda: _ended(tmp_path) == GROUPS + 1)
    with sqlite3.connect(tmp_path / "var/stanch.db") as database:
        ((alerts, deliveries),) = database.execute("SELECT count(*), sum(deliveries) FROM alerts")
        ((incidents,),) = database.execute("SELECT count(*) FROM incidents")
        runs = database.execute("SELECT rule, id, created_at FROM runs").fetchall()
        began = dict(
            database.execute("SELECT chain, min(at) FROM entries WHERE n > 1 GROUP BY chain")
        )
    assert (alerts, deliveries) == (500, 10_000)
    assert incidents == GROUPS + 1
    assert sorted(name for name, *_ in runs) == sorted(one["name"] for one in rules)
    of_rule = {name: id_ for name, id_, _ in runs}
    with_it = [began[of_rule[f"rule-{n}"]] for n in range(FIRST, GROUPS)]
    # How soon is measured (python -m bench), not tested: here it is who goes first.
    assert began[of_rule["rule-19"]] < min(with_it), "it stood last in its delivery and went first"


def _ended(folder: Path) -> int:
    with sqlite3.connect(f"file:{folder}/var/stanch.db?mode=ro", uri=True, timeout=30) as database:
        ((count,),) = database.execute("SELECT count(*) FROM runs WHERE state = 'succeeded'")
    return int(count)
