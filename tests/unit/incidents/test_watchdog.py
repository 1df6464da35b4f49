"""The dead man's switch."""

from __future__ import annotations

from engine.domain.incident import IncidentState
from tests.unit.incidents.conftest import MakeKit
from tests.unit.incidents.kit import START, firing

WATCHDOG = ("Watchdog", 600.0)


def test_an_alarm_is_raised_once_and_resolves_by_itself(make: MakeKit) -> None:
    kit = make(watchdog=WATCHDOG)
    kit.post(firing("Watchdog"))
    kit.later(599)
    assert kit.incidents() == []
    kit.later(31)
    incident = kit.incident()
    assert incident.title == (
        "Watchdog has not arrived since 2026-11-23T03:00:00Z: alerts may be lost"
    )
    assert (incident.severity, incident.state) == ("P1", IncidentState.OPEN)
    (page,) = kit.store.read(lambda tx: tx.pages.list())
    assert (page.level, page.subject) == ("critical", f"incident:{incident.id}")
    kit.later(3600)
    kit.restart()
    kit.later(3600)
    assert len(kit.incidents()) == 1

    kit.post(firing("Watchdog"))  # the very same alert, delivered again
    kit.later(30)
    assert kit.incident().state is IncidentState.RESOLVED
    assert kit.store.read(lambda tx: tx.pages.list()) == []
    assert kit.body(incident.id, "incident.state")[-1]["reason"] == "Watchdog arrives again"
    kit.later(700)
    assert len(kit.incidents()) == 2


def test_one_that_never_came_is_missed_from_the_start_on(make: MakeKit) -> None:
    kit = make(watchdog=WATCHDOG)
    kit.triage.drain()
    kit.later(599)
    assert kit.incidents() == []
    kit.later(60)
    assert "has not arrived ever" in kit.incident().title


def test_after_an_outage_of_our_own_nothing_is_missed_yet(make: MakeKit) -> None:
    kit = make(watchdog=WATCHDOG)
    kit.post(firing("Watchdog"))
    kit.clock.advance(3600)
    kit.restart()
    kit.triage.drain()
    assert kit.incidents() == []
    kit.later(601)
    assert len(kit.incidents()) == 1


def test_two_nodes_raise_one_alarm(make: MakeKit) -> None:
    one = make(watchdog=WATCHDOG)
    two = make(watchdog=WATCHDOG, path=one.path, clock=one.clock)
    one.triage.drain()
    two.triage.drain()
    one.clock.advance(700)
    assert one.triage.drain() == 1
    assert two.triage.drain() == 0
    assert len(one.incidents()) == 1
    assert one.incident().opened_at > START
