"""People in the workspace: what they type and press, as Slack sends it to the app."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from worlds.slack.channels import Channel
from worlds.slack.workspace import SECRET, Workspace


@dataclass(frozen=True)
class Person:
    """A user. The methods return what Slack would send: a form, to be signed or put into an envelope."""

    id: str
    workspace: Workspace
    base: str

    def command(self, text: str, channel: str = "C00000000") -> dict[str, str]:
        return {
            "command": "/stanch",
            "text": text,
            "user_id": self.id,
            "user_name": f"name-of-{self.id}".lower(),
            "channel_id": channel,
            "trigger_id": self.workspace.trigger(),
            "response_url": self.workspace.response_url(self.base, channel, self.id),
        }

    def press(self, channel: Channel, message: Mapping[str, Any], action: str) -> dict[str, Any]:
        """Press a button of a message as it is now.

        Raises:
            LookupError: the message has no such button (any more).
        """
        return self.pressed(channel, button(message, action), str(message["ts"]))

    def pressed(self, channel: Channel, element: Mapping[str, Any], ts: str = "") -> dict[str, Any]:
        """Press a button that was seen earlier, whatever the message is by now."""
        return {
            "type": "block_actions",
            "user": {"id": self.id},
            "channel": {"id": channel.id, "name": channel.name},
            "message": {"ts": ts},
            "trigger_id": self.workspace.trigger(),
            "response_url": self.workspace.response_url(self.base, channel.id, self.id),
            "actions": [{"action_id": element["action_id"], "value": element.get("value", "")}],
        }

    def submit(self, view: Mapping[str, Any], **values: Any) -> dict[str, Any]:
        """Send a form with values by action_id; a list chooses several options, `=x` chooses one."""
        state = {name: {name: _field(value)} for name, value in values.items()}
        return {
            "type": "view_submission",
            "user": {"id": self.id},
            "view": {**view, "state": {"values": state}},
        }


def _field(value: Any) -> dict[str, Any]:
    if isinstance(value, list):
        return {"selected_options": [{"value": one} for one in value]}
    if str(value).startswith("="):
        return {"selected_option": {"value": str(value)[1:]}}
    return {"value": value}


def button(message: Mapping[str, Any], action: str) -> Mapping[str, Any]:
    """Return a message's button.

    Raises:
        LookupError: there is none.
    """
    for block in message.get("blocks") or ():
        for element in block.get("elements") or ():
            if element.get("action_id") == action:
                return dict(element)
    raise LookupError(f"the message has no button {action!r}")


def form(given: Mapping[str, Any]) -> bytes:
    """Return the body of a request: a command as it is, an interaction as `payload`."""
    if "command" in given:
        return urlencode(given).encode()
    return urlencode({"payload": json.dumps(given)}).encode()


def signed(body: bytes, at: float, secret: str = SECRET) -> dict[str, str]:
    """Return the headers with which Slack sends a body."""
    timestamp = str(int(at))
    base = b"v0:%b:%b" % (timestamp.encode(), body)
    return {
        "Content-Type": "application/x-www-form-urlencoded",
        "X-Slack-Request-Timestamp": timestamp,
        "X-Slack-Signature": "v0=" + hmac.new(secret.encode(), base, hashlib.sha256).hexdigest(),
    }
