"""A backtest for a terminal."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from engine.domain.canonical import JsonObject
from engine.domain.clock import spell
from engine.edges.cli.render.style import clean, table, when

_DIFFERENCES = 12


def backtest(found: JsonObject) -> RenderableType:
    """Return the findings as tables and sentences."""
    parts: list[RenderableType] = [_head(found), Text(), _rules(found["rules"]), Text()]
    parts.append(_people(found))
    if found.get("against"):
        parts += [Text(), _against(found["against"])]
    parts += [Text(), _assumed(found)]
    return Group(*parts)


def _head(found: JsonObject) -> Text:
    text = Text(f"{when(found['since'])} to {when(found['until'])}", style="bold")
    text.append(f"  {found['days']:.1f} days, {found['alerts']} alerts came")
    if found["unmatched"]:
        text.append(f", {found['unmatched']} of them matched no rule")
    return text


def _rules(rules: list[JsonObject]) -> RenderableType:
    return table(
        ("RULE", "RUNS", "A DAY", "MOST IN A DAY", "NOT RUN, AND WHY"),
        (
            (
                rule["rule"],
                str(rule["runs"]),
                f"{rule['runs_a_day']:.2f}",
                str(rule["most_in_a_day"]),
                ", ".join(f"{count} {code}" for code, count in rule["reasons"].items()) or "-",
            )
            for rule in rules
        ),
    )


def _people(found: JsonObject) -> Text:
    people, once = found["people"], found["at_once"]
    text = Text(f"{found['runs']} runs, {found['runs_a_day']:.2f} a day")
    if once["at"]:
        text.append(f"; at most {once['most']} at once, at {when(once['at'])}")
    text.append(f"\ngates a day      {_range(people, 'gates_a_day')}")
    text.append(f"\napprovals a day  {_range(people, 'approvals_a_day')}")
    for budget in found["budgets"]:
        limit = "no limit configured" if budget["limit"] is None else f"of {budget['limit']}"
        at = f", at {when(budget['at'])}" if budget["at"] else ""
        line = (
            f"\nbudget {clean(budget['unit'])}: peak {budget['peak']} {limit} "
            f"within {spell(budget['within'])}{at}"
        )
        text.append(line, style="bold red" if budget["exceeds"] else "")
        if budget["runs_without"]:
            text.append(f"; {budget['runs_without']} runs declare none", style="dim")
    return text


def _range(people: JsonObject, name: str) -> str:
    least, most = people[name], people[f"{name}_at_most"]
    return f"{least:.2f}" if abs(most - least) < 0.005 else f"{least:.2f} to {most:.2f}"


def _against(found: JsonObject) -> RenderableType:
    runs = found["runs"]
    head = Text(
        f"Compared: {runs['now']} runs, {runs['against']} with the other rules; "
        f"{found['only_now']} new, {found['only_against']} no more",
        style="bold",
    )
    if not found["first"]:
        return Group(head, Text("no decision is another one"))
    rows = table(
        ("WHEN", "RULE", "ALERT", "OTHER RULES", "THESE RULES"),
        (
            (when(item["at"]), item["rule"], item["alert"], item["against"], item["now"])
            for item in found["first"][:_DIFFERENCES]
        ),
    )
    rest = found["changed"] - _DIFFERENCES
    more = Text(f"{rest} more (--json)" if rest > 0 else "", style="dim")
    return Group(head, rows, more)


def _assumed(found: JsonObject) -> Text:
    assumed = found["assumed"]
    text = Text("Assumed: ", style="dim")
    lines = [assumed["runs_succeed"], assumed["brakes"]]
    lines += [_window(item) for item in found["windows"] if item["runs"]]
    lines += [
        f"a run of {clean(name)} lasts {spell(item['seconds'])} ({item['why']})"
        for name, item in assumed["durations"].items()
    ]
    if assumed["step"]:
        lines.append(f"metrics are looked at every {spell(assumed['step'])}")
    lines += [clean(note) for note in assumed["notes"]]
    lines += [
        f"not answered, {clean(query, 80)}: {clean(why, 160)}"
        for query, why in found["unanswered"].items()
    ]
    text.append("\n         ".join(lines), style="dim")
    return text


def _window(item: JsonObject) -> str:
    runs = f"{item['runs']} run{'' if item['runs'] == 1 else 's'}"
    name = clean(item["window"])
    if item["does"] == "hold":
        return f"the window {name} would have held {runs}, for up to {spell(item['longest'])}"
    return f"in the window {name} people would have been asked about {runs} that go by themselves"
