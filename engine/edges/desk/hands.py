"""What people do with one run and with the brakes of all: the permission levels, then the command."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from engine.domain.canonical import JsonObject
from engine.domain.errors import InvalidInput
from engine.domain.people import Actor
from engine.edges.desk.find import find_gate, find_run
from engine.edges.desk.people import Level, level, require
from engine.edges.desk.starting import Starting
from engine.running.standing import delegation_view

_SEEN = 16  # characters of a fingerprint that name a plan
Chosen = Mapping[str, Sequence[str]]


class Hands(Starting):
    """Hold, release, step, take over, hand back, pre-empt; choose items, break the glass; lend, re-arm."""

    # ------------------------------------------------------------ one run

    def hold(self, actor: Actor, run: str, reason: str) -> JsonObject:
        return self._hand(actor, run, "hold", "hold a run", reason)

    def release(self, actor: Actor, run: str, reason: str = "") -> JsonObject:
        return self._hand(actor, run, "release", "release a run", reason)

    def step(self, actor: Actor, run: str) -> JsonObject:
        return self._hand(actor, run, "step", "step a run")

    def takeover(self, actor: Actor, run: str, reason: str) -> JsonObject:
        return self._hand(actor, run, "takeover", "take a run over", reason)

    def handback(self, actor: Actor, run: str, note: str) -> JsonObject:
        return self._hand(actor, run, "handback", "hand a run back", note)

    def _hand(self, actor: Actor, run: str, act: str, what: str, *words: str) -> JsonObject:
        require(actor, Level.OPERATOR, what)
        row = self._read(lambda tx: find_run(tx, run))
        getattr(self.app.commands, act)(row.id, actor, *words)
        return self._run_line(row.id)

    def preempt(self, actor: Actor, run: str, reason: str, how: str = "hand_over") -> JsonObject:
        """Return `{run, for, holders, how}`. Needs an approver: another run's work is set aside."""
        require(actor, Level.APPROVER, "pre-empt a run")
        row = self._read(lambda tx: find_run(tx, run))
        return self.app.commands.preempt(row.id, actor, reason, how)

    # ------------------------------------------------------------ gates

    def choose(
        self,
        actor: Actor,
        gate: str,
        fingerprint: str,
        *,
        only: Chosen | None = None,
        without: Chosen | None = None,
        reason: str = "",
    ) -> JsonObject:
        """Approve some items of a foreach; the gate is asked again with the plan of what is left."""
        require(actor, Level.VIEWER, "approve")
        _check_seen(fingerprint)
        row = self._read(lambda tx: find_gate(tx, gate))
        self.app.commands.choose(
            row.id, actor, only=only, without=without, reason=reason, fingerprint=fingerprint
        )
        return self.gate(row.id)

    def break_glass(self, actor: Actor, gate: str, fingerprint: str, reason: str) -> JsonObject:
        """Approve alone in an emergency; the role is the configuration's."""
        require(actor, Level.VIEWER, "break the glass")
        _check_seen(fingerprint)
        row = self._read(lambda tx: find_gate(tx, gate))
        self.app.commands.break_glass(row.id, actor, reason, fingerprint)
        return self.gate(row.id)

    # ------------------------------------------------------------ roles

    def delegations(self, actor: Actor) -> JsonObject:
        """Roles that are or were lent, newest first."""
        require(actor, Level.VIEWER, "look at delegations")
        found = self._read(lambda tx: [delegation_view(row) for row in tx.delegations.list()])
        return {"items": found, "next": None}

    def delegate(
        self, actor: Actor, role: str, to: str, seconds: float, reason: str = ""
    ) -> JsonObject:
        """Lend a role that the actor holds."""
        require(actor, Level.VIEWER, "lend a role")
        return self.app.commands.delegate(
            actor, role, self.app.config.directory.canonical(to), seconds, reason
        )

    def revoke(self, actor: Actor, delegation: str) -> JsonObject:
        require(actor, Level.VIEWER, "take a role back")
        return self.app.commands.revoke(actor, delegation, lambda: level(actor) is Level.ADMIN)

    # ------------------------------------------------------------ brakes

    def rearm(self, actor: Actor, name: str, reason: str) -> JsonObject:
        """Close a circuit breaker, end a cooldown, forget what is used of a budget."""
        require(actor, Level.APPROVER, "re-arm a brake")
        self.app.commands.rearm(actor, name, reason)
        return self.brakes()


def _check_seen(fingerprint: str) -> None:
    if len(fingerprint) < _SEEN:
        raise InvalidInput(
            f"fingerprint {fingerprint!r} is too short: give at least {_SEEN} characters of the one "
            "that the gate shows"
        )
