"""Votes at gates, by people with roles, on the plan that they saw."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from engine.domain.canonical import JsonObject
from engine.domain.entry import Entry
from engine.domain.errors import InvalidInput, Refused
from engine.domain.people import Actor, Where
from engine.journal.rows import GateRow, VoteRow
from engine.journal.store import Tx
from engine.planning.policy import Standing, check_open, check_seen, check_vote
from engine.running.standing import Delegating, standing

_STANDS_FOR = ", for "


class Voting(Delegating):
    """Approve, reject, withdraw, choose items, break the glass."""

    break_glass_role: str | None

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

    # ------------------------------------------------------------ yes and no

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
            right = self._standing(tx, gate, actor, decision, seen)
            via = f"{actor.via}{_STANDS_FOR}{right.giver}" if right.giver else actor.via
            tx.gates.vote(VoteRow(gate.id, actor.name, via, decision, comment, tx.now()))
            body = {
                "gate": gate.id,
                "address": gate.address,
                "actor": actor.name,
                "via": via,
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

    def _standing(
        self, tx: Tx, gate: GateRow, actor: Actor, decision: str, seen: str | None
    ) -> Standing:
        """Return in what right the actor votes. Raises Refused where they may not."""
        where = Where.from_json(gate.body.get("where") or {})
        right = standing(tx, actor, gate.role, where, self.holders)
        check_vote(
            right,
            gate,
            # Whoever asked may always say no to it.
            excluded=gate.body.get("excluded", []) if decision == "approve" else [],
            now=tx.now(),
            seen=seen,
        )
        if decision == "approve":
            _once_a_role_holder(tx.gates.votes(gate.id), right)
        return right

    def withdraw(self, target: str, actor: Actor) -> JsonObject:
        """Take one's own vote back before the quorum.

        Raises:
            Refused: the gate is closed, or the person has not voted.
        """

        def work(tx: Tx) -> JsonObject:
            gate = self._gate(tx, target)
            if gate.state != "open":
                check_open(gate, tx.now())
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

    # ------------------------------------------------------------ these items, not those

    def choose(
        self,
        target: str,
        actor: Actor,
        *,
        only: Mapping[str, Sequence[str]] | None = None,
        without: Mapping[str, Sequence[str]] | None = None,
        reason: str = "",
        fingerprint: str | None = None,
    ) -> JsonObject:
        """Approve some items of a foreach and reject the others, which are then skipped.

        The gate is asked again with the plan of what is left, under its own fingerprint; this person's
        yes counts for it, unless the plan differs in more than the items.

        Args:
            only: by step address, the keys of the items that are to be done.
            without: by step address, the keys of the items that are not.
            reason: why; it stands at every item that is skipped.

        Returns:
            `{gate, run, rejected}`.

        Raises:
            InvalidInput: no such step or item in the plan, or nothing would be left of it.
            Refused: as `approve`; or an item has begun already.
        """

        def work(tx: Tx) -> JsonObject:
            gate = self._gate(tx, target)
            right = self._standing(tx, gate, actor, "approve", fingerprint)
            rejected = _rejected(tx.blobs.plan(gate.run_id, gate.fingerprint), only, without)
            why = f"rejected by {actor.name}{f': {reason}' if reason else ''}"
            body = {
                "gate": gate.id,
                "address": gate.address,
                "actor": actor.name,
                "via": f"{actor.via}{_STANDS_FOR}{right.giver}" if right.giver else actor.via,
                "reason": reason,
                "fingerprint": gate.fingerprint,
                "rejected": {step: dict.fromkeys(keys, why) for step, keys in rejected.items()},
            }
            self.tell(tx, gate.run_id, Entry("gate.items", body))
            return {"gate": gate.id, "run": gate.run_id, "rejected": rejected}

        return self._store.write(work)

    # ------------------------------------------------------------ emergency

    def break_glass(
        self, target: str, actor: Actor, reason: str, fingerprint: str | None = None
    ) -> JsonObject:
        """Approve alone in an emergency: without the quorum, without four eyes, for the plan that was seen.

        It is journalled as a kind of its own in the run's and in the incident's chain, so that channel
        and postmortem shout it.

        Raises:
            Refused: no role may, this person has not that role, somebody has rejected, or the plan is
                another. InvalidInput: no reason.
        """
        if not reason.strip():
            raise InvalidInput("say why: breaking the glass needs a reason that everybody reads")

        def work(tx: Tx) -> JsonObject:
            gate = self._gate(tx, target)
            role = self.break_glass_role
            if role is None:
                raise Refused(
                    "nobody may break the glass: the configuration names no role (approval.break_glass)"
                )
            check_open(gate, tx.now())
            right = standing(
                tx, actor, role, Where.from_json(gate.body.get("where") or {}), self.holders
            )
            if right.lacking is not None:
                raise Refused(right.lacking, missing_role=role)
            check_seen(gate, fingerprint)
            no = next((v.actor for v in tx.gates.votes(gate.id) if v.decision == "reject"), None)
            if no is not None:
                raise Refused(f"{no} has rejected this plan; ask them to withdraw, or run it anew")
            body = {
                "gate": gate.id,
                "address": gate.address,
                "actor": actor.name,
                "via": actor.via,
                "role": role,
                "reason": reason,
                "fingerprint": gate.fingerprint,
                "run": gate.run_id,
            }
            self.tell(tx, gate.run_id, Entry("gate.break_glass", body))
            run = tx.runs.get(gate.run_id)
            if run is not None and run.incident_id is not None:
                tx.journal.append(run.incident_id, [Entry("incident.break_glass", body)])
            return {"gate": gate.id, "run": gate.run_id, "by": actor.name, "reason": reason}

        return self._store.write(work)


def _once_a_role_holder(votes: Sequence[VoteRow], right: Standing) -> None:
    """Whoever lends a role and whoever holds it for them have one yes between them."""
    for vote in votes:
        if vote.decision != "approve" or vote.actor == right.name:
            continue
        stands_for = vote.via.partition(_STANDS_FOR)[2] or None
        if right.giver is not None and right.giver in {vote.actor, stands_for}:
            raise Refused(f"{vote.actor} has voted in the right of {right.giver} already")
        if stands_for == right.name:
            raise Refused(f"{vote.actor} has voted for {right.name} already; they may withdraw")


def _rejected(
    plan: Any,
    only: Mapping[str, Sequence[str]] | None,
    without: Mapping[str, Sequence[str]] | None,
) -> dict[str, list[str]]:
    """Return the keys to reject by step, checked against the plan that the gate shows."""
    found: dict[str, list[str]] = {}
    if not only and not without:
        raise InvalidInput("say which items: --only STEP=KEY,KEY or --without STEP=KEY")
    for chosen, keeps in ((only or {}, True), (without or {}, False)):
        for step, keys in chosen.items():
            items = _items(plan, step)
            wrong = [key for key in keys if key not in items]
            if wrong:
                raise InvalidInput(
                    f"{step} has no item {wrong[0]!r}; it has: {', '.join(items) or 'none'}"
                )
            left = [key for key in items if (key in keys) is keeps]
            if not left:
                raise InvalidInput(
                    f"nothing would be left of {step}; reject the whole plan instead"
                )
            found[step] = [key for key in items if key not in left]
    if not any(found.values()):
        raise InvalidInput("these are all items; approve the plan as it is")
    return {step: keys for step, keys in found.items() if keys}


def _items(plan: Any, step: str) -> list[str]:
    """Return the keys of a foreach's items that the plan would do, in their order."""
    pattern = re.compile(re.escape(step) + r"\[(.*?)\](?:\..*)?\Z", re.DOTALL)
    lines = plan["steps"] if plan else ()
    keys: dict[str, None] = {}
    for line in lines:
        match = pattern.match(line["address"])
        if match is not None and not (line["state"] == "skipped" and line["address"].endswith("]")):
            keys[match[1]] = None
    if not keys:
        steps = sorted(
            {line["address"].partition("[")[0] for line in lines if "[" in line["address"]}
        )
        raise InvalidInput(
            f"{step!r} has no items in this plan; steps with items: {', '.join(steps) or 'none'}"
        )
    return list(keys)
