"""Plays one rehearsal: alerts come, the engine works, people act, and the clock jumps to what is next."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.domain.alert import Delivery
from engine.domain.clock import ManualClock, parse_time
from engine.domain.errors import InvalidInput, StanchError
from engine.domain.people import Actor
from engine.domain.rehearsed import Message, Scene
from engine.domain.run import RunMode
from engine.edges.rehearsal.alerts import coming
from engine.edges.rehearsal.faults import Crash, Faults
from engine.edges.rehearsal.looking import Looks
from engine.edges.rehearsal.people import People
from engine.edges.rehearsal.seen import Event, RunSeen, Seen, events_of
from engine.edges.rehearsal.stage import Ground, Props, Stage, fresh_database, scratch
from engine.edges.rehearsal.telling import recorded
from engine.edges.rehearsal.worlds import Worlds, build_worlds
from engine.journal.rows import Page
from engine.journal.store import Tx
from engine.language.rehearsalforms import RehearsalFile
from engine.language.templates import evaluate

if TYPE_CHECKING:
    from engine.edges.rehearsal.troubles import Disturbance

ROUNDS = 20_000  # jumps of the clock; more are a playbook that never comes to rest
_ALL = Page(limit=10_000)


class Player:
    """One performance of one rehearsal. Everything it makes lies in a folder that goes with it."""

    def __init__(
        self,
        ground: Ground,
        form: RehearsalFile,
        folder: Path,
        service: Callable[[str], str],
        disturbance: Disturbance | None = None,
    ) -> None:
        self.form = form
        self.start = parse_time(form.clock)
        self.clock = ManualClock(self.start)
        heard = partial(disturbance.hear, sleep=self.clock.sleep) if disturbance else None
        self.faults = Faults(tuple(form.faults), self.clock, heard)
        self.people = People(form.people)
        self.crashes = 0
        self._ground = ground
        self._folder = folder
        self._service = service
        self._writes = disturbance.writes if disturbance is not None else None
        self._scratch = scratch()
        self._done: dict[str, datetime] = {}
        self._coming = coming([*([form.alert] if form.alert else []), *form.alerts], self.start)
        self._again = sorted(form.again, key=lambda one: one.after)
        self._restarts = sorted(form.restarts)
        self._looks = Looks(form.expect.shown, self.start, self._done)
        self._stopped: str | None = None
        self.worlds: Worlds | None = None
        self.stage: Stage | None = None

    def play(self) -> Seen:
        """Play it to its end.

        Raises:
            InvalidInput: the world cannot be built, or the playbook not be started.
        """
        try:
            self.worlds = build_worlds(
                self.form.world, self._ground.config, self._ground.registry, self._scene
            )
            database = fresh_database(self._scratch)
            props = Props(
                self.clock,
                self.worlds,
                self.faults,
                database,
                self._done,
                dict(self.form.secrets),
                self.form.rule,
                self._writes,
            )
            self.stage = Stage(self._ground, props)
            self._begin()
            self._go_on()
            return self._seen()
        finally:
            if self.stage is not None:
                self.stage.stop()
            if self.worlds is not None:
                self.worlds.close()
            shutil.rmtree(self._scratch, ignore_errors=True)

    def _scene(self, connection: str) -> Scene:
        folder = self._scratch / "worlds"
        folder.mkdir(exist_ok=True)
        return Scene(
            connection,
            self.clock,
            self._folder,
            folder,
            _holds,
            self._done.get,
            self._service,
        )

    # ------------------------------------------------------------ the course

    def _begin(self) -> None:
        form, stage = self.form, self.stage
        assert stage is not None
        if form.playbook is not None:
            self._start(form.inputs)
            return
        rule = next((one for one in stage.app.project.rules if one.name == form.rule), None)
        if rule is None:
            raise InvalidInput(f"there is no rule {form.rule!r}")
        if rule.manual:
            stage.app.commands.start(
                rule.playbook,
                rule.inputs,
                requester=Actor(form.requester, frozenset(), "rehearsal"),
                mode=RunMode(form.mode or rule.mode),
                rule=rule.name,
            )

    def _start(self, inputs: Mapping[str, Any]) -> None:
        form, stage = self.form, self.stage
        assert stage is not None
        assert form.playbook is not None
        stage.app.commands.start(
            form.playbook,
            inputs,
            requester=Actor(form.requester, frozenset(), "rehearsal"),
            mode=RunMode(form.mode or "auto"),
        )

    def _go_on(self) -> None:
        """Work and jump until nothing is due any more."""
        until = self._moment(self.form.longest)
        for _ in range(ROUNDS):
            self._work()
            following = self._next()
            if following is None:
                return
            if following > until:
                self._stopped = f"it was still under way after {self.form.longest:g} s"
                return
            gap = (following - self.clock.now()).total_seconds()
            self.clock.advance(max(gap, 0.000_001))
        self._stopped = f"it did not come to rest in {ROUNDS} rounds"

    def _work(self) -> None:
        """Do everything that is due at this moment."""
        assert self.stage is not None
        while True:
            moved = self._restart() | self._deliver() | self._start_again()
            try:
                moved |= self.stage.work()
            except Crash:
                self.crashes += 1
                self.stage.restart()
                moved = True
            if self.people.waiting:
                known = list(self.stage.app.runs)
                now = self.clock.now()
                self.stage.store.read(partial(self.people.look, known, now))
            moved |= self.people.act(self.stage.app.commands, self.clock.now())
            if not moved:
                self._looks.look(self.stage.app, self.clock.now())
                return

    def _deliver(self) -> bool:
        assert self.stage is not None
        intake = self._ground.config.intake
        arrived = [one for one in self._coming if one.at <= self.clock.now()]
        for one in arrived:
            self._coming.remove(one)
            given = one.delivery(frozenset(intake.drop_labels), intake.max_alerts)
            self.stage.store.write(partial(_accept, given))
        return bool(arrived)

    def _start_again(self) -> bool:
        """Start the playbook once more where it is time; tell whether it was."""
        started = False
        while self._again and self._moment(self._again[0].after) <= self.clock.now():
            again = self._again.pop(0)
            self._start(self.form.inputs if again.inputs is None else again.inputs)
            started = True
        return started

    def _restart(self) -> bool:
        """Start the engine anew where it is time; tell whether it was."""
        assert self.stage is not None
        due = [one for one in self._restarts if self._moment(one) <= self.clock.now()]
        for one in due:
            self._restarts.remove(one)
            self.stage.start_anew()
        return bool(due)

    def _moment(self, after: float) -> datetime:
        return self.start + timedelta(seconds=after)

    def _next(self) -> datetime | None:
        """Return when something is due by itself, or None where all rests."""
        assert self.stage is not None
        app = self.stage.app
        # Schedules and firing_for: once a run is there, it is what matters.
        following = None if app.runs else app.triage.next_due
        timer = self.stage.store.read(lambda tx: tx.timers.next())
        times = [one.at for one in self._coming]
        times += [self._moment(one) for one in (*self._restarts, *(o.after for o in self._again))]
        others = (self.people.next_due(), self._looks.next_due(), timer, following)
        times += [one for one in others if one is not None]
        return min(times, default=None)

    # ------------------------------------------------------------ the end

    def _seen(self) -> Seen:
        assert self.stage is not None
        assert self.worlds is not None
        seen = Seen(self.start, self.clock.now())
        seen.runs, seen.decisions, seen.incidents = self.stage.store.read(
            lambda tx: (_runs(tx), list(tx.decisions.list(_ALL)), list(tx.incidents.list(_ALL)))
        )
        events = [event for run in seen.runs for event in events_of(run)]
        events += self.stage.store.read(lambda tx: _incident_events(tx, seen))
        seen.events = sorted(events, key=lambda event: event.at)
        for name, world in self.worlds.worlds.items():
            seen.changes += [(name, change) for change in world.changes()]
            seen.messages += world.messages()
            seen.unanswered += world.unanswered()
            seen.unasked += [f"{name}: {what}" for what in world.unasked()]
        seen.unanswered += self.worlds.strays
        seen.messages += self.stage.app.transcript.messages
        seen.messages += self.stage.store.read(lambda tx: list(recorded(tx, seen)))
        seen.messages += [
            _told(event) for event in seen.events if event.name.endswith(".opened") and event.detail
        ]
        self._looks.finish(self.stage.app, self.clock.now())
        seen.looks = self._looks.all
        seen.people = self.people.all
        seen.unfired = self.faults.unfired()
        seen.crashes = self.crashes
        seen.stopped = self._stopped
        return seen


def _accept(delivery: Delivery, tx: Tx) -> None:
    tx.alerts.accept(delivery)


def _told(event: Event) -> Message:
    return Message(event.at, event.name, event.detail)


def _holds(expression: str, names: Mapping[str, Any]) -> bool:
    try:
        return evaluate(expression, names)
    except StanchError as error:
        raise InvalidInput(f"when {expression!r}: {error}") from None


def _runs(tx: Tx) -> list[RunSeen]:
    rows = sorted(tx.runs.list(_ALL), key=lambda row: (row.created_at, row.id))
    return [RunSeen.of(row, tx.journal.read(row.id)) for row in rows]


def _incident_events(tx: Tx, seen: Seen) -> list[Event]:
    found = []
    for incident in seen.incidents:
        found.append(Event(incident.opened_at, "incident.opened", incident.title))
        for entry in tx.journal.read(incident.id):
            if entry.kind == "incident.state":
                body = entry.body
                found.append(Event(entry.at, f"incident.{body['to']}", str(body.get("reason", ""))))
    return found
