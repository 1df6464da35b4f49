"""A plan for people: every change before and after, what it costs, what cannot be undone, what is not known yet."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from engine.domain.canonical import Json, JsonObject
from engine.edges.cli.render.style import clean, counts_text, pairs, value_text

_SAMPLES = 5
_ROWS = 3
_ANSWER = 200  # characters of a read's answer
_DIFF_LINES = 24

# The mark of a line, its colour, and what it says where the step carries no reason of its own.
MARKS: Mapping[str, tuple[str, str, str]] = {
    "read": ("·", "dim", "read now; its answer is part of this plan"),
    "later": ("·", "dim", "read when the run comes to it"),
    "planned": ("~", "bold", ""),
    "notify": (">", "cyan", "tells people"),
    "unknown": ("?", "yellow", "known after apply"),
    "skipped": ("-", "dim", "skipped"),
    "gate": ("=", "bold yellow", "waits for approval"),
    "wait": ("…", "cyan", "waits"),
    "manual": ("#", "yellow", "a person does this"),
    "restore": ("<", "magenta", "puts back what earlier steps changed"),
    "end": (".", "dim", "ends the run"),
    "container": ("+", "dim", ""),
    "failed": ("!", "bold red", "cannot be planned"),
    "unplannable": ("!", "bold red", "cannot be planned"),
}


def plan(document: JsonObject) -> RenderableType:
    """Return the whole plan document."""
    parts: list[RenderableType] = [_head(document), Text()]
    steps = document["steps"]
    if not steps:
        parts.append(Text("  nothing to do"))
    for number, step in enumerate(steps, 1):
        parts.extend(_step(number, step))
    parts.append(Text())
    parts.append(_foot(document))
    return Group(*parts)


def _head(document: JsonObject) -> Text:
    text = Text("Plan for ")
    text.append(clean(document["playbook"]), style="bold")
    if document.get("revision"):
        text.append(f"  revision {clean(document['revision'])[:12]}", style="dim")
    if document.get("author"):
        text.append(f"  by {clean(document['author'])}", style="dim")
    if document.get("run"):
        text.append(f"  of {clean(document['run'])}", style="dim")
    if document.get("inputs"):
        text.append(f"\ninputs  {pairs(document['inputs'])}")
    return text


def _step(number: int, step: JsonObject) -> list[RenderableType]:
    mark, style, said = MARKS.get(step["state"], (" ", "", ""))
    line = Text(f"{number:>3} {mark} ", style=style)
    line.append(clean(step["address"]), style="bold" if step["state"] == "planned" else style)
    if step.get("action"):
        line.append(f"  {clean(step['action'])}", style="dim")
    if step.get("target"):
        line.append(f"  {clean(step['target'])}")
    if step.get("conditional"):
        line.append("  (only after a failure)", style="dim")
    parts: list[RenderableType] = [line]
    title = step.get("title")
    if title and title not in {step["address"], step["address"].rpartition(".")[2]}:
        parts.append(_note(clean(title)))
    answered = step["state"] == "read" and (step.get("detail") or {}).get("output") is not None
    reason = step.get("reason") or ("" if answered else said)
    if reason:
        parts.append(_note(clean(reason), style if step["state"] != "read" else "dim"))
    if step.get("when"):
        parts.append(_note(f"when {clean(step['when'])}", "dim"))
    branch = (step.get("detail") or {}).get("branch")
    if branch:
        parts.append(_note(f"only where {clean(branch)}", "dim"))
    parts.extend(_details(step))
    return parts


def _details(step: JsonObject) -> list[RenderableType]:
    parts: list[RenderableType] = []
    detail = step.get("detail") or {}
    if step["state"] == "gate":
        parts.append(_note(_gate(detail)))
    if step["state"] == "read" and detail.get("output") is not None:
        parts.append(_note(f"= {_answer(detail['output'])}"))
    if step["state"] == "restore":
        parts.extend(_restored(detail.get("changes") or []))
        parts.extend(_conflicts(detail))
    if step.get("summary"):
        parts.append(_note(clean(step["summary"])))
    before, after = step.get("before") or {}, step.get("after") or {}
    for field in [*before, *(name for name in after if name not in before)]:
        parts.extend(_change(field, before.get(field, _ABSENT), after.get(field, _ABSENT)))
    if (
        step["state"] == "planned"
        and before == after
        and not any((step.get("counts") or {}).values())
    ):
        parts.append(_note("no change: it is so already", "dim"))
    if any((step.get("counts") or {}).values()):
        parts.append(_note(f"touches {counts_text(step['counts'])}"))
    samples = (step.get("sample") or [])[:_SAMPLES]
    parts += [_note(f"e.g. {value_text(sample, 200)}", "dim") for sample in samples]
    if step.get("bounds"):
        parts.append(_note(f"bounds: {bounds_text(step['bounds'])}"))
    if step.get("reversible") is False:
        parts.append(_note(f"cannot be undone: {clean(step.get('why_irreversible') or '')}", "red"))
    parts += [_note(f"note: {clean(note)}", "dim") for note in step.get("notes") or []]
    return parts


_ABSENT: Any = object()


def _change(field: str, before: Json, after: Json) -> list[RenderableType]:
    if before == after:
        return []
    name = clean(field)
    if isinstance(before, str) and isinstance(after, str) and "\n" in before + after:
        return [_note(f"{name}:"), *_lines(before, after)]
    old = "(none)" if before is _ABSENT else value_text(before)
    new = "(removed)" if after is _ABSENT else value_text(after)
    text = Text(f"      {name}: ")
    text.append(old, style="red")
    text.append(" → ")
    text.append(new, style="green")
    return [text]


def _lines(before: str, after: str) -> list[RenderableType]:
    diff = list(difflib.unified_diff(before.splitlines(), after.splitlines(), n=1, lineterm=""))[2:]
    styles = {"+": "green", "-": "red", "@": "dim"}
    shown: list[RenderableType] = [
        Text(f"        {clean(line)}", style=styles.get(line[:1], ""))
        for line in diff[:_DIFF_LINES]
    ]
    if len(diff) > _DIFF_LINES:
        shown.append(Text(f"        … {len(diff) - _DIFF_LINES} lines more (--json)", style="dim"))
    return shown


def _answer(output: Json) -> str:
    """What a read answered, on one line: a query's number, or how many rows and the first ones."""
    if not isinstance(output, dict):
        return value_text(output, _ANSWER)
    if "vector" in output:
        return "no value" if output.get("empty") else value_text(output.get("value"))
    rows = output.get("rows")
    if isinstance(rows, list):
        shown = "; ".join(pairs(row) for row in rows[:_ROWS] if isinstance(row, dict))
        more = "; …" if len(rows) > _ROWS else ""
        return clean(f"{len(rows)} rows: {shown}{more}" if rows else "no rows", _ANSWER)
    return value_text(output, _ANSWER)


def _restored(changes: Sequence[Mapping[str, Any]]) -> list[RenderableType]:
    parts: list[RenderableType] = []
    for change in changes:
        counts = counts_text(change["counts"]) if any((change.get("counts") or {}).values()) else ""
        parts.append(
            _note(f"{clean(change['step'])}  {clean(change['target'])}  {counts}".rstrip())
        )
        if change.get("why"):
            parts.append(_note(f"  cannot be put back: {clean(change['why'])}", "red"))
            continue
        for field in change["before"] if change.get("after") else ():
            parts.extend(
                _change(field, change["before"][field], change["after"].get(field, _ABSENT))
            )
    return parts


def _conflicts(detail: Mapping[str, Any]) -> list[RenderableType]:
    """What others changed since, and whether it is restored all the same."""
    parts: list[RenderableType] = [
        _note(f"changed since by others: {clean(text)}", "bold red")
        for texts in (detail.get("conflicts") or {}).values()
        for text in texts
    ]
    for step, why in (detail.get("lost") or {}).items():
        parts.append(_note(f"{clean(step)} stays as it is: {clean(why)}", "bold red"))
    if detail.get("override"):
        parts.append(_note(f"restored all the same: {clean(detail['override'])}", "bold red"))
    return parts


def _gate(detail: Mapping[str, Any]) -> str:
    parts = [f"role {clean(detail.get('role', '?'))}"]
    if detail.get("approvals"):
        parts.append(f"{detail['approvals']} approval{'s' if detail['approvals'] != 1 else ''}")
    if detail.get("within"):
        parts.append(f"within {clean(detail['within'])}")
    if detail.get("on_timeout"):
        parts.append(f"else {clean(detail['on_timeout'])}")
    return ", ".join(parts)


def bounds_text(bounds: Mapping[str, Any]) -> str:
    """Return `items at most 20, rows 1 to 5`."""
    parts = []
    for name, bound in bounds.items():
        least, most = (
            (bound.get("min"), bound.get("max")) if isinstance(bound, dict) else (None, bound)
        )
        if least is None:
            parts.append(f"{clean(name)} at most {most:g}" if most is not None else clean(name))
        elif most is None:
            parts.append(f"{clean(name)} at least {least:g}")
        else:
            parts.append(f"{clean(name)} {least:g} to {most:g}")
    return ", ".join(parts)


def _note(text: str, style: str = "") -> Text:
    return Text(f"      {text}", style=style)


def _foot(document: JsonObject) -> Text:
    steps = document["steps"]
    changes = [step for step in steps if step["state"] == "planned" and not step["conditional"]]
    unknown = sum(step["state"] == "unknown" for step in steps)
    fixed = [step["address"] for step in changes if step.get("reversible") is False]
    text = Text(f"{len(changes)} change{'s' if len(changes) != 1 else ''}", style="bold")
    if unknown:
        text.append(f", {unknown} known after apply")
    if document.get("budget"):
        text.append(f"; touches {counts_text(document['budget'])}")
    if fixed:
        text.append(f"\nCannot be undone: {', '.join(map(clean, fixed))}", style="red")
    text.append_text(_outlook(document.get("outlook") or {}))
    if document.get("unplannable"):
        names = ", ".join(map(clean, document["unplannable"]))
        text.append(f"\nCannot be planned: {names}", style="bold red")
    text.append("\nfingerprint ", style="dim")
    text.append(clean(document["fingerprint"]), style="dim")
    return text


def _outlook(ahead: JsonObject) -> Text:
    """Budgets and gates that lie ahead."""
    text = Text()
    for item in ahead.get("budget") or ():
        used = "" if item["used"] in {0, None} else f" beside {item['used']} used already"
        most = "no bound" if item["at_most"] is None else f"at most {item['at_most']}"
        scope = "of this playbook" if item["scope"] == "playbook" else "of all runs"
        line = f"\nbudget {clean(item['unit'])} {scope}: {item['planned']} of {item['limit']}{used}, {most}"
        style = "bold red" if item["exceeds"] else "yellow" if item["may_exceed"] else "dim"
        held = "; the run is held there and asks" if item["exceeds"] else ""
        text.append(f"{line}{held}", style=style)
    for gate in ahead.get("gates") or ():
        text.append(f"\ngate {clean(gate['step'])}: {clean(gate['what'])}", style="dim")
    return text
