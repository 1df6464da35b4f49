"""Votes at gates, by people with roles, on the plan that they saw."""

from __future__ import annotations

from engine.domain.canonical import JsonObject
from engine.domain.entry import Entry
from engine.domain.errors import InvalidInput, Refused
from engine.domain.people import Actor
from engine.journal.rows import GateRow, VoteRow
from engine.journal.store import Tx
from engine.planning.policy import check_vote
from engine.running.starting import Starting


class Voting(Starting):
    """Approve, reject, withdraw."""

    def _gate(self, tx: Tx, target: str) -> GateRow:
        gate = tx.gates.get(target)
        if gate is not None:
            return gate
        run = self.find_run(tx, target)
        gates = [gate for gate in tx.gates.of_run(run.id) if gate.state == "open"]
        if not gates:
            raise Refused(f"run {run.id} has no open gate; it is {run.state.value}")
        if len(gates) > 1:
            names = ", ".join(f"{gate.id} ({gate.address})" for gate in gates)
            raise InvalidInput(f"run {run.id} has several open gates: {names}; name one of them")
        return gates[0]

    # ------------------------------------------------------------ gates

    def approve(
        self, target: str, actor: Actor, comment: str = "", fingerprint: str | None = None
    ) -> JsonObject:
        """Vote yes at a gate. The run goes on when the quorum is reached and the plan still stands.

        Args:
            target: a gate's id, or the id (or a unique part of it) of a run with one open gate.
            fingerprint: of the plan that the person saw, or its first characters.

        Returns:
            `{gate, run, votes, approvals, quorum}`.

        Raises:
            Refused, NotFound, InvalidInput.
        """
        return self._vote(target, actor, "approve", comment, fingerprint)

    def reject(self, target: str, actor: Actor, comment: str = "") -> JsonObject:
        """Vote no; one no is enough. Arguments and errors as `approve`."""
        return self._vote(target, actor, "reject", comment, None)

    def _vote(
        self, target: str, actor: Actor, decision: str, comment: str, seen: str | None
    ) -> JsonObject:
        def work(tx: Tx) -> JsonObject:
            gate = self._gate(tx, target)
            check_vote(
                actor,
                role=gate.role,
                state=gate.state,
                expires_at=gate.expires_at,
                # Whoever asked may always say no to it.
                excluded=gate.body.get("excluded", []) if decision == "approve" else [],
                now=tx.now(),
                fingerprint=gate.fingerprint,
                seen=seen,
            )
            tx.gates.vote(VoteRow(gate.id, actor.name, actor.via, decision, comment, tx.now()))
            body = {
                "gate": gate.id,
                "address": gate.address,
                "actor": actor.name,
                "via": actor.via,
                "decision": decision,
                "comment": comment,
                "fingerprint": gate.fingerprint,
            }
            self.tell(tx, gate.run_id, Entry("gate.vote", body))
            yes = [vote for vote in tx.gates.votes(gate.id) if vote.decision == "approve"]
            return {
                "gate": gate.id,
                "run": gate.run_id,
                "decision": decision,
                "votes": len(yes),
                "approvals": gate.approvals,
                "quorum": len(yes) >= gate.approvals,
            }

        return self._store.write(work)

    def withdraw(self, target: str, actor: Actor) -> JsonObject:
        """Take one's own vote back before the quorum.

        Raises:
            Refused: the gate is closed, or the person has not voted.
        """

        def work(tx: Tx) -> JsonObject:
            gate = self._gate(tx, target)
            if gate.state != "open":
                raise Refused(f"the gate is closed: {gate.state}")
            votes = tx.gates.votes(gate.id)
            if sum(vote.decision == "approve" for vote in votes) >= gate.approvals:
                raise Refused("the quorum is reached already; use stanch cancel to stop the run")
            if not tx.gates.withdraw(gate.id, actor.name):
                raise Refused(f"{actor.name} has not voted at this gate")
            body = {
                "gate": gate.id,
                "address": gate.address,
                "actor": actor.name,
                "via": actor.via,
                "decision": "withdraw",
                "comment": "",
            }
            self.tell(tx, gate.run_id, Entry("gate.vote", body))
            return {"gate": gate.id, "run": gate.run_id}

        return self._store.write(work)
