"""What a rehearsal showed: runs, steps, events, messages and differences, as expectations are held to them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from engine.domain.canonical import Json, JsonObject, canonical_json
from engine.domain.entry import StoredEntry
from engine.domain.rehearsed import Message, NetChange
from engine.edges.rehearsal.looking import Look
from engine.edges.rehearsal.people import Person
from engine.journal.rows import DecisionRow, IncidentRow, RunRow
from engine.planning.fold import fold
from engine.planning.progress import RunProgress, StepState, StepStatus


@dataclass(frozen=True)
class Event:
    """Something that happened, by the name that `order:` uses."""

    at: datetime
    name: str
    detail: str = ""


@dataclass
class RunSeen:
    """One run at the end."""

    row: RunRow
    entries: Sequence[StoredEntry]
    progress: RunProgress
    outputs: Json = None

    @classmethod
    def of(cls, row: RunRow, entries: Sequence[StoredEntry]) -> RunSeen:
        progress = RunProgress()
        outputs: Json = None
        for entry in entries:
            fold(progress, entry.kind, entry.body, entry.at, entry.n)
            if entry.kind == "run.ended":
                outputs = entry.body.get("outputs")
        return cls(row, entries, progress, outputs)

    def step(self, address: str) -> StepState | None:
        return self.progress.steps.get(address)

    def state_of(self, address: str) -> set[str]:
        """Return every word that is true of a step."""
        state = self.step(address)
        if state is None:
            return {"not_reached"}
        words = {state.status.value}
        changes = [one for one in self.progress.changes if one.address == address]
        if changes or (state.status is StepStatus.SUCCEEDED and state.changed):
            words.add("changed")
        if any(change.undone for change in changes):
            words.add("undone")
        if state.in_doubt or state.is_open:
            words.add("unknown")
        return words

    def attempts(self, address: str) -> int:
        """Count how often a step was tried: its intents, or its retries and its end."""
        intents = retries = ends = 0
        for entry in self.entries:
            if entry.body.get("address") != address:
                continue
            intents += entry.kind == "step.intent"
            retries += entry.kind == "step.retry"
            ends += entry.kind == "step.outcome"
        return intents or retries + (1 if ends else 0)


@dataclass
class Seen:
    """Everything that came of a rehearsal."""

    started: datetime
    ended: datetime
    runs: list[RunSeen] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    changes: list[tuple[str, NetChange]] = field(default_factory=list)  # with their connection
    messages: list[Message] = field(default_factory=list)
    decisions: list[DecisionRow] = field(default_factory=list)
    incidents: list[IncidentRow] = field(default_factory=list)
    people: list[Person] = field(default_factory=list)
    looks: list[Look] = field(default_factory=list)
    unfired: list[int] = field(default_factory=list)
    unanswered: list[str] = field(default_factory=list)
    unasked: list[str] = field(default_factory=list)
    crashes: int = 0
    stopped: str | None = None  # why it was given up

    @property
    def run(self) -> RunSeen | None:
        """The run that expectations speak of: the first."""
        return self.runs[0] if self.runs else None


def events_of(run: RunSeen) -> Iterator[Event]:
    """Yield what `order:` may name of a run, in the order of its journal."""
    gates: dict[str, str] = {}
    for entry in run.entries:
        body, at = entry.body, entry.at
        address = str(body.get("address", ""))
        match entry.kind:
            case "run.state":
                yield Event(at, f"run.{body['to']}", str(body.get("reason", "")))
            case "run.ended":
                yield Event(at, "run.ended", f"{body['state']}: {body.get('reason', '')}")
            case "step.started" | "step.intent":
                yield Event(at, f"{address}.started", _about(body))
            case "step.outcome" | "step.skipped":
                state = "skipped" if entry.kind == "step.skipped" else str(body["state"])
                name = {"failed": f"{address}.failed", "skipped": f"{address}.skipped"}
                yield Event(at, name.get(state, address), _came_to(state, body))
            case "step.retry":
                yield Event(at, f"{address}.retry", str(body.get("reason", "")))
            case "undo.outcome":
                undone = body["state"] == "undone"
                yield Event(at, f"{address}.{'undone' if undone else 'undo_failed'}", "")
            case "gate.opened":
                gates[body["gate"]] = address
                yield Event(at, f"{address}.opened", str(body.get("reason", "")))
            case "gate.closed":
                name_ = gates.get(body["gate"], "gate")
                yield Event(at, f"{name_}.{body['state']}", str(body.get("reason", "")))
            case "manual.opened":
                yield Event(at, f"{address}.opened", str(body.get("text", "")))
            case "manual.done":
                yield Event(at, f"{address}.done", f"{body['by']}: {body.get('note', '')}")


def _came_to(state: str, body: JsonObject) -> str:
    """What a step came to: why, where that is told, else the state and what it gave."""
    why = str(body.get("message") or body.get("reason") or "")
    if why:
        return why
    changed = ", changed" if body.get("changed") else ""
    output = body.get("output")
    return f"{state}{changed}" + ("" if output in (None, {}) else f": {canonical_json(output)}")


def _about(body: Json) -> str:
    return str(body.get("summary") or body.get("target") or "")
