"""Calls out of a real configuration: PagerDuty's and Opsgenie's shapes and mail go out, acknowledgements come in."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from engine.domain.clock import ManualClock
from engine.domain.incident import IncidentState, Level
from engine.domain.people import Actor
from engine.edges.config import load_config
from engine.edges.web.app import create_app
from engine.edges.wiring import Application, build
from engine.incidents.paging import Paging
from engine.journal.rows import IncidentRow
from engine.language.diagnostics import InvalidProject
from tests.contract.actions.pager import KEY, Pager
from tests.contract.actions.postbox import PASSWORD, USER, Postbox
from tests.databases import put_database

ALICE = Actor("alice", frozenset({"operator"}), via="api")
CONFIG = """
store: sqlite:///stanch.db
decisions_log: decisions.log
keys: {{images: {{file: images.key}}, seal: {{file: seal.key}}}}
rules: []
playbooks: []
connections:
  duty: {{kind: webhook, preset: pagerduty, url: "{url}", key: {{env: KEY}}, records: "{folder}/duty"}}
  genie: {{kind: webhook, preset: opsgenie, url: "{url}", key: {{env: KEY}}, records: "{folder}/genie"}}
  post:
    kind: mail
    host: 127.0.0.1
    port: {port}
    security: none
    sender: stanch@example.org
    username: {user}
    password: {{env: PASSWORD}}
    recipients: ["*@example.org"]
    records: "{folder}/post"
escalation:
  people:
    alice: {{ways: [{{webhook: duty}}]}}
  schedules:
    primary: {{file: oncall.yaml}}
  contacts:
    primary: {{title: Primary on-call, on_call: primary}}
    second: {{title: Second, ways: [{{webhook: genie}}, {{mail: {{connection: post, to: [boss@example.org]}}}}]}}
  chains:
    default: {{steps: [{{contact: primary, within: 15m}}, {{contact: second}}], repeat: 30m}}
  severities: {{P0: emergency, P1: critical}}
  acknowledgements: {{pagerduty: {{env: DUTY_HOOK}}, opsgenie: {{env: GENIE_HOOK}}}}
"""
ROTA = "rotations:\n  - {people: [alice], start: 2020-01-01T00:00:00Z, every: 7d}\n"
ENVIRON = {
    "KEY": KEY,
    "PASSWORD": PASSWORD,
    "DUTY_HOOK": "duty-hook-secret",
    "GENIE_HOOK": "genie-hook-token",
}


class Scene:
    """An application with everything outside, and one incident."""

    def __init__(self, folder: Path, pager: Pager, postbox: Postbox) -> None:
        (folder / "oncall.yaml").write_text(ROTA)
        (folder / "stanch.yaml").write_text(
            CONFIG.format(url=pager.url, port=postbox.port, user=USER, folder=folder)
        )
        self.pager, self.postbox = pager, postbox
        self.clock = ManualClock()
        put_database(folder / "stanch.db")
        config = load_config(folder / "stanch.yaml")
        self.app: Application = build(config, clock=self.clock, environ=ENVIRON)
        self.moved = 0.0
        self.app.store.write(self._open)

    def _open(self, tx: Any) -> None:
        row = IncidentRow(
            *("inc-1", "ETL stands", "etl", IncidentState.OPEN, "P1", tx.now(), None),
            {"labels": {"namespace": "etl"}},
        )
        tx.incidents.open(row)
        self.app.calling.incident_opened(tx, row)

    def work(self) -> None:
        Paging(self.app.store, self.app.pager).tick()
        while self.app.escalator.tick():
            pass

    def page(self) -> Any:
        (page,) = self.app.store.read(lambda tx: tx.pages.list(open_only=False))
        return page

    def incident(self) -> IncidentRow:
        found = self.app.store.read(lambda tx: tx.incidents.get("inc-1"))
        assert found is not None
        return found

    def post(self, path: str, body: Any, **headers: str | bytes) -> httpx.Response:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()

        sent = {
            name.encode(): value if isinstance(value, bytes) else value.encode()
            for name, value in headers.items()
        }

        async def work() -> httpx.Response:
            web = create_app(self.app)
            transport = httpx.ASGITransport(web, raise_app_exceptions=False)
            async with httpx.AsyncClient(
                transport=transport, base_url="http://127.0.0.1"
            ) as client:
                return await client.post(
                    path,
                    content=raw,
                    headers=list(sent.items()),
                )

        return asyncio.run(work())


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with Pager() as pager, Postbox() as postbox:
        made = Scene(tmp_path, pager, postbox)
        yield made
        made.app.stop()


def test_a_call_opens_is_acknowledged_and_ends_at_the_pager(scene: Scene) -> None:
    scene.work()
    page = scene.page()
    assert list(scene.pager.alerts) == [page.id]
    (body,) = scene.pager.bodies
    assert body["payload"]["severity"] == "error"
    assert body["payload"]["summary"] == "[critical] ETL stands"
    assert body["payload"]["custom_details"]["incident"] == "inc-1"
    assert body["payload"]["custom_details"]["contact"] == "Primary on-call (alice)"
    from engine.incidents import lifecycle

    scene.app.store.write(lambda tx: lifecycle.acknowledge(tx, "inc-1", ALICE))
    scene.work()
    assert scene.pager.bodies[-1]["event_action"] == "acknowledge"
    scene.app.store.write(lambda tx: lifecycle.resolve(tx, "inc-1", ALICE, "fixed upstream"))
    scene.work()
    assert scene.pager.bodies[-1]["event_action"] == "resolve"
    assert {one.get("dedup_key") for one in scene.pager.bodies} == {page.id}


def test_an_emergency_reaches_opsgenie_and_the_post_too(scene: Scene) -> None:
    incident = scene.incident()
    scene.app.store.write(
        lambda tx: scene.app.calling.escalate(tx, incident, Level.EMERGENCY, "data is lost")
    )
    scene.app.store.write(
        lambda tx: tx.calls.change(_call(tx), next_at=tx.now(), rung=1)  # the second contact's turn
    )
    scene.work()
    assert any(body.get("alias") == scene.page().id for body in scene.pager.bodies)
    ((to, mail),) = scene.postbox.mail
    assert to == ["boss@example.org"]
    assert mail["Subject"] == "[emergency] ETL stands"
    text = mail.get_payload()
    assert f"stanch ack {scene.page().id}" in str(text)
    assert "data is lost" in str(text)


def _call(tx: Any) -> Any:
    (call,) = tx.calls.open_ones()
    return call


# ---------------------------------------------------------------- acknowledgements from there


def pagerduty_event(page: str, kind: str = "incident.acknowledged") -> bytes:
    data = {"id": "Q1", "type": "incident", "incident_key": page, "status": "acknowledged"}
    event = {"id": "01", "event_type": kind, "agent": {"summary": "Alice"}, "data": data}
    return json.dumps({"event": event}).encode()


def sign(raw: bytes, secret: str = "duty-hook-secret") -> str:
    return "v1=" + hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()


def test_an_acknowledgement_at_pagerduty_counts_here(scene: Scene) -> None:
    scene.work()
    raw = pagerduty_event(scene.page().id)
    old = sign(raw, "an older secret")
    answer = scene.post("/hooks/pagerduty", raw, **{"x-pagerduty-signature": f"{old},{sign(raw)}"})
    assert answer.json() == {"acknowledged": True, "reason": ""}
    assert scene.incident().state is IncidentState.ACKNOWLEDGED
    assert (scene.page().acked_by, scene.page().note[:30]) == (
        *("Alice", "acknowledged by Alice: acknowl"),
    )
    again = scene.post("/hooks/pagerduty", raw, **{"x-pagerduty-signature": sign(raw)})
    assert again.json()["acknowledged"] is False


def test_an_acknowledgement_at_opsgenie_counts_here(scene: Scene) -> None:
    scene.work()
    body = {"action": "Acknowledge", "alert": {"alias": scene.page().id, "username": "bob@x"}}
    answer = scene.post("/hooks/opsgenie", body, authorization="Bearer genie-hook-token")
    assert answer.json()["acknowledged"] is True
    assert scene.page().acked_by == "bob@x"


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/hooks/pagerduty", {}),
        ("/hooks/pagerduty", {"x-pagerduty-signature": "v1="}),
        ("/hooks/pagerduty", {"x-pagerduty-signature": "v1=" + "0" * 64}),
        ("/hooks/pagerduty", {"x-pagerduty-signature": "v1=\u00e9"}),
        ("/hooks/opsgenie", {}),
        ("/hooks/opsgenie", {"authorization": "Bearer "}),
        ("/hooks/opsgenie", {"authorization": "Bearer duty-hook-secret"}),
    ],
)
def test_forged_acknowledgements_are_refused(
    scene: Scene, path: str, headers: dict[str, str]
) -> None:
    raw = pagerduty_event(scene.page().id)
    answer = scene.post(path, raw, **{name: value.encode() for name, value in headers.items()})
    assert answer.status_code == 401
    assert scene.page().acked_at is None
    assert scene.incident().state is IncidentState.OPEN


def test_what_is_none_of_ours_changes_nothing(scene: Scene) -> None:
    for body in (
        pagerduty_event("somebody-elses"),
        pagerduty_event("page-unknown"),
        pagerduty_event(scene.page().id, "incident.priority_updated"),
        b'{"event": []}',
        b"{}",
    ):
        answer = scene.post("/hooks/pagerduty", body, **{"x-pagerduty-signature": sign(body)})
        assert (answer.status_code, answer.json()["acknowledged"]) == (200, False)
    for body in (b"[]", b"nonsense"):
        answer = scene.post("/hooks/pagerduty", body, **{"x-pagerduty-signature": sign(body)})
        assert answer.status_code == 422
    assert scene.page().acked_at is None


# ---------------------------------------------------------------- the section


def test_mistakes_of_the_section_are_all_told(tmp_path: Path) -> None:
    path = tmp_path / "stanch.yaml"
    path.write_text(
        """
connections:
  pager: {kind: webhook, preset: pagerduty, key: {env: KEY}, records: r}
escalation:
  people: {alice: {ways: [{webhook: pagr}, {webhook: pager, chat: ops}]}}
  schedules: {primary: {file: a.yaml, ical: {file: b.ics}}, feed: {ical: {connection: pager}}}
  contacts:
    first: {on_call: primry}
    second: {person: bob}
    third: {title: Nobody}
  chains: {loud: {steps: [{contact: frist}]}}
  levels: {warning: {first: 30m}, critical: {chain: lod}}
  severities: {P5: warning, P0: panic}
"""
    )
    with pytest.raises(InvalidProject) as caught:
        load_config(path)
    told = str(caught.value)
    for words in (
        "there is no connection 'pagr'",
        "a way is exactly one of these",
        "a schedule is exactly one of these",
        "connection 'pager' is of kind webhook, not http",
        "there is no schedule 'primry'",
        "there is no person 'bob'",
        "nobody is reached by this contact",
        "there is no contact 'frist'",
        "there is no chain called default",
        "there is no chain 'lod'",
        "'P5' is no severity",
        "one of warning, critical, emergency",
    ):
        assert words in told, words
