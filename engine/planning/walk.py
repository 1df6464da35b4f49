"""The walk through a program: from progress to the next moves. Pure: the same progress, the same moves.

Planner and stepper use the same walk. The planner's progress holds steps that are not `known`; whatever
depends on one becomes an `Opaque` move instead of a decision.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from engine.domain.errors import Category
from engine.domain.run import RunState
from engine.language.program import AnyNode, EndNode, Node, Program
from engine.language.scope import TemplateError
from engine.language.templates import evaluate, render
from engine.planning.addresses import find_node
from engine.planning.containers import CONTAINERS, visit_container
from engine.planning.foreach import visit_foreach
from engine.planning.inputs import seconds
from engine.planning.items import left_out
from engine.planning.moves import (
    Begin,
    Continue,
    Fail,
    Finish,
    Move,
    Opaque,
    Place,
    Skip,
    UndoAll,
)
from engine.planning.progress import Failure, RunProgress, StepState, StepStatus
from engine.planning.scope import RunFacts, expression_unknown, scope_of, value_unknown
from engine.planning.verdict import OK, PENDING, STOPPED, Flow, Verdict


class Walk:
    """One walk. `moves` holds what is next; none and no `Finish` means that the run waits."""

    def __init__(
        self, program: Program, progress: RunProgress, facts: RunFacts, now: datetime
    ) -> None:
        self.program = program
        self.progress = progress
        self.facts = facts
        self.now = now
        self.moves: list[Move] = []
        self.warnings: list[str] = []
        self.deadlines: list[datetime] = []  # when a time-out of the run or of a container is due
        self.stopping = False

    # ------------------------------------------------------------ the whole run

    def run(self, inputs: Mapping[str, Any]) -> list[Move]:
        """Walk the whole program and return the moves."""
        place = self._root(inputs)
        timeout = self.seconds(self.program.timeout, place)
        timed_out = self.late(self.progress.started_at, timeout)
        self.stopping = self.progress.cancel is not None or timed_out
        if self.stopping and self._must_settle():
            return self.moves
        if self.progress.cancel is not None and not self.progress.temporary_undone:
            self.moves.append(UndoAll("temporary"))
            return self.moves
        late = None
        if timed_out and self.progress.cancel is None:
            late = Failure("", Category.PERMANENT, f"the run took longer than {timeout:g} s")
        verdict = self.through(self.program, place, stopped_as=late)
        if verdict.flow is not Flow.PENDING:
            self.moves.append(self._finish(verdict, place))
        return self.moves

    def _root(self, inputs: Mapping[str, Any]) -> Place:
        place = Place(prefix="", scopes=("",), inputs=inputs, vars={})
        if not self.program.vars:
            return place
        return replace(place, vars=self.vars(self.program, place))

    def _must_settle(self) -> bool:
        """Before stopping: what may have happened is asked about first."""
        doubtful = [state for state in self.progress.steps.values() if state.in_doubt]
        for state in doubtful:
            node = find_node(self.program, state.address)
            self.moves.append(Continue(state.address, node, self._root({}), state))
        return bool(doubtful)

    def _finish(self, verdict: Verdict, place: Place) -> Finish:
        progress = self.progress
        if progress.cancel is not None:
            return Finish(RunState.CANCELLED, progress.cancel)
        if verdict.flow is Flow.ENDED and verdict.end is not None:
            state, reason = verdict.end
            outputs = self.outputs(self.program, place) if state is RunState.SUCCEEDED else {}
            return Finish(state, reason, outputs)
        if verdict.flow is Flow.FAILED and verdict.failure is not None:
            failure = verdict.failure
            text = f"{failure.step}: {failure.message}" if failure.step else failure.message
            if failure.policy == "escalate":
                return Finish(RunState.NEEDS_HUMAN, text, parks=True)
            conflicts = [change for change in progress.changes if change.undo_failed]
            if conflicts:
                return Finish(
                    RunState.NEEDS_HUMAN,
                    f"{text}; undo of {conflicts[0].address}: {conflicts[0].undo_failed}",
                )
            undone = progress.undo_done and any(change.undone for change in progress.changes)
            return Finish(RunState.UNDONE if undone else RunState.FAILED, text)
        reason = "all steps done"
        if self.warnings:
            reason = f"done, with failures that the playbook tolerates: {', '.join(self.warnings)}"
        if told := left_out(why for whys in progress.rejected.values() for why in whys.values()):
            reason += f"; {told}"
        return Finish(RunState.SUCCEEDED, reason, self.outputs(self.program, place))

    # ------------------------------------------------------------ programs and sequences

    def through(
        self, program: Program, place: Place, *, stopped_as: Failure | None = None
    ) -> Verdict:
        """Go through a whole program: the playbook or an inlined one, with its rescue and finally."""
        main = self.sequence(program.steps, place)
        if main.flow is Flow.STOPPED and stopped_as is not None:
            main = Verdict(Flow.FAILED, stopped_as)
        if main.flow is Flow.FAILED and self.progress.cancel is not None:
            main = STOPPED  # a person's cancel ends it; there is nothing left to rescue
        if main.flow is Flow.PENDING:
            return main
        if main.flow is not Flow.FAILED and not program.finally_:
            return main
        handler = replace(place, handler=True, failure=main.failure)
        if main.flow is Flow.FAILED:
            assert main.failure is not None
            if main.failure.policy == "escalate":
                return main
            if main.failure.policy == "undo" and not self.progress.undo_done:
                self.moves.append(UndoAll("run"))
                return PENDING
            rescue = self.handler(program.rescue, replace(handler, rescue=True))
            if rescue.flow is Flow.PENDING:
                return rescue
            if rescue.flow is Flow.ENDED:
                main = rescue
        last = self.handler(program.finally_, handler)
        return last if last.flow is Flow.PENDING else main

    def handler(self, nodes: Sequence[AnyNode], place: Place) -> Verdict:
        """Rescue and finally run to their own end even while the run is being stopped."""
        stopping, self.stopping = self.stopping, False
        try:
            return self.sequence(nodes, place)
        finally:
            self.stopping = stopping

    def sequence(self, nodes: Sequence[AnyNode], place: Place) -> Verdict:
        """Visit nodes one after another, up to the first that is not done."""
        for node in nodes:
            verdict = self.visit(node, place)
            if verdict.flow is not Flow.OK:
                return verdict
        return OK

    # ------------------------------------------------------------ one node

    def visit(self, node: Node, place: Place) -> Verdict:
        """Visit a node where it stands: decide on `when`, go into containers, ask for leaves."""
        address = place.prefix + node.id
        if node.foreach is not None:
            return visit_foreach(self, node, address, place)
        return self.single(node, address, place)

    def single(self, node: Node, address: str, place: Place) -> Verdict:
        state = self.progress.steps.get(address)
        if state is not None and not state.is_open:
            return self.ended(node, state)
        if self.stopping and state is None:
            return STOPPED
        if state is None and not self.admitted(node, address, place):
            return PENDING
        if isinstance(node, CONTAINERS):
            return visit_container(self, node, address, place, state)
        if self.stopping:
            return STOPPED
        if state is None:
            self.moves.append(Begin(address, node, place))
        else:
            self.moves.append(Continue(address, node, place, state))
        return PENDING

    def ended(self, node: Node, state: StepState) -> Verdict:
        if state.status is StepStatus.FAILED:
            if node.on_failure == "continue":
                self.warnings.append(state.address)
                return OK
            category = state.category or Category.UNCLASSIFIED
            inner = state.data.get("failure")
            failure = Failure(state.address, category, state.message, node.on_failure)
            if inner and node.on_failure == "stop":
                failure = Failure(
                    inner["step"], Category(inner["category"]), inner["message"], inner["policy"]
                )
            return Verdict(Flow.FAILED, failure)
        if isinstance(node, EndNode) and state.status is StepStatus.SUCCEEDED:
            return Verdict(Flow.ENDED, end=(RunState(node.end), str(state.output or "")))
        return OK

    def admitted(self, node: Node, address: str, place: Place) -> bool:
        """Decide `when`. False: a move says what becomes of the step instead."""
        if node.when is None:
            return True
        unknown = expression_unknown(node.when, place, self.progress)
        if unknown is not None:
            self.moves.append(Opaque(address, node, place, f"when {node.when}: {unknown}"))
            return False
        try:
            holds = evaluate(node.when, self.scope(place))
        except TemplateError as error:
            self.moves.append(Fail(address, node, Category.PERMANENT, f"when: {error}"))
            return False
        if not holds:
            self.moves.append(Skip(address, node, f"when {node.when} is false"))
        return holds

    # ------------------------------------------------------------ small helps

    def scope(self, place: Place) -> dict[str, Any]:
        return scope_of(place, self.progress, self.facts)

    def seconds(self, value: float | str | None, place: Place) -> float | None:
        return None if value is None else seconds(value, self.scope(place))

    def late(self, since: datetime | None, limit: float | None) -> bool:
        if since is None or limit is None:
            return False
        due = since + timedelta(seconds=limit)
        if self.now < due:
            self.deadlines.append(due)
        return self.now >= due

    def vars(self, program: Program, place: Place) -> Mapping[str, Any]:
        if not program.vars:
            return {}
        rendered = render(program.vars, self.scope(place))
        assert isinstance(rendered, dict)
        return rendered

    def outputs(self, program: Program, place: Place) -> dict[str, Any]:
        if not program.outputs or value_unknown(program.outputs, place, self.progress):
            return {}
        rendered = render(program.outputs, self.scope(place))
        assert isinstance(rendered, dict)
        return rendered
