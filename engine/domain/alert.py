"""An alert: one labelled condition from a source, keyed (fingerprint, startsAt, status)."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from engine.domain.canonical import JsonObject
from engine.domain.clock import format_time


class AlertStatus(enum.StrEnum):
    FIRING = "firing"
    RESOLVED = "resolved"


@dataclass(frozen=True)
class Alert:
    """One alert of one delivery, after `drop_labels`.

    Attributes:
        fingerprint: the sender's fingerprint, or the digest of the labels where labels were dropped.
        ends_at: None while it fires (Alertmanager sends the year 1).
    """

    fingerprint: str
    status: AlertStatus
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    starts_at: datetime
    ends_at: datetime | None = None
    generator_url: str = ""

    @property
    def name(self) -> str:
        return self.labels.get("alertname", "")

    def as_json(self) -> JsonObject:
        return {
            "fingerprint": self.fingerprint,
            "status": self.status.value,
            "labels": dict(self.labels),
            "annotations": dict(self.annotations),
            "starts_at": format_time(self.starts_at),
            "ends_at": format_time(self.ends_at) if self.ends_at else None,
            "generator_url": self.generator_url,
        }


@dataclass(frozen=True)
class UnreadableAlert:
    """An alert of a good delivery that could not be read: kept with its reason, never dropped in silence."""

    reason: str
    raw: JsonObject | str


@dataclass(frozen=True)
class Delivery:
    """One webhook call: what came, what could not be read, what was cut."""

    receiver: str
    group_key: str
    group_labels: Mapping[str, str]
    external_url: str
    alerts: tuple[Alert, ...]
    unreadable: tuple[UnreadableAlert, ...] = ()
    truncated: int = 0  # alerts that the sender says it left out (truncatedAlerts)
    over_limit: int = 0  # alerts that we left out, beyond the configured limit
    extra: JsonObject = field(default_factory=dict)
