"""`stanch metrics` for a terminal: stages, and failures that keep coming back."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from engine.domain.canonical import JsonObject
from engine.domain.clock import spell
from engine.edges.cli.render.style import clean, table, when


def measured(found: JsonObject) -> RenderableType:
    """Return the whole view."""
    runs = found["runs"]
    head = f"{when(found['since'])} to {when(found['until'])}: {runs['started']} runs started"
    if runs["success"] is not None:
        head += f", {sum(runs['ended'].values())} ended, {runs['success']:.1%} well"
    parts: list[RenderableType] = [Text(head, style="bold")]
    if found["stages"]:
        names: tuple[str, ...] = (
            "STAGE",
            "STARTED",
            "ENDED",
            "FAILED",
            "RETRIED",
            "MEDIAN",
            "P95",
            "CPU",
            "MEMORY",
            "ERRORS",
        )
        rows = (_stage(name, stage) for name, stage in found["stages"].items())
        parts += [table(names, rows)]
    if found["patterns"]:
        parts += [Text(), Text("failures that keep coming back", style="bold")]
        head_of_patterns = ("TIMES", "RUNS", "STAGE", "CATEGORY", "LAST", "MESSAGE")
        parts.append(table(head_of_patterns, map(_pattern, found["patterns"])))
    return Group(*parts)


def _stage(name: str, stage: JsonObject) -> tuple[str, ...]:
    taken = stage["seconds"] or {}
    memory = stage["peak_memory"]
    errors = ", ".join(f"{number} {category}" for category, number in stage["errors"].items())
    return (
        name,
        *(str(stage[one]) for one in ("started", "ended", "failed", "retried")),
        *(spell(taken[one]) if taken else "" for one in ("median", "p95")),
        spell(stage["cpu_seconds"]),
        "" if memory is None else f"{memory / 2**20:.0f} MiB",
        errors,
    )


def _pattern(one: JsonObject) -> tuple[str, ...]:
    return (
        str(one["times"]),
        str(len(one["runs"])),
        one["stage"],
        one["category"],
        when(one["last"]),
        clean(one["message"]),
    )
