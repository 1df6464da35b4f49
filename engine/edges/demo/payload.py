"""The payload that Alertmanager would send, for machines without it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import httpx

from engine.domain.clock import format_time
from engine.edges.demo.files import NAMESPACE

LABELS = {"alertname": "StarforgeETLFailureRateHigh", "namespace": NAMESPACE, "severity": "P1"}
_NEVER = "0001-01-01T00:00:00Z"


def payload(status: str, started: datetime, rate: float) -> Mapping[str, Any]:
    """Return a version 4 webhook body with one alert.

    Args:
        status: `firing` or `resolved`.
        started: when it began to fire.
        rate: the failure rate, 0 to 1, for the summary.
    """
    summary = f"{rate:.4g} of ETL snapshots fail in {NAMESPACE}"
    group = {"alertname": LABELS["alertname"], "namespace": NAMESPACE}
    return {
        "version": "4",
        "groupKey": '{}:{alertname="StarforgeETLFailureRateHigh", namespace="starforge"}',
        "truncatedAlerts": 0,
        "status": status,
        "receiver": "stanch",
        "groupLabels": group,
        "commonLabels": LABELS,
        "commonAnnotations": {"summary": summary},
        "externalURL": "http://127.0.0.1:9093",
        "alerts": [
            {
                "status": status,
                "labels": LABELS,
                "annotations": {"summary": summary},
                "startsAt": format_time(started),
                "endsAt": _NEVER if status == "firing" else format_time(datetime.now(UTC)),
                "generatorURL": "http://127.0.0.1:9090/graph",
                "fingerprint": "",
            }
        ],
    }


def post(url: str, body: Mapping[str, Any]) -> None:
    """Post it to the intake.

    Raises:
        httpx.HTTPStatusError: the intake refused it.
    """
    httpx.post(url, json=dict(body), timeout=10).raise_for_status()
