"""Waits and manual tasks: rows and entries, never a sleeping thread."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pydantic import ValidationError

from engine.domain.clock import format_time, parse_time
from engine.domain.errors import ActionFailed, Category, StanchError
from engine.language.comparisons import holds as satisfied
from engine.language.program import ManualNode, WaitNode
from engine.language.templates import evaluate, render
from engine.planning.inputs import seconds
from engine.planning.moves import Place
from engine.planning.playing import readable
from engine.planning.progress import StepState
from engine.planning.scope import scope_of
from engine.running.outcome import PROGRESSED, Carried, Parked
from engine.running.services import Services
from engine.running.session import Session
from engine.running.verification import sample


def _outcome(session: Session, address: str, message: str, output: Any, *, ok: bool) -> Carried:
    session.note("wait.ended", address=address, satisfied=ok, reason=message or "satisfied")
    session.note(
        "step.outcome",
        address=address,
        state="succeeded" if ok else "failed",
        output=output if ok else None,
        category=None if ok else Category.PERMANENT.value,
        message=message,
    )
    return PROGRESSED


@dataclass
class Waiting:
    """One wait step instance."""

    services: Services
    session: Session
    address: str
    node: WaitNode
    place: Place

    def carry(self, state: StepState | None) -> Carried:
        """Take the wait one move on."""
        try:
            if state is None:
                return self._begin()
            return self._go_on(state)
        except (StanchError, ValidationError, ValueError) as error:
            return self._end(False, readable(error))

    def _scope(self) -> dict[str, Any]:
        return scope_of(self.place, self.session.progress, self.session.facts)

    def _begin(self) -> Carried:
        now = self.services.clock.now()
        scope = self._scope()
        until: datetime | None = None
        what = "the condition holds"
        if self.node.stays is not None or self.node.until_time is None:
            limit = self.node.within if self.node.within is not None else self.node.for_
            if limit is not None:
                until = now + timedelta(seconds=seconds(limit, scope))
        else:
            until = parse_time(str(render(self.node.until_time, scope)))
        if self.node.query is not None and self.node.becomes is not None:
            what = f"{self.node.query.query} {self.node.becomes.op} {self.node.becomes.value:g}"
        elif self.node.query is not None and self.node.stays is not None:
            what = f"{self.node.query.query} stays {self.node.stays.op} {self.node.stays.value:g}"
        elif self.node.until is not None:
            what = self.node.until
        elif until is not None:
            what = "the time to pass"
        moment = format_time(until) if until else None
        self.session.note("step.started", address=self.address, waits=True, until=moment)
        self.session.note("wait.started", address=self.address, until=moment, what=what)
        return PROGRESSED

    def _go_on(self, state: StepState) -> Carried:
        now = self.services.clock.now()
        until = parse_time(state.data["until"]) if state.data.get("until") else None
        if self.node.query is None and self.node.read_action is None:
            if until is None or now >= until:
                return self._end(True, "", {"until": format_time(until or now)})
            return Parked(until)
        every = timedelta(seconds=seconds(self.node.every, self._scope()))
        last = state.data.get("sampled_at")
        if last is not None:
            due = parse_time(last) + every
            if until is not None:
                due = min(due, until)
            if now < due:
                return Parked(due)
        self.session.flush()
        if self.node.read_action is not None:
            return self._read(until, every)
        return self._query(until, every)

    def _query(self, until: datetime | None, every: timedelta) -> Carried:
        assert self.node.query is not None
        comparison = self.node.becomes or self.node.stays
        assert comparison is not None
        value, text = sample(self.services, self.session, self.node.query, self.place)
        holds = satisfied(comparison, value)
        self.session.note(
            "step.verify", address=self.address, value=value, satisfied=holds, text=text
        )
        wanted = f"{comparison.op} {comparison.value:g}"
        now = self.services.clock.now()
        over = until is not None and now >= until
        if self.node.stays is not None:
            if not holds:
                return self._end(False, f"did not stay {wanted}: {text}")
            if over:
                return self._end(True, "", {"value": value})
        elif holds:
            return self._end(True, "", {"value": value})
        elif over:
            return self._end(False, f"did not become {wanted} in time; last: {text}")
        return Parked(min(now + every, until) if until else now + every)

    def _read(self, until: datetime | None, every: timedelta) -> Carried:
        assert self.node.read_action is not None
        assert self.node.until is not None
        scope = self._scope()
        action: Any = self.services.registry.action(self.node.read_action)
        given = render(self.node.read_with, scope)
        params = action.Params.model_validate(self.services.connections.reveal(given))
        now = self.services.clock.now()
        try:
            result = self.services.connections.receive(
                action.read(params, self.services.connections.world(writable=False))
            )
            holds, text = evaluate(self.node.until, {**scope, "result": result}), ""
        except ActionFailed as error:
            result, holds, text = None, False, f"the read failed: {error}"
        self.session.note(
            "step.verify", address=self.address, value=None, satisfied=holds, text=text
        )
        if holds:
            return self._end(True, "", result)
        if until is not None and now >= until:
            return self._end(
                False, f"{self.node.until} did not become true in time. {text}".strip()
            )
        return Parked(min(now + every, until) if until else now + every)

    def _end(self, ok: bool, message: str, output: Any = None) -> Carried:
        return _outcome(self.session, self.address, message, output, ok=ok)


def carry_manual(
    services: Services,
    session: Session,
    address: str,
    node: ManualNode,
    place: Place,
    state: StepState | None,
) -> Carried:
    """A task for a person: done with a note (`stanch done RUN STEP --note …`)."""
    scope = scope_of(place, session.progress, session.facts)
    if state is None:
        until = services.clock.now() + timedelta(seconds=seconds(node.within, scope))
        text = str(render(node.text, scope))
        session.note("step.started", address=address, waits=True, until=format_time(until))
        session.note(
            "manual.opened",
            address=address,
            text=text,
            role=node.role,
            until=format_time(until),
        )
        return PROGRESSED
    done = state.data.get("done")
    if done:
        session.note(
            "step.outcome", address=address, state="succeeded", output=done, message=done["note"]
        )
        return PROGRESSED
    until = parse_time(state.data["until"])
    if services.clock.now() >= until:
        return _outcome(session, address, "nobody did it in time", None, ok=False)
    return Parked(until)
