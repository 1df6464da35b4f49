"""webhook.send: open, acknowledge or close an alert with a pager, or post JSON.

Sources: PagerDuty Events API v2; Opsgenie Alert API.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Literal
from urllib.parse import quote

from pydantic import Field

from actions.webhook import byhand
from actions.webhook.connection import Event, Webhook
from engine.contract import ActionFailed, ActionParams, Grant, Notify, Target, World
from engine.domain.canonical import Json, JsonObject
from engine.domain.clock import format_time

_PRIORITY = {"critical": "P1", "error": "P2", "warning": "P3", "info": "P5"}


class SendParams(ActionParams):
    """Parameters of a message."""

    connection: str = Field(description="A webhook connection", examples=["pager"])
    event: Event = Field("trigger", description="What happens to the alert", examples=["trigger"])
    summary: str = Field(
        "",
        description="One line that says what is wrong; a trigger needs it",
        examples=["ETL failures over 5 %"],
        max_length=1024,
    )
    severity: Literal["critical", "error", "warning", "info"] = Field(
        "error", description="How bad it is", examples=["critical"]
    )
    dedup: str | None = Field(
        None,
        description="What names the alert over several messages (dedup_key, alias); the step's key "
        "where missing",
        examples=["incident-17"],
        pattern=r"^[A-Za-z0-9 :@=+_-][A-Za-z0-9 .:@=+_-]{0,254}$",  # it stands in Opsgenie's paths
    )
    details: dict[str, Any] = Field(
        default_factory=dict, description="More for who reads it", examples=[{"rows": 120}]
    )
    link: str | None = Field(
        None,
        description="Where to read on",
        examples=["https://stanch.internal/incidents/17"],
        pattern=r"^https?://\S+$",
    )


class WebhookSend(Notify[SendParams]):
    """Sends one message in the shape of the connection's preset. Output: `status`, `dedup`, `sent`.

    A repeated message carries the same dedup_key or alias, so that the pager keeps one alert; the generic
    shape carries the step's key in `Idempotency-Key`.
    """

    name = "webhook.send"
    manual = byhand.send
    summary = "Send a page (PagerDuty, Opsgenie) or a webhook"
    Params = SendParams
    risk = "low"

    def targets(self, params: SendParams) -> Sequence[Target]:
        return (Target(params.connection, params.event),)

    def grants(self, params: SendParams) -> Sequence[Grant]:
        return (Grant(params.connection, "webhook", {"event": params.event}),)

    def send(self, params: SendParams, world: World, key: str) -> Json:
        webhook = world.client(params.connection, Webhook)
        webhook.hold_allowed(params.event)
        record = webhook.records.find(key)
        if record is not None and record.state == "done":
            return record.value
        moment = format_time(world.clock.now().replace(microsecond=0))
        path, query, body = shaped(params, webhook, key, moment)
        if webhook.http.writable:
            webhook.records.put(key, "begun")
        headers = {"Idempotency-Key": _short(key)} if webhook.settings.preset == "generic" else {}
        try:
            answer = webhook.post(path, body, query, headers)
        except ActionFailed as failure:
            if webhook.http.writable and not failure.effect_possible:
                webhook.records.drop(key)
            raise
        output = {**answer, "dedup": params.dedup or _short(key), "sent": True}
        webhook.records.put(key, "done", output)
        return output

    def sent(self, params: SendParams, world: World, key: str) -> bool | None:
        webhook = world.client(params.connection, Webhook)
        record = webhook.records.find(key)
        if record is not None and record.state == "done":
            return True
        if record is None or webhook.settings.preset != "generic":
            return False  # a pager keeps one alert a dedup_key or alias: sending again is safe
        return None


def shaped(
    params: SendParams, webhook: Webhook, key: str, moment: str
) -> tuple[str, JsonObject, JsonObject]:
    """Return path, query and body of a message in the preset's shape."""
    source, name = webhook.settings.source, params.dedup or _short(key)
    summary = params.summary or f"{source}: {params.event}"
    if webhook.settings.preset == "pagerduty":
        body: JsonObject = {
            "routing_key": webhook.secret,
            "event_action": params.event,
            "dedup_key": name,
        }
        if params.event == "trigger":
            body["payload"] = {
                "summary": summary,
                "source": source,
                "severity": params.severity,
                "timestamp": moment,
                "custom_details": params.details,
            }
            body["links"] = [{"href": params.link, "text": "Stanch"}] if params.link else []
        return "/v2/enqueue", {}, body
    details = {**params.details, **({"link": params.link} if params.link else {})}
    if webhook.settings.preset == "opsgenie":
        if params.event != "trigger":
            verb = {"acknowledge": "acknowledge", "resolve": "close"}[params.event]
            path = f"/v2/alerts/{quote(name, safe='')}/{verb}"
            return path, {"identifierType": "alias"}, {"source": source, "note": summary[:1000]}
        body = {
            "message": summary[:130],  # Opsgenie's limit; the whole stands in the description
            "description": summary,
            "alias": name,
            "source": source,
            "priority": _PRIORITY[params.severity],
            "details": {one: str(value) for one, value in details.items()},
        }
        return "/v2/alerts", {}, body
    body = {
        "event": params.event,
        "summary": summary,
        "severity": params.severity,
        "dedup": name,
        "source": source,
        "at": moment,
        "details": params.details,
        "link": params.link,
    }
    return webhook.settings.path, {}, body


def _short(key: str) -> str:
    """Return the key as providers take it: at most 255 characters, none of them special."""
    plain = key.replace("-", "").replace("_", "")
    if len(key) <= 100 and plain.isascii() and plain.isalnum():
        return key
    return hashlib.sha256(key.encode()).hexdigest()
