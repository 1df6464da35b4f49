"""Values of people are kept from many readers: Slack and postmortems show which fields changed, and not from what
to what (DESIGN 6, the data class of a connection). Command line, API and pages ask for a role, and show them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from engine.domain.canonical import Json, JsonObject
from engine.domain.entry import StoredEntry

MASKED = "(masked)"
_OTHER = "(masked, another)"
_VALUES = ("before", "after", "planned", "live", "output", "params", "summary")


def connection_of(body: Mapping[str, Any]) -> str:
    """Return the connection whose data a journal entry tells; empty where it tells of none."""
    if isinstance(body.get("connection"), str):
        return str(body["connection"])
    planned = body.get("planned")
    target = planned.get("target") if isinstance(planned, Mapping) else body.get("target")
    if isinstance(target, Mapping):
        return str(target.get("connection", ""))
    return _connection(target) if isinstance(target, str) else ""


def _connection(target: str) -> str:
    """`starforge` of `starforge:public.queue_jobs`."""
    return target.partition(":")[0]


def masked_entry(entry: StoredEntry, personal: Collection[str]) -> StoredEntry:
    """Return an entry without the values of a connection whose data is personal."""
    if connection_of(entry.body) not in personal:
        return entry
    drift = entry.kind == "drift.found"
    body = {
        name: MASKED if drift and name in _VALUES else value
        for name, value in entry.body.items()
        if drift or name not in _VALUES
    }
    return replace(entry, body=body)


def masked_entries(
    entries: Sequence[StoredEntry], personal: Collection[str]
) -> Sequence[StoredEntry]:
    return [masked_entry(one, personal) for one in entries] if personal else entries


def masked_drift(
    found: Sequence[Mapping[str, Any]], personal: Collection[str]
) -> list[Mapping[str, Any]]:
    """Return differences as a gate keeps them, without values of people."""
    return [
        {**one, "planned": MASKED, "live": _OTHER} if one.get("connection") in personal else one
        for one in found
    ]


def masked_plan(plan: JsonObject, personal: Collection[str]) -> JsonObject:
    """Return a plan's JSON without rows, answers and values of connections whose data is personal."""
    if not personal:
        return plan
    return {**plan, "steps": [_step(step, personal) for step in plan["steps"]]}


def draws_on(program: Json) -> frozenset[str]:
    """Return the connections that a frozen playbook names anywhere in it."""
    if isinstance(program, list):
        return frozenset().union(*map(draws_on, program))
    if not isinstance(program, Mapping):
        return frozenset()
    named = program.get("connection")
    own = {named} if isinstance(named, str) else set()
    return frozenset(own).union(*map(draws_on, program.values()))


def _step(step: JsonObject, personal: Collection[str]) -> JsonObject:
    detail = step.get("detail") or {}
    if isinstance(detail.get("changes"), list):
        changes = [
            _change(one) if _connection(str(one.get("target"))) in personal else one
            for one in detail["changes"]
        ]
        hidden = changes != detail["changes"]
        conflicts = {name: [MASKED] * len(one) for name, one in detail.get("conflicts", {}).items()}
        more = {"conflicts": conflicts} if hidden and conflicts else {}
        return {**step, "detail": {**detail, "changes": changes, **more}}
    if step.get("target"):
        return _change(step) if _connection(str(step["target"])) in personal else step
    if set(detail.get("connections", ())) & set(personal) and detail.get("output") is not None:
        return {**step, "detail": {**detail, "output": MASKED}}
    return step


def _change(step: JsonObject) -> JsonObject:
    before, after = step.get("before") or {}, step.get("after") or {}
    return {
        **step,
        "before": dict.fromkeys(before, MASKED),
        "after": {name: _after(before.get(name), value) for name, value in after.items()},
        "sample": [],
        "summary": "",  # an action may put values into it; target, fields and counts are told all the same
    }


def _after(before: Any, after: Any) -> Any:
    """What is known only later says so; for the rest it is shown whether it changes."""
    if isinstance(after, Mapping) and set(after) == {"$unknown"}:
        return after
    return MASKED if before == after else _OTHER
