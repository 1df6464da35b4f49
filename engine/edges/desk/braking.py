"""All brakes in one view: who set what, why and since when; what is used, held, waited for, open."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from engine.domain.canonical import JsonObject
from engine.domain.clock import format_time
from engine.domain.run import RunState
from engine.edges.desk.rows import brake_view
from engine.journal.rows import Page, PageRow
from engine.journal.store import Tx
from engine.planning.brakes import BrakeRules, Limit, Window
from engine.running.braking import PLAYBOOKS
from engine.running.standing import delegation_view

_MOST = 200


def brakes_view(tx: Tx, rules: BrakeRules, budgets: Mapping[str, Limit]) -> JsonObject:
    """Return `items` (every brake that was set), and apart from them what the others hold now.

    `budgets` (used of limit), `locks` (who holds, who waits), `places` (runs of a playbook at a time),
    `windows`, `held` (runs, by whom and why), `delegations` and `pages` (unseen).
    """
    now = tx.now()
    items = [{**brake_view(row), "engaged": row.in_force(now)} for row in tx.brakes.list()]
    locks = _locks(tx)
    return {
        "items": items,
        "next": None,
        "budgets": _budgets(tx, rules, budgets),
        "locks": [lock for lock in locks if lock["connection"] != PLAYBOOKS],
        "places": [lock for lock in locks if lock["connection"] == PLAYBOOKS],
        "windows": [_window(one, now) for one in rules.windows],
        "held": [
            {"run": row.id, "playbook": row.playbook, "reason": row.reason}
            for row in tx.runs.list(Page(limit=_MOST), states=[RunState.HELD])
        ],
        "delegations": [
            delegation_view(row)
            for row in tx.delegations.list(_MOST)
            if row.revoked_at is None and row.until > now
        ],
        "pages": [page_view(row) for row in tx.pages.list(limit=_MOST)],
    }


def _budgets(tx: Tx, rules: BrakeRules, budgets: Mapping[str, Limit]) -> list[JsonObject]:
    scopes: dict[str, Mapping[str, Limit]] = {"global": budgets}
    scopes |= {f"connection:{name}": limits for name, limits in rules.connections.items()}
    scopes |= {f"playbook:{name}": limits for name, limits in rules.playbooks.items()}
    return [
        {
            "name": f"budget:{scope}:{unit}",
            "scope": scope,
            "unit": unit,
            "used": tx.budgets.used(scope, unit, window=limit.within),
            "limit": limit.limit,
            "within": limit.within,
        }
        for scope, limits in scopes.items()
        for unit, limit in sorted(limits.items())
    ]


def _locks(tx: Tx) -> list[JsonObject]:
    waiting: dict[object, list[str]] = {}
    for target, run in tx.locks.waiting():
        waiting.setdefault(target, []).append(run)
    found: list[JsonObject] = []
    for target, holder in tx.locks.held().items():
        row = tx.runs.get(holder)
        found.append(
            {
                "connection": target.connection,
                "path": target.path,
                "run": holder,
                "playbook": row.playbook if row else None,
                "state": row.state.value if row else None,
                "priority": row.priority if row else None,
                "waiting": waiting.get(target, []),
            }
        )
    return found


def _window(window: Window, now: datetime) -> JsonObject:
    until, following = window.ends(now), window.opens(now)
    return {
        "name": window.name,
        "does": window.does,
        "open": until is not None,
        "until": format_time(until) if until else None,
        "opens": format_time(following) if following else None,
        "playbooks": list(window.playbooks),
        "connections": list(window.connections),
        "reason": window.reason,
    }


def page_view(row: PageRow) -> JsonObject:
    """Return a page as JSON."""
    return {
        "id": row.id,
        "subject": row.subject,
        "level": row.level,
        "reason": row.reason,
        "run": row.run_id,
        "incident": row.incident_id,
        "raised_at": format_time(row.raised_at),
        "told": row.told,
        "next_at": format_time(row.next_at),
        "seen_by": row.acked_by or None,
    }
