"""What a plan has ahead of it: budgets, gates, what can be taken back, what is known only later. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from engine.domain.canonical import JsonObject
from engine.planning.document import PlanDocument, PlanStep


@dataclass(frozen=True)
class BudgetLimit:
    """One limit that the plan will meet.

    Attributes:
        scope: `playbook` or `global`.
        used: what the window holds already; None: it could not be read.
    """

    scope: str
    unit: str
    limit: int
    used: int | None = 0
    within: float | None = None  # seconds; None: for the run


def outlook(document: PlanDocument, limits: tuple[BudgetLimit, ...] = ()) -> JsonObject:
    """Return `{budget, gates, undo, unknown}` of a plan.

    `budget` forecasts each limit; `gates` lists where people are asked, in order; `undo` says what can be
    taken back and why the rest cannot; `unknown` gives the branch and the bounds of what is known later.
    """
    return {
        "budget": [_forecast(document, limit) for limit in limits],
        "gates": _gates(document),
        "undo": _undo(document),
        "unknown": [_unknown(step) for step in document.steps if step.state == "unknown"],
    }


def most(document: PlanDocument, unit: str) -> tuple[int, bool]:
    """Return the most that the plan may touch of a unit, and whether that is bounded at all.

    Known changes count as planned, unknown ones up to their bounds.
    """
    total, bounded = document.budget().get(unit, 0), True
    for step in document.steps:
        if step.state != "unknown" or step.conditional or not step.is_change:
            continue
        bound = step.bounds.get(unit) or {}
        items = (step.bounds.get("items") or {}).get("max") or 1
        if bound.get("max") is None:
            bounded = False
        else:
            total += int(bound["max"] * items)
    return total, bounded


def _forecast(document: PlanDocument, limit: BudgetLimit) -> JsonObject:
    planned = document.budget().get(limit.unit, 0)
    highest, bounded = most(document, limit.unit)
    left = None if limit.used is None else limit.limit - limit.used
    return {
        "scope": limit.scope,
        "unit": limit.unit,
        "limit": limit.limit,
        "within": limit.within,
        "used": limit.used,
        "planned": planned,
        "at_most": highest if bounded else None,
        "left": left,
        "exceeds": left is not None and planned > left,
        "may_exceed": left is not None and (not bounded or highest > left),
    }


def _gates(document: PlanDocument) -> list[JsonObject]:
    found: list[JsonObject] = []
    if document.asks:
        text = "before the first change, unless the run is started with --auto"
        found.append({"step": "plan", "what": text})
    for step in document.steps:
        if step.state == "gate":
            found.append({"step": step.address, "what": step.title, **step.detail})
        elif step.state == "manual":
            found.append(
                {"step": step.address, "what": step.title, "role": step.detail.get("role")}
            )
    return found


def _undo(document: PlanDocument) -> JsonObject:
    can, cannot = [], []
    for step in document.steps:
        if step.planned is None or step.planned.is_no_op:
            continue
        if step.planned.reversible:
            never = step.detail.get("undo") == "never"
            can.append({"step": step.address, "automatic": not never})
        else:
            cannot.append({"step": step.address, "why": step.planned.why_irreversible or ""})
    return {"can": can, "cannot": cannot}


def _unknown(step: PlanStep) -> JsonObject:
    return {
        "step": step.address,
        "action": step.action,
        "why": step.reason,
        "when": step.when,
        "branch": step.detail.get("branch"),
        "bounds": step.bounds,
        "changes": bool(step.detail.get("changes")),
    }


def limits_of(
    budget: Mapping[str, int],
    configured: Mapping[str, tuple[int, float]],
    used: Mapping[str, int | None],
) -> tuple[BudgetLimit, ...]:
    """Return the limits of a playbook's own budget and of the configured ones, units in order."""
    own = [BudgetLimit("playbook", unit, limit) for unit, limit in sorted(budget.items())]
    shared = [
        BudgetLimit("global", unit, limit, used.get(unit, 0), within)
        for unit, (limit, within) in sorted(configured.items())
    ]
    return (*own, *shared)
