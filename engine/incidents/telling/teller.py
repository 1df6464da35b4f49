"""The teller: sees by cursors which incidents have news, and hands what is to be said to the outbox.

It reads in snapshots and writes once a telling, on the condition that nobody told the same meanwhile: so
each entry is told once, whoever tells, and a run pays nothing for being told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from json import loads

from engine.domain.entry import StoredEntry
from engine.incidents.masking import draws_on, masked_entries
from engine.incidents.telling.composing import Composing, since_update
from engine.incidents.telling.scene import Scene, look
from engine.incidents.telling.settings import Telling
from engine.journal.parcels import Parcel, Room
from engine.journal.rows import RunRow
from engine.journal.store import Store, Tx

_NEW = 50
_BACK = timedelta(
    hours=1
)  # incidents that came and went while nobody could tell are told this far back


class Teller:
    """Tells incidents. `step` tells each one that has news; any number of processes may do so."""

    def __init__(self, store: Store, telling: Telling) -> None:
        self._store = store
        self._telling = telling
        self._since = store.read(lambda tx: tx.now()) - _BACK

    def step(self) -> int:
        """Tell what is new; return how many incidents were told of."""
        return sum(map(self.tell, self._store.read(self._with_news)))

    def tell(self, incident_id: str) -> bool:
        """Tell what is new of one incident; False where somebody else told it, or it is none."""
        found = self._store.read(partial(self._compose, incident_id))
        return found is not None and self._keep(*found)

    def ensure(self, incident_id: str) -> None:
        """See to it that an incident has a room."""
        room = self._store.read(lambda tx: tx.rooms.get(incident_id))
        if room is None or room.state == "closed":
            self.tell(incident_id)

    def _with_news(self, tx: Tx) -> Sequence[str]:
        now = tx.now()
        heads = tx.rooms.heads()
        found = list(tx.rooms.new(self._since, _NEW))
        for room in tx.rooms.live():
            cursors = room.body.get("cursors", {})
            moved = any(
                n > cursors.get(chain, 0) for chain, n in heads.get(room.incident_id, {}).items()
            )
            if moved or (room.due is not None and now >= room.due):
                found.append(room.incident_id)
        return found

    def _compose(self, incident_id: str, tx: Tx) -> tuple[Room, list[Parcel], bool] | None:
        incident = tx.incidents.get(incident_id)
        if incident is None:
            return None
        room = tx.rooms.get(incident_id)
        fresh = room is None
        if room is None:
            room = Room(incident_id, "open", 0, {}, None)
        elif room.state == "closed":
            room = _again(room)
        scene = look(tx, incident, room.body.get("cursors", {}))
        since: Sequence[StoredEntry] = ()
        if room.due is not None and scene.now >= room.due:
            since = _entries(tx, scene.entries, room.body.get("updated", {}))
        personal = self._telling.personal
        told = {name: masked_entries(one, personal) for name, one in scene.entries.items()}
        shown = replace(scene, entries=told, discreet=self._discreet(tx, scene))
        since = masked_entries(since, personal)
        composed, parcels = Composing(room, shown, self._telling, since).compose()
        return composed, parcels, fresh

    def _discreet(self, tx: Tx, scene: Scene) -> frozenset[str]:
        """Of the runs that attached a file just now, those whose playbook draws on data of people."""
        if not self._telling.personal:
            return frozenset()
        attached = {
            str(one.body.get("actor")).removeprefix("run ")
            for one in scene.entries.get(scene.incident.id, ())
            if one.kind == "incident.artifact"
        }
        runs = [run for run in scene.runs if run.id in attached]
        return frozenset(run.id for run in runs if self._draws(tx, run) & self._telling.personal)

    def _draws(self, tx: Tx, run: RunRow) -> frozenset[str]:
        return draws_on(loads(tx.blobs.program(run.program) or "null"))

    def _keep(self, room: Room, parcels: Sequence[Parcel], fresh: bool) -> bool:
        def work(tx: Tx) -> bool:
            kept = tx.rooms.open(replace(room, version=1)) if fresh else tx.rooms.save(room)
            if not kept:
                return False  # somebody else told it
            for parcel in parcels:
                tx.outbox.put(parcel)
            return True

        return self._store.write(work)


def _again(room: Room) -> Room:
    """A room whose channel was archived, for an incident that is open again: with a channel of its own."""
    generation = int(room.body.get("generation", 1)) + 1
    body = {"cursors": room.body.get("cursors", {}), "generation": generation}
    return replace(room, state="open", due=None, body=body)


def _entries(tx: Tx, chains: Mapping[str, object], updated: Mapping[str, int]) -> list[StoredEntry]:
    return since_update(
        {chain: tx.journal.read(chain, after=updated.get(chain, 0)) for chain in chains}
    )
