"""Lines of a run: its steps, gates, waits, locks, budgets, undo."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.incidents.lines.fields import Teller, Told, glass, short, state


def _differences(before: Any, after: Any) -> str:
    """`replicas 3 → 5, image a → b`, of two maps of fields."""
    if not isinstance(before, Mapping) or not isinstance(after, Mapping):
        return ""
    changed = [
        f"{name} {short(before.get(name))} → {short(after.get(name))}"
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
    ]
    more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
    return ", ".join(changed[:3]) + more


def _intent(b: Told) -> str:
    what = b.text("summary") if b.get("summary") else f"{b.text('action')} on {b.text('target')}"
    changes = _differences(b.get("before"), b.get("after"))
    attempt = f" (attempt {b['attempt']})" if b.get("attempt", 1) != 1 else ""
    verb = "will read" if b.get("effect") == "read" else "will do"
    if b.get("effect") == "read":
        what = b.text("action")
    return f"{b.text('address')} {verb}: {what}{f' ({changes})' if changes else ''}{attempt}"


def _outcome(b: Told) -> str:
    state = b.text("state")
    line = f"{b.text('address')} {state}"
    if b.get("category") or b.get("message"):
        line += (
            f" ({b['category']}): {b.text('message')}"
            if b.get("category")
            else b.because("message")
        )
    return line


def _gate_opened(b: Told) -> str:
    people = "approval" if b.get("approvals", 1) == 1 else "approvals"
    return (
        f"gate {b.text('gate')} opened at {b.text('address')}: {b.get('approvals', 1)} {people} by "
        f"role {b.text('role')}{b.maybe('expires_at', ', until {}')}"
    )


def _vote(b: Told) -> str:
    verb = {"approve": "approved", "reject": "rejected", "withdraw": "withdrew from"}
    verb["break_glass"] = "BROKE THE GLASS at"
    decision = str(b.get("decision", "?"))
    comment = b.maybe("comment", ": {}")
    via = b.maybe("via", " (by {})")
    return f"{b.text('actor')}{via} {verb.get(decision, decision)} gate {b.text('gate')}{comment}"


def _verify(b: Told) -> str:
    result = "is satisfied" if b.get("satisfied") else "is not satisfied"
    told = b.text("text") if b.get("text") else f"the query gave {b.text('value')}"
    return f"{b.text('address')}: verification {result} ({told}{b.maybe('wanted', ', wanted {}')})"


def _wait_ended(b: Told) -> str:
    how = "got what it waited for" if b.get("satisfied") else "waited in vain"
    return f"{b.text('address')} {how}{b.because()}"


_PERSONS = {
    "takeover": "{} took the run over",
    "handback": "{} handed the run back",
    "step": "{} wants one step",
    "preempt": "{} makes the run give way",
    "cancel": "{} cancelled the run",
    "retry": "{} retried the run",
    "hold": "{} held the run",
    "release": "{} released the run",
    "wake": "{} woke the run",
    "recover": "{} started a run over what failed",
}
_OWN = {
    "gave_way": "the run lets go of its locks",
    "cancel": "the run is to be cancelled",
    "hold": "the run is held",
    "release": "the run goes on",
    "stuck": "the run is stuck and needs a person",
    "reask": "the approval is void; people are asked again",
}


def _signal(b: Told) -> str:
    signal = str(b.get("signal", "?"))
    if b.get("actor") and signal in _PERSONS:
        return f"{_PERSONS[signal].format(b.text('actor'))}{b.because()}"
    return f"{_OWN.get(signal, f'signal {signal}')}{b.because()}"


def _number(items: object) -> int:
    return len(items) if isinstance(items, dict) else 0


def _undo(b: Told) -> str:
    return f"undo of {b.text('address')}"


LINES: dict[str, Teller] = {
    "run.created": lambda b: (
        f"run of {b.text('playbook')} created{b.maybe('rule', ' by rule {}')}"
        f" (mode {b.text('mode')}, priority {b.text('priority')})"
    ),
    "run.state": state("run"),
    "run.planned": lambda b: (
        f"plan made: {b.text('changes')} changes, {b.text('reads')} reads, "
        f"fingerprint {b.text('fingerprint')[:12]}"
    ),
    "run.claimed": lambda b: f"claimed by worker {b.text('owner')}",
    "run.signal": _signal,
    "run.ended": lambda b: f"run ended: {b.text('state')}{b.because()}",
    "step.started": lambda b: f"{b.text('address')} started",
    "step.skipped": lambda b: f"{b.text('address')} skipped{b.because()}",
    "step.intent": _intent,
    "step.outcome": _outcome,
    "step.applied": lambda b: f"{b.text('address')}: the target took the change",
    "step.retry": lambda b: (
        f"{b.text('address')} will be tried again at {b.text('at')} "
        f"(attempt {b.text('attempt')}, {b.text('category')}){b.because()}"
    ),
    "step.confirm": lambda b: (
        f"{b.text('address')}: asked the target whether it happened: {b.text('result')}"
        f"{b.because()}"
    ),
    "step.verify": _verify,
    "wait.started": lambda b: (
        f"{b.text('address')} waits{b.maybe('what', ' for {}')}{b.maybe('until', ', until {}')}"
    ),
    "wait.ended": _wait_ended,
    "gate.opened": _gate_opened,
    "gate.vote": _vote,
    "gate.closed": lambda b: (
        f"gate {b.text('gate')} closed: {b.text('state')}{b.because()}{b.maybe('by', ' (by {})')}"
    ),
    "gate.escalated": lambda b: (
        f"gate {b.text('gate')}: {b.text('role')} did not decide in time; {b.text('to')} is asked"
    ),
    "gate.items": lambda b: (
        f"{b.text('actor')} chose among the items of gate {b.text('gate')}, rejected: "
        f"{b.text('rejected')}"
    ),
    "gate.break_glass": glass,
    "items.done": lambda b: (
        f"{b.text('step')}: {_number(b.get('done'))} items are left to other runs"
    ),
    "run.replanned": lambda b: f"the plan was made anew{b.because()}",
    "manual.opened": lambda b: (
        f"{b.text('address')}: a person is asked{b.maybe('role', ' (role {})')}{b.because('text')}"
    ),
    "manual.done": lambda b: f"{b.text('address')}: done by {b.text('by')}{b.because('note')}",
    "drift.found": lambda b: (
        f"{b.text('address')}: the world drifted: {b.text('field')} was planned as "
        f"{b.text('planned')} and is {b.text('live')}"
    ),
    "lock.taken": lambda b: f"locked {b.text('targets')}",
    "lock.waiting": lambda b: f"waits for a lock{b.maybe('targets', ' on {}')}{b.because()}",
    "budget.exceeded": lambda b: (
        f"budget exceeded{b.because('message') or b.because()}{b.maybe('unit', ' ({})')}"
    ),
    "undo.intent": lambda b: f"{_undo(b)} will be done{b.because('summary')}",
    "undo.outcome": lambda b: f"{_undo(b)}: {b.text('state')}{b.because('message')}",
    "undo.done": lambda b: (
        "undo finished" + (f" with problems: {b.text('problems')}" if b.get("problems") else "")
    ),
}
