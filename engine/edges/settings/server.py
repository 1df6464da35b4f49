"""Where the server keeps, listens and works: `store`, `listen`, `intake`, `workers`, `keys`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, PlainValidator, WithJsonSchema

from engine.contract.world import SecretRef
from engine.language.forms import Form, bad, bad_type
from engine.language.valuefields import PositiveSeconds, Seconds, Size

_PASSWORD = re.compile(r"\w+://[^/@\s]*:[^/@\s]+@")
_LISTEN = re.compile(r"(?P<host>\[[0-9a-fA-F:.]+\]|[^\s:\[\]]+):(?P<port>[0-9]{1,5})\Z")


def _listen(value: object) -> str:
    if not isinstance(value, str):
        bad_type(value, "an address and a port such as 127.0.0.1:9780")
    match = _LISTEN.match(value)
    if match is None or int(match["port"]) > 65535:
        bad(f"{value!r} is no address and port", "write for example 127.0.0.1:9780 or [::1]:9780")
    return value


def _store(value: object) -> Any:
    if isinstance(value, dict):
        return SecretRef.model_validate(value)
    if not isinstance(value, str):
        bad_type(value, "a URL such as sqlite:///var/stanch.db, or {env: NAME}")
    if not value.startswith(("sqlite:///", "postgresql://")):
        bad(
            "this is no store",
            "write sqlite:///var/stanch.db or postgresql://user@host/database",
        )
    if _PASSWORD.match(value):
        bad("a password cannot stand in the configuration", "write store: {env: STANCH_STORE}")
    return value


def _path(value: object) -> Path:
    if not isinstance(value, str) or not value:
        bad_type(value, "a path")
    return Path(value)


Listen = Annotated[str, PlainValidator(_listen), WithJsonSchema({"type": "string"})]
StoreUrl = Annotated[
    str | SecretRef,
    PlainValidator(_store),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"x-ref": "#/$defs/SecretRef"}]}),
]
PathText = Annotated[Path, PlainValidator(_path), WithJsonSchema({"type": "string"})]


class BasicAuth(Form):
    """User name and password."""

    username: str = Field(description="The user's name", min_length=1)
    password: SecretRef = Field(description="Where the password stands", examples=["{env: NAME}"])


class IntakeAuth(Form):
    """How Alertmanager proves who it is: one of the two."""

    bearer: SecretRef | None = Field(None, description="Where the bearer token stands")
    basic: BasicAuth | None = Field(None, description="User name and password")


class WatchdogConfig(Form):
    """An alert that always fires; when it stops coming, Stanch raises an alarm."""

    alertname: str = Field("Watchdog", description="Its alertname", min_length=1)
    missing_after: PositiveSeconds = Field(600.0, description="How long it may stay away; 10m")


class IntakeConfig(Form):
    """How alerts come in."""

    drop_labels: list[str] = Field([], description="Labels that differ between replicas")
    max_alert_age: Seconds | None = Field(
        6 * 3600.0, description="Older alerts are asked about instead of acted on; 6h"
    )
    max_body: Size = Field(4 * 2**20, description="Largest delivery; 4Mi")
    max_alerts: int = Field(1000, ge=1, description="Most alerts of one delivery")
    watchdog: WatchdogConfig | None = Field(None, description="An alert that always fires")
    auth: IntakeAuth | None = Field(None, description="Needed beyond loopback")


class WorkersConfig(Form):
    """The workers of this process."""

    threads: int = Field(16, ge=1, le=256, description="How many steps run at the same time")
    lease: PositiveSeconds = Field(5.0, description="How soon another worker takes over; 5s")


class WarmupConfig(Form):
    """What runs will need is fetched ahead, once the server is ready."""

    enabled: bool = Field(True, description="Whether it does so")
    within: PositiveSeconds = Field(30.0, description="How long it may take; 30s")
    memory: Size = Field(64 * 2**20, description="By how much the process may grow meanwhile; 64Mi")


class RetentionConfig(Form):
    """How long the journal keeps what is sealed beside it; the entries themselves are kept for ever."""

    images: PositiveSeconds | None = Field(
        90 * 86400.0, description="Before-images, which undo needs; 90d; null: for ever"
    )
    artifacts: PositiveSeconds | None = Field(
        None,
        description="Bytes of artifacts, once their incident is resolved; unless said, for ever",
    )


class KeysConfig(Form):
    """Keys that are kept outside the store; made at first start where the file is missing."""

    images: SecretRef = Field(
        SecretRef(file=Path("var/images.key")), description="Encrypts before-images"
    )
    seal: SecretRef = Field(SecretRef(file=Path("var/seal.key")), description="Seals the journal")
