"""Updates by the clock: what happened since the last one, what runs, what is next; and the silent commander."""

from __future__ import annotations

from collections.abc import Sequence

from engine.domain.entry import StoredEntry
from engine.domain.incident import UNSEEN
from engine.domain.message import Button, Message, Section
from engine.incidents.telling.scene import Scene
from engine.incidents.telling.settings import Telling
from engine.incidents.telling.status import headline, run_line, what_next
from engine.incidents.telling.steps import is_told
from engine.incidents.telling.words import clock, cut, lines, moment
from engine.incidents.timeline import describe

_HAPPENED = 1800
_KINDS = frozenset(
    {
        "incident.joined",
        "incident.state",
        "incident.run",
        "incident.note",
        "incident.alert_resolved",
        "run.ended",
        "gate.opened",
        "gate.closed",
    }
)


def update(scene: Scene, since: Sequence[StoredEntry]) -> Message:
    """Return the update for the entries since the last one."""
    told = [
        f"{clock(one.at)} {cut(describe(one), 300)}"
        for one in since
        if one.kind in _KINDS or is_told(one)
    ]
    happened = lines(told, _HAPPENED, "events") if told else "nothing since the last update"
    running = "\n".join(run_line(run) for run in scene.at_work) or "nothing"
    return Message(
        title=f"Update: {cut(headline(scene), 140)}",
        sections=(
            Section(f"What happened:\n{happened}"),
            Section(f"What runs:\n{running}"),
            Section("What is next:\n" + "\n".join(what_next(scene))),
        ),
        footer=moment(scene.now),
    )


def wants_reminder(scene: Scene, telling: Telling) -> bool:
    """Whether nobody has taken the incident up for too long."""
    if telling.commander is None or scene.incident.state not in UNSEEN:
        return False
    return (scene.now - scene.incident.opened_at).total_seconds() >= telling.remind


def reminder(scene: Scene, telling: Telling) -> Message:
    incident = scene.incident
    minutes = int((scene.now - incident.opened_at).total_seconds() // 60)
    return Message(
        title="Nobody has taken this up",
        sections=(
            Section(
                f"{incident.title} has been open for {minutes} minutes. "
                f"Next: {'; '.join(what_next(scene))}"
            ),
        ),
        buttons=(Button("Acknowledge", "ack", incident.id, "primary"),),
        mentions=(telling.commander,) if telling.commander else (),
        footer=f"/stanch ack {incident.id}",
    )
