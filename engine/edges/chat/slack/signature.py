"""Slack's signature: whether a request is Slack's, fresh, and the first of its kind (docs.slack.dev, "Verifying")."""

from __future__ import annotations

import hashlib
import hmac

SKEW = 300  # seconds


def refusal(
    secret: str, timestamp: str | None, signature: str | None, body: bytes, now: float
) -> str | None:
    """Return why a request is not to be taken, or None where its signature holds.

    Args:
        timestamp, signature: the headers X-Slack-Request-Timestamp and X-Slack-Signature.
        now: seconds since the epoch.
    """
    if not timestamp or not signature:
        return "the request is not signed"
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) < 16):
        return "the request's time cannot be read"
    if abs(now - int(timestamp)) > SKEW:
        return f"the request's time is more than {SKEW} s off; look at this machine's clock"
    wanted = (
        "v0="
        + hmac.new(
            secret.encode(), b"v0:%b:%b" % (timestamp.encode(), body), hashlib.sha256
        ).hexdigest()
    )
    if not hmac.compare_digest(wanted.encode(), signature.encode()):
        return "the signature is wrong; look at slack.signing_secret"
    return None


def request_id(timestamp: str, signature: str) -> str:
    """Return what names a signed request: the same one that comes again has the same name."""
    return "http " + hashlib.sha256(f"{timestamp}:{signature}".encode()).hexdigest()
