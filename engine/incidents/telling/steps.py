"""A run in the channel: its own message, and below it, in the thread, what its steps did."""

from __future__ import annotations

from collections.abc import Sequence

from engine.domain.entry import StoredEntry
from engine.domain.message import Button, Message, Section
from engine.domain.run import ENDS, RunState
from engine.incidents.telling.settings import Telling
from engine.incidents.telling.words import clock, cut, lines
from engine.incidents.timeline import describe
from engine.journal.rows import RunRow

_THREAD = 2600

# What a person in the middle of an incident wants to know; the journal has the rest.
_TOLD = frozenset(
    {
        "run.signal",
        "step.retry",
        "step.verify",
        "wait.started",
        "wait.ended",
        "gate.vote",
        "gate.items",
        "gate.escalated",
        "run.replanned",
        "items.done",
        "manual.opened",
        "manual.done",
        "drift.found",
        "lock.waiting",
        "budget.exceeded",
        "undo.intent",
        "undo.outcome",
        "undo.done",
    }
)


def run_name(run_id: str) -> str:
    return f"run {run_id}"


def is_told(entry: StoredEntry) -> bool:
    if entry.kind == "step.intent":
        return entry.body.get("effect") != "read"
    if entry.kind == "step.outcome":
        return bool(entry.body.get("changed")) or entry.body.get("state") != "succeeded"
    return entry.kind in _TOLD


def thread_lines(entries: Sequence[StoredEntry]) -> list[str]:
    return [f"{clock(one.at)} {cut(describe(one), 400)}" for one in entries if is_told(one)]


def thread_message(entries: Sequence[StoredEntry]) -> Message | None:
    """Return one reply that tells all that happened since the last one; None: nothing worth telling."""
    told = thread_lines(entries)
    return Message(sections=(Section(lines(told, _THREAD)),)) if told else None


def run_message(run: RunRow, telling: Telling) -> Message:
    """Return the run's own message, edited as it goes."""
    over = run.state in ENDS and not (run.state is RunState.NEEDS_HUMAN and run.ended_at is None)
    fields = (("State", run.state.value), ("Asked by", run.requester), ("Mode", run.mode.value))
    sections = [Section(fields=fields)]
    if run.reason:
        sections.append(Section(cut(run.reason, 1000)))
    buttons = []
    if not over:
        buttons.append(Button("Cancel", "cancel", run.id, "danger"))
    if run.state in {RunState.FAILED, RunState.NEEDS_HUMAN, RunState.HELD}:
        buttons.append(Button("Retry", "retry", run.id))
    if telling.pages:
        buttons.append(Button("Open the page", "page", url=telling.link("runs", run.id)))
    stuck = run.state is RunState.NEEDS_HUMAN and not over
    return Message(
        title=f"{run.playbook}: {run.state.value.replace('_', ' ')}",
        sections=tuple(sections),
        buttons=tuple(buttons),
        footer=run.id,
        mentions=(telling.commander,) if stuck and telling.commander else (),
    )


def glass_message(run: RunRow, entry: StoredEntry) -> Message:
    """Return what is shouted when somebody approves alone in an emergency."""
    return Message(
        title=f"BREAK-GLASS: {run.playbook}",
        sections=(Section(cut(describe(entry), 2500)),),
        footer=run.id,
    )


def manual_message(run: RunRow, entry: StoredEntry) -> Message:
    """Return what a person is asked to do, with the button that says it is done."""
    address = str(entry.body.get("address", ""))
    role = str(entry.body.get("role") or "")
    return Message(
        title=f"A person is asked: {run.playbook}, {address}",
        sections=(Section(cut(str(entry.body.get("text") or ""), 2500)),),
        buttons=(Button("Done …", "done", f"{run.id} {address}", "primary"),),
        footer=f"{run.id}; or /stanch done {run.id} {address} WHAT YOU DID",
        mentions=(role,) if role else (),
    )
