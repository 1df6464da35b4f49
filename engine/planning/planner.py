"""Makes plans: walks the program, runs the reads that may be frozen, plans every change, writes nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from engine.contract.registry import Registry
from engine.domain.canonical import JsonObject
from engine.domain.clock import format_time
from engine.domain.errors import StanchError
from engine.domain.run import RunMode
from engine.language.program import (
    ActionNode,
    Foreach,
    Node,
    Program,
)
from engine.planning.document import PlanDocument
from engine.planning.inputs import checked_inputs
from engine.planning.leaves import Leaves, OnRead, unheard
from engine.planning.moves import (
    Begin,
    Close,
    Continue,
    Fail,
    Finish,
    Opaque,
    Open,
    Place,
    Skip,
    UndoAll,
)
from engine.planning.opaque import opaque
from engine.planning.playing import Planning, ReadDone, Worlds, line, shown
from engine.planning.progress import RunProgress, StepStatus
from engine.planning.scope import RunFacts
from engine.planning.walk import Walk

MAX_ROUNDS = 100_000  # a program is finite; this only turns a bug into an error
# Why items of a foreach need not be done, by their keys: (playbook, run, step, foreach, items).
Done = Callable[[str, str, str, Foreach, Sequence[JsonObject]], Mapping[str, str]]


def nothing_done(
    playbook: str, run_id: str, step: str, foreach: Foreach, items: Sequence[JsonObject]
) -> Mapping[str, str]:
    del playbook, run_id, step, foreach, items
    return {}


class Planner:
    """Makes plan documents for a program at any point of its run."""

    def __init__(
        self,
        registry: Registry,
        worlds: Worlds,
        now: Callable[[], datetime],
        on_read: OnRead = unheard,
        done: Done = nothing_done,
    ) -> None:
        self._registry = registry
        self._leaves = Leaves(registry, worlds, on_read)
        self._done = done
        self._now = now

    def plan(
        self,
        program: Program,
        inputs: Mapping[str, Any],
        facts: RunFacts,
        progress: RunProgress,
        *,
        mode: str,
        revision: str,
        reads: bool = True,
    ) -> tuple[PlanDocument, list[ReadDone]]:
        """Plan what remains of a run.

        Args:
            progress: how far it has come; not changed.
            reads: carry out and freeze the reads before the first change, gate or wait.

        Returns:
            The document, and the reads that were carried out (also those that failed for good).

        Raises:
            StanchError: the program cannot be walked at all (a template in `vars`, a bad duration).
        """
        planning = Planning(progress.copy(), playbook=program.playbook)
        planning.past_first_effect = not reads
        self._play(program, inputs, facts, planning)
        self._play_rescue(program, inputs, facts, planning)
        document = PlanDocument(
            playbook=program.playbook,
            revision=revision,
            author=program.author,
            inputs=dict(inputs),
            mode=mode,
            steps=tuple(planning.steps),
        )
        return document, planning.reads

    def preview(
        self,
        program: Program,
        inputs: Mapping[str, Any],
        *,
        mode: RunMode = RunMode.DRY_RUN,
        alert: JsonObject | None = None,
        trigger: JsonObject | None = None,
    ) -> PlanDocument:
        """Plan a run that does not exist: reads happen, nothing is written, nothing is stored.

        Raises:
            InvalidInput: the inputs do not fit the playbook's schema.
        """
        checked = checked_inputs(program, inputs)
        now = format_time(self._now())
        given = trigger or trigger_of(alert, now)
        facts = RunFacts(
            trigger=given,
            alert=alert,
            run={"id": "preview", "started_at": now, "priority": 5, "mode": mode.value},
        )
        document, _ = self.plan(
            program,
            checked,
            facts,
            RunProgress(),
            mode=mode.value,
            revision=program.frozen_digest,
        )
        return document

    # ------------------------------------------------------------ playing the walk

    def _play(
        self,
        program: Program,
        inputs: Mapping[str, Any],
        facts: RunFacts,
        planning: Planning,
    ) -> None:
        for _ in range(MAX_ROUNDS):
            walk = Walk(program, planning.progress, facts, self._now())
            moves = walk.run(inputs)
            if not moves or any(isinstance(move, Finish | UndoAll) for move in moves):
                return
            for move in moves:
                self._move(move, facts, planning)
        raise StanchError(f"the plan of {program.playbook} does not end")

    def _move(self, move: Any, facts: RunFacts, planning: Planning) -> None:
        progress = planning.progress
        match move:
            case Skip(address, node, reason):
                progress.set(address, StepStatus.SKIPPED)
                planning.steps.append(line(address, node, "skipped", reason=reason))
            case Fail(address, node, category, message):
                progress.set(address, StepStatus.FAILED, category=category, message=message)
                planning.steps.append(line(address, node, "failed", reason=message))
            case Opaque(address, node, _, reason):
                progress.set(address, StepStatus.UNKNOWN, known=False)
                planning.steps += opaque(self._registry, address, node, reason)
                planning.past_first_effect = True
            case Open(address, node, _, data):
                progress.set(address, StepStatus.RUNNING, data=data, started_at=self._now())
                planning.steps.append(line(address, node, "container", detail=shown(data)))
                if node.foreach is not None and "items" in data:
                    run, items = str(facts.run.get("id")), data["items"]
                    done = self._done(planning.playbook, run, address, node.foreach, items)
                    before = progress.rejected.get(address, {})
                    progress.rejected = {**progress.rejected, address: {**before, **done}}
            case Close(address, _, ok, output, category, message, failure):
                status = StepStatus.SUCCEEDED if ok else StepStatus.FAILED
                state = progress.set(
                    address, status, output=output, category=category, message=message
                )
                if failure:
                    state.data = {**state.data, "failure": failure}
                state.known = self._closed_known(address, progress)
            case Begin(address, node, place):
                self._leaves.leaf(address, node, place, facts, planning)
            case Continue(address, node, place, _):
                self._continued(address, node, place, facts, planning)

    def _closed_known(self, address: str, progress: RunProgress) -> bool:
        """A container's output is known where all inside it is."""
        inside = (f"{address}.", f"{address}[")
        return all(state.known for name, state in progress.steps.items() if name.startswith(inside))

    def _play_rescue(
        self, program: Program, inputs: Mapping[str, Any], facts: RunFacts, planning: Planning
    ) -> None:
        """Plan what a rescue would do, as a possibility: targets and values, as far as they are known."""
        if not program.rescue:
            return
        place = Place("", ("",), inputs, {}, handler=True, rescue=True)
        aside = Planning(
            planning.progress.copy(), past_first_effect=True, playbook=program.playbook
        )
        aside.earlier = []
        for _ in range(MAX_ROUNDS):
            walk = Walk(program, aside.progress, facts, self._now())
            walk.handler(program.rescue, place)
            if not walk.moves:
                break
            for move in walk.moves:
                self._move(move, facts, aside)
        known = {step.address for step in planning.steps}
        planning.steps += [
            replace(step, conditional=True) for step in aside.steps if step.address not in known
        ]

    # ------------------------------------------------------------ leaves

    def _continued(
        self, address: str, node: Node, place: Place, facts: RunFacts, planning: Planning
    ) -> None:
        state = planning.progress.steps[address]
        if state.status is StepStatus.RETRYING and isinstance(node, ActionNode):
            self._leaves.leaf(address, node, place, facts, planning)
            return
        # Under way already: the plan of what remains begins after it.
        planning.progress.set(address, StepStatus.SUCCEEDED, known=False)
        planning.past_first_effect = True


def trigger_of(alert: JsonObject | None, at: str) -> JsonObject:
    """Return the `trigger` of a run that an alert, or a person, asks for."""
    if alert is None:
        return {"kind": "manual", "labels": {}, "annotations": {}, "at": at, "value": None}
    return {
        "kind": "alert",
        "labels": alert.get("labels", {}),
        "annotations": alert.get("annotations", {}),
        "at": alert.get("starts_at", at),
        "value": None,
    }
