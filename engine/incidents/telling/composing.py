"""From a room and a scene to what is to be said now, and to the room as it then is. Pure: nothing is sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from engine.domain.canonical import JsonObject
from engine.domain.entry import StoredEntry
from engine.domain.incident import IncidentState
from engine.domain.message import Message, say
from engine.incidents.telling.gates import SHORT, gate_message, gate_name, shown
from engine.incidents.telling.scene import Scene
from engine.incidents.telling.settings import Telling
from engine.incidents.telling.status import STATUS, headline, status, topic
from engine.incidents.telling.steps import (
    glass_message,
    manual_message,
    run_message,
    run_name,
    thread_message,
)
from engine.incidents.telling.updates import reminder, update, wants_reminder
from engine.incidents.telling.words import channel_name, filed
from engine.incidents.timeline import describe
from engine.journal.parcels import Parcel, Room
from engine.journal.rows import GateRow, RunRow

_GATE_NEWS = frozenset({"gate.opened", "gate.vote", "gate.items", "gate.closed"})
# Of an incident's own entries, those that everybody should read; the others show in updates.
_SAID = frozenset(
    {
        "incident.severity",
        "incident.title",
        "incident.role",
        "incident.merged",
        "incident.break_glass",
        "call.opened",
        "call.raised",
        "call.acknowledged",
        "postmortem.due",
        "postmortem.reminded",
        "postmortem.written",
    }
)
_RUN_NEWS = frozenset({"run.state", "run.ended"})


@dataclass
class Composing:
    """Collects the parcels of one telling; their keys are made of the room's version, so that they are one."""

    room: Room
    scene: Scene
    telling: Telling
    since: Sequence[StoredEntry] = ()  # for the update by the clock
    parcels: list[Parcel] = field(default_factory=list)

    def compose(self) -> tuple[Room, list[Parcel]]:
        """Return the room as it is to be saved, and what is to be said."""
        scene, body = self.scene, self.room.body
        new = not body.get("channel")
        if new:
            self._begin()
        for run in scene.runs:
            self._run(run, scene.entries.get(run.id, ()))
        # What a new channel begins with says it all, but for files that came before it.
        entries = scene.entries.get(scene.incident.id, ())
        news = [one for one in entries if not new or one.kind == "incident.artifact"]
        self._incident(news)
        if not new and any(scene.entries.values()):
            self._add("update", STATUS, {"message": status(scene, self.telling).as_json()})
            self._add("topic", None, {"text": topic(scene)})
        kept = {
            **self.room.body,
            "channel": self.room.body.get("channel") or self._channel,
            "cursors": scene.cursors(body.get("cursors", {})),
            "runs": sorted({*body.get("runs", ()), *(run.id for run in scene.runs)}),
            "topic": topic(scene),
        }
        return self._rhythm(kept), self._without_same_topic()

    # ------------------------------------------------------------ the channel

    @property
    def _channel(self) -> str:
        runs = self.scene.runs
        return channel_name(
            self.telling.channel, self.scene.incident, runs[0].playbook if runs else None
        )

    @property
    def lane(self) -> str:
        return lane_of(self.room.incident_id, self.room.body)

    def _add(self, kind: str, name: str | None, body: JsonObject) -> None:
        key = f"{self.lane}/{self.room.version}/{len(self.parcels)}"
        self.parcels.append(Parcel(key, self.lane, kind, name, body))

    def _post(self, name: str | None, message: Message, thread: str | None = None) -> None:
        self._add("post", name, {"message": message.as_json(), "thread": thread})

    def _begin(self) -> None:
        scene, telling = self.scene, self.telling
        incident = scene.incident
        self._add("create", None, {"name": self._channel})
        self._add("topic", None, {"text": topic(scene)})
        self._post(STATUS, status(scene, telling))
        self._add("pin", STATUS, {})
        link = telling.link("incidents", incident.id)
        if link:
            self._add("bookmark", None, {"title": "Incident", "url": link})
        for row in scene.alerts[:1]:
            url = row.alert.annotations.get("runbook_url", "")
            if url.startswith(("https://", "http://")):
                self._add("bookmark", None, {"title": "Runbook", "url": url})
        if telling.invite:
            self._add("invite", None, {"roles": list(telling.invite)})

    def _without_same_topic(self) -> list[Parcel]:
        """A topic that is set anew is a line in everybody's channel: only where it differs."""
        before = self.room.body.get("topic")
        return [one for one in self.parcels if one.kind != "topic" or one.body["text"] != before]

    # ------------------------------------------------------------ runs and gates

    def _run(self, run: RunRow, entries: Sequence[StoredEntry]) -> None:
        known = run.id in self.room.body.get("runs", ())
        if not known:
            self._post(run_name(run.id), run_message(run, self.telling))
        elif any(one.kind in _RUN_NEWS for one in entries):
            message = run_message(run, self.telling)
            self._add("update", run_name(run.id), {"message": message.as_json()})
        told = thread_message(entries)
        if told is not None:
            self._post(None, told, run_name(run.id))
        for entry in entries:
            if entry.kind == "manual.opened":
                address = entry.body.get("address")
                self._post(f"manual {run.id} {address}", manual_message(run, entry))
            elif entry.kind == "manual.done":
                self._done(run, entry)
            elif entry.kind == "gate.break_glass":
                self._post(None, glass_message(run, entry))
        for gate_id in _gates_of(entries):
            self._gate(gate_id, any(_opens(one, gate_id) for one in entries))
        if any(one.kind == "run.ended" for one in entries):
            text = f"{run.playbook} ({run.id}) ended: {run.state.value}. {run.reason}".strip()
            self._post(None, say(text))

    def _done(self, run: RunRow, entry: StoredEntry) -> None:
        address = entry.body.get("address")
        text = f"{address}: done by {entry.body.get('by')}. {entry.body.get('note') or ''}".strip()
        message = say(text, title=f"Done: {run.playbook}", footer=run.id)
        self._add("update", f"manual {run.id} {address}", {"message": message.as_json()})

    def _gate(self, gate_id: str, opened: bool) -> None:
        gate = next((one for one in self.scene.gates if one.id == gate_id), None)
        if gate is None:
            return
        name = gate_name(gate.id)
        plan = self.scene.plans.get(gate.fingerprint)
        message = gate_message(gate, self.scene.votes.get(gate.id, ()), plan, self.telling)
        if opened:
            self._post(name, message)
            self._file(gate, name)
        else:
            self._add("update", name, {"message": message.as_json()})

    def _file(self, gate: GateRow, name: str) -> None:
        plan = shown(self.scene.plans.get(gate.fingerprint), self.telling)
        text = self.telling.plan_text(plan) if plan else ""
        if len(text) > SHORT:
            filename = f"plan-{gate.fingerprint[:16]}.txt"
            body = {"filename": filename, "title": "The whole plan", "text": text, "thread": name}
            self._add("upload", None, body)

    # ------------------------------------------------------------ the incident itself

    def _incident(self, entries: Sequence[StoredEntry]) -> None:
        for entry in entries:
            if entry.kind == "incident.state":
                body = entry.body
                text = f"{headline(self.scene)}\n{body.get('reason') or ''}".strip()
                self._post(None, say(text))
            elif entry.kind == "incident.note":
                by = entry.body.get("by") or entry.body.get("actor")
                head = f"Note by {by}" if by else "Note"
                self._post(None, say(str(entry.body.get("text", "")), title=head))
            elif entry.kind == "incident.artifact":
                self._artifact(entry)
            elif entry.kind in _SAID:
                self._post(None, say(describe(entry)))

    def _artifact(self, entry: StoredEntry) -> None:
        """Name a file, and put it below, where it is kept here: its bytes are read when it is sent."""
        artifact, title = str(entry.body["artifact"]), str(entry.body["name"])
        name = f"artifact {artifact}"
        private = str(entry.body.get("actor")).removeprefix("run ") in self.scene.discreet
        why = ". It stays with the incident: its run draws on data of people" if private else ""
        self._post(name, say(f"{describe(entry)}{why}"))
        elsewhere = "connection" in entry.body or not entry.body["bytes"]
        if self.telling.upload and not elsewhere and not private:
            # The end of an id is its random part.
            filename = filed(title, artifact[-8:])
            body = {"filename": filename, "title": title, "artifact": artifact, "thread": name}
            self._add("upload", None, body)

    def _rhythm(self, body: JsonObject) -> Room:
        """Post what the clock asks for, and say when to look again."""
        scene, telling, now = self.scene, self.telling, self.scene.now
        every = timedelta(seconds=telling.cadence.get(scene.incident.severity, 1800.0))
        state, due = self.room.state, self.room.due
        if scene.incident.state is IncidentState.CLOSED:
            if state == "open":
                state, due = "closing", now + timedelta(seconds=telling.archive_after)
            elif due is not None and now >= due:
                self._add("archive", None, {})
                state, due = "closed", None
        elif not scene.is_open:
            state, due = "open", None
        elif state != "open" or due is None:
            state, due = "open", now + every
            body["updated"] = body["cursors"]
        elif now >= due:
            self._post(None, update(scene, self.since))
            if wants_reminder(scene, telling):
                self._post(None, reminder(scene, telling))
            due = later(due, now, every)
            body["updated"] = body["cursors"]
        return replace(self.room, state=state, due=due, body=body)


def lane_of(incident_id: str, room: Mapping[str, Any]) -> str:
    """Return the lane of an incident's present channel; one that was archived is followed by another."""
    generation = int(room.get("generation", 1))
    return f"{incident_id}#{generation}" if generation > 1 else incident_id


def later(due: datetime, now: datetime, every: timedelta) -> datetime:
    """Return the next time by the rhythm; times that were missed are not made up for."""
    return due + every * (int((now - due) / every) + 1)


def _gates_of(entries: Sequence[StoredEntry]) -> list[str]:
    found = [str(one.body.get("gate")) for one in entries if one.kind in _GATE_NEWS]
    return list(dict.fromkeys(found))


def _opens(entry: StoredEntry, gate_id: str) -> bool:
    return entry.kind == "gate.opened" and entry.body.get("gate") == gate_id


def since_update(
    entries: Mapping[str, Sequence[StoredEntry]],
) -> list[StoredEntry]:
    """Merge chains by time."""
    merged = [one for found in entries.values() for one in found]
    return sorted(merged, key=lambda one: (one.at, one.chain, one.n))
