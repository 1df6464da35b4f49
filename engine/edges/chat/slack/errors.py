"""What Slack's refusals mean, and what follows from each."""

from __future__ import annotations

import http.client
import socket
import urllib.error
from typing import Any

from slack_sdk.errors import SlackApiError, SlackRequestError

from engine.journal.parcels import Delivery, Settled

MOST = 60.0  # seconds between tries while Slack is away
LATER = 300.0  # seconds until a person may have mended the app's rights
_AWAY = frozenset(
    {
        "fatal_error",
        "internal_error",
        "request_timeout",
        "service_unavailable",
        "team_added_to_org",
    }
)
_RIGHTS = frozenset(
    {
        "access_denied",
        "account_inactive",
        "invalid_auth",
        "missing_scope",
        "no_permission",
        "not_authed",
        "org_login_required",
        "token_expired",
        "token_revoked",
        "restricted_action",
    }
)
_THERE = frozenset(
    {"already_pinned", "already_archived", "already_in_channel", "already_unarchived"}
)
# Without these a channel is worth nothing; a pin, a topic or an invitation can be missed.
_NEEDED = frozenset({"create", "post", "update", "upload"})
NETWORK = (OSError, http.client.HTTPException, urllib.error.URLError, SlackRequestError)


def code_of(error: SlackApiError) -> str:
    response: Any = error.response
    data = getattr(response, "data", response)
    return str(data.get("error", "")) if isinstance(data, dict) else ""


def refused(delivery: Delivery, method: str, error: SlackApiError) -> Settled:
    """Return what a refusal comes to."""
    response: Any = error.response
    status = int(getattr(response, "status_code", 0) or 0)
    code = code_of(error)
    if status == 429 or code in {"ratelimited", "rate_limited"}:
        wait = _retry_after(response)
        text = f"Slack asks for {wait:g} s of patience with {method}"
        return Settled("queued", wait, text, delivery.doubt, hold={method: wait})
    if code in _THERE:
        return Settled("done")
    if status >= 500 or code in _AWAY or not code:
        return away(delivery, f"{method}: Slack answered {status} {code}".strip())
    if code in _RIGHTS:
        text = f"{method}: {code}{_scope(response)}; {_mend(code)}"
        if delivery.parcel.kind in _NEEDED:
            return Settled("queued", LATER, text, delivery.doubt)
        return Settled("failed", error=text)
    return Settled("failed", error=f"{method}: Slack refused: {code}")


def away(delivery: Delivery, text: str, *, sent: bool = True) -> Settled:
    """Slack did not answer, or not as it should: later again, first asking whether it was done."""
    wait = min(MOST, 2.0 ** min(delivery.attempts, 10))
    return Settled("queued", wait, text, delivery.doubt or sent)


def unreachable(delivery: Delivery, method: str, error: Exception) -> Settled:
    """No answer at all; whether the request was taken is known only where no connection was made."""
    cause: Any = getattr(error, "reason", error)
    never = isinstance(cause, ConnectionRefusedError | socket.gaierror)
    return away(delivery, f"{method}: Slack cannot be reached: {cause}", sent=not never)


def _retry_after(response: Any) -> float:
    headers = {str(k).lower(): v for k, v in (getattr(response, "headers", None) or {}).items()}
    given = headers.get("retry-after", "1")
    text = given[0] if isinstance(given, list) else given
    return max(1.0, min(3600.0, float(text))) if str(text).isdigit() else 1.0


def _scope(response: Any) -> str:
    data = getattr(response, "data", None)
    needed = data.get("needed") if isinstance(data, dict) else None
    return f" (needs {needed})" if needed else ""


def _mend(code: str) -> str:
    if code == "missing_scope":
        return "add the scope to the app and install it again"
    if code == "restricted_action":
        return "an administrator of the workspace must allow it"
    return "look at the token in the configuration"
