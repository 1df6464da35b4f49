"""What `doctor`, `audit verify` and `token list` print."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import RenderableType
from rich.text import Text

from engine.domain.canonical import JsonObject
from engine.edges.cli.render.style import clean, pairs, table, when


def findings(items: Sequence[JsonObject]) -> RenderableType:
    """Return one line a check, and below a failed one how to mend it."""
    text = Text()
    for number, item in enumerate(items):
        text.append("\n" if number else "")
        if item["ok"]:
            text.append("ok    ", style="green")
        else:
            text.append("FAIL  ", style="bold red")
        text.append(clean(item["name"]), style="bold")
        if item["message"]:
            text.append(f"  {clean(item['message'])}")
        if item["mend"]:
            text.append(f"\n      mend: {clean(item['mend'])}", style="yellow")
    failed = sum(not item["ok"] for item in items)
    text.append(
        f"\n{len(items)} checks, {failed} failed" if failed else f"\n{len(items)} checks, all well"
    )
    return text


def audit(data: JsonObject) -> RenderableType:
    """Return the verdict of a verification and every finding."""
    counted = {
        name: value for name, value in data.items() if isinstance(value, int) and name != "ok"
    }
    text = Text(
        "the journal is whole" if data["ok"] else "the journal was tampered with or damaged"
    )
    text.stylize("bold green" if data["ok"] else "bold red")
    if counted:
        text.append(f"\n{pairs(counted)}", style="dim")
    for problem in data.get("problems") or data.get("findings") or ():
        said = problem if isinstance(problem, str) else pairs(problem, 200)
        text.append(f"\n  {clean(said)}", style="red")
    mark = data.get("last_seal")
    if mark:
        text.append(f"\nlast seal  {mark}")
        text.append(
            "\nNote it down elsewhere: `stanch audit verify --seal MARK` then also finds that the newest "
            "entries and seals were removed.",
            style="dim",
        )
    else:
        text.append("\nno seal yet; a running server seals every minute", style="dim")
    return text


def tokens(items: Sequence[JsonObject]) -> RenderableType:
    """Return the table of tokens."""
    if not items:
        return Text("no tokens; on a loopback address the API needs none")
    return table(
        ("NAME", "ROLES", "CREATED", "EXPIRES", "REVOKED"),
        (
            (
                item["name"],
                ", ".join(item["roles"]) or "(as configured)",
                when(item.get("created_at")),
                when(item["expires_at"]) or "never",
                when(item.get("revoked_at")) or "",
            )
            for item in items
        ),
    )
