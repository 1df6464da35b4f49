"""Escalation: who is called when, until somebody has seen it; once, whatever nodes and crashes do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from engine.domain.canonical import JsonObject
from engine.domain.errors import ActionFailed, Category, InvalidInput, Refused
from engine.domain.incident import IncidentState, Level
from engine.domain.people import Actor
from engine.domain.run import RunState
from engine.edges.config import load_config
from engine.incidents import lifecycle
from engine.incidents.calling import Calling
from engine.incidents.chains import Chain, Contact, LevelRule, Policy, Rung, next_call
from engine.incidents.escalation import Escalator, Message, OnDuty
from engine.incidents.paging import Paging
from engine.incidents.standing import ChainPager
from engine.journal.casefiles import CallRow
from engine.language.rules import Priority
from engine.running.paging import needs_human
from tests.unit.incidents.conftest import MakeKit
from tests.unit.incidents.kit import START, Kit, firing, matchers, open_sqlite, resolved, rule

ALICE = Actor("alice", frozenset({"operator"}), via="api")

P1 = Priority(cases=(("P1", True),))
# The levels and the five contacts of a queue runbook: warning after 30 minutes, critical to the next
# contact after 15, emergency to everybody at once.
NAMES = ("primary", "secondary", "database", "infrastructure", "management")
CONTACTS = {name: Contact(name, name.title(), ({"webhook": f"pager-{name}"},)) for name in NAMES}
CONTACTS["primary"] = replace(CONTACTS["primary"], on_call="rota", ways=({"mail": "fallback"},))
FOR = {"database": 'part="database"', "infrastructure": 'part=~"pods|network"'}
POLICY = Policy(
    chains={
        "default": Chain(
            tuple(Rung(name, 600.0, matchers(FOR[name]) if name in FOR else ()) for name in NAMES),
            repeat=1800.0,
        ),
        "quiet": Chain((Rung("management", 600.0),), repeat=3600.0),
    },
    contacts=CONTACTS,
    levels={
        Level.WARNING: LevelRule("default", first=1800.0),
        Level.CRITICAL: LevelRule("default", step=900.0),
        Level.EMERGENCY: LevelRule("default", step=0.0),
    },
    severities={"P0": Level.EMERGENCY, "P1": Level.CRITICAL, "P2": Level.WARNING},
)


@dataclass
class Phones:
    """A messenger that keeps what it sent; the ways in `dead` fail."""

    sent: list[tuple[str, str, str]] = field(default_factory=list)  # way, event, contact
    keys: list[str] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    dead: set[str] = field(default_factory=set)

    def send(self, way: JsonObject, message: Message, key: str) -> str:
        place = str(next(iter(way.values())))
        if place in self.dead:
            raise ActionFailed(Category.TRANSIENT, f"{place} does not answer")
        self.sent.append((place, message.event, message.contact))
        self.keys.append(key)
        self.messages.append(message)
        return "accepted"

    def take(self) -> list[str]:
        """The places told since the last look."""
        told, self.sent = [place for place, _, _ in self.sent], []
        return told


@dataclass
class Rota:
    names: Sequence[str] = ("alice",)
    trouble: str = ""

    def who(self, schedule: str, at: datetime) -> OnDuty:
        del schedule, at
        if self.trouble:
            raise ActionFailed(Category.TRANSIENT, self.trouble)
        return OnDuty(self.names, [{"webhook": name} for name in self.names], "the rota")


class Desk:
    """One node's paging and escalation over a kit's store."""

    def __init__(self, kit: Kit, policy: Policy = POLICY) -> None:
        self.kit = kit
        self.phones, self.rota = Phones(), Rota()
        self.caller = Calling(policy)
        self.paging = Paging(kit.store, ChainPager(kit.store, self.caller))
        self.escalator = self.node()

    def node(self) -> Escalator:
        return Escalator(
            self.kit.store, self.caller.policy, self.phones, self.rota, public_url="https://st"
        )

    def later(self, seconds: float, step: float = 60.0) -> None:
        """Let time pass, doing what becomes due on the way."""
        while seconds > 0:
            self.kit.clock.advance(min(step, seconds))
            seconds -= step
            self.work()

    def work(self) -> None:
        self.paging.tick()
        while self.escalator.tick():
            pass

    def escalate(self, level: Level, reason: str = "it is bad", chain: str | None = None) -> str:
        incident = self.kit.incidents()[0]
        found = self.kit.store.read(lambda tx: tx.incidents.get(incident.id))
        assert found is not None
        page = self.kit.store.write(
            lambda tx: self.caller.escalate(tx, found, level, reason, chain, ALICE)
        )
        self.work()
        return page

    def call(self) -> CallRow:
        (only,) = self.kit.store.read(lambda tx: tx.calls.open_ones())
        return only


@pytest.fixture
def desk(make: MakeKit) -> Desk:
    kit = make(rule())
    kit.post(firing())
    return Desk(kit)


# ---------------------------------------------------------------- levels and their timers


def test_a_warning_waits_half_an_hour_then_climbs(desk: Desk) -> None:
    desk.escalate(Level.WARNING)
    desk.later(29 * 60)
    assert desk.phones.take() == []
    desk.later(60)
    assert desk.phones.take() == ["alice", "fallback"]
    desk.later(600)
    assert desk.phones.take() == ["pager-secondary"]


def test_critical_goes_to_the_next_contact_every_fifteen_minutes(desk: Desk) -> None:
    desk.escalate(Level.CRITICAL)
    assert desk.phones.take() == ["alice", "fallback"]
    desk.later(899)
    assert desk.phones.take() == []
    desk.later(61)
    assert desk.phones.take() == ["pager-secondary"]
    desk.later(900)
    assert desk.phones.take() == ["pager-management"]  # the other two are for other parts
    desk.later(1800)
    assert desk.phones.take() == ["alice", "fallback"]  # and again, until somebody has seen it
    assert desk.call().round == 1


def test_an_emergency_calls_everybody_at_once(make: MakeKit) -> None:
    kit = make(rule())
    kit.post(firing(part="database"))
    desk = Desk(kit)
    desk.escalate(Level.EMERGENCY)
    assert desk.phones.take() == [
        *("alice", "fallback", "pager-secondary", "pager-database", "pager-management")
    ]
    desk.later(1800)
    assert len(desk.phones.take()) == 5


def test_an_incident_calls_as_its_severity_says(make: MakeKit) -> None:
    kit = make(rule(priority=P1))
    kit.on_opened = Calling(POLICY).incident_opened
    kit.restart()
    desk = Desk(kit)
    kit.post(firing())
    desk.work()
    assert desk.phones.take() == ["alice", "fallback"]
    message = desk.phones.messages[0]
    assert message.title == "[critical] Down (ns=a)"
    assert message.contact == "Primary (alice)"
    assert message.link == f"https://st/incidents/{kit.incident().id}"
    assert f"stanch ack {message.name}" in message.text
    texts = [
        f"{entry.kind}: {entry.body.get('reason')}"
        for entry in kit.store.read(lambda tx: tx.journal.read(kit.incident().id))
        if entry.kind == "call.called"
    ]
    assert texts == ["call.called: on call by the rota"]


def test_louder_begins_anew_and_softer_does_nothing(desk: Desk) -> None:
    first = desk.escalate(Level.WARNING)
    assert desk.phones.take() == []
    assert desk.escalate(Level.EMERGENCY, "data is lost") == first
    assert len(desk.phones.take()) == 4
    desk.escalate(Level.WARNING, "calmer now")
    assert desk.phones.take() == []
    assert desk.call().level == "emergency"


def test_a_chain_by_name(desk: Desk) -> None:
    desk.escalate(Level.CRITICAL, chain="quiet")
    assert desk.phones.take() == ["pager-management"]
    with pytest.raises(InvalidInput, match="no escalation chain 'loud'; configured are: default"):
        desk.escalate(Level.CRITICAL, chain="loud")


# ---------------------------------------------------------------- seen, and over


def test_who_acknowledges_the_incident_stops_the_calls_everywhere(desk: Desk) -> None:
    page = desk.escalate(Level.CRITICAL)
    desk.phones.take()
    incident = desk.kit.incident().id
    desk.kit.store.write(lambda tx: lifecycle.acknowledge(tx, incident, ALICE))
    desk.later(7200)
    assert desk.phones.sent == [
        ("alice", "acknowledge", "Primary (alice)"),
        ("fallback", "acknowledge", "Primary (alice)"),
    ]
    row = desk.kit.store.read(lambda tx: tx.pages.get(page))
    assert row is not None
    assert row.acked_by == "alice"
    assert desk.call().state == "acknowledged"


def test_what_is_repaired_already_can_still_be_seen(desk: Desk) -> None:
    page = desk.escalate(Level.CRITICAL)
    desk.phones.take()
    desk.kit.end(desk.kit.runs()[0].id)
    incident = desk.kit.incident()
    assert incident.state is IncidentState.MITIGATED
    seen = desk.kit.store.write(lambda tx: lifecycle.acknowledge(tx, incident.id, ALICE, "mine"))
    assert seen.state is IncidentState.MITIGATED
    row = desk.kit.store.read(lambda tx: tx.pages.get(page))
    assert row is not None
    assert (row.acked_by, row.note) == ("alice", "mine")
    with pytest.raises(Refused, match="only an open one is acknowledged"):
        desk.kit.store.write(lambda tx: lifecycle.acknowledge(tx, incident.id, ALICE))


def test_the_end_of_the_incident_ends_the_alerts_at_the_pagers(desk: Desk) -> None:
    desk.escalate(Level.CRITICAL)
    desk.phones.take()
    desk.kit.end(desk.kit.runs()[0].id)
    desk.kit.post(resolved(firing()))
    desk.work()
    assert [event for _, event, _ in desk.phones.sent] == ["resolve", "resolve"]
    assert desk.kit.store.read(lambda tx: tx.calls.open_ones()) == []
    desk.phones.take()
    desk.later(7200)
    assert desk.phones.take() == []


def test_a_run_that_needs_a_person_calls_until_it_goes_on(desk: Desk) -> None:
    kit = desk.kit
    run = kit.runs()[0]
    kit.end(run.id, RunState.NEEDS_HUMAN)
    kit.store.write(lambda tx: needs_human(tx, kit.runs()[0], "nobody can tell"))
    desk.work()
    assert desk.phones.take() == ["alice", "fallback"]
    kit.end(run.id, RunState.SUCCEEDED)
    desk.work()
    assert {event for _, event, _ in desk.phones.sent} == {"resolve"}
    (page,) = kit.store.read(lambda tx: tx.pages.list(open_only=False))
    assert page.acked_by == "stanch"


def test_what_was_not_sent_yet_is_not_sent_once_seen(desk: Desk) -> None:
    desk.phones.dead = {"alice", "fallback"}
    desk.escalate(Level.CRITICAL)
    incident = desk.kit.incident().id
    desk.kit.store.write(lambda tx: lifecycle.acknowledge(tx, incident, ALICE))
    desk.phones.dead = set()
    desk.later(600)
    assert [event for _, event, _ in desk.phones.sent] == ["acknowledge", "acknowledge"]


# ---------------------------------------------------------------- trouble


def test_a_channel_that_does_not_answer_is_tried_again_and_given_up(desk: Desk) -> None:
    desk.phones.dead = {"alice"}
    page = desk.escalate(Level.CRITICAL)
    assert desk.phones.take() == ["fallback"]
    desk.later(30, step=5)
    desk.phones.dead = set()
    desk.later(120, step=5)
    assert desk.phones.take() == ["alice"]
    desk.phones.dead = {"pager-secondary"}
    desk.later(900)
    desk.later(800)
    sends = desk.kit.store.read(lambda tx: tx.calls.sends(page))
    (lost,) = (one for one in sends if one.state == "failed")
    assert (lost.error, lost.tries) == ("pager-secondary does not answer", 6)
    kinds = desk.kit.story(desk.kit.incident().id)
    assert kinds.count("call.failed") == 3  # the first try of each, and the one that was given up


def test_a_rota_that_cannot_be_asked_falls_back_and_says_so(desk: Desk) -> None:
    desk.rota.trouble = "the calendar is away"
    desk.escalate(Level.CRITICAL)
    assert desk.phones.take() == ["fallback"]
    entries = desk.kit.store.read(lambda tx: tx.journal.read(desk.kit.incident().id))
    (called,) = (entry.body for entry in entries if entry.kind == "call.called")
    assert called["reason"] == "who is on call by rota cannot be told: the calendar is away"


def test_who_cannot_be_reached_at_all_is_passed_over_at_once(make: MakeKit) -> None:
    kit = make(rule())
    kit.post(firing())
    contacts = {**CONTACTS, "primary": replace(CONTACTS["primary"], ways=())}
    desk = Desk(kit, replace(POLICY, contacts=contacts))
    desk.rota.names = ()
    desk.escalate(Level.CRITICAL)
    assert desk.phones.take() == ["pager-secondary"]


def test_without_chains_a_page_is_a_row_and_a_line_in_the_log(
    make: MakeKit, caplog: pytest.LogCaptureFixture
) -> None:
    kit = make(rule())
    kit.post(firing())
    desk = Desk(kit, Policy())
    desk.escalate(Level.CRITICAL, "look here")
    assert desk.phones.sent == []
    assert "PAGE critical incident:" in caplog.text
    assert len(kit.store.read(lambda tx: tx.pages.list())) == 1


# ---------------------------------------------------------------- many nodes, crashes


def test_two_nodes_call_once(desk: Desk) -> None:
    other = desk.node()
    desk.escalate(Level.CRITICAL)
    desk.phones.take()
    for _ in range(20):
        desk.kit.clock.advance(60)
        call = desk.kit.store.read(lambda tx: tx.calls.due(10))
        for row in call:  # both have seen the same row before either of them acts
            assert desk.escalator._call(row) + other._call(row) == 1
        while desk.escalator.tick() + other.tick():
            pass
    assert desk.phones.take() == ["pager-secondary"]
    assert len(set(desk.phones.keys)) == len(desk.phones.keys)


def test_a_message_whose_sender_died_is_sent_by_another_under_the_same_key(desk: Desk) -> None:
    page = desk.escalate(Level.CRITICAL)
    keys = list(desk.phones.keys)
    desk.kit.clock.advance(900)
    (due,) = desk.kit.store.read(lambda tx: tx.calls.due(10))
    desk.escalator._call(due)
    (row,) = desk.kit.store.read(lambda tx: tx.calls.due_sends(10))
    now = desk.kit.clock.now()
    claimed = desk.kit.store.write(lambda tx: tx.calls.claim_send(row, now + timedelta(seconds=60)))
    assert claimed  # and here its node dies
    desk.work()
    assert desk.phones.keys == keys
    desk.later(60)
    assert desk.phones.keys == [*keys, f"{page}-3"]


def test_a_restart_in_between_changes_nothing(desk: Desk) -> None:
    desk.escalate(Level.CRITICAL)
    desk.phones.take()
    desk.kit.store.close()
    desk.kit.store = open_sqlite(desk.kit.path, clock=desk.kit.clock)
    desk.escalator = desk.node()
    desk.paging = Paging(desk.kit.store, ChainPager(desk.kit.store, desk.caller))
    desk.later(900)
    assert desk.phones.take() == ["pager-secondary"]


def test_a_page_that_is_acknowledged_by_its_id_stops_the_call(desk: Desk) -> None:
    page = desk.escalate(Level.CRITICAL)
    desk.kit.store.write(lambda tx: lifecycle.acknowledge_page(tx, page, ALICE, "mine"))
    desk.phones.take()
    desk.later(3600)
    assert [event for _, event, _ in desk.phones.sent] == ["acknowledge", "acknowledge"]


# ---------------------------------------------------------------- the policy alone


def row(**changes: object) -> CallRow:
    base = CallRow(
        *("page-1", "incident:i", None, "i", "critical", "default", "why", "calling", 0, 0),
        START,
        START,
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def test_a_chain_that_is_gone_calls_nobody() -> None:
    call = next_call(POLICY, row(chain="gone"), START)
    assert (call.contacts, call.next_at) == ((), None)


def test_a_chain_that_fits_nobody_begins_anew() -> None:
    policy = replace(
        POLICY, chains={"default": Chain((Rung("database", 60.0, matchers('a="b"')),), 120.0)}
    )
    call = next_call(policy, row(), START)
    assert (list(call.contacts), call.rung, call.round) == ([], 0, 1)
    assert call.next_at == START + timedelta(seconds=120)


# ---------------------------------------------------------------- as it is shipped


def shipped(make: MakeKit, alertname: str) -> Desk:
    kit = make(rule(matches=f'alertname="{alertname}"'))
    kit.post(firing(alertname))
    example = Path(__file__).parents[3] / "config.example.yaml"
    return Desk(kit, load_config(example).escalation.policy())


def contacts(desk: Desk) -> list[str]:
    told, desk.phones.sent = [contact for _, _, contact in desk.phones.sent], []
    return [name.partition(" (")[0] for name in told]


def test_the_example_calls_its_five_contacts_at_once_in_an_emergency(make: MakeKit) -> None:
    desk = shipped(make, "RpaDatabaseDown")
    desk.escalate(Level.EMERGENCY)
    first = ["Primary on-call", "Secondary on-call", "Database administrator"]
    assert contacts(desk) == [*first, "Infrastructure team", "Management"]


def test_the_example_goes_up_its_chain_past_those_whom_it_does_not_concern(make: MakeKit) -> None:
    desk = shipped(make, "RpaPoolUtilizationHigh")
    desk.escalate(Level.CRITICAL)
    chain = ("Primary on-call", "Secondary on-call", "Database administrator", "Management")
    for name in chain:
        assert contacts(desk) == [name]
        desk.later(900)


def test_the_example_lets_a_warning_last_half_an_hour(make: MakeKit) -> None:
    desk = shipped(make, "RpaFailedRecordsHigh")
    desk.escalate(Level.WARNING)
    desk.later(29 * 60)
    assert contacts(desk) == []
    desk.later(60)
    assert contacts(desk) == ["Primary on-call"]
