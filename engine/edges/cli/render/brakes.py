"""The brakes on a terminal: what is engaged, used, locked, waited for, open, lent, unseen."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from engine.domain.canonical import JsonObject
from engine.edges.cli.render.style import clean, table, when


def brakes(view: JsonObject) -> RenderableType:
    """Return every brake that was ever set, the engaged ones first, and what else holds runs now."""
    parts: list[RenderableType] = [_set(view["items"])]
    for name, rows, draw in (
        ("Held runs", view.get("held"), _held),
        ("Budgets", view.get("budgets"), _budgets),
        ("Locks", view.get("locks"), _locks),
        ("Runs at a time", view.get("places"), _locks),
        ("Windows", view.get("windows"), _windows),
        ("Lent roles", view.get("delegations"), delegations),
        ("Pages that nobody has seen", view.get("pages"), _pages),
    ):
        if rows:
            draws: Callable[[Sequence[JsonObject]], RenderableType] = draw
            parts += [Text(f"\n{name}", style="bold"), draws(rows)]
    return parts[0] if len(parts) == 1 else Group(*parts)


def _set(items: Sequence[JsonObject]) -> RenderableType:
    if not items:
        return Text("no brake has ever been set; runs go ahead")
    ordered = sorted(items, key=lambda item: (not item["engaged"], item["name"]))
    return table(
        ("BRAKE", "", "BY", "SINCE", "REASON"),
        (
            (
                item["name"],
                Text("ENGAGED", style="bold red") if item["engaged"] else Text("released", "dim"),
                item["by"],
                when(item["at"]),
                item["reason"],
            )
            for item in ordered
        ),
    )


def _held(rows: Sequence[JsonObject]) -> RenderableType:
    return table(
        ("RUN", "PLAYBOOK", "WHY"), ((row["run"], row["playbook"], row["reason"]) for row in rows)
    )


def _budgets(rows: Sequence[JsonObject]) -> RenderableType:
    return table(
        ("BUDGET", "USED", "WITHIN"),
        ((row["name"], _used(row["used"], row["limit"]), f"{row['within']:g}s") for row in rows),
    )


def _used(used: int, limit: int) -> Text:
    style = "bold red" if used >= limit else "yellow" if used * 5 >= limit * 4 else ""
    return Text(f"{used} of {limit}", style=style)


def _locks(rows: Sequence[JsonObject]) -> RenderableType:
    return table(
        ("TARGET", "HELD BY", "PLAYBOOK", "STATE", "WAITING"),
        (
            (
                f"{row['connection']}:{row['path']}",
                row["run"],
                row["playbook"] or "",
                row["state"] or "",
                ", ".join(row["waiting"]),
            )
            for row in rows
        ),
    )


def _windows(rows: Sequence[JsonObject]) -> RenderableType:
    return table(
        ("WINDOW", "", "WHEN", "FOR", "REASON"),
        (
            (
                row["name"],
                Text("OPEN", style="bold red") if row["open"] else Text("closed", style="dim"),
                f"until {when(row['until'])}" if row["open"] else f"next {when(row['opens'])}",
                f"{row['does']} {', '.join((*row['playbooks'], *row['connections']))}".strip(),
                row["reason"],
            )
            for row in rows
        ),
    )


def delegations(rows: Sequence[JsonObject]) -> RenderableType:
    """Return the table of lent roles."""
    if not rows:
        return Text("no role is lent")
    return table(
        ("ID", "ROLE", "FROM", "TO", "UNTIL", "REASON"),
        (
            (row["id"], row["role"], row["from"], row["to"], when(row["until"]), row["reason"])
            for row in rows
        ),
    )


def _pages(rows: Sequence[JsonObject]) -> RenderableType:
    return table(
        ("PAGE", "LEVEL", "SINCE", "TOLD", "WHAT"),
        (
            (
                row["id"],
                Text(clean(row["level"]), style="bold red" if row["level"] == "emergency" else ""),
                when(row["raised_at"]),
                str(row["told"]),
                row["reason"],
            )
            for row in rows
        ),
    )
