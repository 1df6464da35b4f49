"""`POST /hooks/pagerduty` and `/hooks/opsgenie`: who acknowledges there has acknowledged here.

Sources: PagerDuty webhooks v3 (`X-PagerDuty-Signature`: `v1=` and the HMAC-SHA256 of the raw body, several
while a secret is changed); Opsgenie's outgoing webhook (a header of one's own choice). What is told here
is believed only with the configured secret, and says no more than that somebody has seen a page.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool

from engine.domain.canonical import JsonObject
from engine.domain.errors import InvalidInput, NotFound
from engine.domain.people import Actor
from engine.edges.problems import Unauthenticated
from engine.edges.web.ports import Application
from engine.incidents.lifecycle import acknowledge_page

router = APIRouter(include_in_schema=False)

_PAGERDUTY = {"incident.acknowledged": "acknowledged", "incident.resolved": "resolved"}
_OPSGENIE = {"Acknowledge": "acknowledged", "Close": "resolved"}
_LONGEST = 100  # characters of a name


@router.post("/hooks/pagerduty")
async def pagerduty(request: Request) -> JsonObject:
    """Raises Unauthenticated where the signature is missing or wrong."""
    application: Application = request.app.state.application
    raw = await request.body()
    secret = application.hook_secret("pagerduty")
    given = request.headers.get("x-pagerduty-signature", "")
    if secret is None:
        raise NotFound("PagerDuty's acknowledgements are not configured here")
    if not signed(secret, raw, given):
        raise Unauthenticated("the signature does not fit")
    event = _part(_read(raw), "event")
    verb = _PAGERDUTY.get(str(event.get("event_type")))
    data = _part(event, "data")
    name = _part(event, "agent").get("summary")
    return await _heard(application, "pagerduty", verb, data.get("incident_key"), name)


@router.post("/hooks/opsgenie")
async def opsgenie(request: Request) -> JsonObject:
    """Raises Unauthenticated where the token is missing or wrong."""
    application: Application = request.app.state.application
    raw = await request.body()
    secret = application.hook_secret("opsgenie")
    if secret is None:
        raise NotFound("Opsgenie's acknowledgements are not configured here")
    _, _, given = request.headers.get("authorization", "").partition(" ")
    if not hmac.compare_digest(given.strip().encode(), secret.encode()):
        raise Unauthenticated("the token does not fit")
    body = _read(raw)
    alert = _part(body, "alert")
    verb = _OPSGENIE.get(str(body.get("action")))
    return await _heard(application, "opsgenie", verb, alert.get("alias"), alert.get("username"))


def signed(secret: str, raw: bytes, header: str) -> bool:
    """Tell whether one of a header's `v1=` signatures is this body's."""
    wanted = hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()
    given = [part.strip().removeprefix("v1=") for part in header.split(",") if "v1=" in part]
    return any(hmac.compare_digest(one.encode(), wanted.encode()) for one in given)


def _read(raw: bytes) -> JsonObject:
    try:
        body = json.loads(raw)
    except ValueError:
        raise InvalidInput("this is no JSON") from None
    if not isinstance(body, dict):
        raise InvalidInput("a JSON object was expected")
    return body


def _part(body: JsonObject, name: str) -> JsonObject:
    part = body.get(name)
    return part if isinstance(part, dict) else {}


async def _heard(
    application: Application, via: str, verb: str | None, page_id: Any, name: Any
) -> JsonObject:
    """Acknowledge the page; what is none of ours is answered with 200, or it would be sent for hours."""
    if verb is None or not isinstance(page_id, str) or not page_id.startswith("page-"):
        return {"acknowledged": False, "reason": "this is about no page of ours"}
    who = " ".join(str(name or "somebody").split())[:_LONGEST]
    actor = Actor(who, via=via)
    note = f"{verb} at {via}"

    def heard() -> bool:
        return application.store.write(lambda tx: acknowledge_page(tx, page_id, actor, note))

    done = await run_in_threadpool(heard)
    return {"acknowledged": done, "reason": "" if done else "it was seen before, or is unknown"}
