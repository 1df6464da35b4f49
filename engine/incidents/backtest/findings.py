"""What a replay shows: how often each rule ran, what held it back, what it asked of people and of budgets. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from engine.domain.canonical import JsonObject
from engine.domain.clock import format_time
from engine.domain.run import RunMode
from engine.incidents.backtest.replay import Decided, Played, Started
from engine.language.program import (
    ActionNode,
    AnyNode,
    CallNode,
    GateNode,
    GroupNode,
    ManualNode,
    ParallelNode,
    Program,
    SwitchNode,
)

_SHOWN = 50  # differences of two rule sets that are listed


@dataclass(frozen=True)
class Asks:
    """What one run of a playbook asks of people: at least, and at most where branches or foreach decide."""

    gates: int = 0
    approvals: int = 0
    most_gates: int = 0
    most_approvals: int = 0


@dataclass(frozen=True)
class BudgetWindow:
    """A configured limit; `within` in seconds."""

    limit: int | None
    within: float


def findings(
    played: Played,
    rules: Sequence[str],
    playbooks: Mapping[str, Program],
    *,
    plan_approvals: int,
    budgets: Mapping[str, BudgetWindow],
    changing: Iterable[str],
) -> JsonObject:
    """Return the whole report.

    Args:
        rules: names of all rules, in their order.
        plan_approvals: quorum of the gate before the first change.
        changing: playbooks that change something, which alone have that gate.
    """
    days = max((played.until - played.since).total_seconds() / 86_400, 1e-9)
    asks = {name: asked(program) for name, program in playbooks.items()}
    changes = set(changing)
    gates = approvals = most_gates = most_approvals = 0
    for run in played.runs:
        if run.mode is RunMode.DRY_RUN:
            continue
        one = asks[run.playbook]
        plan = int(run.mode is RunMode.APPROVE and run.playbook in changes)
        gates += one.gates + plan
        most_gates += one.most_gates + plan
        approvals += one.approvals + plan * plan_approvals
        most_approvals += one.most_approvals + plan * plan_approvals
    at_once, when = _at_once(played.runs)
    return {
        "since": format_time(played.since),
        "until": format_time(played.until),
        "days": days,
        "alerts": played.alerts,
        "runs": len(played.runs),
        "runs_a_day": len(played.runs) / days,
        "at_once": {"most": at_once, "at": format_time(when) if when else None},
        "people": {
            "gates_a_day": gates / days,
            "gates_a_day_at_most": most_gates / days,
            "approvals_a_day": approvals / days,
            "approvals_a_day_at_most": most_approvals / days,
        },
        "budgets": _budgets(played.runs, playbooks, budgets),
        "rules": [_rule(name, played, days) for name in rules],
        "unmatched": sum(one.code == "not_matched" for one in played.decisions),
        "unanswered": dict(played.unanswered),
        "timeline": _timeline(played),
    }


def _rule(name: str, played: Played, days: float) -> JsonObject:
    runs = [run for run in played.runs if run.rule == name]
    decisions = [one for one in played.decisions if one.rule == name]
    reasons = Counter(
        one.code for one in decisions if one.verdict != "run" and one.code != "resolved"
    )
    verdicts = Counter(one.verdict for one in decisions)
    return {
        "rule": name,
        "runs": len(runs),
        "runs_a_day": len(runs) / days,
        "most_in_a_day": _most_in_a_day(runs),
        "verdicts": dict(sorted(verdicts.items())),
        "reasons": dict(sorted(reasons.items())),
        "first": format_time(runs[0].at) if runs else None,
        "last": format_time(runs[-1].at) if runs else None,
    }


def _most_in_a_day(runs: Sequence[Started]) -> int:
    return max(Counter(run.at.date() for run in runs).values(), default=0)


def _at_once(runs: Sequence[Started]) -> tuple[int, datetime | None]:
    edges = sorted(
        [(run.at, 1) for run in runs] + [(run.until, -1) for run in runs],
        key=lambda edge: (edge[0], edge[1]),
    )
    most, when, now = 0, None, 0
    for at, step in edges:
        now += step
        if now > most:
            most, when = now, at
    return most, when


def _budgets(
    runs: Sequence[Started],
    playbooks: Mapping[str, Program],
    budgets: Mapping[str, BudgetWindow],
) -> list[JsonObject]:
    """The most that declared budgets allow to be touched within each unit's window."""
    units = sorted(
        {unit for program in playbooks.values() for unit in program.budget} | set(budgets)
    )
    found: list[JsonObject] = []
    for unit in units:
        window = budgets.get(unit, BudgetWindow(None, 3600.0))
        spent = [
            (run.at, playbooks[run.playbook].budget[unit])
            for run in runs
            if unit in playbooks[run.playbook].budget and run.mode is not RunMode.DRY_RUN
        ]
        peak, when = _peak(spent, window.within)
        undeclared = sum(
            unit not in playbooks[run.playbook].budget
            for run in runs
            if run.mode is not RunMode.DRY_RUN
        )
        found.append(
            {
                "unit": unit,
                "within": window.within,
                "limit": window.limit,
                "peak": peak,
                "at": format_time(when) if when else None,
                "exceeds": window.limit is not None and peak > window.limit,
                "runs_without": undeclared,
            }
        )
    return found


def _peak(spent: Sequence[tuple[datetime, int]], within: float) -> tuple[int, datetime | None]:
    most, when, total, first = 0, None, 0, 0
    for at, amount in spent:
        total += amount
        while spent[first][0] <= at - timedelta(seconds=within):
            total -= spent[first][1]
            first += 1
        if total > most:
            most, when = total, at
    return most, when


def _timeline(played: Played) -> JsonObject:
    return {
        "runs": [
            {
                "rule": run.rule,
                "at": format_time(run.at),
                "until": format_time(run.until),
                "mode": run.mode.value,
            }
            for run in played.runs
        ],
        "held": [
            {"rule": one.rule, "at": format_time(one.at), "verdict": one.verdict, "code": one.code}
            for one in played.decisions
            if one.rule and one.verdict in {"skip", "ask", "wait"} and one.code != "resolved"
        ],
    }


# ---------------------------------------------------------------- what a run asks of people


def asked(program: Program) -> Asks:
    """Return the gates and manual tasks of a playbook's normal course."""
    return _asked(program.steps, sure=True)


def _asked(nodes: Sequence[AnyNode], *, sure: bool) -> Asks:
    total = Asks()
    for node in nodes:
        certain = sure and node.when is None and node.foreach is None
        total = _sum(total, _one(node, sure=certain))
    return total


def _one(node: AnyNode, *, sure: bool) -> Asks:
    if isinstance(node, GateNode):
        return Asks(int(sure), node.approvals * sure, 1, node.approvals)
    if isinstance(node, ManualNode):
        return Asks(int(sure), 0, 1, 0)
    if isinstance(node, GroupNode | ParallelNode):
        return _asked(node.steps, sure=sure)
    if isinstance(node, CallNode):
        return _asked(node.program.steps, sure=sure)
    if isinstance(node, SwitchNode):
        branches = [_asked(case.steps, sure=sure) for case in node.cases]
        branches.append(_asked(node.default, sure=sure))
        return Asks(
            min(one.gates for one in branches),
            min(one.approvals for one in branches),
            max(one.most_gates for one in branches),
            max(one.most_approvals for one in branches),
        )
    return Asks()


def _sum(one: Asks, two: Asks) -> Asks:
    return Asks(
        one.gates + two.gates,
        one.approvals + two.approvals,
        one.most_gates + two.most_gates,
        one.most_approvals + two.most_approvals,
    )


def changes_something(program: Program, change: Iterable[str]) -> bool:
    """Whether any step of the playbook, in whatever branch, uses one of the actions `change`."""
    names = set(change)

    def inside(nodes: Sequence[AnyNode]) -> bool:
        for node in nodes:
            if isinstance(node, ActionNode) and node.action in names:
                return True
            if isinstance(node, GroupNode | ParallelNode) and inside(node.steps):
                return True
            if isinstance(node, CallNode) and inside(node.program.steps):
                return True
            if isinstance(node, SwitchNode) and (
                any(inside(case.steps) for case in node.cases) or inside(node.default)
            ):
                return True
        return False

    return inside((*program.steps, *program.finally_))


# ---------------------------------------------------------------- two rule sets


def difference(now: Played, against: Played) -> JsonObject:
    """Return what the rules of `now` would have decided otherwise than those of `against`.

    `only_now` and `only_against` count runs that the other set would not have started.
    """
    ours, theirs = _verdicts(now.decisions), _verdicts(against.decisions)
    changed = []
    for key in sorted({*ours, *theirs}, key=lambda one: (_when(ours, theirs, one), one)):
        one, two = ours.get(key), theirs.get(key)
        ran, had = (
            one is not None and one.verdict == "run",
            two is not None and two.verdict == "run",
        )
        if ran == had and (one and one.code) == (two and two.code):
            continue
        known = one or two
        assert known is not None
        changed.append(
            {
                "at": format_time(known.at),
                "alert": known.alert,
                "rule": known.rule,
                "against": f"{two.verdict}: {two.code}" if two else "nothing",
                "now": f"{one.verdict}: {one.code}" if one else "nothing",
                "runs": ran - had,
                "why": (one or known).text,
            }
        )
    return {
        "runs": {"now": len(now.runs), "against": len(against.runs)},
        "only_now": sum(item["runs"] == 1 for item in changed),
        "only_against": sum(item["runs"] == -1 for item in changed),
        "changed": len(changed),
        "first": changed[:_SHOWN],
    }


_Key = tuple[str, str, str]


def _verdicts(decisions: Iterable[Decided]) -> dict[_Key, Decided]:
    """The decision that counts for each alert and rule: its run, else the last that was made."""
    found: dict[_Key, Decided] = {}
    for one in decisions:
        if not one.rule or one.code == "resolved":
            continue
        key = (*one.key, one.rule)
        if key not in found or found[key].verdict != "run":
            found[key] = one
    return found


def _when(ours: Mapping[_Key, Decided], theirs: Mapping[_Key, Decided], key: _Key) -> datetime:
    return (ours.get(key) or theirs[key]).at
