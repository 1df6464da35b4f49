"""An alert that a person holds in hand (a file, a stored row): what it is, and what the rules would run for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine.domain.canonical import JsonObject
from engine.domain.errors import InvalidInput, NotFound
from engine.incidents.matching import RuleBook
from engine.language.rules import Rule
from engine.language.templates import render

_FIELDS = {"startsAt": "starts_at", "endsAt": "ends_at", "generatorURL": "generator_url"}


def sent_alert(sent: JsonObject) -> JsonObject:
    """Return one alert in the engine's own form, from an alert or a whole Alertmanager delivery.

    Raises:
        InvalidInput: it has no labels, or the delivery holds no alert or several.
    """
    if "alerts" in sent:
        alerts = sent["alerts"]
        if not isinstance(alerts, list) or len(alerts) != 1 or not isinstance(alerts[0], dict):
            raise InvalidInput(
                "this delivery does not hold exactly one alert; give one alert alone"
            )
        group = sent.get("groupLabels") or {}
        return {"group_labels": group, **sent_alert(alerts[0])}
    labels = sent.get("labels")
    if not isinstance(labels, dict) or not labels:
        raise InvalidInput("the alert has no labels; write for example {labels: {alertname: X}}")
    alert: dict[str, Any] = {
        "status": "firing",
        "annotations": {},
        "starts_at": None,
        "ends_at": None,
        "fingerprint": "",
        "group_labels": {},
    }
    alert.update({_FIELDS.get(name, name): value for name, value in sent.items()})
    return alert


def playbook_for(rules: Sequence[Rule], alert: JsonObject) -> tuple[str, JsonObject]:
    """Return the playbook and inputs of the first rule whose matchers take the alert.

    Conditions, windows and throttles are left out: a plan is asked for what would run, not whether.

    Raises:
        NotFound: no rule takes it.
    """
    candidates = RuleBook(rules).candidates(alert["labels"])
    if not candidates:
        name = alert["labels"].get("alertname", "without a name")
        raise NotFound(f"no rule takes the alert {name}; name a playbook instead")
    rule = candidates[0]
    trigger = {
        "kind": "alert",
        "labels": alert["labels"],
        "annotations": alert["annotations"],
        "at": alert.get("starts_at"),
        "value": None,
    }
    scope = {"alert": alert, "trigger": trigger, "vars": {}}
    return rule.playbook, render(rule.inputs, scope)
