"""What people may do to runs, gates and brakes. Every refusal says why; every act is journalled with its actor."""

from __future__ import annotations

from engine.domain.canonical import JsonObject
from engine.domain.entry import Entry
from engine.domain.errors import InvalidInput, Refused
from engine.domain.people import Actor
from engine.domain.run import ENDS, RunState
from engine.journal.rows import BrakeRow, Page, RunRow
from engine.journal.store import Tx
from engine.language.program import ManualNode
from engine.planning.addresses import find_node
from engine.running.budgeting import KILL_SWITCH
from engine.running.voting import Voting
from engine.running.wayback import WayBack

_RETRYABLE = {RunState.FAILED, RunState.NEEDS_HUMAN, RunState.HELD}


class Commands(Voting, WayBack):
    """The acts. `playbooks` gives the loaded programs, by name, as they are now."""

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
                if not actor.has(node.role):
                    raise Refused(
                        f"{actor.name} lacks the role {node.role}", missing_role=node.role
                    )
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
        if states is not None and row.state not in states:
            raise Refused(f"run {row.id} is {row.state.value}; {signal} does not apply to it")
        body = {"signal": signal, "actor": actor.name, "via": actor.via, "reason": reason}
        self.tell(tx, row.id, Entry("run.signal", body))

    # ------------------------------------------------------------ brakes

    def pause(self, actor: Actor, reason: str) -> JsonObject:
        """Pull the kill switch: nothing begins an effect from now on, parked runs included."""
        if not reason.strip():
            raise InvalidInput(
                "say why: --reason 'what is wrong'; everyone who meets the pause reads it"
            )
        return self._kill(actor, reason, engaged=True)

    def resume(self, actor: Actor, reason: str = "") -> JsonObject:
        """Re-arm: runs that the pause holds go on."""
        return self._kill(actor, reason, engaged=False)

    def _kill(self, actor: Actor, reason: str, *, engaged: bool) -> JsonObject:
        def work(tx: Tx) -> JsonObject:
            before = tx.brakes.get(KILL_SWITCH)
            tx.brakes.set(BrakeRow(KILL_SWITCH, engaged, actor.name, reason, tx.now()))
            body = {"name": KILL_SWITCH, "engaged": engaged, "by": actor.name, "reason": reason}
            tx.journal.append(self._chain, [Entry("brake.set", body)])
            held: list[str] = []
            if not engaged:
                held = [row.id for row in tx.runs.list(Page(limit=10_000), states=[RunState.HELD])]
                for run in held:
                    tx.runs.wake(run)
            was = bool(before and before.engaged)
            return {**body, "changed": was is not engaged, "runs": held}

        return self._store.write(work)
