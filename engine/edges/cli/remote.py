"""The backend with a server: the HTTP API with the person's own token."""

from __future__ import annotations

import ssl
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, urlsplit

import httpx

from engine.domain.canonical import JsonObject
from engine.domain.clock import format_time
from engine.domain.errors import InvalidInput, NotFound, Refused, StanchError, StoreUnavailable
from engine.edges.problems import Unauthenticated
from engine.edges.web.address import is_loopback

_POLL = 0.5  # seconds between two looks while following
_RENAMED = {"states": "state", "open_only": "open", "alert_id": "alert", "run_id": "run"}


class Unreachable(StoreUnavailable):
    """The server does not answer."""


class RemoteBackend:
    """Asks a server. Follows no redirects: a token goes to the configured host alone."""

    def __init__(
        self,
        server: str,
        token: str | None,
        *,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        address = urlsplit(server)
        if address.scheme not in {"http", "https"} or not address.hostname:
            raise InvalidInput(
                f"{server!r} is no server; write for example https://stanch.internal"
            )
        if token and address.scheme == "http" and not is_loopback(address.hostname):
            raise InvalidInput(
                f"{server} is plain HTTP: the token could be read on the way; use https"
            )
        self.where = server
        headers = {"authorization": f"Bearer {token}"} if token else {}
        # Over plain HTTP nothing is verified: reading the authorities would take longer than most commands.
        plain = address.scheme == "http"
        self._http = httpx.Client(
            base_url=server.rstrip("/"),
            headers=headers,
            verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if plain else True,
            timeout=httpx.Timeout(60, connect=5),
            follow_redirects=False,
            transport=transport,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._http.close()

    # ------------------------------------------------------------ HTTP

    def _get(self, path: str, **query: Any) -> JsonObject:
        given = {name: value for name, value in query.items() if value not in (None, (), [])}
        return self._call("GET", path, params=given)

    def _post(self, path: str, **body: Any) -> JsonObject:
        return self._call("POST", path, json=body)

    def _call(self, method: str, path: str, **given: Any) -> JsonObject:
        try:
            answer = self._http.request(method, f"/api/v1/{path}", **given)
        except httpx.TransportError as error:
            raise Unreachable(f"{self.where} does not answer: {error}") from error
        if answer.is_success:
            try:
                body: JsonObject = answer.json()
            except ValueError as error:
                raise StanchError(f"{self.where} answered something else than JSON") from error
            return body
        raise _error_of(answer, self.where)

    # ------------------------------------------------------------ looking

    def list(self, what: str, **query: Any) -> JsonObject:
        labels = query.pop("labels", None) or {}
        if labels:
            query["label"] = [f"{name}={value}" for name, value in labels.items()]
        return self._get(what, **{_RENAMED.get(name, name): query[name] for name in query})

    def warmup(self) -> JsonObject:
        return self._get("warmup")

    def metrics(self, since: float, every: float) -> JsonObject:
        return self._get("metrics", since=since, every=every)

    def show(self, text: str) -> JsonObject:
        return self._get(f"show/{quote(text, safe='')}")

    def run(self, text: str) -> JsonObject:
        return self._get(f"runs/{quote(text, safe='')}")

    def gate(self, text: str) -> JsonObject:
        return self._get(f"approvals/{quote(text, safe='')}")

    def plan(self, text: str) -> JsonObject:
        return self._get(f"plans/{quote(text, safe='')}")

    def playbook(self, name: str) -> JsonObject:
        return self._get(f"playbooks/{quote(name)}")

    def entries(self, run: str, after: int) -> JsonObject:
        return self._get(f"runs/{quote(run, safe='')}/entries", after=after)

    # ------------------------------------------------------------ acting

    def preview(
        self,
        playbook: str | None,
        inputs: Mapping[str, Any],
        alert: str | JsonObject | None,
        *,
        save: bool = False,
    ) -> JsonObject:
        return self._post("plans", playbook=playbook, inputs=dict(inputs), alert=alert, save=save)

    def start(
        self,
        playbook: str | None,
        inputs: Mapping[str, Any],
        *,
        mode: str,
        priority: int,
        alert: str | None,
        plan: JsonObject | None = None,
    ) -> JsonObject:
        return self._post(
            "runs",
            plan=plan,
            playbook=playbook,
            inputs=dict(inputs),
            mode=mode,
            priority=priority,
            alert=alert,
        )

    def cancel(self, run: str, reason: str) -> JsonObject:
        return self._on_run(run, "cancel", reason=reason)

    def retry(self, run: str, reason: str) -> JsonObject:
        return self._on_run(run, "retry", reason=reason)

    def recover(self, run: str, step: str | None) -> JsonObject:
        return self._on_run(run, "recover", step=step)

    def undo(self, run: str, steps: Sequence[str], override: str = "") -> JsonObject:
        return self._on_run(run, "undo", steps=list(steps), override=override)

    def plan_undo(self, run: str, steps: Sequence[str], override: str = "") -> JsonObject:
        return self._on_run(run, "undo/plan", steps=list(steps), override=override)

    def done(self, run: str, address: str, note: str) -> JsonObject:
        return self._on_run(run, "done", address=address, note=note)

    def _on_run(self, run: str, verb: str, **body: Any) -> JsonObject:
        return self._post(f"runs/{quote(run, safe='')}/{verb}", **body)

    def approve(self, gate: str, fingerprint: str, comment: str) -> JsonObject:
        return self._on_gate(gate, "approve", fingerprint=fingerprint, comment=comment)

    def reject(self, gate: str, comment: str) -> JsonObject:
        return self._on_gate(gate, "reject", comment=comment)

    def withdraw(self, gate: str) -> JsonObject:
        return self._on_gate(gate, "withdraw")

    def _on_gate(self, gate: str, verb: str, **body: Any) -> JsonObject:
        return self._post(f"approvals/{quote(gate, safe='')}/{verb}", **body)

    def acknowledge(self, text: str, note: str) -> JsonObject:
        return self._post(f"acknowledge/{quote(text, safe='')}", note=note)

    def on_incident(self, incident: str, verb: str, **body: Any) -> JsonObject:
        return self._post(f"incidents/{quote(incident, safe='')}/{verb}", **body)

    def artifact(self, incident: str, name: str) -> tuple[JsonObject, bytes | None]:
        path = f"incidents/{quote(incident, safe='')}"
        detail = self._get(path)
        found = [one for one in detail["artifacts"] if name in (one["id"], one["name"])]
        if not found:
            raise NotFound(f"{detail['id']} has no artifact {name!r}")
        if found[0]["reference"] is not None:
            return found[0], None
        return found[0], self._bytes(f"{path}/artifacts/{quote(name, safe='')}")

    def _bytes(self, path: str) -> bytes:
        try:
            answer = self._http.request("GET", f"/api/v1/{path}")
        except httpx.TransportError as error:
            raise Unreachable(f"{self.where} does not answer: {error}") from error
        if answer.is_success:
            return answer.content
        raise _error_of(answer, self.where)

    def postmortem(
        self, incident: str, *, format_: str, template: str, given: str | None, publish: bool
    ) -> JsonObject:
        path = f"incidents/{quote(incident, safe='')}/postmortem"
        if given is None and not publish:
            return self._get(path, format=format_, template=template)
        return self._post(path, format=format_, template=template, given=given, publish=publish)

    def pages(self, *, over: bool) -> JsonObject:
        return self._get("pages", all=over)

    def on_call(self) -> JsonObject:
        return self._get("oncall")

    def choose(
        self,
        gate: str,
        fingerprint: str,
        only: Mapping[str, Sequence[str]],
        without: Mapping[str, Sequence[str]],
        reason: str,
    ) -> JsonObject:
        chosen = {"only": _lists(only), "without": _lists(without)}
        return self._on_gate(gate, "choose", fingerprint=fingerprint, reason=reason, **chosen)

    def break_glass(self, gate: str, fingerprint: str, reason: str) -> JsonObject:
        return self._on_gate(gate, "break-glass", fingerprint=fingerprint, reason=reason)

    def steer(self, run: str, act: str, **words: str) -> JsonObject:
        return self._on_run(run, act, **words)

    def delegations(self) -> JsonObject:
        return self._get("delegations")

    def delegate(self, role: str, to: str, seconds: float, reason: str) -> JsonObject:
        return self._post("delegations", role=role, to=to, seconds=seconds, reason=reason)

    def revoke(self, delegation: str) -> JsonObject:
        return self._post(f"delegations/{quote(delegation, safe='')}/revoke")

    def rearm(self, name: str, reason: str) -> JsonObject:
        return self._post("brakes/rearm", name=name, reason=reason)

    def pause(self, reason: str, *, let_undo: bool = False) -> JsonObject:
        return self._post("brakes/pause", reason=reason, let_undo=let_undo)

    def resume(self, reason: str) -> JsonObject:
        return self._post("brakes/resume", reason=reason)

    # ------------------------------------------------------------ tokens

    def tokens(self) -> JsonObject:
        return self._get("tokens")

    def create_token(
        self, name: str, roles: Sequence[str], expires_at: datetime | None
    ) -> JsonObject:
        until = format_time(expires_at) if expires_at else None
        return self._post("tokens", name=name, roles=list(roles), expires_at=until)

    def revoke_token(self, name: str) -> JsonObject:
        return self._post(f"tokens/{quote(name, safe='')}/revoke")

    def audit(self, expected_seal: str | None = None) -> JsonObject:
        return self._get("audit", seal=expected_seal)

    # ------------------------------------------------------------ following

    def work(self) -> None:
        """Nothing: the server's own workers see to it."""

    def wait(self, seconds: float) -> None:
        time.sleep(min(seconds, _POLL))


def _error_of(answer: httpx.Response, where: str) -> StanchError:
    """Turn the API's error shape back into the error that was raised there."""
    try:
        error = answer.json()["error"]
        code, message = error["code"], error["message"]
    except (ValueError, KeyError, TypeError):
        return StanchError(f"{where} answered {answer.status_code} and no reason; is it Stanch?")
    match code:
        case "not_found":
            return NotFound(message, near=tuple(error.get("near") or ()))
        case "refused":
            return Refused(message, missing_role=error.get("missing_role"))
        case "invalid_input":
            return InvalidInput(message)
        case "store_unavailable":
            return StoreUnavailable(message)
        case "unauthenticated":
            return Unauthenticated(message)
    return StanchError(message)


def _lists(chosen: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    return {step: list(keys) for step, keys in chosen.items()}
