"""Settings of the `http` connection, and what a step's paths and headers may be."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from engine.contract import SecretRef
from engine.contract.fields import Bytes, Seconds

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})  # RFC 9110, 9.2.1
_PATTERN = re.compile(r"(GET|HEAD|OPTIONS|POST|PUT|PATCH|DELETE|\*) /\S*\Z")
# What could leave the allow-listed path once a server decodes it.
_SLIPPERY = re.compile(
    r"(?:\A|/)\.{1,2}(?:/|\Z)|//|\\|%2e|%2f|%5c|[?#\s\x00-\x1f\x7f]", re.IGNORECASE
)
# Headers that belong to the connection or to the transport, never to a step.
_RESERVED = frozenset(
    {
        "authorization",
        "connection",
        "content-length",
        "cookie",
        "host",
        "proxy-authorization",
        "transfer-encoding",
    }
)


class HttpAllow(BaseModel):
    """Which requests may be sent."""

    model_config = ConfigDict(extra="forbid")

    paths: list[str] = Field(
        description="`METHOD /path`, where * stands for any method or any characters",
        examples=[["GET /v1/*", "POST /v1/batches"]],
    )

    @field_validator("paths")
    @classmethod
    def _well_formed(cls, value: list[str]) -> list[str]:
        return _patterns(value)


class Basic(BaseModel):
    """User name and password."""

    model_config = ConfigDict(extra="forbid")

    username: str
    password: SecretRef


class Header(BaseModel):
    """A header whose value is a secret, such as an API key."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(pattern=r"^[A-Za-z0-9-]+$")
    value: SecretRef


class HttpSettings(BaseModel):
    """Settings of an `http` connection."""

    model_config = ConfigDict(extra="forbid")

    url: str = Field(
        description="Base URL; every path is added to it",
        pattern=r"^https?://[^/?#@\s]+(/[^?#\s]*)?$",
        examples=["https://api.internal/v1"],
    )
    bearer: SecretRef | None = Field(None, description="Bearer token")
    basic: Basic | None = Field(None, description="Basic authentication")
    header: Header | None = Field(None, description="A header that carries a secret")
    headers: dict[str, str] = Field(default_factory=dict, description="Headers of every request")
    ca: Path | None = Field(None, description="CA bundle to verify the server with")
    verify: bool = Field(True, description="Whether to verify the server's certificate")
    timeout: Seconds = Field(30.0, gt=0, le=600, description="Longest wait for one answer")
    max_bytes: Bytes = Field(10 * 2**20, gt=0, description="Largest answer taken")
    idempotency_header: str | None = Field(
        None,
        description="Header whose key the server honours, so that a repeated request acts once",
        pattern=r"^[A-Za-z0-9-]+$",
        examples=["Idempotency-Key"],
    )
    safe: list[str] = Field(
        default_factory=list,
        description="Requests that change nothing although their method could, `METHOD /path`",
        examples=[["POST /v1/search"]],
    )
    allow: HttpAllow | None = Field(None, description="Requests it may send")

    @field_validator("safe")
    @classmethod
    def _well_formed(cls, value: list[str]) -> list[str]:
        return _patterns(value)

    @model_validator(mode="after")
    def _one_way_in(self) -> Self:
        if sum(item is not None for item in (self.bearer, self.basic, self.header)) > 1:
            raise ValueError("give one of bearer, basic and header")
        return self

    def is_safe(self, method: str, path: str) -> bool:
        """Whether the request changes nothing, by its method or because the connection says so."""
        return method in SAFE_METHODS or _matches(self.safe, method, path)

    def allows(self, method: str, path: str) -> bool:
        return self.allow is None or _matches(self.allow.paths, method, path)


def _patterns(value: list[str]) -> list[str]:
    for pattern in value:
        if not _PATTERN.match(pattern):
            raise ValueError(f"{pattern!r} is not of the form `METHOD /path`, such as GET /v1/*")
    return value


def _matches(patterns: Iterable[str], method: str, path: str) -> bool:
    for pattern in patterns:
        verb, _, glob = pattern.partition(" ")
        if verb in ("*", method) and fnmatchcase(path, glob):
            return True
    return False


def check_path(path: str) -> str:
    """Return `path` where it can only mean itself.

    Raises:
        ValueError: it is no absolute path, or holds what a server may read as another one.
    """
    if not path.startswith("/"):
        raise ValueError(f"{path!r} must start with /; the host is the connection's")
    if _SLIPPERY.search(path):
        raise ValueError(
            f"{path!r} must hold no ., .., //, backslash, space, ?, # or encoded form of them; "
            "give query parameters in `query`"
        )
    return path


def check_headers(headers: Mapping[str, str]) -> None:
    """See that a step's headers neither replace the connection's authentication nor forge others.

    Raises:
        ValueError: naming the header.
    """
    for name, value in headers.items():
        if name.lower() in _RESERVED or not re.fullmatch(r"[A-Za-z0-9-]+", name):
            raise ValueError(
                f"header {name!r} is not a step's to set; it belongs to the connection"
            )
        if not value.isprintable():
            raise ValueError(f"header {name!r} holds a control character")


def _checked_headers(headers: dict[str, str]) -> dict[str, str]:
    check_headers(headers)
    return headers


StepPath = Annotated[str, AfterValidator(check_path)]
StepHeaders = Annotated[dict[str, str], AfterValidator(_checked_headers)]
