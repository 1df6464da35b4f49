"""What went wrong, for people: one shape for the API and the CLI, with what to do next."""

from __future__ import annotations

from dataclasses import dataclass

from engine.domain.canonical import JsonObject
from engine.domain.errors import (
    ActionFailed,
    InvalidInput,
    NotFound,
    Refused,
    StanchError,
    StoreUnavailable,
    Unplannable,
)

OK, FAILED, USAGE, REFUSED, WAITING = range(5)  # the exit codes of DESIGN 11

SEE_DOCTOR = "see stanch doctor"


class Unauthenticated(StanchError):
    """No token, or one that is not known, has expired or was revoked."""


@dataclass(frozen=True)
class Problem:
    """One error as it is shown.

    Attributes:
        status: the HTTP status. exit_code: of the CLI.
        more: further fields of the JSON shape, such as `missing_role` or `near`.
    """

    code: str
    message: str
    hint: str
    status: int
    exit_code: int
    more: JsonObject

    def as_json(self) -> JsonObject:
        return {
            "error": {"code": self.code, "message": self.message, "hint": self.hint, **self.more}
        }


def problem_of(error: StanchError) -> Problem:
    """Return how an error is shown: `{error: {code, message, hint}}`, a status, an exit code."""
    message = str(error) or type(error).__name__
    match error:
        case Unauthenticated():
            hint = "send Authorization: Bearer TOKEN; an admin makes one with stanch token create"
            return Problem("unauthenticated", message, hint, 401, REFUSED, {})
        case NotFound():
            hint = f"near: {', '.join(error.near)}" if error.near else ""
            return Problem("not_found", message, hint, 404, USAGE, {"near": list(error.near)})
        case Refused():
            role = error.missing_role
            hint = f"ask somebody with the role {role}" if role else ""
            return Problem("refused", message, hint, 403, REFUSED, {"missing_role": role})
        case StoreUnavailable():
            hint = "nothing was kept; try again in a moment, and see stanch doctor"
            return Problem("store_unavailable", message, hint, 503, FAILED, {})
        case InvalidInput():
            return Problem("invalid_input", message, getattr(error, "hint", ""), 422, USAGE, {})
        case Unplannable():
            hint = "nothing was changed; the message says what to use instead"
            return Problem("unplannable", message, hint, 422, FAILED, {})
        case ActionFailed():
            hint = SEE_DOCTOR if error.category.value == "configuration" else ""
            more: JsonObject = {"category": error.category.value}
            return Problem("action_failed", message, hint, 502, FAILED, more)
    return Problem("failed", message, "", 500, FAILED, {})
