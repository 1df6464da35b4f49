"""One readable line for every journal entry; the CLI, the API, the demo and postmortems print the same.

`describe` never raises: an entry of a kind that it does not know, or with fields missing, is still told.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from engine.domain.canonical import JsonObject
from engine.domain.entry import Entry, StoredEntry

Body = Mapping[str, Any]
_MOST = 160  # characters of any one value


def describe(entry: Entry | StoredEntry) -> str:
    """Return what happened, as one line of English without its time."""
    tell = _TELLERS.get(entry.kind)
    body = _Told(entry.body)
    line = tell(body) if tell is not None else _unknown(entry.kind, entry.body)
    return " ".join(line.split()) or entry.kind


class _Told(dict[str, Any]):
    """An entry's body whose missing fields read as "?"."""

    def __missing__(self, key: str) -> str:
        return "?"

    def text(self, key: str) -> str:
        return _short(self[key])

    def because(self, key: str = "reason") -> str:
        """`: reason`, or nothing where none is given."""
        return f": {_short(self[key])}" if self.get(key) else ""

    def maybe(self, key: str, form: str) -> str:
        """`form` with the field in it, or nothing where it is empty."""
        return form.format(_short(self[key])) if self.get(key) not in (None, "", [], {}, 0) else ""


def _short(value: Any) -> str:
    if isinstance(value, str):
        text = value
    elif isinstance(value, bool) or value is None:
        text = {True: "yes", False: "no", None: "nothing"}[value]
    elif isinstance(value, Mapping) and set(value) == {"connection", "path"}:
        text = f"{value['connection']}:{value['path']}"
    elif isinstance(value, Mapping) and set(value) == {"$unknown"}:
        text = f"({value['$unknown']})"
    elif isinstance(value, list | tuple):
        text = ", ".join(_short(item) for item in value)
    elif isinstance(value, float):
        text = f"{value:g}"
    else:
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text if len(text) <= _MOST else text[: _MOST - 1] + "…"


def _unknown(kind: str, body: JsonObject) -> str:
    return f"{kind} {_short(body)}" if body else kind


def _differences(before: Any, after: Any) -> str:
    """`replicas 3 → 5, image a → b`, of two maps of fields."""
    if not isinstance(before, Mapping) or not isinstance(after, Mapping):
        return ""
    changed = [
        f"{name} {_short(before.get(name))} → {_short(after.get(name))}"
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
    ]
    more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
    return ", ".join(changed[:3]) + more


def _intent(b: _Told) -> str:
    what = b.text("summary") if b.get("summary") else f"{b.text('action')} on {b.text('target')}"
    changes = _differences(b.get("before"), b.get("after"))
    attempt = f" (attempt {b['attempt']})" if b.get("attempt", 1) != 1 else ""
    verb = "will read" if b.get("effect") == "read" else "will do"
    if b.get("effect") == "read":
        what = b.text("action")
    return f"{b.text('address')} {verb}: {what}{f' ({changes})' if changes else ''}{attempt}"


def _outcome(b: _Told) -> str:
    state = b.text("state")
    line = f"{b.text('address')} {state}"
    if b.get("category") or b.get("message"):
        line += (
            f" ({b['category']}): {b.text('message')}"
            if b.get("category")
            else b.because("message")
        )
    return line


def _gate_opened(b: _Told) -> str:
    people = "approval" if b.get("approvals", 1) == 1 else "approvals"
    return (
        f"gate {b.text('gate')} opened at {b.text('address')}: {b.get('approvals', 1)} {people} by "
        f"role {b.text('role')}{b.maybe('expires_at', ', until {}')}"
    )


def _vote(b: _Told) -> str:
    verb = {"approve": "approved", "reject": "rejected", "withdraw": "withdrew from"}
    verb["break_glass"] = "BROKE THE GLASS at"
    decision = str(b.get("decision", "?"))
    comment = b.maybe("comment", ": {}")
    via = b.maybe("via", " (by {})")
    return f"{b.text('actor')}{via} {verb.get(decision, decision)} gate {b.text('gate')}{comment}"


def _glass(b: _Told) -> str:
    return (
        f"BREAK-GLASS: {b.text('actor')} (by {b.text('via')}) approved gate {b.text('gate')} alone"
        f"{b.because()}"
    )


def _verify(b: _Told) -> str:
    result = "is satisfied" if b.get("satisfied") else "is not satisfied"
    told = b.text("text") if b.get("text") else f"the query gave {b.text('value')}"
    return f"{b.text('address')}: verification {result} ({told}{b.maybe('wanted', ', wanted {}')})"


def _wait_ended(b: _Told) -> str:
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


def _signal(b: _Told) -> str:
    signal = str(b.get("signal", "?"))
    if b.get("actor") and signal in _PERSONS:
        return f"{_PERSONS[signal].format(b.text('actor'))}{b.because()}"
    return f"{_OWN.get(signal, f'signal {signal}')}{b.because()}"


def _number(items: object) -> int:
    return len(items) if isinstance(items, dict) else 0


def _alert_resolved(b: _Told) -> str:
    left = f", {b['firing']} still fire" if b.get("firing") else ", the last one"
    return f"alert {b.get('name') or b.text('alert')} resolved{left}{b.because('text')}"


def _by(b: _Told) -> str:
    return b.maybe("actor", " by {}")


def _role(b: _Told) -> str:
    verb = f"handed over from {b.text('from')} to" if b.get("from") else "is"
    return f"{b.text('role')} {verb} {b.text('to')}{_by(b)}{b.because()}"


def _brake(b: _Told) -> str:
    verb = "engaged" if b.get("engaged", True) else "released"
    return f"brake {b.text('name')} {verb}{b.maybe('by', ' by {}')}{b.because()}"


def _decisions(b: _Told) -> str:
    made = b.get("decisions")
    made = made if isinstance(made, list) else []
    told = "; ".join(
        f"{one.get('verdict', '?')} ({one.get('rule') or 'no rule'}): {_short(one.get('reason'))}"
        for one in made[:2]
        if isinstance(one, Mapping)
    )
    noun = "decision" if len(made) == 1 else "decisions"
    return f"{len(made)} {noun} outside incidents: {told}{' …' if len(made) > 2 else ''}"


def _undo(b: _Told) -> str:
    return f"undo of {b.text('address')}"


def _state(what: str) -> Callable[[_Told], str]:
    return lambda b: f"{what} went from {b.text('from')} to {b.text('to')}{b.because()}"


_TELLERS: dict[str, Callable[[_Told], str]] = {
    "run.created": lambda b: (
        f"run of {b.text('playbook')} created{b.maybe('rule', ' by rule {}')}"
        f" (mode {b.text('mode')}, priority {b.text('priority')})"
    ),
    "run.state": _state("run"),
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
    "gate.break_glass": _glass,
    "incident.break_glass": _glass,
    "items.done": lambda b: (
        f"{b.text('step')}: {_number(b.get('done'))} items are left to other runs"
    ),
    "run.replanned": lambda b: f"the plan was made anew{b.because()}",
    "role.lent": lambda b: (
        f"{b.text('from')} lent the role {b.text('role')} to {b.text('to')} until "
        f"{b.text('until')}{b.because()}"
    ),
    "role.taken_back": lambda b: (
        f"{b.text('by')} ended that {b.text('to')} holds the role {b.text('role')} of "
        f"{b.text('from')}"
    ),
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
    "incident.opened": lambda b: (
        f"incident opened by rule {b.text('rule')} ({b.text('severity')}): {b.text('title')}"
    ),
    "incident.joined": lambda b: f"alert {b.get('name') or b.text('alert')} joined{b.because()}",
    "incident.state": _state("incident"),
    "incident.run": lambda b: f"run {b.text('run')} started{b.maybe('rule', ' by rule {}')}",
    "incident.alert_resolved": _alert_resolved,
    "page.told": lambda b: (
        f"paged ({b.text('level')}){b.because()}{b.maybe('told', ', told {} times')}"
    ),
    "page.seen": lambda b: f"{b.text('by')} has seen the page{b.because('note')}",
    "incident.note": lambda b: b.text("text") + b.maybe("actor", " ({})"),
    "incident.severity": lambda b: (
        f"severity went from {b.text('from')} to {b.text('to')}{_by(b)}{b.because()}"
    ),
    "incident.title": lambda b: f"title is now: {b.text('to')}{_by(b)}{b.because()}",
    "incident.role": _role,
    "incident.artifact": lambda b: (
        f"artifact {b.text('name')} attached ({b.text('bytes')} bytes"
        f"{b.maybe('connection', ', on connection {}')}){_by(b)}"
    ),
    "incident.merged": lambda b: (
        f"{b.text('source')} was merged into {b.text('into')}{_by(b)}{b.because()}"
    ),
    "call.opened": lambda b: (
        f"people are called about {b.text('subject')} ({b.text('level')}"
        f"{b.maybe('chain', ', chain {}')}){b.because()}"
    ),
    "call.raised": lambda b: (
        f"people are called louder about {b.text('subject')}: {b.text('level')}{b.because()}"
    ),
    "call.called": lambda b: f"called: {b.text('contacts')}{b.maybe('reason', ' ({})')}",
    "call.sent": lambda b: (
        f"{b.text('way')} told {b.text('contact')} ({b.text('event')}){b.maybe('message', ': {}')}"
    ),
    "call.failed": lambda b: (
        f"{b.text('way')} did not reach {b.text('contact')} ({b.text('event')}): "
        f"{b.text('message')}"
    ),
    "call.acknowledged": lambda b: f"{b.text('by')} acknowledged the call{b.maybe('via', ' ({})')}",
    "call.resolved": lambda b: f"the call is over{b.because()}",
    "postmortem.due": lambda b: f"the postmortem is due by {b.text('at')}",
    "postmortem.reminded": lambda b: f"reminded of the postmortem{b.because()}",
    "postmortem.published": lambda b: (
        f"the postmortem is published{b.maybe('by', ' by {}')} (version {b.text('version')})"
    ),
    "postmortem.written": lambda b: (
        f"the postmortem was written{b.maybe('by', ' by {}')} (version {b.text('version')})"
    ),
    "brake.set": _brake,
    "delivery.problem": lambda b: (
        f"a delivery{b.maybe('receiver', ' for {}')} was not whole: "
        + (
            ", ".join(
                part
                for part in (
                    b.maybe("truncated", "{} alerts left out by the sender"),
                    b.maybe("over_limit", "{} over our limit"),
                    b.maybe("unreadable", "unreadable: {}"),
                )
                if part
            )
            or "see the delivery"
        )
    ),
    "schedule.fired": lambda b: (
        f"schedule of rule {b.text('rule')} {'missed' if b.get('skipped') else 'fired'} "
        f"for {b.text('at')}"
        + (f" ({b['missed']} earlier ones were missed)" if b.get("missed") else "")
    ),
    "decisions.made": _decisions,
    "server.started": lambda b: f"server started{b.maybe('node', ' on node {}')}",
}

KINDS = frozenset(_TELLERS)
