"""In what right somebody decides: their own roles, as far as they reach, or a role that was lent to them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Protocol

from engine.domain.canonical import JsonObject
from engine.domain.clock import format_time
from engine.domain.entry import Entry
from engine.domain.errors import InvalidInput, NotFound, Refused
from engine.domain.ids import new_id
from engine.domain.people import Actor, Scope, Where
from engine.journal.rows import DelegationRow, RunRow
from engine.journal.store import Tx
from engine.planning.policy import Standing
from engine.running.starting import Starting

LONGEST = 14 * 86_400.0  # seconds that a role may be lent at most


class Holders(Protocol):
    """The configuration's word on who holds which role, and how far it reaches."""

    def holds(self, name: str, role: str) -> bool: ...

    def scope(self, role: str) -> Scope: ...


class Anybody:
    """Where no configuration says who holds a role, whoever came with it does."""

    def holds(self, name: str, role: str) -> bool:
        del name, role
        return True

    def scope(self, role: str) -> Scope:
        del role
        return Scope()


def pack_of(playbook: str) -> str:
    """Return the pack of a playbook: the first part of its name."""
    return playbook.partition("/")[0]


def where_of(row: RunRow) -> Where:
    """Return what a run is about, as far as its inputs and its trigger say."""
    labels = row.trigger.get("labels")
    found = {row.inputs.get("namespace")}
    if isinstance(labels, dict):
        found.add(labels.get("namespace"))
    names = tuple(sorted(str(name) for name in found if name))
    return Where(pack_of(row.playbook), names)


def standing(tx: Tx, actor: Actor, role: str, where: Where, holders: Holders) -> Standing:
    """Return in what right `actor` decides in `role`: their own, or what others lent them."""
    lacking = actor.lacks(role, where)
    if lacking is None:
        return Standing(actor.name)
    for lent in tx.delegations.of(actor.name):
        if lent.role != role or not holders.holds(lent.giver, role):
            continue
        beyond = holders.scope(role).refusal(where)
        if beyond is None:
            return Standing(actor.name, giver=lent.giver)
        lacking = f"the role {role} that {lent.giver} lent to {actor.name} {beyond}"
    return Standing(actor.name, lacking)


class Delegating(Starting):
    """Lending a role, and taking it back."""

    holders: Holders

    def delegate(
        self, actor: Actor, role: str, to: str, seconds: float, reason: str = ""
    ) -> JsonObject:
        """Lend a role that one holds oneself to another person, for so long.

        Args:
            to: the other person's name.
            seconds: from now on; at most 14 days.

        Returns:
            `{id, role, from, to, until, reason}`.

        Raises:
            Refused: the actor does not hold the role. InvalidInput: to oneself, or too long.
        """
        if role not in actor.roles or not self.holders.holds(actor.name, role):
            raise Refused(
                f"{actor.name} does not hold the role {role}; only its holder can lend it",
                missing_role=role,
            )
        if not to.strip() or to == actor.name:
            raise InvalidInput("name another person to lend the role to")
        if not 0 < seconds <= LONGEST:
            raise InvalidInput("a role is lent for more than no time and at most 14 days, as in 8h")

        def work(tx: Tx) -> JsonObject:
            now = tx.now()
            until = now + timedelta(seconds=seconds)
            row = DelegationRow(new_id("lent"), role, actor.name, to, reason, now, until)
            tx.delegations.add(row)
            view = delegation_view(row)
            tx.journal.append(self._chain, [Entry("role.lent", {**view, "via": actor.via})])
            return view

        return self._store.write(work)

    def revoke(self, actor: Actor, delegation: str, allowed: Callable[[], bool]) -> JsonObject:
        """Take back what was lent: its giver, its taker, or whom `allowed` lets.

        Raises:
            NotFound: no such delegation. Refused: it is over, or it is another's.
        """

        def work(tx: Tx) -> JsonObject:
            row = tx.delegations.get(delegation)
            if row is None:
                raise NotFound(f"there is no delegation {delegation!r}; stanch brakes lists them")
            if actor.name not in {row.giver, row.taker} and not allowed():
                raise Refused(f"{delegation} is between {row.giver} and {row.taker}")
            if not tx.delegations.revoke(row.id, actor.name):
                raise Refused(f"{delegation} is over already")
            body = {"id": row.id, "role": row.role, "from": row.giver, "to": row.taker}
            body |= {"by": actor.name, "via": actor.via}
            tx.journal.append(self._chain, [Entry("role.taken_back", body)])
            return {**delegation_view(row), "revoked_by": actor.name}

        return self._store.write(work)


def delegation_view(row: DelegationRow) -> JsonObject:
    return {
        "id": row.id,
        "role": row.role,
        "from": row.giver,
        "to": row.taker,
        "at": format_time(row.at),
        "until": format_time(row.until),
        "reason": row.reason,
        "revoked_by": row.revoked_by or None,
    }
