"""What people do to runs, gates and the kill switch by a typed command; the desk decides whether they may."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from engine.domain.canonical import JsonObject
from engine.domain.errors import InvalidInput
from engine.domain.message import Message, say
from engine.domain.people import Actor
from engine.edges.chat import answers
from engine.edges.chat.grammar import Typed
from engine.edges.desk.acting import Desk
from engine.edges.desk.inputs import typed_inputs


@dataclass(frozen=True)
class Asker:
    """Who asks, and from where: `incident` is the one whose channel they are in."""

    actor: Actor
    incident: str | None = None


class Steering:
    """The acting words."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    # ------------------------------------------------------------ runs

    def _run(self, asker: Asker, typed: Typed) -> Message:
        name = need(typed, 0, "a playbook", "run PLAYBOOK name=value")
        priority = typed.options.get("priority", "5")
        if not priority.isdigit():
            raise InvalidInput(f"--priority is {priority!r}; it must be a number from 0 to 9")
        line = self._desk.start(
            asker.actor,
            name,
            self._inputs(name, typed),
            mode=typed.options.get("mode", "approve"),
            priority=int(priority),
            incident=asker.incident,
        )
        hint = f"If it asks for approval: /stanch show {line['id']}"
        return say(f"Started: {answers.run_line(line)}", footer=hint)

    def _inputs(self, playbook: str, typed: Typed) -> JsonObject:
        schema = self._desk.playbook(playbook)["inputs"]
        return typed_inputs(typed.arguments[1:], schema, what="")

    def _cancel(self, asker: Asker, typed: Typed) -> Message:
        return _steered(self._desk.cancel, asker, typed, "cancel RUN reason")

    def _retry(self, asker: Asker, typed: Typed) -> Message:
        return _steered(self._desk.retry, asker, typed, "retry RUN reason")

    def _recover(self, asker: Asker, typed: Typed) -> Message:
        run = need(typed, 0, "a run", "recover RUN [step]")
        step = typed.arguments[1] if len(typed.arguments) > 1 else None
        line = self._desk.recover(asker.actor, run, step)
        return say(f"What failed is a run of its own: {answers.run_line(line)}")

    def _undo(self, asker: Asker, typed: Typed) -> Message:
        run = need(typed, 0, "a run", "undo RUN")
        override = typed.options.get("override", "")
        line = self._desk.undo(asker.actor, run, typed.arguments[1:], override)
        return say(f"The way back is planned as a run of its own: {answers.run_line(line)}")

    def _done(self, asker: Asker, typed: Typed) -> Message:
        run = need(typed, 0, "a run", "done RUN STEP what you did")
        step = need(typed, 1, "a step", "done RUN STEP what you did")
        return say(answers.run_line(self._desk.done(asker.actor, run, step, typed.rest(2))))

    def _hold(self, asker: Asker, typed: Typed) -> Message:
        return _steered(self._desk.hold, asker, typed, "hold RUN REASON")

    def _release(self, asker: Asker, typed: Typed) -> Message:
        return _steered(self._desk.release, asker, typed, "release RUN")

    def _step(self, asker: Asker, typed: Typed) -> Message:
        run = need(typed, 0, "a run", "step RUN")
        return say(answers.run_line(self._desk.step(asker.actor, run)))

    def _takeover(self, asker: Asker, typed: Typed) -> Message:
        return _steered(self._desk.takeover, asker, typed, "takeover RUN REASON")

    def _handback(self, asker: Asker, typed: Typed) -> Message:
        return _steered(self._desk.handback, asker, typed, "handback RUN NOTE")

    # ------------------------------------------------------------ gates and brakes

    def _approve(self, asker: Asker, typed: Typed) -> Message:
        if len(typed.arguments) < 2:
            example = "approve GATE FINGERPRINT; the gate's message ends with both"
            raise InvalidInput(f"say which plan you saw: /stanch {example}")
        gate, fingerprint = typed.arguments[:2]
        return decided(self._desk.approve(asker.actor, gate, fingerprint, typed.rest(2)))

    def _choose(self, asker: Asker, typed: Typed) -> Message:
        gate = need(typed, 0, "a gate", "choose GATE FINGERPRINT STEP=KEY,KEY")
        fingerprint = need(typed, 1, "the plan you saw", "choose GATE FINGERPRINT STEP=KEY,KEY")
        only: dict[str, list[str]] = {}
        for text in typed.arguments[2:]:
            step, equals, keys = text.partition("=")
            if not equals:
                raise InvalidInput(f"{text!r} is not of the form STEP=KEY,KEY")
            only.setdefault(step, []).extend(key for key in keys.split(",") if key)
        reason = typed.options.get("reason", "")
        return decided(self._desk.choose(asker.actor, gate, fingerprint, only=only, reason=reason))

    def _glass(self, asker: Asker, typed: Typed) -> Message:
        gate = need(typed, 0, "a gate", "glass GATE FINGERPRINT REASON")
        fingerprint = need(typed, 1, "the plan you saw", "glass GATE FINGERPRINT REASON")
        return decided(self._desk.break_glass(asker.actor, gate, fingerprint, typed.rest(2)))

    def _reject(self, asker: Asker, typed: Typed) -> Message:
        gate, start = self._gate_of(asker, typed)
        return decided(self._desk.reject(asker.actor, gate, typed.rest(start)))

    def _withdraw(self, asker: Asker, typed: Typed) -> Message:
        gate, _ = self._gate_of(asker, typed)
        return decided(self._desk.withdraw(asker.actor, gate))

    def _gate_of(self, asker: Asker, typed: Typed) -> tuple[str, int]:
        """The gate that is named first, else the only open one of the channel's incident."""
        if typed.arguments and typed.arguments[0].startswith(("gate-", "run-")):
            return typed.arguments[0], 1
        found = [
            row
            for row in self._desk.approvals()["items"]
            if asker.incident is None or row["incident"] == asker.incident
        ]
        if len(found) == 1:
            return str(found[0]["id"]), 0
        names = "; ".join(answers.gate_line(row) for row in found) or "none is open"
        raise InvalidInput(f"name a gate: {names}")

    def _pause(self, asker: Asker, typed: Typed) -> Message:
        self._desk.pause(asker.actor, typed.rest(0))
        return say("The kill switch is engaged: nothing begins an effect until /stanch resume.")

    def _resume(self, asker: Asker, typed: Typed) -> Message:
        self._desk.resume(asker.actor, typed.rest(0))
        return say("The kill switch is released: what it held goes on.")

    def _rearm(self, asker: Asker, typed: Typed) -> Message:
        name = need(typed, 0, "a brake, as /stanch brakes names it", "rearm BRAKE REASON")
        self._desk.rearm(asker.actor, name, typed.rest(1))
        return say(f"{name} is re-armed by {asker.actor.name}.")


def _steered(
    act: Callable[[Actor, str, str], JsonObject], asker: Asker, typed: Typed, usage: str
) -> Message:
    """Do something to the run that is named first, with the rest as the reason."""
    run = need(typed, 0, "a run", usage)
    return say(answers.run_line(act(asker.actor, run, typed.rest(1))))


def decided(gate: JsonObject) -> Message:
    """Return what a gate has come to after a vote."""
    votes = ", ".join(f"{vote['actor']} {vote['decision']}" for vote in gate["votes"])
    missing = f"; {gate['missing']} more wanted" if gate["missing"] else ""
    return say(f"Noted at {gate['id']} of {gate['playbook']}: {votes or 'no vote'}{missing}.")


def need(typed: Typed, place: int, what: str, usage: str) -> str:
    if len(typed.arguments) <= place:
        raise InvalidInput(f"name {what}: /stanch {usage}")
    return typed.arguments[place]
