"""kubernetes.secret_check and secret_set: secrets without their values ever being shown."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field

from actions.kubernetes import byhand, changing
from actions.kubernetes.changing import MERGE
from actions.kubernetes.client import KubernetesClient
from actions.kubernetes.failures import Refused
from actions.kubernetes.params import OfKind, grant
from actions.kubernetes.patching import Patch, Patching
from engine.contract import ActionFailed, Category, Grant, Read, Target, World
from engine.domain.canonical import Json, JsonObject

LARGEST = 2**20  # bytes of all values, as the API server counts them
Form = Literal["text", "token", "url", "json", "pem", "base64", "integer", "binary"]


class SecretCheckParams(OfKind):
    """Parameters of checking a Secret."""

    known = "Secret"
    name: str = Field(description="The Secret's name", examples=["api-keys"], min_length=1)
    keys: dict[str, Form] = Field(
        description="What each key must be: text (not empty), token (text without any white space), url "
        "(with a host), json, pem, base64, integer, or binary (not empty, any bytes)",
        examples=[{"OPENAI_API_KEY": "token", "DATABASE_URL": "url"}],
        min_length=1,
    )


class KubernetesSecretCheck(Read[SecretCheckParams]):
    """Whether a Secret is there, has its keys, and they are well-formed. No value leaves it.

    Output: `ok`, `found`, `keys` (by key: `present`, `well_formed`, `problem`), `problems` (texts).
    """

    name = "kubernetes.secret_check"
    manual = byhand.secret_check
    summary = "Check that a Secret's keys are there and well-formed"
    Params = SecretCheckParams

    def targets(self, params: SecretCheckParams) -> Sequence[Target]:
        return (params.target,)

    def grants(self, params: SecretCheckParams) -> Sequence[Grant]:
        return (grant(params, "Secret", ["get"]),)

    def read(self, params: SecretCheckParams, world: World) -> Json:
        about = params.object
        client = changing.client_of(world, about.connection)
        try:
            live = client.get(about.resource(client), about.namespace, about.name)
        except Refused as error:
            if error.code != 404:
                raise
            live = None
        data = (live or {}).get("data") or {}
        keys = {key: _checked(data.get(key), form) for key, form in params.keys.items()}
        problems = [f"{key}: {each['problem']}" for key, each in keys.items() if each["problem"]]
        if live is None:
            problems = [f"Secret {about.name} is not there"]
        return {
            "ok": not problems,
            "found": live is not None,
            "keys": keys,
            "problems": problems,
        }


def _checked(coded: str | None, form: str) -> JsonObject:
    if coded is None:
        return {"present": False, "well_formed": False, "problem": "is not there"}
    problem = problem_of(base64.b64decode(coded), form)
    return {"present": True, "well_formed": problem is None, "problem": problem}


def problem_of(value: bytes, form: str) -> str | None:
    """Return what is wrong with a value, in words that hold nothing of it, or None."""
    if not value:
        return "is empty"
    if form == "binary":
        return None
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return "is not text"
    if not text.strip():
        return "is only white space"
    if form not in ("json", "pem") and text != text.strip():
        return "has white space or a line break at its start or end"
    return _TESTS[form](text)


def _token(text: str) -> str | None:
    return "has white space in it" if any(each.isspace() for each in text) else None


def _url(text: str) -> str | None:
    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018  a bad port raises
    except ValueError:
        return "is no URL"
    return None if parts.scheme and parts.hostname else "is no URL with a scheme and a host"


def _json(text: str) -> str | None:
    try:
        json.loads(text)
    except ValueError:
        return "is no JSON"
    return None


def _pem(text: str) -> str | None:
    lines = [line.strip() for line in text.strip().splitlines()]
    whole = lines[0].startswith("-----BEGIN ") and lines[-1].startswith("-----END ")
    return None if whole and len(lines) > 2 else "is no PEM (BEGIN and END lines)"


def _base64(text: str) -> str | None:
    try:
        base64.b64decode(text, validate=True)
    except binascii.Error:
        return "is no base64"
    return None


def _integer(text: str) -> str | None:
    try:
        int(text)
    except ValueError:
        return "is no integer"
    return None


_TESTS: dict[str, Callable[[str], str | None]] = {
    "text": lambda _: None,
    "token": _token,
    "url": _url,
    "json": _json,
    "pem": _pem,
    "base64": _base64,
    "integer": _integer,
}


class SecretSetParams(OfKind):
    """Parameters of changing a Secret."""

    known = "Secret"
    name: str = Field(description="The Secret's name", examples=["api-keys"], min_length=1)
    data: dict[str, str] = Field(
        description="Values by key, each a reference to a secret of the configuration; other keys stay",
        examples=[{"OPENAI_API_KEY": "{{ secret('openai') }}"}],
        min_length=1,
    )


class KubernetesSecretSet(Patching[SecretSetParams]):
    """Sets keys of a Secret from references. Plans, journals and outputs hold salted digests only.

    Pods see it as they mount it; variables only after a restart.
    """

    name = "kubernetes.secret_set"
    manual = byhand.secret_set
    summary = "Set keys of a Secret from references"
    Params = SecretSetParams
    risk = "high"

    def patch_of(
        self, params: SecretSetParams, seen: JsonObject, client: KubernetesClient
    ) -> Patch:
        del client
        if seen.get("immutable"):
            raise _refused(params, "it is immutable: make a new one and let the pods name that")
        empty = [key for key, value in params.data.items() if not value]
        if empty:
            raise _refused(params, f"the new value is empty: {', '.join(sorted(empty))}")
        kept: dict[str, str] = seen.get("data") or {}
        sizes = {key: len(base64.b64decode(value)) for key, value in kept.items()}
        sizes |= {key: len(value.encode()) for key, value in params.data.items()}
        if sum(sizes.values()) > LARGEST:
            raise _refused(params, f"it would be larger than {LARGEST} bytes")
        return Patch({"stringData": dict(params.data)}, MERGE)


def _refused(params: SecretSetParams, why: str) -> ActionFailed:
    return ActionFailed(Category.DATA, f"{params.target}: {why}", effect_possible=False)
