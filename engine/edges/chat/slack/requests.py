"""What Slack sends, as requests of ours: slash commands, buttons, forms."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.domain.canonical import JsonObject
from engine.domain.errors import InvalidInput


@dataclass(frozen=True)
class Request:
    """One thing that a person did, to be stored in the inbox."""

    kind: str  # command | press
    body: JsonObject


def of_command(form: Mapping[str, Any]) -> Request:
    """Read a slash command.

    Raises:
        InvalidInput: it names no user.
    """
    text = html.unescape(str(form.get("text") or ""))
    return Request(
        "command", {"text": text, **_where(form.get("user_id"), form.get("channel_id"), form)}
    )


def of_interaction(payload: Mapping[str, Any]) -> Request | None:
    """Read a pressed button or a form that was sent; None: nothing that we act on.

    Raises:
        InvalidInput: it names no user, or is of no form that Slack sends.
    """
    user = _part(payload, "user").get("id")
    match payload.get("type"):
        case "block_actions":
            actions = payload.get("actions")
            if not isinstance(actions, list) or not actions or not isinstance(actions[0], dict):
                raise InvalidInput("the interaction holds no action")
            first = actions[0]
            body = {
                "action": str(first.get("action_id") or ""),
                "value": str(first.get("value") or ""),
                "trigger": str(payload.get("trigger_id") or ""),
                **_where(user, _part(payload, "channel").get("id"), payload),
            }
            return Request("press", body)
        case "view_submission":
            return _submitted(payload, user)
    return None


def _submitted(payload: Mapping[str, Any], user: object) -> Request:
    view = _part(payload, "view")
    try:
        meta = json.loads(str(view.get("private_metadata") or "{}"))
    except ValueError as error:
        raise InvalidInput("the form's own data cannot be read") from error
    values: dict[str, Any] = {}
    for block in _part(_part(view, "state"), "values").values():
        for name, field in block.items() if isinstance(block, dict) else ():
            values[str(name)] = _value(field)
    body = {
        "action": values.get("decision") or meta.get("action"),
        "value": meta.get("value", ""),
        "comment": values.get("comment") or "",
        "items": values.get("items"),
        "all": meta.get("items") or [],
        **_where(user, meta.get("channel"), {}),
    }
    return Request("press", body)


def _value(field: Any) -> Any:
    if not isinstance(field, dict):
        return None
    if isinstance(field.get("selected_option"), dict):
        return field["selected_option"].get("value")
    if isinstance(field.get("selected_options"), list):
        return [one.get("value") for one in field["selected_options"] if isinstance(one, dict)]
    return field.get("value")


def _part(payload: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = payload.get(name)
    return found if isinstance(found, dict) else {}


def _where(user: object, channel: object, source: Mapping[str, Any]) -> JsonObject:
    if not user:
        raise InvalidInput("the request names no user")
    url = source.get("response_url")
    return {
        "user": str(user),
        "channel": str(channel) if channel else None,
        "url": str(url) if url else None,
    }
