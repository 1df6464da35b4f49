"""The API over the real store and commands: lists, items, acts, errors, metrics, the journal's stream."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from engine.edges.web.middleware import HEADERS, MAX_BODY
from engine.journal.database import Database
from engine.journal.seals import seal
from tests.harness import ALICE, BOB
from tests.unit.edges.app import App

URL = "http://127.0.0.1:9780"


def ask(app: App, *calls: tuple[str, str, dict[str, Any]]) -> list[httpx.Response]:
    """Make calls in order: (method, path, httpx's keywords)."""

    async def work() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app.web, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url=URL) as client:
            return [await client.request(method, path, **more) for method, path, more in calls]

    return asyncio.run(work())


def get(app: App, path: str, **more: Any) -> httpx.Response:
    return ask(app, ("GET", path, more))[0]


def post(app: App, path: str, body: Any = None, **more: Any) -> httpx.Response:
    return ask(app, ("POST", path, {"json": {} if body is None else body, **more}))[0]


def deliver(app: App, *alerts: dict[str, Any]) -> httpx.Response:
    body = {"version": "4", "receiver": "stanch", "groupKey": "g", "alerts": list(alerts)}
    return post(app, "/hooks/alertmanager", body)


def alert(to: int = 5, name: str = "XLow") -> dict[str, Any]:
    return {
        "status": "firing",
        "labels": {"alertname": name, "to": str(to)},
        "annotations": {"description": "x is low"},
        "startsAt": datetime.now(UTC).isoformat(),
        "fingerprint": f"{name}-{to}",
    }


# ---------------------------------------------------------------- the way of an alert, by HTTP alone


def test_an_alert_becomes_an_approved_run(app: App) -> None:
    answered = deliver(app, alert())
    assert answered.status_code == 200
    app.settle()

    (run,) = get(app, "/api/v1/runs").json()["items"]
    assert (run["state"], run["rule"], run["playbook"]) == (
        "awaiting_approval",
        "x-low",
        "toys/raise",
    )
    (gate,) = get(app, "/api/v1/approvals").json()["items"]
    assert (gate["run"], gate["missing"]) == (run["id"], 1)
    plan = get(app, f"/api/v1/plans/{gate['fingerprint']}").json()
    change = plan["steps"][-1]
    assert (change["before"], change["after"]) == ({"value": 1}, {"value": 5})
    assert "plan" not in change, "requests and preconditions are not for people"

    body = {"fingerprint": gate["fingerprint"], "comment": "yes"}
    headers = {"authorization": f"Bearer {app.token('alice', 'sre')}"}
    approved = post(app, f"/api/v1/approvals/{gate['id']}/approve", body, headers=headers)
    assert approved.status_code == 200, approved.text
    app.settle()
    detail = get(app, f"/api/v1/runs/{run['id']}", headers=headers).json()
    assert detail["state"] == "succeeded"
    assert [(step["address"], step["state"]) for step in detail["steps"]] == [
        ("now", "succeeded"),
        ("up", "succeeded"),
    ]
    assert app.table.writes == [("x", 5)]
    (incident,) = get(app, "/api/v1/incidents", headers=headers).json()["items"]
    told = get(app, f"/api/v1/incidents/{incident['id']}", headers=headers).json()
    assert any("alice" in line["text"] for line in told["timeline"])


def test_an_alert_tells_what_was_decided_and_why(app: App) -> None:
    deliver(app, alert(name="Other"))
    app.settle()
    (listed,) = get(app, "/api/v1/alerts").json()["items"]
    shown = get(app, f"/api/v1/alerts/{listed['id']}").json()
    assert [(one["verdict"], one["code"]) for one in shown["decisions"]] == [
        ("note", "not_matched")
    ]


def test_alerts_by_label(app: App) -> None:
    deliver(app, alert(5), alert(6))
    found = get(app, "/api/v1/alerts", params={"label": "to=6"}).json()["items"]
    assert [one["labels"]["to"] for one in found] == ["6"]
    assert get(app, "/api/v1/alerts", params={"label": "to"}).status_code == 422


# ---------------------------------------------------------------- plans and runs


def test_a_preview_shows_the_change_and_stores_nothing(app: App) -> None:
    answer = post(app, "/api/v1/plans", {"playbook": "toys/raise", "inputs": {"to": 7}})
    assert answer.status_code == 200, answer.text
    assert answer.json()["steps"][-1]["after"] == {"value": 7}
    assert get(app, "/api/v1/runs").json()["items"] == []
    assert app.table.writes == []


def test_a_preview_for_an_alert_asks_the_rules(app: App) -> None:
    answer = post(app, "/api/v1/plans", {"alert": alert(9)})
    assert answer.status_code == 200, answer.text
    assert answer.json()["inputs"] == {"to": 9}
    unknown = post(app, "/api/v1/plans", {"alert": alert(9, "Nobody")})
    assert unknown.status_code == 404
    neither = post(app, "/api/v1/plans", {})
    assert neither.status_code == 422


def test_start_and_dry_run(app: App) -> None:
    body = {"playbook": "toys/raise", "inputs": {"to": 3}, "mode": "dry_run"}
    made = post(app, "/api/v1/runs", body)
    assert made.status_code == 201
    app.settle()
    assert get(app, f"/api/v1/runs/{made.json()['id']}").json()["state"] == "planned"
    assert app.table.writes == []


def test_a_stored_alert_is_acted_on_when_a_person_says_so(app: App) -> None:
    deliver(app, alert(8))
    (listed,) = get(app, "/api/v1/alerts").json()["items"]
    made = post(app, "/api/v1/runs", {"alert": listed["id"]})
    assert made.status_code == 201, made.text
    assert (made.json()["rule"], made.json()["playbook"]) == ("x-low", "toys/raise")


@pytest.mark.parametrize(
    ("body", "status", "part"),
    [
        ({"playbook": "toys/rise"}, 404, "toys/raise"),
        ({"playbook": "toys/raise"}, 422, "'to' is a required property"),
        ({"playbook": "toys/raise", "inputs": {"to": "five"}}, 422, "to"),
        ({"playbook": "toys/raise", "inputs": {"to": 1}, "mode": "yolo"}, 422, "mode"),
        ({"playbook": "toys/raise", "inputs": {"to": 1}, "priority": 10}, 422, "priority"),
        ({"playbok": "toys/raise"}, 422, "playbok"),
        ([], 422, "body"),
    ],
)
def test_a_start_that_cannot_be_says_why(app: App, body: Any, status: int, part: str) -> None:
    answer = post(app, "/api/v1/runs", body)
    error = answer.json()["error"]
    assert (answer.status_code, set(error) >= {"code", "message", "hint"}) == (status, True)
    assert part in error["message"] + error["hint"]


def test_cancel_retry_done_undo(app: App) -> None:
    run, _, _ = app.gated_run()
    cancelled = post(app, f"/api/v1/runs/{run}/cancel", {"reason": "not now"})
    assert cancelled.status_code == 200, cancelled.text
    app.settle()
    assert get(app, f"/api/v1/runs/{run}").json()["state"] == "cancelled"
    again = post(app, f"/api/v1/runs/{run}/cancel", {})
    assert (again.status_code, again.json()["error"]["code"]) == (403, "refused")

    failed = app.engine.start(app.engine.programs["toys/fail"])
    app.settle()
    assert get(app, f"/api/v1/runs/{failed}").json()["state"] == "failed"
    app.table.refuse.clear()
    assert post(app, f"/api/v1/runs/{failed}/retry", {"reason": "mended"}).status_code == 200
    app.settle()
    assert get(app, f"/api/v1/runs/{failed}").json()["state"] == "succeeded"
    assert app.table.writes == [("stuck", 2)]

    undo = post(app, f"/api/v1/runs/{failed}/undo", {})
    assert undo.status_code == 200, undo.text
    assert undo.json()["parent"] == failed

    asked = app.engine.start(app.engine.programs["toys/ask"])
    app.settle()
    headers = {"authorization": f"Bearer {app.token('alice', 'sre')}"}
    body = {"address": "call", "note": "they know"}
    done = post(app, f"/api/v1/runs/{asked}/done", body, headers=headers)
    assert done.status_code == 200, done.text
    app.settle()
    assert get(app, f"/api/v1/runs/{asked}", headers=headers).json()["state"] == "succeeded"


def test_runs_are_paged_and_filtered(app: App) -> None:
    ids = [app.engine.start(app.engine.programs["toys/ask"]) for _ in range(5)]
    first = get(app, "/api/v1/runs", params={"limit": 2}).json()
    second = get(app, "/api/v1/runs", params={"limit": 2, "before": first["next"]}).json()
    last = get(app, "/api/v1/runs", params={"limit": 2, "before": second["next"]}).json()
    pages = [item["id"] for page in (first, second, last) for item in page["items"]]
    assert pages == list(reversed(ids))
    assert last["next"] is None
    app.settle()
    waiting = get(app, "/api/v1/runs", params={"state": "waiting"}).json()["items"]
    assert len(waiting) == 5
    assert get(app, "/api/v1/runs", params={"state": "queued"}).json()["items"] == []
    wrong = get(app, "/api/v1/runs", params={"state": "sleeping"})
    assert wrong.status_code == 422
    assert "awaiting_approval" in wrong.json()["error"]["message"]
    assert get(app, "/api/v1/runs", params={"limit": 0}).status_code == 422


# ---------------------------------------------------------------- finding


def test_things_are_found_by_unique_parts_of_their_ids(app: App) -> None:
    run, gate, fingerprint = app.gated_run()
    for text, kind in (
        (run[-6:], "run"),
        (gate[-6:], "gate"),
        (fingerprint[:10], "plan"),
        (run, "run"),
    ):
        found = get(app, f"/api/v1/show/{text}")
        assert (found.status_code, found.json().get("kind")) == (200, kind), found.text


def test_ambiguous_and_unknown_ids_list_what_may_be_meant(app: App) -> None:
    first, _, _ = app.gated_run()
    second = app.engine.start(app.engine.programs["toys/ask"])
    both = get(app, "/api/v1/show/run-")
    assert both.status_code == 422
    assert first in both.text
    assert second in both.text
    none = get(app, "/api/v1/show/zzzzzz")
    assert none.status_code == 404
    assert none.json()["error"]["near"]
    assert get(app, "/api/v1/runs/zzzzzz").status_code == 404
    assert get(app, "/api/v1/show/zz").status_code == 422


# ---------------------------------------------------------------- approvals


def approve(app: App, gate: str, fingerprint: str, token: str) -> httpx.Response:
    return post(
        app,
        f"/api/v1/approvals/{gate}/approve",
        {"fingerprint": fingerprint},
        headers={"authorization": f"Bearer {token}"},
    )


def test_approval_binds_to_the_plan_that_was_seen(app: App) -> None:
    _, gate, fingerprint = app.gated_run()
    token = app.token("alice", "sre")
    other = approve(app, gate, "0" * 64, token)
    assert (other.status_code, other.json()["error"]["code"]) == (403, "refused")
    assert "changed" in other.json()["error"]["message"]
    short = approve(app, gate, fingerprint[:8], token)
    assert short.status_code == 422
    nothing = post(app, f"/api/v1/approvals/{gate}/approve", {}, headers=bearer(token))
    assert nothing.status_code == 422
    assert approve(app, gate, fingerprint[:16], token).status_code == 200


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def test_the_missing_role_is_named_and_the_requester_is_refused(app: App) -> None:
    _, gate, fingerprint = app.gated_run()
    dba = approve(app, gate, fingerprint, app.token("carol", "dba"))
    assert (dba.status_code, dba.json()["error"]["missing_role"]) == (403, "sre")
    requester = approve(app, gate, fingerprint, app.token(BOB.name, "sre"))
    assert requester.status_code == 403
    assert "another person" in requester.json()["error"]["message"]


def test_reject_and_withdraw(app: App) -> None:
    run, gate, _ = app.gated_run()
    token = bearer(app.token(ALICE.name, "sre"))
    nothing = post(app, f"/api/v1/approvals/{gate}/withdraw", {}, headers=token)
    assert nothing.status_code == 403
    rejected = post(app, f"/api/v1/approvals/{run}/reject", {"comment": "no"}, headers=token)
    assert rejected.status_code == 200, rejected.text
    assert rejected.json()["votes"][0]["decision"] == "reject"
    app.settle()
    assert app.table.writes == []
    closed = get(app, "/api/v1/approvals", params={"closed": True}, headers=token).json()["items"]
    assert [item["state"] for item in closed] == ["rejected"]


# ---------------------------------------------------------------- brakes, rules, playbooks


def test_pause_and_resume(app: App) -> None:
    assert post(app, "/api/v1/brakes/pause", {"reason": ""}).status_code == 422
    engaged = post(app, "/api/v1/brakes/pause", {"reason": "outage"})
    assert engaged.status_code == 200
    assert [item["engaged"] for item in engaged.json()["items"]] == [True]
    released = post(app, "/api/v1/brakes/resume", {"reason": "over"})
    assert [item["engaged"] for item in released.json()["items"]] == [False]


def test_rules_and_playbooks(app: App) -> None:
    (rule,) = get(app, "/api/v1/rules").json()["items"]
    assert rule["name"] == "x-low"
    assert get(app, "/api/v1/rules/x-low").json()["playbook"] == "toys/raise"
    near = get(app, "/api/v1/rules/x-lo").json()["error"]["near"]
    assert near == ["x-low"]
    names = [item["playbook"] for item in get(app, "/api/v1/playbooks").json()["items"]]
    assert names == ["toys/ask", "toys/fail", "toys/raise"]
    shown = get(app, "/api/v1/playbooks/toys/raise").json()
    assert shown["program"]["steps"][0]["action"] == "toy.get"


# ---------------------------------------------------------------- shape, limits, headers


def test_every_answer_has_security_headers(app: App) -> None:
    for answer in ask(
        app,
        ("GET", "/healthz", {}),
        ("GET", "/nowhere", {}),
        ("POST", "/hooks/alertmanager", {"content": b"{"}),
        ("POST", "/api/v1/plans", {"content": b"x" * (MAX_BODY + 1)}),
    ):
        for name, value in HEADERS:
            assert answer.headers[name.decode()] == value.decode(), answer.url


def test_a_body_over_the_limit_is_refused_said_or_sent(app: App) -> None:
    async def chunks() -> Any:
        for _ in range(3):
            yield b" " * (MAX_BODY // 2)

    said = ask(app, ("POST", "/api/v1/plans", {"content": b" " * (MAX_BODY + 1)}))[0]
    kind = {"content-type": "application/json"}
    sent = ask(app, ("POST", "/api/v1/plans", {"content": chunks(), "headers": kind}))[0]
    assert [said.status_code, sent.status_code] == [413, 413]
    assert said.json()["error"]["code"] == "too_large"


@pytest.mark.parametrize("path", ["/nowhere", "/api/v1/nowhere", "/docs", "/redoc"])
def test_unknown_paths_answer_in_the_one_shape(app: App, path: str) -> None:
    answer = get(app, path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")


def test_openapi_describes_every_route_with_nothing_from_elsewhere(app: App) -> None:
    spec = get(app, "/api/v1/openapi.json").json()
    assert len(spec["paths"]) >= 25
    for path, methods in spec["paths"].items():
        for method, route in methods.items():
            assert route.get("summary"), f"{method} {path} has no summary"
    assert "http://" not in str(spec["paths"])
    fields = spec["components"]["schemas"]["ApproveBody"]["properties"]
    assert fields["fingerprint"]["description"]


def test_a_bug_is_one_shape_and_tells_nothing_inside(app: App) -> None:
    app.project.rules = None  # type: ignore[assignment]
    answer = get(app, "/api/v1/rules")
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "bug")
    assert "NoneType" not in answer.text


# ---------------------------------------------------------------- health, metrics


def test_ready_needs_a_writable_store_and_a_worker(app: App) -> None:
    alone = get(app, "/readyz")
    assert alone.status_code == 503
    assert "worker" in alone.json()["reasons"][0]
    app.store.write(lambda tx: tx.workers.beat("w-1", 5.0))
    assert get(app, "/readyz").status_code == 200
    app.store.close()
    closed = get(app, "/readyz")
    assert closed.status_code == 503
    assert "store" in closed.json()["reasons"][0]
    assert get(app, "/healthz").status_code == 200
    down = get(app, "/api/v1/runs")
    assert (down.status_code, down.json()["error"]["code"]) == (503, "store_unavailable")
    assert "stanch_store_up 0.0" in get(app, "/metrics").text


def test_metrics_count_what_came_and_what_was_done(app: App) -> None:
    one = alert(5)
    deliver(app, one)
    deliver(app, one, {"status": "firing"})
    app.settle()
    text = get(app, "/metrics").text
    for line in (
        'stanch_alerts_total{outcome="accepted"} 1.0',
        'stanch_alerts_total{outcome="duplicate"} 1.0',
        'stanch_alerts_total{outcome="unreadable"} 1.0',
        'stanch_intake_answers_total{code="200"} 2.0',
        'stanch_decisions_total{reason="matched",verdict="run"} 1.0',
        'stanch_runs_now{state="awaiting_approval"} 1.0',
        "stanch_gates_open 1.0",
        "stanch_incidents_open 1.0",
        "stanch_intake_commit_seconds_count 2.0",
        'stanch_steps_total{action="toy.get",outcome="succeeded"} 1.0',
    ):
        assert line in text, line


def test_metrics_count_ends_and_how_long_runs_took(app: App) -> None:
    run = app.engine.start(app.engine.programs["toys/ask"])
    app.settle()
    app.clock.advance(90)
    app.commands.cancel(run, ALICE, "enough")
    app.settle()
    app.engine.start(app.engine.programs["toys/fail"])
    app.settle()
    text = get(app, "/metrics").text
    for line in (
        'stanch_runs_total{playbook="toys/ask",state="cancelled"} 1.0',
        'stanch_runs_total{playbook="toys/fail",state="failed"} 1.0',
        'stanch_run_seconds_bucket{le="60.0",playbook="toys/ask"} 0.0',
        'stanch_run_seconds_bucket{le="300.0",playbook="toys/ask"} 1.0',
        'stanch_steps_total{action="toy.set",outcome="failed"} 1.0',
    ):
        assert line in text, line


# ---------------------------------------------------------------- the stream


def test_a_run_can_be_followed_to_its_end(app: App) -> None:
    run = app.engine.start(app.engine.programs["toys/ask"])
    app.settle()
    app.commands.cancel(run, ALICE, "enough")
    app.settle()
    answer = get(app, "/api/v1/events", params={"run": run})
    assert answer.headers["content-type"].startswith("text/event-stream")
    numbers = [int(line[4:]) for line in answer.text.splitlines() if line.startswith("id: ")]
    assert numbers == list(range(1, len(numbers) + 1))
    assert "event: run.ended" in answer.text
    resumed = get(app, "/api/v1/events", params={"run": run}, headers={"last-event-id": "2"})
    assert "id: 2\n" not in resumed.text
    assert "id: 3\n" in resumed.text


def test_entries_carry_their_line_of_text(app: App) -> None:
    run, _, _ = app.gated_run()
    page = get(app, f"/api/v1/runs/{run}/entries", params={"after": 0, "limit": 2}).json()
    assert [entry["n"] for entry in page["entries"]] == [1, 2]
    assert page["entries"][0]["text"].startswith("run of toys/raise created")
    assert page["run"]["id"] == run


# ---------------------------------------------------------------- approvals and audits say what to do


def test_an_approval_that_names_no_plan_is_told_where_to_find_it(app: App) -> None:
    _, gate, fingerprint = app.gated_run()
    headers = {"authorization": f"Bearer {app.token('alice', 'sre')}"}
    for body in ({}, {"fingerprint": fingerprint[:8]}):
        refused = post(app, f"/api/v1/approvals/{gate}/approve", body, headers=headers)
        assert refused.status_code == 422
        error = refused.json()["error"]
        assert "fingerprint" in error["message"]
        assert f"GET /api/v1/approvals/{gate}" in error["hint"]
    shown = get(app, f"/api/v1/approvals/{gate}", headers=headers).json()
    assert shown["fingerprint"] == fingerprint


def test_an_earlier_seal_must_still_be_there(app: App) -> None:
    app.gated_run()
    store = app.engine.store
    assert isinstance(store, Database)
    seal(store)
    first = get(app, "/api/v1/audit").json()
    assert first["ok"]
    assert first["last_seal"].startswith("1:")
    assert get(app, "/api/v1/audit", params={"seal": first["last_seal"]}).json()["ok"]

    gone = f"2:{first['last_seal'][2:]}"
    answer = get(app, "/api/v1/audit", params={"seal": gone}).json()
    assert (answer["ok"], answer["findings"]) == (False, ["seal 2: was removed or replaced"])
    wrong = get(app, "/api/v1/audit", params={"seal": "12"})
    assert wrong.status_code == 422
    assert "an earlier verification printed" in wrong.json()["error"]["message"]
