"""The brakes of all runs, as people set and release them: kill switch, breakers, cooldowns, budgets."""

from __future__ import annotations

from engine.domain.canonical import JsonObject
from engine.domain.entry import Entry
from engine.domain.errors import InvalidInput, NotFound
from engine.domain.people import Actor
from engine.domain.run import RunState
from engine.journal.rows import BrakeRow, Page
from engine.journal.store import Tx
from engine.running.budgeting import KILL_SWITCH
from engine.running.starting import Starting

_PAGE = 500


class Rearming(Starting):
    """The acts. Each is journalled in the node's chain."""

    def pause(self, actor: Actor, reason: str, *, let_undo: bool = False) -> JsonObject:
        """Pull the kill switch: nothing begins an effect from now on, parked runs included.

        Args:
            let_undo: undoing goes on all the same.
        """
        if not reason.strip():
            raise InvalidInput(
                "say why: --reason 'what is wrong'; everyone who meets the pause reads it"
            )
        return self._kill(actor, reason, engaged=True, let_undo=let_undo)

    def resume(self, actor: Actor, reason: str = "") -> JsonObject:
        """Re-arm: runs that the pause holds go on."""
        return self._kill(actor, reason, engaged=False, let_undo=False)

    def _kill(self, actor: Actor, reason: str, *, engaged: bool, let_undo: bool) -> JsonObject:
        def work(tx: Tx) -> JsonObject:
            before = tx.brakes.get(KILL_SWITCH)
            row = BrakeRow(
                KILL_SWITCH, engaged, actor.name, reason, tx.now(), {"let_undo": let_undo}
            )
            body = self._set(tx, row)
            held = [] if engaged else _wake_held(tx)
            was = bool(before and before.engaged)
            return {**body, "changed": was is not engaged, "runs": held}

        return self._store.write(work)

    def _set(self, tx: Tx, row: BrakeRow) -> JsonObject:
        tx.brakes.set(row)
        body = {"name": row.name, "engaged": row.engaged, "by": row.by, "reason": row.reason}
        tx.journal.append(self._chain, [Entry("brake.set", body)])
        return body

    def rearm(self, actor: Actor, name: str, reason: str) -> JsonObject:
        """Close a circuit breaker, end a cooldown, or forget what is used of a budget.

        Args:
            name: `breaker:PLAYBOOK`, `cooldown:PLAYBOOK`, `cooldown:rule:RULE`,
                `budget:SCOPE:UNIT` with the scope `global`, `connection:NAME` or `playbook:NAME`.

        Raises:
            InvalidInput: no reason, or no such kind of brake. NotFound: this one is not engaged.
        """
        if not reason.strip():
            raise InvalidInput("say why: --reason; whoever wonders later reads it")
        kind, _, rest = name.partition(":")
        if name == KILL_SWITCH:
            raise InvalidInput("stanch resume releases the kill switch")
        if kind not in {"breaker", "cooldown", "budget"} or not rest:
            raise InvalidInput(
                f"{name!r} is no brake that can be re-armed; write breaker:PLAYBOOK, "
                "cooldown:PLAYBOOK, cooldown:rule:RULE or budget:SCOPE:UNIT"
            )

        def work(tx: Tx) -> JsonObject:
            body: JsonObject = {}
            if kind == "budget":
                scope, _, unit = rest.rpartition(":")
                body["forgot"] = tx.budgets.clear(scope, unit)
            else:
                present = tx.brakes.get(name)
                if present is None or not present.engaged:
                    raise NotFound(f"{name} is not engaged; stanch brakes shows what is")
                if kind == "breaker":
                    tx.windows.clear(name, "")
            told = self._set(tx, BrakeRow(name, False, actor.name, reason, tx.now(), body))
            return {**told, **body}

        return self._store.write(work)


def _wake_held(tx: Tx) -> list[str]:
    """Wake all held runs; each looks itself whether what held it is over."""
    woken: list[str] = []
    before: str | None = None
    while True:
        rows = tx.runs.list(Page(limit=_PAGE, before=before), states=[RunState.HELD])
        for row in rows:
            tx.runs.wake(row.id)
            woken.append(row.id)
        if len(rows) < _PAGE:
            return woken
        before = rows[-1].id
