"""A delivery decided in the commit that accepts it: the same decisions, or none and then `tick` makes them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.domain.alert import Alert
from engine.incidents.batch import HURRIED
from engine.journal.database import open_store
from engine.journal.store import Tx
from engine.language.comparisons import parse_comparison
from engine.language.program import Query
from engine.language.rules import Condition, Rule
from engine.running.requests import RunRequest
from tests.unit.incidents import kit as k


class Hurrying(k.Kit):
    """Its commits are counted; `hurry` hands a delivery in with its decision, while the writer is held up."""

    def __init__(self, folder: Path, *rules: Rule, create: Callable[[Tx, RunRequest], str]) -> None:
        super().__init__(folder, *rules, create=create)
        self.store.close()
        self.commits = 0
        self.store = open_store(
            f"sqlite:///{self.path}", keys=k.KEYS, clock=self.clock, on_commit=self._count
        )
        self.triage = self._triage()

    def _count(self, _: int, phase: str) -> None:
        self.commits += phase == "after"

    def hurry(self, *alerts: Alert) -> list[BaseException | None]:
        """Return what the sender of the delivery was told: no error, or the one that kept it out."""
        told: list[BaseException | None] = []
        held = threading.Event()
        given = k.delivery(*alerts)
        self.store.hand_in(lambda _: held.wait(), lambda _, error: None)
        self.store.hand_in(lambda tx: tx.alerts.accept(given), lambda _, error: told.append(error))
        self.triage.hurry()
        held.set()
        self.store.write(lambda _: None)
        return told


@pytest.fixture
def kit_of(tmp_path: Path) -> Iterator[Callable[..., Hurrying]]:
    kits: list[Hurrying] = []

    def make(*rules: Rule, create: Callable[[Tx, RunRequest], str] = k.create_run) -> Hurrying:
        kits.append(Hurrying(tmp_path, *rules, create=create))
        return kits[-1]

    yield make
    for one in kits:
        one.close()


def test_one_commit_takes_an_alert_in_and_decides_it(kit_of: Callable[..., Hurrying]) -> None:
    """Unless the machine is so busy that the writer closes its group in between: then another is tried."""
    kit = kit_of(k.rule())
    for tried in range(1, 100):
        before = kit.commits
        assert kit.hurry(k.firing(ns=str(tried))) == [None]
        assert kit.said() == [("run", "matched")] * tried
        if kit.commits - before == 1:
            break
    else:
        pytest.fail("accepting and deciding never shared a commit")
    assert len(kit.runs()) == tried
    assert kit.triage.tick() == 0
    assert sum(kit.triage.counts.values()) == tried, "what was hurried is counted like all else"


def test_a_redelivery_in_a_hurry_is_decided_no_second_time(
    kit_of: Callable[..., Hurrying],
) -> None:
    kit = kit_of(k.rule())
    alert = k.firing()
    for _ in range(3):
        kit.hurry(alert)
    kit.triage.drain()
    assert len(kit.decisions()) == len(kit.runs()) == 1


def test_a_resolved_alert_in_a_hurry_repairs_nothing(kit_of: Callable[..., Hurrying]) -> None:
    kit = kit_of(k.rule())
    kit.hurry(k.resolved(k.firing()))
    kit.triage.drain()
    assert not kit.runs()


def test_where_a_rule_asks_a_metrics_server_nothing_is_hurried(
    kit_of: Callable[..., Hurrying],
) -> None:
    """It may hang, and every write of the journal would hang with it."""
    query = Query(connection="prom", query="up")
    asking = Condition.model_validate({"query": query, "is": parse_comparison("> 0")})
    kit = kit_of(k.rule(condition=asking), k.rule("other", 'alertname="Other"'))
    kit.metrics.answers["up"] = 1.0
    kit.hurry(k.firing(), k.firing("Other"))
    assert (kit.said(), kit.metrics.asked) == ([], [])
    kit.triage.drain()
    assert sorted(kit.said()) == [("run", "matched")] * 2
    assert len(kit.metrics.asked) == 1


def test_a_decision_that_fails_keeps_no_alert_out(kit_of: Callable[..., Hurrying]) -> None:
    def create(tx: Tx, request: RunRequest) -> str:
        k.create_run(tx, request)
        raise RuntimeError("after it wrote")

    kit = kit_of(k.rule(), create=create)
    assert kit.hurry(k.firing()) == [None]
    assert (kit.said(), kit.runs()) == ([], [])
    kit.triage.drain()
    assert [verdict for verdict, _ in kit.said()] == ["skip"]
    assert "after it wrote" in kit.decisions()[0].reason


def test_many_alerts_are_left_to_the_rounds(kit_of: Callable[..., Hurrying]) -> None:
    """The sender's answer must not wait for a storm's decisions."""
    kit = kit_of(k.rule(run_per=("pod",)))
    kit.hurry(*(k.firing(pod=str(n)) for n in range(HURRIED + 1)))
    assert kit.said() == []
    kit.triage.drain()
    assert len(kit.runs()) == HURRIED + 1
