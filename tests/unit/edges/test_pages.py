"""The pages: read without scripts, decided at by people's own forms, by nobody else's."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta
from html.parser import HTMLParser
from typing import Any

import httpx
import pytest

from engine.domain.incident import IncidentState
from engine.edges.web.pages.sessions import MARK, SESSION
from tests.harness import BOB
from tests.unit.edges.app import App, Config, sample_alert

URL = "http://127.0.0.1:9780"
FORM = {"content-type": "application/x-www-form-urlencoded"}


class Browser:
    """A browser with cookies, that follows redirections within the server."""

    def __init__(self, app: App, base: str = URL) -> None:
        self.app, self.base = app, base
        self.cookies = httpx.Cookies()

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        async def work() -> httpx.Response:
            transport = httpx.ASGITransport(self.app.web, raise_app_exceptions=False)
            async with httpx.AsyncClient(
                transport=transport, base_url=self.base, cookies=self.cookies, follow_redirects=True
            ) as client:
                answer = await client.request(method, path, **more)
                self.cookies = client.cookies
                return answer

        return asyncio.run(work())

    def get(self, path: str, **more: Any) -> httpx.Response:
        return self.ask("GET", path, **more)

    def send(self, path: str, _headers: Any = None, **fields: str) -> httpx.Response:
        return self.ask("POST", path, data=fields, headers={**FORM, **(_headers or {})})

    def mark(self, path: str) -> str:
        found = re.search(r'name="mark" value="([0-9a-f]{64})"', self.get(path).text)
        assert found is not None, "the page has no form"
        return found[1]

    def log_in(self, token: str) -> httpx.Response:
        return self.send("/login", token=token, next="/")


class Audit(HTMLParser):
    """What a page must not hold, and what it must."""

    def __init__(self) -> None:
        super().__init__()
        self.bad: list[str] = []
        self.labels: set[str] = set()
        self.inputs: set[str] = set()
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append(tag)
        if tag in {"script", "iframe", "object", "embed", "style"}:
            self.bad.append(tag)
        self.bad += [f"{tag} {name}" for name in given if name.startswith("on") or name == "style"]
        target = given.get("href") or given.get("src") or given.get("action") or ""
        if target and not target.startswith(("/", "#")):
            self.bad.append(f"{tag} leads to {target}")
        if tag == "label":
            self.labels.add(str(given.get("for")))
        if tag == "input" and given.get("type") != "hidden":
            self.inputs.add(str(given.get("id")))


def audited(answer: httpx.Response) -> str:
    """Hold a page to the rules of all pages, and return its text."""
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert len(answer.headers.get_list("content-security-policy")) == 1
    assert answer.headers["x-frame-options"] == "DENY"
    audit = Audit()
    audit.feed(answer.text)
    assert audit.bad == []
    assert audit.inputs <= audit.labels
    assert audit.tags.count("h1") == 1
    assert {"main", "title", "html"} <= set(audit.tags)
    assert '<html lang="en">' in answer.text
    return answer.text


def incident_of(app: App) -> str:
    app.store.write(lambda tx: tx.alerts.accept(sample_alert(5)))
    app.settle()
    (row,) = app.store.read(lambda tx: tx.incidents.list(_all()))
    return row.id


def _all() -> Any:
    from engine.journal.rows import Page

    return Page()


# ---------------------------------------------------------------- looking


def test_every_page_keeps_the_rules(app: App) -> None:
    incident = incident_of(app)
    browser = Browser(app)
    item = app.web.state.desk.incident(incident)
    run = item["runs"][0]["id"]
    gate = app.web.state.desk.run(run)["gates"][0]["id"]
    home = audited(browser.get("/"))
    assert "XLow (to=5)" in home
    assert f"/gates/{gate}" in home
    shown = audited(browser.get(f"/incidents/{incident}"))
    assert "incident opened by rule x-low" in shown
    assert "Acknowledge</button>" in shown
    ran = audited(browser.get(f"/runs/{run}"))
    assert "Decide at gate" in ran
    assert "toy:x" in ran
    assert "Approve this plan" in audited(browser.get(f"/gates/{gate}"))
    audited(browser.get("/login"))
    assert 'http-equiv="refresh"' in audited(browser.get(f"/runs/{run}?live=1"))
    missing = browser.get("/incidents/inc-nothing")
    assert missing.status_code == 404
    audited(missing)
    style = browser.get("/static/pages.css")
    assert style.headers["content-type"].startswith("text/css")
    assert "url(" not in style.text


def test_the_postmortem_is_a_document_that_runs_nothing(app: App) -> None:
    incident = incident_of(app)
    answer = Browser(app).get(f"/incidents/{incident}/postmortem")
    assert "sandbox" in answer.headers["content-security-policy"]
    assert "<h1>Postmortem: XLow (to=5)</h1>" in answer.text


def test_what_comes_from_outside_is_text(app: App) -> None:
    incident = incident_of(app)
    ugly = "<script>alert(1)</script><img src=x onerror=y>"
    browser = Browser(app)
    mark = browser.mark(f"/incidents/{incident}")
    text = audited(browser.send(f"/incidents/{incident}/note", mark=mark, note=ugly))
    assert "&lt;script&gt;alert(1)" in text


def test_an_artifact_is_a_download(app: App) -> None:
    incident = incident_of(app)
    desk = app.web.state.desk
    from engine.domain.people import Actor

    actor = Actor("a", frozenset({"operator"}))
    desk.artifact(actor, incident, "x.html", "text/html", "PHNjcmlwdD4=")
    answer = Browser(app).get(f"/incidents/{incident}/artifacts/x.html")
    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.content == b"<script>"


def test_an_artifact_that_was_forgotten_is_told_apart_from_one_that_never_was(app: App) -> None:
    incident = incident_of(app)
    desk = app.web.state.desk
    from engine.domain.people import Actor

    desk.artifact(Actor("a", frozenset({"operator"})), incident, "x.txt", "text/plain", "b2xk")
    app.store.write(lambda tx: tx.incidents.update(incident, state=IncidentState.RESOLVED))
    later = app.clock.now() + timedelta(days=1)
    assert app.store.write(lambda tx: tx.artifacts.prune(later)) == 1
    answer = Browser(app).get(f"/incidents/{incident}/artifacts/x.txt")
    assert answer.status_code == 404
    assert "no longer kept" in answer.text
    assert "it had 3 bytes" in answer.text


# ---------------------------------------------------------------- who is there


@pytest.fixture
def guarded(tmp_path: Any) -> Any:
    """An application with tokens: alice approves, eve looks."""
    app = App(tmp_path, Config())
    yield app
    app.store.close()


def test_nobody_looks_without_a_session_where_there_are_tokens(guarded: App) -> None:
    token = guarded.token("alice", "viewer", "operator", "sre")
    browser = Browser(guarded)
    answer = browser.get("/")
    assert answer.url.path == "/login"
    assert browser.log_in("stanch_wrong").status_code == 401
    home = browser.log_in(token)
    assert (home.status_code, home.url.path) == (200, "/")
    assert "alice" in audited(home)
    cookie = next(one for one in browser.cookies.jar if one.name == SESSION)
    assert token not in str(cookie.value)
    assert cookie.has_nonstandard_attr("HttpOnly")
    assert cookie.get_nonstandard_attr("SameSite") == "strict"
    mark = browser.mark("/")
    assert browser.send("/logout", mark=mark).url.path == "/login"
    assert browser.get("/").url.path == "/login"


def test_a_session_ends_with_its_token_and_after_twelve_hours(guarded: App) -> None:
    token = guarded.token("alice", "viewer")
    browser, other = Browser(guarded), Browser(guarded)
    browser.log_in(token)
    assert browser.get("/").url.path == "/"
    guarded.clock.advance(12 * 3600 + 1)
    assert browser.get("/").url.path == "/login"
    other.log_in(token)
    assert other.get("/").url.path == "/"
    guarded.store.write(lambda tx: tx.tokens.revoke("alice"))
    assert other.get("/").url.path == "/login"


@pytest.mark.parametrize("path", ["//evil.example", "https://evil.example", "/\\evil", "", "x"])
def test_a_login_leads_nowhere_else(guarded: App, path: str) -> None:
    token = guarded.token("alice", "viewer")
    answer = Browser(guarded).send("/login", token=token, next=path)
    assert (answer.url.host, answer.url.path) == ("127.0.0.1", "/")


def test_a_viewer_sees_no_forms_and_may_not_send_them(guarded: App) -> None:
    incident = incident_of(guarded)
    eve = Browser(guarded)
    eve.log_in(guarded.token("eve", "viewer"))
    assert "Acknowledge</button>" not in eve.get(f"/incidents/{incident}").text
    mark = eve.mark("/")
    answer = eve.send(f"/incidents/{incident}/acknowledge", mark=mark)
    assert answer.status_code == 403
    assert "needs the role operator" in audited(answer)


def test_a_foreign_host_sees_nothing_without_a_token(app: App) -> None:
    answer = Browser(app, "http://evil.example").get("/")
    assert answer.status_code == 403
    assert "loopback names only" in audited(answer)


# ---------------------------------------------------------------- forms


def test_a_gate_is_decided_by_the_person_at_the_page(guarded: App) -> None:
    run, gate, fingerprint = guarded.gated_run()
    alice = Browser(guarded)
    alice.log_in(guarded.token("alice", "viewer", "operator", "sre"))
    page = alice.get(f"/gates/{gate}").text
    assert f'name="fingerprint" value="{fingerprint}"' in page
    mark = alice.mark(f"/gates/{gate}")
    answer = alice.send(f"/gates/{gate}/approve", mark=mark, fingerprint=fingerprint, comment="ok")
    assert "alice (web) approve" in audited(answer)
    guarded.settle()
    assert guarded.table.values["x"] == 5
    assert guarded.web.state.desk.run(run)["state"] == "succeeded"


def test_the_requester_is_refused_at_the_page_too(guarded: App) -> None:
    _, gate, fingerprint = guarded.gated_run()  # asked for by bob
    bob = Browser(guarded)
    bob.log_in(guarded.token(BOB.name, "viewer", "operator", "sre"))
    mark = bob.mark(f"/gates/{gate}")
    answer = bob.send(f"/gates/{gate}/approve", mark=mark, fingerprint=fingerprint)
    assert answer.status_code == 403
    assert guarded.web.state.desk.gate(gate)["votes"] == []


def test_forms_of_others_are_refused(guarded: App) -> None:
    _, gate, fingerprint = guarded.gated_run()
    alice, eve = Browser(guarded), Browser(guarded)
    alice.log_in(guarded.token("alice", "viewer", "operator", "sre"))
    eve.log_in(guarded.token("eve", "viewer", "operator", "sre"))
    mark = alice.mark(f"/gates/{gate}")
    path = f"/gates/{gate}/approve"
    wrong: list[tuple[dict[str, str], dict[str, str]]] = [
        ({}, {}),
        ({"mark": ""}, {}),
        ({"mark": "0" * 64}, {}),
        ({"mark": "\u00e9"}, {}),
        ({"mark": eve.mark(f"/gates/{gate}")}, {}),
        ({"mark": mark}, {"origin": "http://evil.example"}),
        ({"mark": mark}, {"origin": "null"}),
        ({"mark": mark}, {"sec-fetch-site": "cross-site"}),
        ({"mark": mark}, {"sec-fetch-site": "same-site"}),
    ]
    for fields, headers in wrong:
        answer = alice.send(path, headers, fingerprint=fingerprint, **fields)
        assert answer.status_code == 403, (fields, headers)
    for body, kind in ((b"{}", "application/json"), (b"a=%ff&" * 30, FORM["content-type"])):
        answer = alice.ask("POST", path, content=body, headers={"content-type": kind})
        assert answer.status_code == 422
    alice.cookies.delete(MARK)
    assert alice.send(path, mark=mark, fingerprint=fingerprint).status_code == 403
    assert guarded.web.state.desk.gate(gate)["votes"] == []
    same = {"origin": URL, "sec-fetch-site": "same-origin"}
    good = alice.send(path, same, mark=alice.mark(f"/gates/{gate}"), fingerprint=fingerprint)
    assert good.status_code == 200


def test_another_plan_than_the_one_shown_is_not_approved(guarded: App) -> None:
    _, gate, fingerprint = guarded.gated_run()
    alice = Browser(guarded)
    alice.log_in(guarded.token("alice", "viewer", "operator", "sre"))
    mark = alice.mark(f"/gates/{gate}")
    answer = alice.send(f"/gates/{gate}/approve", mark=mark, fingerprint="0" * len(fingerprint))
    assert answer.status_code == 403
    assert guarded.web.state.desk.gate(gate)["votes"] == []


def test_an_incident_is_acknowledged_at_its_page(app: App) -> None:
    incident = incident_of(app)
    browser = Browser(app)
    mark = browser.mark(f"/incidents/{incident}")
    text = audited(browser.send(f"/incidents/{incident}/acknowledge", mark=mark, note="looking"))
    assert "acknowledged by" in text
    assert "looking" in text


def test_an_incident_leads_to_its_gate_and_says_times_as_people_read_them(app: App) -> None:
    incident = incident_of(app)
    browser = Browser(app)
    app.clock.advance(754)
    text = audited(browser.get(f"/incidents/{incident}"))
    (gate,) = app.web.state.desk.approvals()["items"]
    assert f'href="/gates/{gate["id"]}">Decide at gate' in text
    assert "2026-01-01 00:00:00 UTC (12m30s ago)" in text
    assert "2026-01-01 01:00:00 UTC (in 47m30s)" in text
    newest, oldest = text.index("opened at plan"), text.index("incident opened by rule")
    assert newest < oldest, "what happened last is read first"
    other = app.gated_run()[1]
    assert other not in audited(browser.get(f"/incidents/{incident}")), "the gate of another run"


# ---------------------------------------------------------------- brakes


def test_all_brakes_are_one_page_and_every_page_says_what_is_engaged(app: App) -> None:
    incident = incident_of(app)
    browser = Browser(app)
    assert "no brake has ever been set" in audited(browser.get("/brakes"))
    assert "Brakes engaged" not in browser.get("/").text
    mark = browser.mark("/brakes")
    assert "say why" in audited(browser.send("/brakes/pause", mark=mark, reason=" "))
    shown = audited(browser.send("/brakes/pause", mark=mark, reason="the <b>ledger</b> is wrong"))
    assert "ENGAGED" in shown
    run = app.web.state.desk.incident(incident)["runs"][0]["id"]
    (gate,) = app.web.state.desk.approvals()["items"]
    for path in ("/", f"/incidents/{incident}", f"/runs/{run}", f"/gates/{gate['id']}"):
        text = audited(browser.get(path))
        assert "Brakes engaged" in text, path
        assert "the &lt;b&gt;ledger&lt;/b&gt; is wrong" in text, path
    assert browser.send("/brakes/resume", reason="no mark").status_code == 403
    assert "ENGAGED" in browser.get("/brakes").text
    shown = audited(browser.send("/brakes/resume", mark=browser.mark("/brakes"), reason="mended"))
    assert "mended" in shown
    assert "Brakes engaged" not in shown


def test_a_viewer_sees_the_brakes_and_sets_none(guarded: App) -> None:
    eve = Browser(guarded)
    eve.log_in(guarded.token("eve", "viewer"))
    assert "Pause all runs" not in audited(eve.get("/brakes"))
    answer = eve.send("/brakes/pause", mark=eve.mark("/"), reason="me")
    assert answer.status_code == 403
    assert "needs the role operator" in audited(answer)
