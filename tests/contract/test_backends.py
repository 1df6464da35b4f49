"""Every command works both ways: the local store and a real HTTP server answer one suite alike."""

from __future__ import annotations

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
from tests.unit.edges.app import App, served

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
