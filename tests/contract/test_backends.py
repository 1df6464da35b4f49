"""Every command works both ways: the local store and a real HTTP server answer one suite alike."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from engine.domain.errors import InvalidInput, NotFound, Refused, StanchError
from engine.domain.people import Actor
from engine.edges.cli.backend import LISTS, Backend
from engine.edges.cli.local import LocalBackend
from engine.edges.cli.remote import RemoteBackend, Unreachable
from engine.edges.problems import Unauthenticated
from engine.journal.rows import Page
from tests.unit.edges.app import App, sample_alert, served

ROLES = frozenset({"viewer", "operator", "sre"})


@dataclass
class Case:
    app: App
    backend: Backend


@pytest.fixture(params=["local", "remote"])
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Case]:
    app = App(tmp_path)
    if request.param == "local":
        yield Case(app, LocalBackend(app, Actor("alice", ROLES)))
    else:
        token = app.token("alice", *ROLES)
        with served(app) as url, RemoteBackend(url, token) as backend:
            yield Case(app, backend)
    app.store.close()


def test_every_list_has_one_shape(case: Case) -> None:
    case.app.gated_run()
    for what in sorted(LISTS):
        answer = case.backend.list(what)
        more = set(answer) - {"items", "next"}
        assert bool(more) is (what == "brakes"), what  # which shows what is used and held, too
        assert answer["next"] is None or isinstance(answer["next"], str)
        assert isinstance(answer["items"], list)


def test_lists_are_filtered_and_paged(case: Case) -> None:
    ids = [case.app.engine.start(case.app.engine.programs["toys/ask"]) for _ in range(3)]
    first = case.backend.list("runs", limit=2, states=["queued"])
    rest = case.backend.list("runs", limit=2, before=first["next"], states=["queued"])
    assert [item["id"] for item in first["items"] + rest["items"]] == list(reversed(ids))
    assert case.backend.list("runs", states=["failed", "held"])["items"] == []
    assert case.backend.list("runs", playbook="toys/raise")["items"] == []
    assert case.backend.list("alerts", labels={"a": "b"})["items"] == []
    assert case.backend.list("incidents", open_only=True)["items"] == []
    assert case.backend.list("approvals", closed=True)["items"] == []


def test_start_plan_approve_follow(case: Case) -> None:
    backend = case.backend
    plan = backend.preview("toys/raise", {"to": 4}, None)
    assert plan["steps"][-1]["after"] == {"value": 4}
    line = backend.start("toys/raise", {"to": 4}, mode="dry_run", priority=7, alert=None)
    assert (line["priority"], line["requester"]) == (7, "alice")

    run, gate, fingerprint = case.app.gated_run()
    assert backend.show(run)["kind"] == "run"
    assert backend.show(gate[-8:])["item"]["id"] == gate
    assert backend.gate(run)["id"] == gate
    assert backend.plan(gate)["fingerprint"] == fingerprint
    with pytest.raises(Refused, match="changed"):
        backend.approve(gate, "f" * 64, "")
    voted = backend.approve(gate, fingerprint[:16], "fine")
    assert [(vote["actor"], vote["comment"]) for vote in voted["votes"]] == [("alice", "fine")]
    case.app.settle()
    page = backend.entries(run, 0)
    assert page["run"]["state"] == "succeeded"
    assert backend.entries(run, page["entries"][-1]["n"])["entries"] == []
    assert backend.run(run)["steps"][-1]["state"] == "succeeded"


def test_reject_withdraw_cancel_retry_undo_done(case: Case) -> None:
    backend, app = case.backend, case.app
    run, gate, _ = app.gated_run()
    with pytest.raises(Refused, match="has not voted"):
        backend.withdraw(gate)
    assert backend.reject(gate, "no")["votes"][0]["decision"] == "reject"
    app.settle()
    with pytest.raises(Refused, match="ended"):
        backend.cancel(run, "late")
    with pytest.raises(Refused):
        backend.retry(run, "")
    with pytest.raises(Refused, match="no change"):
        backend.undo(run, [])
    asked = app.engine.start(app.engine.programs["toys/ask"])
    app.settle()
    with pytest.raises(InvalidInput, match="waits for nobody"):
        backend.done(asked, "nothing", "x")
    assert backend.done(asked, "call", "rang")["id"] == asked
    app.settle()
    assert backend.run(asked)["state"] == "succeeded"


def test_brakes(case: Case) -> None:
    assert [item["engaged"] for item in case.backend.pause("outage")["items"]] == [True]
    assert [item["engaged"] for item in case.backend.resume("")["items"]] == [False]


def test_errors_are_the_same_either_way(case: Case) -> None:
    backend = case.backend
    with pytest.raises(NotFound) as missing:
        backend.playbook("toys/rise")
    assert missing.value.near[0] == "toys/raise"
    with pytest.raises(NotFound):
        backend.run("run-0000000000000000")
    with pytest.raises(InvalidInput, match="required"):
        backend.start("toys/raise", {}, mode="approve", priority=5, alert=None)
    with pytest.raises(InvalidInput, match="too short"):
        backend.show("zz")
    with pytest.raises(InvalidInput, match="no run state"):
        backend.list("runs", states=["sleeping"])


def test_tokens_are_the_admins_and_the_store_owners(case: Case) -> None:
    if isinstance(case.backend, RemoteBackend):
        with pytest.raises(Refused) as refused:
            case.backend.create_token("eve", ["admin"], None)
        assert refused.value.missing_role == "admin"
        return
    made = case.backend.create_token("bob", ["viewer"], None)
    assert made["token"].startswith("stanch_")
    (listed,) = case.backend.tokens()["items"]
    assert made["token"] not in str(listed)
    with pytest.raises(InvalidInput, match="no role"):
        case.backend.create_token("bob", ["king"], None)
    assert case.backend.revoke_token("bob")["revoked"] == 1


# ---------------------------------------------------------------- what only a server can answer


def test_a_server_that_is_not_there() -> None:
    with (
        RemoteBackend("http://127.0.0.1:1", None) as backend,
        pytest.raises(Unreachable, match="does not answer"),
    ):
        backend.list("runs")


def test_a_bad_token(tmp_path: Path) -> None:
    app = App(tmp_path)
    with (
        served(app) as url,
        RemoteBackend(url, "stanch_no") as backend,
        pytest.raises(Unauthenticated),
    ):
        backend.list("runs")
    app.store.close()


@pytest.mark.parametrize(
    ("server", "words"),
    [
        ("stanch.internal", "no server"),
        ("ftp://x", "no server"),
        ("http://far.example", "plain HTTP"),
    ],
)
def test_servers_that_are_refused(server: str, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        RemoteBackend(server, "stanch_token")


def test_a_server_that_is_something_else(tmp_path: Path) -> None:
    import httpx

    def other(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, text="<html>")

    def moved(_: httpx.Request) -> httpx.Response:
        return httpx.Response(302, headers={"location": "https://evil.example"})

    for answer in (other, moved):
        backend: Any = RemoteBackend(
            "http://127.0.0.1:1", None, transport=httpx.MockTransport(answer)
        )
        with pytest.raises(StanchError, match=r"JSON|no reason"):
            backend.list("runs")


# ---------------------------------------------------------------- incidents and calls


@pytest.fixture
def incident(case: Case) -> str:
    """An open incident of a rule's alert, its run at its gate."""
    app = case.app
    alert = sample_alert(5)
    app.store.write(lambda tx: tx.alerts.accept(alert))
    app.settle()
    return str(case.backend.list("incidents")["items"][0]["id"])


def test_an_incident_is_handled_either_way(case: Case, incident: str) -> None:
    backend = case.backend
    backend.on_incident(incident, "severity", severity="P0", reason="customers see it")
    backend.on_incident(incident, "title", title="x is low", reason="")
    backend.on_incident(incident, "role", role="commander", person="alice", note="")
    backend.on_incident(incident, "note", note="looking at the table")
    item = backend.acknowledge(incident[-8:], "mine")
    assert (item["severity"], item["title"], item["state"], item["roles"]) == (
        *("P0", "x is low", "acknowledged"),
        {"commander": "alice"},
    )
    texts = [line["text"] for line in item["timeline"]]
    assert "looking at the table (alice)" in texts
    assert "incident went from open to acknowledged: acknowledged by alice: mine" in texts
    with pytest.raises(Refused, match="cancel it or let it end first"):
        backend.on_incident(incident, "resolve", reason="it is fine")
    (run,) = item["runs"]
    backend.cancel(run["id"], "not needed")
    case.app.settle()
    assert backend.on_incident(incident, "resolve", reason="it is fine")["state"] == "resolved"
    assert backend.on_incident(incident, "reopen", reason="not so")["state"] == "reopened"
    assert backend.on_incident(incident, "close", reason="known")["state"] == "closed"


def test_files_come_and_go_either_way(case: Case, incident: str) -> None:
    content = bytes(range(256))
    given = {"name": "dump.bin", "content_type": "application/octet-stream"}
    encoded = base64.b64encode(content).decode()
    case.backend.on_incident(incident, "artifact", **given, content=encoded, reference=None)
    item, back = case.backend.artifact(incident, "dump.bin")
    assert (item["bytes"], back) == (256, content)
    where = {"connection": "files", "name": "a/b", "sha256": "0" * 64, "bytes": 7}
    elsewhere = {"name": "rows.csv", "content_type": "text/csv"}
    case.backend.on_incident(incident, "artifact", **elsewhere, content=None, reference=where)
    item, back = case.backend.artifact(incident, "rows.csv")
    assert (item["reference"], back) == (where, None)
    with pytest.raises(NotFound, match="has no artifact 'x'"):
        case.backend.artifact(incident, "x")
    with pytest.raises(InvalidInput, match="in base64, and this is not"):
        case.backend.on_incident(incident, "artifact", **given, content="%%", reference=None)
    with pytest.raises(InvalidInput, match="content or its reference, one of them"):
        case.backend.on_incident(incident, "artifact", **given, content=None, reference=None)


def test_people_are_called_and_seen_either_way(case: Case, incident: str) -> None:
    assert case.backend.pages(over=False)["items"] == []
    item = case.backend.on_incident(
        incident, "escalate", level="critical", reason="it is bad", chain=None
    )
    (page,) = item["pages"]
    assert (page["level"], page["chain"], page["state"]) == ("critical", "default", "open")
    assert case.backend.pages(over=False)["items"] == [page]
    seen = case.backend.acknowledge(page["id"], "mine")
    assert (seen["state"], seen["seen_by"]) == ("seen", "alice")
    assert seen["note"] == "acknowledged by alice: mine"
    assert case.backend.show(incident)["item"]["state"] == "acknowledged"
    with pytest.raises(Refused, match=r"alice has seen page .* already"):
        case.backend.acknowledge(page["id"], "")
    assert case.backend.pages(over=False)["items"] == []
    assert case.backend.pages(over=True)["items"][0]["id"] == page["id"]
    assert case.backend.on_call()["schedules"] == []
    with pytest.raises(InvalidInput, match="no escalation chain 'loud'"):
        case.backend.on_incident(
            incident, "escalate", level="critical", reason="it is bad", chain="loud"
        )


def test_a_postmortem_is_written_either_way(case: Case, incident: str) -> None:
    wanted: dict[str, Any] = {"format_": "md", "template": "postmortem"}
    answer = case.backend.postmortem(incident, **wanted, given=None, publish=False)
    assert (answer["version"], answer["state"]) == (0, "none")
    assert "# Postmortem: XLow (to=5)" in answer["text"]
    mark = "<!-- people: summary -->\n"
    start = answer["text"].index(mark) + len(mark)
    end = answer["text"].index("\n<!-- /people: summary -->")
    given = answer["text"][:start] + "x was low." + answer["text"][end:]
    saved = case.backend.postmortem(incident, **wanted, given=given, publish=True)
    assert (saved["changed"], saved["state"]) == (["summary"], "published")
    html = case.backend.postmortem(
        incident, format_="html", template="postmortem", given=None, publish=False
    )
    assert '<p class="people">x was low.</p>' in html["text"]
    with pytest.raises(NotFound, match="no template 'x'"):
        case.backend.postmortem(incident, format_="md", template="x", given=None, publish=False)
    with pytest.raises(InvalidInput, match="no postmortem that stanch made"):
        case.backend.postmortem(incident, **wanted, given="# Mine", publish=False)


def test_merging_either_way(case: Case, incident: str) -> None:
    case.app.store.write(lambda tx: tx.alerts.accept(sample_alert(6)))
    case.app.settle()
    other = next(
        one["id"] for one in case.backend.list("incidents")["items"] if one["id"] != incident
    )
    kept = case.backend.on_incident(other, "merge", into=incident, reason="the same table")
    assert (kept["id"], kept["merged"], len(kept["alerts"])) == (incident, [other], 2)
    assert case.backend.show(other)["item"]["merged_into"] == incident


def test_a_viewer_changes_no_incident(tmp_path: Path) -> None:
    app = App(tmp_path)
    app.store.write(lambda tx: tx.alerts.accept(sample_alert(5)))
    app.settle()
    (incident,) = app.store.read(lambda tx: tx.incidents.list(Page()))
    with LocalBackend(app, Actor("eve", frozenset({"viewer"}))) as backend:
        before = app.store.read(lambda tx: tx.journal.read(incident.id))
        for verb, body in (
            ("note", {"note": "x"}),
            ("severity", {"severity": "P0", "reason": "x"}),
            ("close", {"reason": "x"}),
            ("escalate", {"level": "critical", "reason": "x"}),
        ):
            with pytest.raises(Refused, match="that needs the role operator"):
                backend.on_incident(incident.id, verb, **body)
        with pytest.raises(Refused, match="that needs the role operator"):
            backend.acknowledge(incident.id, "")
        wanted: dict[str, Any] = {"format_": "md", "template": "postmortem"}
        backend.postmortem(incident.id, **wanted, given=None, publish=False)
        with pytest.raises(Refused, match="that needs the role operator"):
            backend.postmortem(incident.id, **wanted, given=None, publish=True)
        assert app.store.read(lambda tx: tx.journal.read(incident.id)) == before
    app.store.close()
