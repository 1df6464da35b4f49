"""The API server's refusals, worded as the real one words them: every one is a `Status` object."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from engine.domain.canonical import JsonObject
from worlds.cluster.kinds import Kind

MODIFIED = (
    "the object has been modified; please apply your changes to the latest version and try again"
)


class ApiError(Exception):
    """An answer other than success. `body` is the Status object, or text where the server answers text."""

    def __init__(
        self, code: int, body: JsonObject | str, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(body if isinstance(body, str) else body["message"])
        self.code = code
        self.body = body
        self.headers = headers or {}


@dataclass(frozen=True)
class Cause:
    """One field that validation refuses. `reason` is `FieldValueInvalid`, `FieldValueRequired` …"""

    field: str
    message: str
    reason: str = "FieldValueInvalid"

    def as_json(self) -> JsonObject:
        return {"reason": self.reason, "message": self.message, "field": self.field}


def failure(
    code: int, reason: str, message: str, details: JsonObject | None = None, **headers: str
) -> ApiError:
    """Return the error that answers a `Failure` Status."""
    body: JsonObject = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
    }
    if reason:
        body["reason"] = reason
    if details is not None:
        body["details"] = details
    body["code"] = code
    return ApiError(code, body, {key.replace("_", "-"): value for key, value in headers.items()})


def _details(kind: Kind, name: str | None, *, title: bool = False) -> JsonObject:
    details: JsonObject = {"name": name} if name else {}
    if kind.group:
        details["group"] = kind.group
    details["kind"] = kind.kind if title else kind.plural
    return details


def not_found(kind: Kind, name: str) -> ApiError:
    return failure(404, "NotFound", f'{kind.resource} "{name}" not found', _details(kind, name))


def already_exists(kind: Kind, name: str) -> ApiError:
    return failure(
        409, "AlreadyExists", f'{kind.resource} "{name}" already exists', _details(kind, name)
    )


def conflict(kind: Kind, name: str, why: str = MODIFIED) -> ApiError:
    message = f'Operation cannot be fulfilled on {kind.resource} "{name}": {why}'
    return failure(409, "Conflict", message, _details(kind, name))


def bad_request(message: str) -> ApiError:
    return failure(400, "BadRequest", message)


def forbidden(kind: Kind, name: str | None, why: str) -> ApiError:
    subject = f'{kind.resource} "{name}"' if name else kind.resource
    return failure(403, "Forbidden", f"{subject} is forbidden: {why}", _details(kind, name))


def unauthorized() -> ApiError:
    return failure(401, "Unauthorized", "Unauthorized")


def invalid(kind: Kind, name: str, causes: Sequence[Cause]) -> ApiError:
    lines = [f"{cause.field}: {cause.message}" for cause in causes]
    listed = lines[0] if len(lines) == 1 else f"[{', '.join(lines)}]"
    shown = f"{kind.kind}.{kind.group}" if kind.group else kind.kind
    details = _details(kind, name, title=True)
    details["causes"] = [cause.as_json() for cause in causes]
    return failure(422, "Invalid", f'{shown} "{name}" is invalid: {listed}', details)


def invalid_patch(value: str, problem: str) -> ApiError:
    """Refuse a patch whose result does not decode; the real server shows the whole result."""
    cause = Cause("patch", f"Invalid value: {quote(value)}: {problem}")
    return failure(
        422,
        "Invalid",
        f' "" is invalid: {cause.field}: {cause.message}',
        {"causes": [cause.as_json()]},
    )


def rejected() -> ApiError:
    """Refuse a JSON patch that does not apply (a failed `test`, a path that is not there)."""
    message = "the server rejected our request due to an error in our request"
    return failure(422, "Invalid", message, {})


def unsupported_media_type() -> ApiError:
    return failure(415, "UnsupportedMediaType", "415: Unsupported Media Type", {})


def method_not_allowed() -> ApiError:
    message = "the server does not allow this method on the requested resource"
    return failure(405, "MethodNotAllowed", message, {})


def gone(message: str) -> ApiError:
    return failure(410, "Expired", message)


def no_such_path() -> ApiError:
    return ApiError(404, "404 page not found\n", {"Content-Type": "text/plain; charset=utf-8"})


def success(kind: Kind, name: str, uid: str) -> JsonObject:
    """Return the Status that answers a deletion."""
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": _details(kind, name) | {"uid": uid},
    }


def quote(text: str) -> str:
    """Quote as Go's %q does, for the texts that clients see."""
    return json.dumps(text, ensure_ascii=False)


def go_value(value: Any) -> str:
    """Print a decoded JSON value as Go's %v does: `map[a:1 b:[x y]]`."""
    if isinstance(value, dict):
        return f"map[{' '.join(f'{key}:{go_value(value[key])}' for key in sorted(value))}]"
    if isinstance(value, list):
        return f"[{' '.join(go_value(item) for item in value)}]"
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)
