"""The alerts of a rehearsal, as Alertmanager would deliver them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from engine.domain.alert import Delivery
from engine.domain.canonical import JsonObject
from engine.domain.clock import format_time
from engine.edges.intake.fingerprint import fingerprint
from engine.edges.intake.payload import read_delivery
from engine.language.rehearsalforms import AlertForm


@dataclass(frozen=True)
class Coming:
    """One delivery and its time."""

    at: datetime
    body: bytes
    name: str
    status: str

    def delivery(self, drop_labels: frozenset[str], max_alerts: int) -> Delivery:
        """Read it as the intake does."""
        return read_delivery(self.body, drop_labels=drop_labels, max_alerts=max_alerts)


def coming(forms: Sequence[AlertForm], start: datetime) -> list[Coming]:
    """Return every delivery of a rehearsal, in order."""
    found = [one for form in forms for one in _of(form, start)]
    return sorted(found, key=lambda one: one.at)


def _of(form: AlertForm, start: datetime) -> list[Coming]:
    found = []
    first = start + timedelta(seconds=form.after)
    for number in range(form.times):
        at = first + timedelta(seconds=number * form.every)
        began = at - timedelta(seconds=form.pending)
        one = Coming(at, _body(form, began, None), form.labels.get("alertname", ""), "firing")
        found += [one] * form.deliveries
    if form.resolves is not None:
        at = first + timedelta(seconds=(form.times - 1) * form.every + form.resolves)
        began = first + timedelta(seconds=(form.times - 1) * form.every - form.pending)
        name = form.labels.get("alertname", "")
        found += [Coming(at, _body(form, began, at), name, "resolved")] * form.deliveries
    return found


def _body(form: AlertForm, began: datetime, ended: datetime | None) -> bytes:
    status = "firing" if ended is None else "resolved"
    group = {name: form.labels[name] for name in form.group_by if name in form.labels}
    alert: JsonObject = {
        "status": status,
        "labels": form.labels,
        "annotations": form.annotations,
        "startsAt": format_time(began),
        "endsAt": "0001-01-01T00:00:00Z" if ended is None else format_time(ended),
        "generatorURL": "",
        "fingerprint": fingerprint(form.labels),
    }
    words = ", ".join(f'{name}="{value}"' for name, value in sorted(group.items()))
    body: JsonObject = {
        "version": "4",
        "groupKey": f"{{}}:{{{words}}}",
        "status": status,
        "receiver": "stanch",
        "groupLabels": group,
        "commonLabels": form.labels,
        "commonAnnotations": form.annotations,
        "externalURL": "http://alertmanager.rehearsal.invalid",
        "truncatedAlerts": 0,
        "alerts": [alert],
    }
    return json.dumps(body).encode()
