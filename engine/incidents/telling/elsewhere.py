"""Gates of runs that belong to no incident (schedules, a person's own): asked in one channel for all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from engine.incidents.telling.gates import SHORT, gate_message, gate_name, shown
from engine.incidents.telling.settings import Telling
from engine.journal.parcels import Parcel, Room
from engine.journal.rows import GateRow
from engine.journal.store import Store, Tx

HOME = "home"  # the room that remembers which gates were asked


class Elsewhere:
    """Asks at the gates of loose runs, and lets their buttons die. Safe to run in any number of processes."""

    def __init__(self, store: Store, telling: Telling, channel: str, ref: str) -> None:
        self._store = store
        self._telling = telling
        self._lane = f"#{channel}"
        self._ref = ref

    def step(self) -> int:
        """Say what is new; return 1 where something was."""
        room, parcels = self._store.read(self._compose)
        if not parcels:
            return 0
        return int(self._store.write(lambda tx: self._keep(tx, room, parcels)))

    def _keep(self, tx: Tx, room: Room, parcels: Sequence[Parcel]) -> bool:
        fresh = tx.rooms.get(HOME) is None
        if not (tx.rooms.open(replace(room, version=1)) if fresh else tx.rooms.save(room)):
            return False  # somebody else said it
        tx.outbox.bind(self._lane, self._ref)
        for parcel in parcels:
            tx.outbox.put(parcel)
        return True

    def _compose(self, tx: Tx) -> tuple[Room, list[Parcel]]:
        room = tx.rooms.get(HOME) or Room(HOME, "open", 0, {"gates": {}}, None)
        asked: dict[str, int] = dict(room.body["gates"])
        parcels: list[Parcel] = []
        for gate in self._gates(tx, asked):
            votes = len(tx.gates.votes(gate.id))
            known = asked.get(gate.id)
            if known == votes and gate.state == "open":
                continue
            parcels += self._say(tx, room, gate, known is None, len(parcels))
            asked[gate.id] = votes
            if gate.state != "open":
                del asked[gate.id]
        return replace(room, body={"gates": asked}), parcels

    def _gates(self, tx: Tx, asked: Mapping[str, int]) -> list[GateRow]:
        """The open gates of loose runs, and those that were asked and have closed since."""
        found = [gate for gate in tx.gates.list() if _loose(tx, gate)]
        still = {gate.id for gate in found}
        closed = [tx.gates.get(gate_id) for gate_id in asked if gate_id not in still]
        return found + [gate for gate in closed if gate is not None]

    def _say(self, tx: Tx, room: Room, gate: GateRow, new: bool, n: int) -> list[Parcel]:
        name = gate_name(gate.id)
        plan: Any = tx.blobs.plan(gate.run_id, gate.fingerprint)
        message = gate_message(gate, tx.gates.votes(gate.id), plan, self._telling)
        body = {"message": message.as_json(), "thread": None}
        key = f"{HOME}/{room.version}/{n}"
        if not new:
            return [Parcel(key, self._lane, "update", name, body)]
        said = [Parcel(key, self._lane, "post", name, body)]
        whole = shown(plan, self._telling)
        text = self._telling.plan_text(whole) if whole else ""
        if len(text) > SHORT:
            file = {"filename": f"plan-{gate.fingerprint[:16]}.txt", "title": "The whole plan"}
            upload = {**file, "text": text, "thread": name}
            said.append(Parcel(f"{key}/file", self._lane, "upload", None, upload))
        return said


def _loose(tx: Tx, gate: GateRow) -> bool:
    run = tx.runs.get(gate.run_id)
    return run is not None and run.incident_id is None
