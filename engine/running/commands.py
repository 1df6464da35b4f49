"""What people may do to runs, gates and brakes. Every refusal says why; every act is journalled with its actor."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from engine.domain.canonical import JsonObject
from engine.domain.entry import Entry
from engine.domain.errors import InvalidInput, NotFound, Refused
from engine.domain.ids import new_id
from engine.domain.people import ENGINE, Actor
from engine.domain.run import ENDS, RunMode, RunState
from engine.journal.store import BrakeRow, GateRow, Page, RunRow, Store, Tx, VoteRow
from engine.language.program import ManualNode, Program
from engine.planning.addresses import find_node
from engine.planning.fold import fold
from engine.planning.inputs import checked_inputs
from engine.planning.policy import check_vote
from engine.planning.progress import RunProgress
from engine.running.budgeting import KILL_SWITCH
from engine.running.changes import UNDO_PLAYBOOK, undo_program
from engine.running.requests import RunRequest

_RETRYABLE = {RunState.FAILED, RunState.NEEDS_HUMAN, RunState.HELD}


class Commands:
    """The acts. `playbooks` gives the loaded programs, by name, as they are now."""

    def __init__(
        self, store: Store, playbooks: Callable[[], Mapping[str, Program]], node: str = "local"
    ) -> None:
        self._store = store
        self._playbooks = playbooks
        self._chain = f"node:{node}"

    # ------------------------------------------------------------ starting

    def create_run(self, tx: Tx, request: RunRequest) -> str:
        """Create a queued run with its own frozen copy of the playbook; return its id.

        Raises:
            NotFound: no such playbook. InvalidInput: the inputs do not fit its schema.
        """
        program = self._program(request.playbook)
        inputs = checked_inputs(program, request.inputs)
        return self._create(tx, program, inputs, request, None)

    def start(
        self,
        playbook: str,
        inputs: Mapping[str, Any],
        *,
        requester: Actor,
        mode: RunMode = RunMode.APPROVE,
        priority: int = 5,
        rule: str | None = None,
        alert: JsonObject | None = None,
        trigger: JsonObject | None = None,
        incident_id: str | None = None,
        group: str | None = None,
    ) -> str:
        """Start a run on a person's word; return its id. Raises as `create_run`."""
        request = RunRequest(
            playbook=playbook,
            inputs=dict(inputs),
            rule=rule,
            alert=alert,
            trigger=trigger or {"kind": "manual"},
            mode=mode,
            priority=priority,
            requester=requester,
            incident_id=incident_id,
            group=group,
        )
        return self._store.write(lambda tx: self.create_run(tx, request))

    def _program(self, name: str) -> Program:
        programs = self._playbooks()
        if name in programs:
            return programs[name]
        import difflib

        near = difflib.get_close_matches(name, programs, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise NotFound(f"there is no playbook {name!r}{hint}")

    def _create(
        self,
        tx: Tx,
        program: Program,
        inputs: JsonObject,
        request: RunRequest,
        parent: str | None,
    ) -> str:
        frozen = program.frozen_digest
        run_id = new_id("run")
        trigger = {"kind": "manual", **request.trigger}
        if request.alert is not None:
            trigger["alert"] = request.alert
        tx.blobs.put_program(frozen, program.frozen_text)
        tx.runs.create(
            RunRow(
                id=run_id,
                playbook=program.playbook,
                program=frozen,
                rule=request.rule,
                incident_id=request.incident_id,
                state=RunState.QUEUED,
                mode=request.mode,
                priority=request.priority,
                inputs=inputs,
                trigger=trigger,
                requester=request.requester.name,
                created_at=tx.now(),
                ended_at=None,
                epoch=0,
                owner=None,
                reason="",
                group=request.group,
                parent=parent,
            )
        )
        body = {
            "playbook": program.playbook,
            "program": frozen,
            "revision": program.revision,
            "rule": request.rule,
            "inputs": inputs,
            "mode": request.mode.value,
            "priority": request.priority,
            "requester": request.requester.name,
            "via": request.requester.via,
            "parent": parent,
            "incident": request.incident_id,
        }
        if request.alert is not None:
            body["alert"] = request.alert.get("id") or request.alert.get("fingerprint")
        tx.journal.append(run_id, [Entry("run.created", body)])
        return run_id

    # ------------------------------------------------------------ finding

    def find_run(self, tx: Tx, text: str) -> RunRow:
        """Return the run that `text` names: an id, or a unique beginning or end of one.

        Raises:
            NotFound: none. InvalidInput: several; the message lists them.
        """
        row = tx.runs.get(text)
        if row is not None:
            return row
        found = tx.runs.find(text)
        if not found:
            raise NotFound(f"there is no run {text!r}; stanch runs lists them")
        if len(found) > 1:
            names = ", ".join(item.id for item in found)
            raise InvalidInput(f"{text!r} may be several runs: {names}; write more of the id")
        return found[0]

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
            self._signal(tx, gate.run_id, Entry("gate.vote", body))
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
            self._signal(tx, gate.run_id, Entry("gate.vote", body))
            return {"gate": gate.id, "run": gate.run_id}

        return self._store.write(work)

    # ------------------------------------------------------------ runs

    def done(self, run_id: str, address: str, actor: Actor, note: str = "") -> JsonObject:
        """Say that a manual task, or an effect that nothing else can tell of, is done.

        Raises:
            InvalidInput: the step waits for nobody. Refused: the task's role is missing.
        """

        def work(tx: Tx) -> JsonObject:
            row = self.find_run(tx, run_id)
            progress, program = self._progress(tx, row)
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
            self._signal(tx, row.id, *entries)
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
        self._signal(tx, row.id, Entry("run.signal", body))

    def undo(self, run_id: str, actor: Actor, steps: Sequence[str] = ()) -> JsonObject:
        """Plan the way back of an ended run as a run of its own, gated like any other; return its id.

        Raises:
            Refused: the run is still under way, or there is nothing to undo.
            InvalidInput: a step that changed nothing is named.
        """

        def work(tx: Tx) -> JsonObject:
            row = self.find_run(tx, run_id)
            if row.state not in ENDS:
                raise Refused(f"run {row.id} is {row.state.value}; cancel it first, then undo it")
            progress, _ = self._progress(tx, row)
            open_changes = [change for change in progress.changes if not change.undone]
            if not open_changes:
                raise Refused(f"run {row.id} has no change that is still in force")
            changed = {change.address for change in open_changes}
            for step in steps:
                if step not in changed:
                    raise InvalidInput(
                        f"step {step!r} of {row.id} has no change in force; these have: {', '.join(sorted(changed))}"
                    )
            request = RunRequest(
                playbook=UNDO_PLAYBOOK,
                trigger={"kind": "undo", "run": row.id},
                mode=RunMode.APPROVE,
                priority=row.priority,
                requester=actor,
                incident_id=row.incident_id,
            )
            created = self._create(tx, undo_program(row.id, steps), {}, request, row.id)
            return {"run": created, "undoes": row.id, "steps": sorted(steps or changed)}

        return self._store.write(work)

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

    # ------------------------------------------------------------ helps

    def _signal(self, tx: Tx, run_id: str, *entries: Entry) -> None:
        tx.journal.append(run_id, list(entries))
        tx.runs.wake(run_id)

    def _progress(self, tx: Tx, row: RunRow) -> tuple[RunProgress, Program]:
        progress = RunProgress(state=row.state)
        for entry in tx.journal.read(row.id):
            fold(progress, entry.kind, entry.body, entry.at, entry.n)
        text = tx.blobs.program(row.program)
        if text is None:
            raise NotFound(f"the frozen playbook of {row.id} is not in the journal")
        return progress, Program.model_validate_json(text)


__all__ = ["ENGINE", "Commands"]
