"""Who may do what at the API's door: tokens, roles, loopback without tokens, and foreign pages."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from engine.domain.errors import InvalidInput
from engine.domain.people import Actor
from engine.edges.desk.directory import Directory
from engine.edges.desk.people import (
    Level,
    actor_of_token,
    add_token,
    hash_token,
    level,
    local_actor,
    login,
    new_token,
)
from engine.edges.problems import Unauthenticated
from engine.edges.web.address import is_loopback, serve_refusal, split_address
from tests.unit.edges.app import App, Config
from tests.unit.edges.test_api import ask, bearer, get, post

START = {"playbook": "toys/raise", "inputs": {"to": 3}}

# What (role) may do: method, path, body, then the status by role.
MATRIX: list[tuple[str, str, Any, dict[str, int]]] = [
    ("GET", "/api/v1/runs", None, {"viewer": 200, "operator": 200, "sre": 200, "admin": 200}),
    ("POST", "/api/v1/plans", START, {"viewer": 403, "operator": 200, "sre": 200, "admin": 200}),
    ("POST", "/api/v1/runs", START, {"viewer": 403, "operator": 201, "sre": 201, "admin": 201}),
    (
        "POST",
        "/api/v1/runs",
        {**START, "mode": "auto"},
        {"viewer": 403, "operator": 403, "sre": 201, "admin": 201},
    ),
    ("POST", "/api/v1/runs/{run}/cancel", {}, {"viewer": 403, "operator": 200, "sre": 200}),
    (
        "POST",
        "/api/v1/approvals/{gate}/approve",
        {"fingerprint": "{fingerprint}"},
        {"viewer": 403, "operator": 403, "dba": 403, "sre": 200, "admin": 200},
    ),
    ("POST", "/api/v1/approvals/{gate}/reject", {}, {"viewer": 403, "operator": 403, "sre": 200}),
    (
        "POST",
        "/api/v1/brakes/pause",
        {"reason": "x"},
        {"viewer": 403, "operator": 200, "sre": 200, "admin": 200},
    ),
    ("GET", "/api/v1/tokens", None, {"viewer": 403, "operator": 403, "sre": 403, "admin": 200}),
    (
        "POST",
        "/api/v1/tokens",
        {"name": "eve"},
        {"viewer": 403, "operator": 403, "sre": 403, "admin": 201},
    ),
]


@pytest.mark.parametrize("case", MATRIX, ids=lambda case: f"{case[0]} {case[1]} {case[2]}"[:60])
def test_roles_and_acts(app: App, case: tuple[str, str, Any, dict[str, int]]) -> None:
    method, path, body, wanted = case
    got = {}
    for role in wanted:
        run, gate, fingerprint = app.gated_run() if "{" in path else ("", "", "")
        filled = {"run": run, "gate": gate}
        sent = {
            name: fingerprint if value == "{fingerprint}" else value
            for name, value in (body or {}).items()
        }
        token = bearer(app.token(f"{role}-person", role))
        more: dict[str, Any] = {"headers": token} | ({"json": sent} if body is not None else {})
        answer = ask(app, (method, path.format(**filled), more))[0]
        got[role] = answer.status_code
        if answer.status_code == 403:
            assert answer.json()["error"]["missing_role"], answer.text
    assert got == wanted


def test_without_a_token_nothing_opens_once_there_are_tokens(app: App) -> None:
    assert get(app, "/api/v1/runs").status_code == 200
    token = app.token("alice", "viewer")
    closed = get(app, "/api/v1/runs")
    assert (closed.status_code, closed.json()["error"]["code"]) == (401, "unauthenticated")
    assert closed.headers["www-authenticate"] == "Bearer"
    assert get(app, "/api/v1/runs", headers=bearer(token)).status_code == 200
    for open_path in ("/healthz", "/metrics", "/api/v1/openapi.json"):
        assert get(app, open_path).status_code == 200


@pytest.mark.parametrize("header", ["Bearer nonsense", "Bearer ", "Basic YTpi", "nonsense"])
def test_a_bad_credential_is_never_the_local_user(app: App, header: str) -> None:
    answer = get(app, "/api/v1/runs", headers={"authorization": header})
    assert answer.status_code == 401


def test_revoked_and_expired_tokens_open_nothing(app: App) -> None:
    token = app.token("alice", "viewer")
    expires = app.clock.now() + timedelta(hours=1)
    short = add_token(app.store, "bob", ["viewer"], expires)
    assert get(app, "/api/v1/runs", headers=bearer(short)).status_code == 200
    app.clock.advance(3601)
    assert get(app, "/api/v1/runs", headers=bearer(short)).status_code == 401
    app.store.write(lambda tx: tx.tokens.revoke("alice"))
    assert get(app, "/api/v1/runs", headers=bearer(token)).status_code == 401


def test_a_token_is_stored_as_its_hash_alone(app: App, tmp_path: Path) -> None:
    token = app.token("alice", "viewer")
    app.store.close()
    stored = b"".join(file.read_bytes() for file in tmp_path.iterdir() if file.is_file())
    assert token.encode() not in stored
    assert hash_token(token).encode() in stored


def test_tokens_are_long_random_and_unlike() -> None:
    made = {new_token() for _ in range(50)}
    assert len(made) == 50
    assert all(len(token) >= len("stanch_") + 43 for token in made)


def test_a_token_without_roles_follows_the_configuration(app: App) -> None:
    roles = {"sre": ["alice"], "dba": ["bob"]}
    token = add_token(app.store, "alice", [], None)
    assert actor_of_token(app.store, token, Directory.of(roles)).roles == {"sre"}
    assert actor_of_token(app.store, token, Directory()).roles == frozenset()
    narrow = add_token(app.store, "alice", ["viewer"], None)
    assert actor_of_token(app.store, narrow, Directory.of(roles)).roles == {"viewer"}
    with pytest.raises(Unauthenticated):
        actor_of_token(app.store, "stanch_x", Directory.of(roles))


def test_a_token_that_may_nothing_may_not_even_look(app: App) -> None:
    token = add_token(app.store, "nobody", [], None)
    answer = get(app, "/api/v1/runs", headers=bearer(token))
    assert (answer.status_code, answer.json()["error"]["missing_role"]) == (403, "viewer")


@pytest.mark.parametrize("name", ["", "a b", "../x", "x" * 65, "a\nb"])
def test_token_names_are_peoples_names(app: App, name: str) -> None:
    with pytest.raises(InvalidInput):
        add_token(app.store, name, [], None)


# ---------------------------------------------------------------- loopback without tokens


def test_the_local_user_is_the_login_by_every_door(app: App) -> None:
    made = post(app, "/api/v1/runs", START)
    assert made.status_code == 201
    assert made.json()["requester"] == login()
    by_cli, by_api = local_actor(Directory(), "cli"), local_actor(Directory(), "api")
    assert by_cli.name == by_api.name == login()


def test_the_local_user_approves_only_with_a_role_of_their_own(tmp_path: Path) -> None:
    for number, (roles, status) in enumerate(
        [({}, 403), ({"sre": [login()]}, 200), ({"sre": ["local"]}, 200), ({"dba": ["local"]}, 403)]
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        app = App(folder, Config(roles=roles))
        _, gate, fingerprint = app.gated_run()
        answer = post(app, f"/api/v1/approvals/{gate}/approve", {"fingerprint": fingerprint})
        assert answer.status_code == status, answer.text
        app.store.close()


def test_the_local_user_hands_out_no_tokens_over_http(app: App) -> None:
    assert post(app, "/api/v1/tokens", {"name": "eve", "roles": ["admin"]}).status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example:9780"},  # DNS rebinding
        {"host": "127.0.0.1.evil.example"},
        {"origin": "https://evil.example"},  # a page of another origin
        {"origin": "null"},
        {"content-type": "text/plain"},  # what a form can send without asking
        {"content-type": "application/x-www-form-urlencoded"},
    ],
)
def test_a_foreign_page_cannot_act_as_the_local_user(app: App, headers: dict[str, str]) -> None:
    content = b'{"reason": "x"}'
    kind = {"content-type": "application/json", **headers}
    answer = ask(app, ("POST", "/api/v1/brakes/pause", {"content": content, "headers": kind}))[0]
    assert answer.status_code in {403, 422}, answer.text
    assert app.store.read(lambda tx: tx.brakes.list()) == []


def test_a_rebound_name_cannot_read_either(app: App) -> None:
    assert get(app, "/api/v1/runs", headers={"host": "evil.example"}).status_code == 403


def test_beyond_loopback_nobody_is_the_local_user(tmp_path: Path) -> None:
    app = App(tmp_path, Config(listen="0.0.0.0:9780"))
    assert get(app, "/api/v1/runs").status_code == 401
    app.store.close()


# ---------------------------------------------------------------- refusing to serve


def config(listen: str, auth: Any = None) -> Any:
    return SimpleNamespace(listen=listen, intake=SimpleNamespace(auth=auth))


@pytest.mark.parametrize(
    ("listen", "tokens", "auth", "words"),
    [
        ("127.0.0.1:9780", False, None, None),
        ("[::1]:9780", False, None, None),
        ("localhost:0", False, None, None),
        ("0.0.0.0:9780", False, None, ["API token", "intake.auth"]),
        (":9780", False, "bearer", ["API token"]),
        ("10.0.0.1:9780", True, None, ["intake.auth"]),
        ("[::]:9780", True, None, ["intake.auth"]),
        ("stanch.internal:9780", True, "bearer", None),
        ("127.0.0.1", False, None, ["no address"]),
        ("127.0.0.1:99999", False, None, ["no address"]),
    ],
)
def test_what_is_refused_to_be_served(
    listen: str, tokens: bool, auth: Any, words: list[str] | None
) -> None:
    refusal = serve_refusal(config(listen, auth), tokens)
    if words is None:
        assert refusal is None
    else:
        assert refusal is not None
        assert all(word in refusal for word in words), refusal


def test_addresses() -> None:
    assert split_address("[::1]:80") == ("::1", 80)
    assert split_address(":80") == ("0.0.0.0", 80)
    assert is_loopback("127.9.9.9")
    assert not is_loopback("128.0.0.1")
    assert not is_loopback("localhost.evil.example")


@pytest.mark.parametrize(
    ("roles", "wanted"),
    [
        (set(), Level.NONE),
        ({"viewer"}, Level.VIEWER),
        ({"operator"}, Level.OPERATOR),
        ({"sre"}, Level.APPROVER),
        ({"viewer", "admin"}, Level.ADMIN),
    ],
)
def test_levels(roles: set[str], wanted: Level) -> None:
    assert level(Actor("x", frozenset(roles))) is wanted
