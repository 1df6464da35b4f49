"""The people of a rehearsal: each acts once, at their time after the moment that they wait for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from engine.domain.errors import StanchError
from engine.domain.people import Actor
from engine.domain.run import RunState
from engine.journal.rows import RunRow
from engine.journal.store import Tx
from engine.language.rehearsalforms import PersonForm
from engine.running.commands import Commands

_STOPPED = {RunState.FAILED, RunState.NEEDS_HUMAN, RunState.HELD, RunState.SUCCEEDED}
_STOPPED |= {RunState.UNDONE, RunState.CANCELLED, RunState.EXPIRED}


@dataclass
class Person:
    """One entry of `people:` and what became of it.

    Attributes:
        since: when the moment came that they wait for; None: not yet.
        target: what they act on: a gate's id, or a run's.
        said: what the engine said to it.
        wrong: why it was not as the rehearsal says; None: it was, or they did not act yet.
    """

    form: PersonForm
    index: int
    since: datetime | None = None
    target: str = ""
    acted: datetime | None = None
    said: str = ""
    wrong: str | None = None

    @property
    def due(self) -> datetime | None:
        if self.since is None or self.acted is not None:
            return None
        return self.since + timedelta(seconds=self.form.after)

    @property
    def actor(self) -> Actor:
        return Actor(self.form.who, frozenset(self.form.roles), "rehearsal")


class People:
    """Everybody who acts in a rehearsal."""

    def __init__(self, forms: Sequence[PersonForm]) -> None:
        self.all = [Person(form, index) for index, form in enumerate(forms)]
        self._seen: set[tuple[str, str, str]] = set()  # (who, does, what) that is spoken for

    @property
    def waiting(self) -> list[Person]:
        """Those whose moment has not come yet."""
        return [one for one in self.all if one.since is None]

    def look(self, known: Sequence[str], now: datetime, tx: Tx) -> None:
        """See which moments have come; `known` are the ids of the runs there are."""
        runs = [row for one in known if (row := tx.runs.get(one)) is not None]
        for person in self.waiting:
            found = self._moment(tx, person.form, runs)
            if found is not None and (key := _key(person.form, found)) not in self._seen:
                self._seen.add(key)
                person.since, person.target = now, found

    def act(self, commands: Commands, now: datetime) -> bool:
        """Let everybody act whose time has come; tell whether anybody did."""
        acted = False
        for person in sorted(self.all, key=lambda one: (one.due or now, one.index)):
            if person.due is not None and person.due <= now:
                self._act(person, commands, now)
                acted = True
        return acted

    def next_due(self) -> datetime | None:
        return min((one.due for one in self.all if one.due is not None), default=None)

    def idle(self) -> list[Person]:
        """Return those who never acted."""
        return [one for one in self.all if one.acted is None]

    # ------------------------------------------------------------ moments

    def _moment(self, tx: Tx, form: PersonForm, runs: Sequence[RunRow]) -> str | None:
        """Return what this person may act on now, or None where their moment has not come."""
        if form.does in ("approve", "reject", "withdraw"):
            return self._gate(tx, form, runs)
        if form.does == "done":
            return next((row.id for row in runs if _is_open(tx, row, form.step or "")), None)
        if form.does in ("retry", "undo"):
            return next((row.id for row in runs if row.state in _STOPPED), None)
        if form.does == "resume":
            brakes = [brake for brake in tx.brakes.list() if brake.in_force(tx.now())]
            return brakes[0].name if brakes else None
        return runs[0].id if runs else None

    def _gate(self, tx: Tx, form: PersonForm, runs: Sequence[RunRow]) -> str | None:
        for row in runs:
            for gate in tx.gates.of_run(row.id):
                mine = form.gate is None or gate.address == form.gate
                if gate.state == "open" and mine and _key(form, gate.id) not in self._seen:
                    return gate.id
        return None

    # ------------------------------------------------------------ acts

    def _act(self, person: Person, commands: Commands, now: datetime) -> None:
        form = person.form
        person.acted = now
        try:
            _do(form, person.target, person.actor, commands)
        except StanchError as error:
            person.said = str(error)
            if form.refused is None:
                person.wrong = f"it was refused: {error}"
            elif form.refused.lower() not in str(error).lower():
                person.wrong = f"it was refused for another reason: {error}"
            return
        person.said = "done"
        if form.refused is not None:
            person.wrong = f"it was accepted; refused was expected with {form.refused!r}"


def _key(form: PersonForm, target: str) -> tuple[str, str, str]:
    return form.who, form.does, target


def _do(form: PersonForm, target: str, actor: Actor, commands: Commands) -> None:
    match form.does:
        case "approve":
            commands.approve(target, actor, form.note)
        case "reject":
            commands.reject(target, actor, form.note)
        case "withdraw":
            commands.withdraw(target, actor)
        case "done":
            commands.done(target, form.step or "", actor, form.note)
        case "cancel":
            commands.cancel(target, actor, form.note)
        case "retry":
            commands.retry(target, actor, form.note)
        case "undo":
            commands.undo(target, actor, [form.step] if form.step else [])
        case "pause":
            commands.pause(actor, form.note or "rehearsed")
        case "resume":
            commands.resume(actor, form.note)


def _is_open(tx: Tx, row: RunRow, step: str) -> bool:
    opened = False
    for entry in tx.journal.read(row.id):
        if entry.body.get("address") == step:
            if entry.kind == "manual.opened":
                opened = True
            elif entry.kind in ("step.outcome", "manual.done"):
                opened = False
    return opened
