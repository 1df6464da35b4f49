"""What the body of a write says: an object, or a patch of one, and how a server refuses what it cannot read."""

from __future__ import annotations

import json
from typing import Any

from engine.domain.canonical import JsonObject
from worlds.cluster import schema
from worlds.cluster.kinds import Kind
from worlds.cluster.patches import json_patch, merge_patch, strategic_merge
from worlds.cluster.status import bad_request, go_value, invalid_patch, unsupported_media_type

MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
JSON_PATCH = "application/json-patch+json"
APPLY = "application/apply-patch+yaml"


def decode(kind: Kind, body: Any, validation: str) -> tuple[str, ...]:
    """Make the object of a whole body; return warnings of unknown fields, where these are not refused.

    Raises:
        ApiError: 400.
    """
    if not isinstance(body, dict):
        raise bad_request("couldn't get version/kind; json parse error")
    given = body.get("apiVersion", kind.api_version)
    if given != kind.api_version or body.get("kind", kind.kind) != kind.kind:
        raise bad_request(
            f"the API version in the data ({given}) does not match the expected API version "
            f"({kind.api_version})"
            if given != kind.api_version
            else f'{body["kind"]} in version "{kind.version}" cannot be handled as a '
            f'{kind.kind}: no kind "{body["kind"]}" is registered'
        )
    body["kind"], body["apiVersion"] = kind.kind, kind.api_version
    cannot = f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: '
    try:
        schema.check(body, kind.schema)
    except schema.DecodeError as error:
        raise bad_request(cannot + error.as_json_decoder) from error
    if body.get("metadata") is None:
        body["metadata"] = {}
    return _unknown(kind, body, validation, lambda problem: bad_request(cannot + problem))


def _unknown(kind: Kind, body: Any, validation: str, refuse: Any) -> tuple[str, ...]:
    if validation == "Ignore":
        return ()
    found = [f'unknown field "{path}"' for path in schema.unknown(body, kind.schema)]
    if found and validation == "Strict":
        raise refuse(f"strict decoding error: {', '.join(found)}")
    return tuple(found)


def read_patched(
    kind: Kind, patched: Any, shown: str, form: str, validation: str
) -> tuple[str, ...]:
    """`decode` for an object that a patch has made.

    Raises:
        ApiError: 422.
    """
    try:
        schema.check(patched, kind.schema)
    except schema.DecodeError as error:
        words = error.as_converter if form == STRATEGIC else error.as_json_decoder
        raise invalid_patch(shown, words) from error
    return _unknown(kind, patched, validation, lambda problem: invalid_patch(shown, problem))


def check_place(namespace: str, body: JsonObject) -> None:
    """Refuse (400) a body that names another namespace than its request."""
    given = body["metadata"].get("namespace") or namespace
    if given != namespace:
        raise bad_request(
            "the namespace of the provided object does not match the namespace sent on the request"
        )


def patch_value(live: JsonObject, patch: Any, form: str, kind: str) -> tuple[Any, str]:
    """Return the patched object and the text by which a refusal shows it.

    Raises:
        ApiError: 400, 415, 422.
    """
    if form == STRATEGIC:
        if not isinstance(patch, dict):
            raise bad_request(
                "cannot unmarshal array into Go value of type map[string]interface {}"
            )
        return strategic_merge(live, patch, kind), go_value(patch)
    if form == MERGE:
        if not isinstance(patch, dict):
            raise bad_request("Invalid JSON Patch")
        patched = merge_patch(live, patch)
    elif form == JSON_PATCH:
        patched = json_patch(live, patch)
    else:
        raise unsupported_media_type()
    return patched, json.dumps(patched, separators=(",", ":"), ensure_ascii=False)
