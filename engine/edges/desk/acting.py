"""What people may do: start, decide at gates, steer runs, set brakes, hand out tokens."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from engine.domain.canonical import JsonObject
from engine.domain.clock import format_time
from engine.domain.errors import InvalidInput
from engine.domain.people import Actor
from engine.edges.desk.find import find_gate, find_run
from engine.edges.desk.incidents import IncidentDesk
from engine.edges.desk.measuring import Measuring
from engine.edges.desk.people import Level, add_token, require
from engine.running.views import gate_view


class Desk(Measuring, IncidentDesk):
    """Everything that the API and the CLI can ask. Each act answers with the thing as it then is."""

    # ------------------------------------------------------------ runs

    def cancel(self, actor: Actor, run: str, reason: str) -> JsonObject:
        return self._steer("cancel a run", actor, run, "cancel", reason)

    def retry(self, actor: Actor, run: str, reason: str) -> JsonObject:
        return self._steer("retry a run", actor, run, "retry", reason)

    def _steer(self, what: str, actor: Actor, run: str, verb: str, reason: str) -> JsonObject:
        require(actor, Level.OPERATOR, what)
        row = self._read(lambda tx: find_run(tx, run))
        getattr(self.app.commands, verb)(row.id, actor, reason)
        return self._run_line(row.id)

    def done(self, actor: Actor, run: str, address: str, note: str) -> JsonObject:
        """Tell that a person did a manual task, or looked after a step of unknown outcome."""
        require(actor, Level.OPERATOR, "mark a task as done")
        row = self._read(lambda tx: find_run(tx, run))
        self.app.commands.done(row.id, address, actor, note)
        return self._run_line(row.id)

    # ------------------------------------------------------------ gates

    def approve(self, actor: Actor, gate: str, fingerprint: str, comment: str = "") -> JsonObject:
        """Approve the plan that the person saw, named by its fingerprint (or at least 16 characters of it).

        Raises:
            Refused: role, requester, time, or another plan than that.
        """
        if len(fingerprint) < 16:
            raise InvalidInput(
                f"fingerprint {fingerprint!r} is too short: give at least 16 characters of the one of the plan "
                f"that you saw; stanch show {gate} and GET /api/v1/approvals/{gate} print it"
            )
        require(actor, Level.VIEWER, "approve")
        row = self._read(lambda tx: find_gate(tx, gate))
        self.app.commands.approve(row.id, actor, comment, fingerprint)
        return self.gate(row.id)

    def reject(self, actor: Actor, gate: str, comment: str = "") -> JsonObject:
        require(actor, Level.VIEWER, "reject")
        row = self._read(lambda tx: find_gate(tx, gate))
        self.app.commands.reject(row.id, actor, comment)
        return self.gate(row.id)

    def withdraw(self, actor: Actor, gate: str) -> JsonObject:
        """Take back the actor's own vote while the gate is open."""
        require(actor, Level.VIEWER, "withdraw a vote")
        row = self._read(lambda tx: find_gate(tx, gate))
        self.app.commands.withdraw(row.id, actor)
        return self._read(lambda tx: gate_view(tx, find_gate(tx, row.id)))

    # ------------------------------------------------------------ brakes

    def pause(self, actor: Actor, reason: str, let_undo: bool = False) -> JsonObject:
        """Engage the kill switch: nothing is changed from the next effect on; undoing where it is let."""
        require(actor, Level.OPERATOR, "set a brake")
        if not reason.strip():
            raise InvalidInput("say why: a pause needs a reason that others can read")
        self.app.commands.pause(actor, reason, let_undo=let_undo)
        return self.brakes()

    def resume(self, actor: Actor, reason: str) -> JsonObject:
        require(actor, Level.OPERATOR, "release a brake")
        self.app.commands.resume(actor, reason)
        return self.brakes()

    # ------------------------------------------------------------ tokens

    def tokens(self, actor: Actor) -> JsonObject:
        require(actor, Level.ADMIN, "list tokens")
        return {"items": [dict(item) for item in self._read(lambda tx: tx.tokens.list())]}

    def create_token(
        self, actor: Actor, name: str, roles: Sequence[str], expires_at: datetime | None
    ) -> JsonObject:
        """Return `{name, roles, expires_at, token}`; the token is shown this once."""
        require(actor, Level.ADMIN, "create tokens")
        known = {"viewer", "operator", "admin", *self.app.config.roles}
        wrong = [role for role in roles if role not in known]
        if wrong:
            raise InvalidInput(
                f"no role is called {wrong[0]!r}; there are: {', '.join(sorted(known))}"
            )
        if expires_at is not None and expires_at <= self.app.clock.now():
            raise InvalidInput(
                f"the token would have expired already, at {format_time(expires_at)}"
            )
        token = add_token(self.app.store, name, roles, expires_at)
        return {
            "name": name,
            "roles": list(roles),
            "expires_at": format_time(expires_at) if expires_at else None,
            "token": token,
        }

    def revoke_token(self, actor: Actor, name: str) -> JsonObject:
        """Revoke every token of that name; `revoked` says how many that were."""
        require(actor, Level.ADMIN, "revoke tokens")
        return {"name": name, "revoked": self.app.store.write(lambda tx: tx.tokens.revoke(name))}
