"""Pages and webhooks, for a person."""

from __future__ import annotations

from typing import Any

from engine.contract.byhand import ByHand, Given, Hand, command, note, secret

_ADDRESSES = {
    "pagerduty": "https://events.pagerduty.com/v2/enqueue",
    "opsgenie": "https://api.opsgenie.com/v2/alerts",
}


def send(_: object, given: Given, at: ByHand) -> Hand:
    settings = at.of(given)
    preset = str(getattr(settings, "preset", "generic"))
    url = getattr(settings, "url", None) or _ADDRESSES.get(preset, "<url of the connection>")
    key = getattr(settings, "key", None)
    words = f"{given.get('event', 'trigger')}: {given.get('summary', '')}"
    lines = [note(f"tell the people on call ({preset}): {words}")]
    body: dict[str, Any] = {"summary": given.get("summary", ""), "severity": given.get("severity")}
    if preset == "generic":
        line = command("curl", "-fsS", "-H", "Content-Type: application/json", "-d", body, url)
        return Hand([*lines, line])
    held = f" with the key in {secret(key)}" if key is not None else ""
    return Hand([*lines, note(f"in its web page, or by its API at {url}{held}")])
