"""What people may do to runs, gates and brakes. Every refusal says why; every act is journalled with its actor."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from engine.domain.canonical import JsonObject
from engine.domain.entry import Entry
from engine.domain.errors import InvalidInput, Refused
from engine.domain.people import Actor
from engine.domain.run import ENDS, RunState
from engine.journal.rows import RunRow
from engine.journal.store import Store, Tx
from engine.language.program import ManualNode, Program
from engine.planning.addresses import find_node
from engine.running.duplicates import taken_again
from engine.running.rearming import Rearming
from engine.running.recovering import Recovering, recoveries
from engine.running.standing import Anybody, Holders, standing, where_of
from engine.running.steering import Steering
from engine.running.voting import Voting
from engine.running.wayback import WayBack

_RETRYABLE = {RunState.FAILED, RunState.NEEDS_HUMAN, RunState.HELD}


class Commands(Voting, WayBack, Recovering, Steering, Rearming):
    """The acts. `playbooks` gives the loaded programs, by name, as they are now.

    Args:
        holders: who holds which role, and how far it reaches.
        break_glass: the role that may approve alone; None: nobody may.
    """

    def __init__(
        self,
        store: Store,
        playbooks: Callable[[], Mapping[str, Program]],
        node: str = "local",
        *,
        holders: Holders | None = None,
        break_glass: str | None = None,
    ) -> None:
        super().__init__(store, playbooks, node)
        self.holders: Holders = holders or Anybody()
        self.break_glass_role = break_glass

    # ------------------------------------------------------------ runs

    def done(self, run_id: str, address: str, actor: Actor, note: str = "") -> JsonObject:
        """Say that a manual task, or an effect that nothing else can tell of, is done.

        Raises:
            InvalidInput: the step waits for nobody. Refused: the task's role is missing.
        """

        def work(tx: Tx) -> JsonObject:
            row = self.find_run(tx, run_id)
            progress, program = self.progress(tx, row)
            state = progress.steps.get(address)
            if state is None or not (state.is_open or state.in_doubt):
                waiting = [name for name, item in progress.steps.items() if item.is_open]
                raise InvalidInput(
                    f"step {address!r} of {row.id} waits for nobody; open steps: {', '.join(waiting) or 'none'}"
                )
            node = find_node(program, address)
            if isinstance(node, ManualNode):
                right = standing(tx, actor, node.role, where_of(row), self.holders)
                if right.lacking is not None:
                    raise Refused(right.lacking, missing_role=node.role)
            elif not (state.in_doubt and progress.stuck):
                raise InvalidInput(f"step {address!r} is under way and needs nobody's word")
            body = {"address": address, "by": actor.name, "via": actor.via, "note": note}
            entries = [Entry("manual.done", body)]
            if state.in_doubt:
                entries.append(
                    Entry(
                        "step.outcome",
                        {
                            "address": address,
                            "state": "succeeded",
                            "output": None,
                            "changed": True,
                            "message": f"{actor.name} says that it happened. {note}".strip(),
                        },
                    )
                )
            self.tell(tx, row.id, *entries)
            tx.pages.seen(row.id, actor.name, f"{address} is done: {note}")
            return {"run": row.id, "address": address}

        return self._store.write(work)

    def cancel(self, run_id: str, actor: Actor, reason: str = "") -> JsonObject:
        """Stop a run: nothing new begins, temporary changes are put back, finally runs.

        Raises:
            Refused: it has ended.
        """
        return self._on_run(run_id, actor, "cancel", reason or f"cancelled by {actor.name}", None)

    def retry(self, run_id: str, actor: Actor, reason: str = "") -> JsonObject:
        """Resume a failed, held or needs_human run at the step that failed.

        Raises:
            Refused: it is in no such state.
        """
        return self._on_run(run_id, actor, "retry", reason, _RETRYABLE)

    def _on_run(
        self,
        run_id: str,
        actor: Actor,
        signal: str,
        reason: str,
        states: set[RunState] | None,
    ) -> JsonObject:
        def work(tx: Tx) -> JsonObject:
            row = self.find_run(tx, run_id)
            self.signal(tx, row, actor, signal, reason, states)
            return {"run": row.id, "signal": signal}

        return self._store.write(work)

    def signal(
        self,
        tx: Tx,
        row: RunRow,
        actor: Actor,
        signal: str,
        reason: str,
        states: set[RunState] | None = None,
    ) -> None:
        """Journal a signal to a run and wake it. Raises Refused where its state does not allow it."""
        open_end = row.state is RunState.NEEDS_HUMAN and row.ended_at is None
        if states is None and row.state in ENDS and not open_end:
            raise Refused(f"run {row.id} has ended: {row.state.value}")
        entries: list[Entry] = []
        if signal == "retry":
            progress, program = self.progress(tx, row)
            if progress.taken_by is not None:
                taken = progress.taken_by
                raise Refused(f"{taken} has taken run {row.id} over; stanch handback comes first")
            if others := recoveries(tx, row.id):
                raise Refused(
                    f"run {others[-1]['run']} recovers what failed of run {row.id}; both would do it. "
                    f"What is left: stanch recover {row.id}"
                )
            entries = taken_again(tx, row.id, program.playbook, progress)
        if states is not None and row.state not in states:
            raise Refused(f"run {row.id} is {row.state.value}; {signal} does not apply to it")
        body = {"signal": signal, "actor": actor.name, "via": actor.via, "reason": reason}
        self.tell(tx, row.id, Entry("run.signal", body), *entries)
        tx.pages.seen(row.id, actor.name, f"{signal}: {reason}")
