"""Several nodes decide the same alerts at once: one run an episode, every alert decided once."""

from __future__ import annotations

import random
import threading
from collections import Counter
from datetime import timedelta

from engine.domain.alert import Alert
from engine.domain.clock import ManualClock
from engine.incidents.triage import Triage, TriageSettings
from engine.journal.database import Database
from engine.journal.store import Tx
from engine.language.rules import Concurrency, Count
from engine.running.requests import RunRequest
from tests.contract.store.conftest import Place
from tests.unit.incidents.kit import (
    ALL,
    START,
    create_run,
    delivery,
    firing,
    resolved,
    rule,
)

RULES = (
    rule("down", run_per=("ns",)),
    rule(
        "counted",
        'alertname="Noisy"',
        run_per=("ns",),
        count=Count(at_least=4, within=3600, by=("ns",)),
        concurrency=Concurrency(group="{{ alert.labels.ns }}", when_busy="join"),
    ),
)


def node(place: Place, name: str) -> tuple[Database, Triage]:
    store = place.open(clock=ManualClock(START + timedelta(minutes=1)))
    return store, Triage(store, RULES, create_run, settings=TriageSettings(node=name))


def accept(store: Database, alerts: list[Alert]) -> None:
    store.write(lambda tx: tx.alerts.accept(delivery(*alerts)))


def hurry(store: Database, triage: Triage, alerts: list[Alert]) -> None:
    """Accept and decide as the intake does where little comes in: in one commit, as far as that goes."""
    failed: list[BaseException] = []
    store.hand_in(
        lambda tx: tx.alerts.accept(delivery(*alerts)),
        lambda _, error: None if error is None else failed.append(error),
    )
    triage.hurry()
    store.write(lambda _: None)  # it is in turn behind both
    assert not failed


def still_firing(store: Database, run_id: str) -> int:
    def work(tx: Tx) -> int:
        episode = tx.episodes.of_run(run_id)
        assert episode is not None
        return tx.episodes.firing(episode.id)

    return store.read(work)


def side_by_side(*jobs: threading.Thread) -> None:
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()


def test_two_nodes_and_two_senders(place: Place) -> None:
    nodes = [node(place, f"n{number}") for number in range(2)]
    alerts = [firing(ns=f"ns-{n % 10}", pod=str(n)) for n in range(120)]
    alerts += [firing("Noisy", ns=f"ns-{n % 5}", pod=str(n)) for n in range(40)]
    ending = random.Random(7).sample(alerts, 60)

    def send(store: Database, triage: Triage, seed: int) -> None:
        chance = random.Random(seed)
        order = chance.sample(alerts, len(alerts))
        batches: list[list[Alert]] = [order[n : n + 10] for n in range(0, len(order), 10)]
        batches += [[resolved(one) for one in ending[n : n + 10]] for n in range(0, 60, 10)]
        for batch in batches:
            if chance.random() < 0.5:
                accept(store, batch)
            else:
                hurry(store, triage, batch)

    stop = threading.Event()
    serving = [threading.Thread(target=triage.serve, args=(stop,)) for _, triage in nodes]
    sending = [threading.Thread(target=send, args=(*nodes[n], n)) for n in range(2)]
    for thread in serving:
        thread.start()
    side_by_side(*sending)
    store, triage = nodes[0]
    while store.read(lambda tx: tx.alerts.undecided(1)):
        triage.wake()
        stop.wait(0.02)
    stop.set()
    for thread in serving:
        thread.join()

    runs = store.read(lambda tx: tx.runs.list(ALL))
    decisions = store.read(lambda tx: tx.decisions.list(ALL))
    rows = {row.id: row.alert for row in store.read(lambda tx: tx.alerts.list(ALL))}
    assert len(rows) == len(alerts) + len(ending)
    decided = Counter((row.alert_id, row.rule) for row in decisions)
    assert {alert_id for alert_id, _ in decided} == set(rows), "none is lost"
    assert max(decided.values()) == 1, "none is decided twice"
    started = Counter(
        (row.rule, rows[row.alert_id or ""].labels["ns"]) for row in decisions if row.run_id
    )
    per_episode = Counter((run.rule, run.trigger["labels"]["ns"]) for run in runs)
    assert set(per_episode.values()) == {1}
    assert set(per_episode) <= set(started)
    assert all(rows[r.alert_id or ""].status == "firing" for r in decisions if r.verdict == "run")

    # What has resolved holds no episode open, whoever decided what first.
    gone = {one.fingerprint for one in ending}
    for run in runs:
        joined = {
            rows[row.alert_id or ""].fingerprint
            for row in decisions
            if row.incident_id == run.incident_id and row.verdict in ("run", "join")
        }
        assert still_firing(store, run.id) == len(joined - gone)


def test_a_resolved_waits_for_its_firing_alert(place: Place) -> None:
    inside, go = threading.Event(), threading.Event()

    def slow(tx: Tx, request: RunRequest) -> str:
        inside.set()
        assert go.wait(10)
        return create_run(tx, request)

    one, two = place.open(), place.open()
    accept(one, [firing(ns="a")])
    deciding = Triage(one, RULES, slow, settings=TriageSettings(max_alert_age=None))
    ending = Triage(two, RULES, create_run)

    def resolve() -> None:
        accept(two, [resolved(firing(ns="a"))])
        while not ending.run_once():
            go.wait(0.01)

    threads = [threading.Thread(target=deciding.run_once), threading.Thread(target=resolve)]
    threads[0].start()
    assert inside.wait(10)
    threads[1].start()
    threads[1].join(0.5)  # long enough to overtake, were it not held
    go.set()
    for thread in threads:
        thread.join()
    (run,) = one.read(lambda tx: tx.runs.list(ALL))
    assert still_firing(one, run.id) == 0
