"""The `webhook` connection: where messages go, in whose shape, and with which key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, Self, cast

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from actions.http.connection import HttpClient
from actions.http.settings import Header, HttpSettings, check_path
from actions.records import Records
from engine.contract import (
    ActionFailed,
    Category,
    ConnectionKind,
    Grant,
    Opening,
    SecretRef,
    Target,
)
from engine.contract.fields import Seconds
from engine.domain.canonical import JsonObject

Event = Literal["trigger", "acknowledge", "resolve"]
Preset = Literal["pagerduty", "opsgenie", "generic"]
_URLS = {"pagerduty": "https://events.pagerduty.com", "opsgenie": "https://api.opsgenie.com"}
_PREFIX = {"opsgenie": "GenieKey ", "generic": "Bearer "}


class WebhookSettings(BaseModel):
    """Settings of a `webhook` connection."""

    model_config = ConfigDict(extra="forbid")

    preset: Preset = Field(description="Whose shape messages have", examples=["pagerduty"])
    key: SecretRef | None = Field(
        None, description="PagerDuty's routing key, Opsgenie's API key, or a bearer token"
    )
    url: str | None = Field(
        None,
        description="Base URL; the provider's own where missing",
        pattern=r"^https?://[^/?#@\s]+(/[^?#\s]*)?$",
        examples=["https://hooks.internal"],
    )
    path: str = Field(
        "/", description="Path that the generic shape is posted to", examples=["/incidents"]
    )
    source: str = Field("stanch", description="What messages say they are from", min_length=1)
    events: list[Event] | None = Field(
        None, description="Events that may be sent; any where missing", examples=[["trigger"]]
    )
    records: Path = Field(
        description="Folder that keeps which keys were sent", examples=["var/webhooks"]
    )
    ca: Path | None = Field(None, description="CA bundle to verify the server with")
    verify: bool = Field(True, description="Whether to verify the server's certificate")
    timeout: Seconds = Field(10.0, gt=0, le=300, description="Longest wait for an answer")

    @field_validator("path")
    @classmethod
    def _path(cls, value: str) -> str:
        return check_path(value)

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.preset == "generic" and self.url is None:
            raise ValueError("preset generic needs the url that messages are posted to")
        if self.preset != "generic" and self.key is None:
            raise ValueError(
                f"preset {self.preset} needs its key, as {{env: NAME}} or {{file: path}}"
            )
        return self


class Webhook:
    """Posts messages to one receiver. Safe to share between threads."""

    def __init__(self, opening: Opening) -> None:
        self.name = opening.name
        self.settings = cast(WebhookSettings, opening.settings)
        self.records = Records(self.settings.records)
        self.secret = opening.secret(self.settings.key) if self.settings.key else ""
        preset = self.settings.preset
        signed = self.settings.key is not None and preset in _PREFIX
        inner = HttpSettings.model_validate(
            {
                "url": self.settings.url or _URLS[preset],
                "header": Header(name="Authorization", value=self.settings.key)
                if signed and self.settings.key
                else None,
                "ca": self.settings.ca,
                "verify": self.settings.verify,
                "timeout": self.settings.timeout,
            }
        )

        def secret(reference: SecretRef) -> str:
            return _PREFIX.get(preset, "") + opening.secret(reference)

        # The key itself is masked too: PagerDuty's stands in the body, Opsgenie's behind a word.
        self.http = HttpClient(replace(opening, settings=inner, secret=secret), [self.secret])

    def hold_allowed(self, event: str) -> None:
        """See that the connection lets such an event be sent.

        Raises:
            ActionFailed: (configuration) it does not.
        """
        if not allows(self.settings, event):
            what = f"webhook connection {self.name!r}: {_beyond(event)}"
            raise ActionFailed(Category.CONFIGURATION, what, effect_possible=False)

    def post(
        self, path: str, body: JsonObject, query: Mapping[str, Any], headers: Mapping[str, str]
    ) -> JsonObject:
        """Post one message and return the answer.

        Raises:
            ActionFailed: classified.
        """
        answer = self.http.send("POST", path, query=query, headers=headers, body=body)
        return {"status": answer.status}

    def close(self) -> None:
        self.http.close()


def allows(settings: WebhookSettings, event: str) -> bool:
    """Whether the connection lets such an event be sent."""
    return settings.events is None or event in settings.events


def _beyond(event: str) -> str:
    return f"{event} is not in its allow-list of events"


class WebhookKind(ConnectionKind):
    """Connections to receivers of messages."""

    kind = "webhook"
    Settings = WebhookSettings

    def open(self, opening: Opening) -> Webhook:
        return Webhook(opening)

    def refuses(self, settings: BaseModel, target: Target) -> str | None:
        assert isinstance(settings, WebhookSettings)
        if allows(settings, target.path):
            return None
        return f"connection {target.connection!r}: {_beyond(target.path)}"

    def grant_text(self, settings: BaseModel, grants: Sequence[Grant], user: str) -> str:
        del settings, user
        return "".join(f"{one}\n" for one in sorted({one.detail["event"] for one in grants}))

    def check(self, client: Webhook) -> Mapping[str, str]:
        """Any answer to a HEAD shows that the receiver is there; its key shows by a message alone."""
        url, preset = client.http.settings.url, client.settings.preset
        return {"url": url, "preset": preset, "status": str(client.http.reach())}

    def close(self, client: Webhook) -> None:
        client.close()
