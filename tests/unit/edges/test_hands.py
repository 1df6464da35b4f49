"""A run in a person's hands, lent roles, broken glass and re-armed brakes: by API and by both backends."""

from __future__ import annotations

from typing import Any

import pytest

from engine.domain.people import Scope
from engine.edges.cli.local import LocalBackend
from engine.edges.desk.directory import Directory, Person, Role
from engine.edges.desk.people import actor_of_slack, actor_of_token
from engine.planning.brakes import BrakeRules, Breaker, Limit
from tests.unit.edges.app import App
from tests.unit.edges.test_api import ask, bearer, get, post

# Path, body, then the status by role. Nothing here is refused for another reason than the role.
ACTS: list[tuple[str, dict[str, Any], dict[str, int]]] = [
    ("/api/v1/runs/{run}/hold", {"reason": "x"}, {"viewer": 403, "operator": 200, "sre": 200}),
    ("/api/v1/runs/{run}/step", {}, {"viewer": 403, "operator": 200}),
    ("/api/v1/runs/{run}/takeover", {"reason": "x"}, {"viewer": 403, "operator": 200}),
    (
        "/api/v1/brakes/rearm",
        {"name": "budget:global:pods", "reason": "x"},
        {"operator": 403, "sre": 200},
    ),
    ("/api/v1/runs/{run}/preempt", {"reason": "x"}, {"operator": 403}),
    (
        "/api/v1/delegations",
        {"role": "sre", "to": "bob", "seconds": 60},
        {"viewer": 403, "sre": 201},
    ),
]


@pytest.mark.parametrize("case", ACTS, ids=lambda case: case[0].rpartition("/")[2])
def test_roles_and_hands(app: App, case: tuple[str, dict[str, Any], dict[str, int]]) -> None:
    path, body, wanted = case
    got = {}
    for role in wanted:
        run, _, _ = app.gated_run()
        token = app.token(f"{role}-person", role)
        answer = post(app, path.format(run=run), body, headers=bearer(token))
        got[role] = answer.status_code
    assert got == wanted


def test_bad_bodies_say_what_is_missing(app: App) -> None:
    run, gate, fingerprint = app.gated_run()
    answers = ask(
        app,
        ("POST", f"/api/v1/runs/{run}/hold", {"json": {}}),
        ("POST", f"/api/v1/runs/{run}/handback", {"json": {"note": ""}}),
        ("POST", f"/api/v1/approvals/{gate}/break-glass", {"json": {"reason": "x"}}),
        ("POST", f"/api/v1/runs/{run}/preempt", {"json": {"reason": "x", "how": "kill"}}),
        ("POST", "/api/v1/delegations", {"json": {"role": "sre", "to": "bob", "seconds": -1}}),
        ("POST", "/api/v1/brakes/rearm", {"json": {"name": "kill", "reason": "x"}}),
        ("POST", "/api/v1/runs/run-none/hold", {"json": {"reason": "x"}}),
    )
    codes = [(answer.status_code, answer.json()["error"]["code"]) for answer in answers]
    assert all(code in {400, 403, 404, 422} for code, _ in codes), codes
    assert codes[-1] == (404, "not_found")
    assert fingerprint


def test_broken_glass_by_api_is_the_configured_role_s(app: App) -> None:
    app.commands.break_glass_role = "lead"
    _, gate, fingerprint = app.gated_run()
    body = {"fingerprint": fingerprint, "reason": "fire"}
    path = f"/api/v1/approvals/{gate}/break-glass"
    sre = post(app, path, body, headers=bearer(app.token("sam", "sre")))
    assert (sre.status_code, sre.json()["error"]["missing_role"]) == (403, "lead")
    assert post(app, path, body, headers=bearer(app.token("lena", "lead"))).status_code == 200
    app.settle()
    closed = get(app, f"/api/v1/approvals/{gate}", headers=bearer(app.token("v", "viewer"))).json()
    assert closed["closed_by"] == "lena"
    assert closed["closed_why"].startswith("BREAK-GLASS by lena: fire")
    assert app.table.values["x"] == 5


def test_one_view_shows_all_brakes(app: App) -> None:
    app.engine.services.brakes = BrakeRules(
        breaker=Breaker(1, 60.0), connections={"toy": {"pods": Limit(5, 60.0)}}
    )
    app.commands.start("toys/fail", {}, requester=_sre(), mode=_auto())
    app.settle()
    view = get(app, "/api/v1/brakes").json()
    (brake,) = view["items"]
    assert (brake["name"], brake["engaged"], brake["by"]) == ("breaker:toys/fail", True, "stanch")
    assert {row["name"] for row in view["budgets"]} >= {"budget:connection:toy:pods"}
    (page,) = view["pages"]
    assert page["subject"] == "breaker:toys/fail"
    assert view["locks"] == view["held"] == view["windows"] == []


def _sre() -> Any:
    from tests.harness import ALICE

    return ALICE


def _auto() -> Any:
    from engine.domain.run import RunMode

    return RunMode.AUTO


def test_the_local_backend_has_every_hand(app: App) -> None:
    from tests.harness import ALICE

    run, gate, fingerprint = app.gated_run()
    backend = LocalBackend(app, ALICE)
    assert backend.steer(run, "hold", reason="a look")["id"] == run
    app.settle()
    assert [row["run"] for row in backend.list("brakes")["held"]] == [run]
    backend.steer(run, "release", reason="")
    app.settle()
    lent = backend.delegate("sre", "bob", 60.0, "leave")
    assert backend.delegations()["items"][0]["id"] == lent["id"]
    assert backend.revoke(lent["id"])["revoked_by"] == "alice"
    assert backend.approve(gate, fingerprint, "")["missing"] == 0


# ---------------------------------------------------------------- one person, many identities


PEOPLE = Directory(
    roles={
        "sre": Role(("alice", "bob"), (), Scope(packs=frozenset({"etl"}))),
        "lead": Role((), ("S1",)),
    },
    people={
        "alice": Person(slack=("U1",), tokens=("laptop",), names=("alice@example.org",)),
        "bob": Person(groups=("S1",)),
    },
)


def test_one_person_is_the_same_by_every_door(app: App) -> None:
    by_slack = actor_of_slack(PEOPLE, "U1")
    by_token = actor_of_token(app.store, app.token("laptop"), PEOPLE)
    assert by_slack.name == by_token.name == PEOPLE.canonical("alice@example.org") == "alice"
    assert by_slack.roles == by_token.roles == {"sre"}
    assert by_slack.scopes == (("sre", Scope(packs=frozenset({"etl"}))),)


def test_groups_give_roles_and_strangers_have_none() -> None:
    assert actor_of_slack(PEOPLE, "U9").name == "slack:U9"
    assert actor_of_slack(PEOPLE, "U9").roles == frozenset()
    assert actor_of_slack(PEOPLE, "U9", ["S1"]).roles == {"lead"}
    assert PEOPLE.holds("bob", "lead")
    assert not PEOPLE.holds("alice", "lead")


def test_two_identities_of_one_person_are_one_vote(app: App) -> None:
    app.config = type(app.config)(roles={"sre": ["alice"]})
    app.engine.services.approval = type(app.engine.services.approval)("sre", 2, 600.0)
    _, gate, fingerprint = app.gated_run()
    for actor in (actor_of_slack(PEOPLE, "U1"), PEOPLE.actor("alice", "api", roles=["sre"])):
        free = type(actor)(actor.name, actor.roles, actor.via)  # the toys are no pack of hers
        assert not app.commands.approve(gate, free, "", fingerprint)["quorum"]
    (vote,) = app.store.read(lambda tx: tx.gates.votes(gate))
    assert (vote.actor, vote.via) == ("alice", "api")
