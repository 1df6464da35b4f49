"""The one status message at the top of the channel, edited in place; and the channel's topic."""

from __future__ import annotations

from engine.domain.clock import format_time
from engine.domain.incident import UNSEEN
from engine.domain.message import Button, Message, Section
from engine.domain.run import RunState
from engine.incidents.telling.scene import Scene
from engine.incidents.telling.settings import Telling
from engine.incidents.telling.words import MARKS, cut, moment
from engine.journal.rows import GateRow, RunRow

STATUS = "status"
_RUNS = 8


def headline(scene: Scene) -> str:
    incident = scene.incident
    mark = MARKS.get(incident.severity, "") if scene.is_open else "🟢"
    return f"{mark} {incident.severity} {incident.state.value}: {incident.title}".strip()


def topic(scene: Scene) -> str:
    return cut(f"{headline(scene)} ({scene.incident.id})", 250)


def status(scene: Scene, telling: Telling) -> Message:
    """Return the status message as it is to be now."""
    incident = scene.incident
    fields = [
        ("State", incident.state.value),
        ("Severity", incident.severity),
        ("Opened", moment(incident.opened_at)),
        ("Alerts", f"{len(scene.alerts)}, {scene.firing} firing"),
    ]
    commander = incident.body.get("commander")
    if commander:
        fields.append(("Commander", str(commander)))
    if incident.resolved_at:
        fields.append(("Resolved", moment(incident.resolved_at)))
    sections = [Section(fields=tuple(fields))]
    if scene.runs:
        sections.append(Section("\n".join(run_line(run) for run in scene.runs[-_RUNS:])))
    following = what_next(scene)
    if following and scene.is_open:
        sections.append(Section("Next: " + "; ".join(following)))
    return Message(
        title=cut(headline(scene), 150),
        sections=tuple(sections),
        buttons=_buttons(scene, telling),
        footer=f"{incident.id}, as of {moment(scene.now)}",
    )


def _buttons(scene: Scene, telling: Telling) -> tuple[Button, ...]:
    incident = scene.incident
    buttons = []
    if incident.state in UNSEEN:
        buttons.append(Button("Acknowledge", "ack", incident.id, "primary"))
    if telling.pages:
        buttons.append(Button("Open the page", "page", url=telling.link("incidents", incident.id)))
    return tuple(buttons)


def run_line(run: RunRow) -> str:
    reason = f": {cut(run.reason, 200)}" if run.reason else ""
    return f"{_RUN_MARKS.get(run.state, '•')} {run.playbook} ({run.id}) {run.state.value}{reason}"


_RUN_MARKS = {
    RunState.SUCCEEDED: "✓",
    RunState.FAILED: "✗",
    RunState.NEEDS_HUMAN: "!",
    RunState.AWAITING_APPROVAL: "?",
    RunState.HELD: "‖",
}


def what_next(scene: Scene) -> list[str]:
    """Return what the incident waits for, as short sentences."""
    found = [gate_wants(gate, len(_yes(scene, gate))) for gate in scene.open_gates]
    waiting = {gate.run_id for gate in scene.open_gates}
    for run in scene.at_work:
        if run.id in waiting:
            continue
        if run.state is RunState.NEEDS_HUMAN:
            found.append(f"{run.id} needs a person ({cut(run.reason, 120)})")
        elif run.state is RunState.HELD:
            found.append(f"{run.id} is held ({cut(run.reason, 120)})")
        elif run.state is RunState.WAITING:
            found.append(f"{run.id} waits ({cut(run.reason, 120)})")
        else:
            found.append(f"{run.id} goes on")
    if not found and scene.is_open:
        found.append(
            f"{scene.firing} of {len(scene.alerts)} alerts still fire and nothing runs: a person is needed"
            if scene.firing
            else "nothing runs and nothing fires"
        )
    return found


def _yes(scene: Scene, gate: GateRow) -> list[str]:
    return [vote.actor for vote in scene.votes.get(gate.id, ()) if vote.decision == "approve"]


def gate_wants(gate: GateRow, given: int) -> str:
    left = max(0, gate.approvals - given)
    people = "approval" if left == 1 else "approvals"
    until = f" until {format_time(gate.expires_at)[:16]}Z" if gate.expires_at else ""
    return f"{left} {people} by {gate.role} for {gate.run_id} ({gate.address}){until}"
