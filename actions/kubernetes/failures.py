"""What an API server's refusal means for the retry policy, in words that say what to do."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime

from engine.contract import ActionFailed, Category
from engine.contract.status import retry_after
from engine.domain.canonical import JsonObject

_LONGEST = 400  # characters of the server's own words
_CATEGORIES = {
    400: Category.PERMANENT,
    401: Category.CONFIGURATION,
    403: Category.CONFIGURATION,
    404: Category.PERMANENT,
    405: Category.PERMANENT,
    410: Category.PERMANENT,
    413: Category.DATA,
    415: Category.PERMANENT,
    422: Category.PERMANENT,
    429: Category.RATE_LIMIT,
}
_ADVICE = {
    401: "the token or certificate is not accepted: renew it where the connection's settings name it",
    403: "grant the right (stanch grants prints the Role), or narrow the playbook",
    404: "check namespace and name",
    415: "this kind does not take that patch: use type merge",
}


class Refused(ActionFailed):
    """The server answered with a Status. `code` and `reason` are the server's."""

    def __init__(
        self,
        category: Category,
        message: str,
        *,
        code: int,
        reason: str,
        retry_after: float | None = None,
        effect_possible: bool = False,
    ) -> None:
        super().__init__(
            category, message, retry_after=retry_after, effect_possible=effect_possible
        )
        self.code, self.reason = code, reason


def refused(
    what: str,
    code: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    now: datetime,
    write: bool,
    secret: bool,
) -> Refused:
    """Return the failure for an answer that is no success.

    Args:
        what: connection, method and path, for people.
        write: the request could change something: an unclear answer then leaves the effect open.
        secret: the object holds secrets: only the reason is shown, never the server's words.
    """
    status = read_status(body)
    reason = str(status.get("reason") or "")
    said = reason if secret else shown(str(status.get("message") or body[:200].decode("latin-1")))
    causes = (status.get("details") or {}).get("causes") or []
    if code == 429 and causes and not secret:  # which disruption budget, and what it needs
        said = shown("; ".join([said, *(str(each.get("message") or "") for each in causes)]))
    category = _CATEGORIES.get(code)
    if code == 409:
        category = Category.DATA if reason == "AlreadyExists" else Category.TRANSIENT
    if category is None:
        category = Category.TRANSIENT if code >= 500 else Category.PERMANENT
    after = retry_after(headers, now)
    advice = f"; {_ADVICE[code]}" if code in _ADVICE else ""
    return Refused(
        category,
        f"{what}: {code} {said}{advice}",
        code=code,
        reason=reason,
        retry_after=after,
        # A 4xx is answered before anything is written; a 5xx may come after.
        effect_possible=write and code >= 500,
    )


def read_status(body: bytes) -> JsonObject:
    """Return the Status object of an answer, or an empty one."""
    try:
        value = json.loads(body)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def shown(message: str) -> str:
    """Shorten the server's words: a refused patch is shown with the whole object in it.

    The object may hold what nobody should read, so only what follows it is kept.
    """
    marker = "patch: Invalid value: "
    at = message.find(marker)
    if at >= 0:
        rest = message[at + len(marker) :]
        try:
            _, end = json.JSONDecoder().raw_decode(rest)
            message = "the patched object is invalid" + rest[end:]
        except ValueError:
            message = "the patched object is invalid"
    return message if len(message) <= _LONGEST else message[: _LONGEST - 1] + "…"
