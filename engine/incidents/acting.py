"""A run's incident as its actions see it: what they do is done in one transaction with the step's key."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.domain.canonical import JsonObject
from engine.domain.errors import ActionFailed, Category, InvalidInput, NotFound, Refused
from engine.domain.incident import level
from engine.domain.people import Actor
from engine.incidents import artifacts, handling, lifecycle, views
from engine.incidents.artifacts import ArtifactLimits
from engine.incidents.calling import Calling
from engine.journal.rows import IncidentRow
from engine.journal.store import Store, Tx


@dataclass(frozen=True)
class RunIncident:
    """Implements `contract.IncidentPort` for one run.

    Attributes:
        incident_id: as the run was created; one that was merged since is followed to where it went.
    """

    store: Store
    run_id: str
    incident_id: str | None
    caller: Calling = field(default_factory=Calling)
    limits: ArtifactLimits = field(default_factory=ArtifactLimits)

    @property
    def _actor(self) -> Actor:
        return Actor(f"run {self.run_id}", via="engine")

    def describe(self) -> JsonObject | None:
        return self.store.read(self._described)

    def _described(self, tx: Tx) -> JsonObject | None:
        row = self._row(tx)
        return None if row is None else views.incident_summary(row)

    def update(
        self,
        key: str,
        *,
        severity: str | None = None,
        status: str | None = None,
        title: str | None = None,
        reason: str = "",
    ) -> JsonObject:
        def work(tx: Tx, row: IncidentRow) -> JsonObject:
            if severity is not None:
                changed = handling.set_severity(tx, row.id, severity, reason, self._actor)
                if changed.severity < row.severity:  # P0 is worse than P1
                    self.caller.incident_opened(tx, changed)
            if title is not None:
                handling.set_title(tx, row.id, title, reason, self._actor)
            if status is not None:
                _moved(tx, row, status, reason, self._actor)
            return {}

        return self._once(key, work)

    def note(self, key: str, text: str) -> JsonObject:
        def work(tx: Tx, row: IncidentRow) -> JsonObject:
            handling.note(tx, row.id, text, self._actor)
            return {}

        return self._once(key, work)

    def attach(self, key: str, name: str, content_type: str, content: bytes) -> JsonObject:
        def work(tx: Tx, subject: str) -> JsonObject:
            row = artifacts.attach(
                tx, subject, name, content_type, content, self._actor, self.limits
            )
            return {"artifact": views.artifact_json(row)}

        return self._kept(key, work)

    def refer(
        self, key: str, name: str, content_type: str, reference: Mapping[str, Any]
    ) -> JsonObject:
        def work(tx: Tx, subject: str) -> JsonObject:
            row = artifacts.refer(tx, subject, name, content_type, reference, self._actor)
            return {"artifact": views.artifact_json(row)}

        return self._kept(key, work)

    def escalate(self, key: str, level_: str, reason: str, chain: str | None = None) -> JsonObject:
        def work(tx: Tx) -> JsonObject:
            row = self._row(tx)
            if row is not None:
                page = handling.escalate(
                    tx, self.caller, row.id, level_, reason, self._actor, chain
                )
                return {"incident": row.id, "page": page, "level": level(level_).value}
            wanted = level(level_).value
            subject = f"escalation:{self.run_id}"
            page = tx.pages.open(subject, reason, wanted, run_id=self.run_id)
            opened = tx.pages.get(page)
            if opened is not None:
                self.caller.call(tx, opened, chain, self._actor)
            return {"incident": None, "page": page, "level": wanted}

        return self._written(key, work)

    def done(self, key: str) -> bool:
        return self.store.read(lambda tx: tx.acts.result(key) is not None)

    # ------------------------------------------------------------ once a key

    def _row(self, tx: Tx) -> IncidentRow | None:
        return lifecycle.living(tx, self.incident_id) if self.incident_id else None

    def _once(self, key: str, work: Callable[[Tx, IncidentRow], JsonObject]) -> JsonObject:
        """Do something to the incident; where there is none, say so and change nothing."""

        def act(tx: Tx) -> JsonObject:
            row = self._row(tx)
            if row is None:
                reason = f"run {self.run_id} belongs to no incident; nothing was written"
                return {"incident": None, "done": False, "reason": reason}
            return {"incident": row.id, "done": True, "reason": "", **work(tx, row)}

        return self._written(key, act)

    def _kept(self, key: str, work: Callable[[Tx, str], JsonObject]) -> JsonObject:
        """Keep something with the incident, or with the run where there is none."""

        def act(tx: Tx) -> JsonObject:
            row = self._row(tx)
            incident = None if row is None else row.id
            return {"incident": incident, **work(tx, incident or self.run_id)}

        return self._written(key, act)

    def _written(self, key: str, act: Callable[[Tx], JsonObject]) -> JsonObject:
        def work(tx: Tx) -> JsonObject:
            known = tx.acts.result(key)
            if known is not None:
                return known
            result = act(tx)
            tx.acts.done(key, self.run_id, result)
            return result

        try:
            return self.store.write(work)
        except (InvalidInput, NotFound, Refused) as error:
            raise ActionFailed(Category.DATA, str(error), effect_possible=False) from None


def _moved(tx: Tx, row: IncidentRow, status: str, reason: str, actor: Actor) -> None:
    if row.state.value != status:
        handling.set_state(tx, row.id, status, reason, actor)
