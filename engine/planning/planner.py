"""Makes plans: walks the program, runs the reads that may be frozen, plans every change, writes nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Protocol

from pydantic import ValidationError

from engine.contract.action import Change, Notify, Read
from engine.contract.registry import Registry
from engine.contract.world import World
from engine.domain.canonical import Json, JsonObject
from engine.domain.clock import format_time
from engine.domain.errors import ActionFailed, Category, InvalidInput, StanchError, Unplannable
from engine.domain.plan import Planned, Target, Unknown
from engine.domain.run import RunMode
from engine.language.program import (
    ActionNode,
    EndNode,
    GateNode,
    ManualNode,
    Node,
    Program,
    RestoreNode,
    WaitNode,
)
from engine.language.templates import TemplateError, render
from engine.planning.document import PlanDocument, PlanStep
from engine.planning.inputs import checked_inputs
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
from engine.planning.progress import RunProgress, StepStatus
from engine.planning.scope import RunFacts, scope_of, value_unknown
from engine.planning.walk import Walk

MAX_ROUNDS = 100_000  # a program is finite; this only turns a bug into an error


class Worlds(Protocol):
    """Makes the world of one attempt, and guards the connections' allow-lists."""

    def world(self, *, writable: bool, earlier: Sequence[Planned] = ()) -> World: ...

    def refusal(self, target: Target) -> str | None:
        """Why the target's connection forbids it, or None."""
        ...

    def reveal(self, value: Json) -> Json:
        """Replace secret references by their values, for a call."""
        ...

    def redact(self, value: Json) -> Json:
        """Replace secret values by their references, in whatever leaves a call."""
        ...


@dataclass
class ReadDone:
    """A read that was carried out while planning, to be journalled and kept."""

    address: str
    ok: bool
    output: Json = None
    category: Category | None = None
    message: str = ""


@dataclass
class Planning:
    """One pass: its lines, the reads it carried out, and the progress it played on."""

    progress: RunProgress
    steps: list[PlanStep] = field(default_factory=list)
    reads: list[ReadDone] = field(default_factory=list)
    earlier: list[Planned] = field(default_factory=list)
    past_first_effect: bool = False


class Planner:
    """Makes plan documents for a program at any point of its run."""

    def __init__(self, registry: Registry, worlds: Worlds, now: Callable[[], datetime]) -> None:
        self._registry = registry
        self._worlds = worlds
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
        planning = Planning(progress.copy())
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
                planning.steps.append(_line(address, node, "skipped", reason=reason))
            case Fail(address, node, category, message):
                progress.set(address, StepStatus.FAILED, category=category, message=message)
                planning.steps.append(_line(address, node, "failed", reason=message))
            case Opaque(address, node, _, reason):
                progress.set(address, StepStatus.UNKNOWN, known=False)
                planning.steps += self._opaque(address, node, reason)
                planning.past_first_effect = True
            case Open(address, node, _, data):
                progress.set(address, StepStatus.RUNNING, data=data, started_at=self._now())
                planning.steps.append(_line(address, node, "container", detail=_shown(data)))
            case Close(address, _, ok, output, category, message, failure):
                status = StepStatus.SUCCEEDED if ok else StepStatus.FAILED
                state = progress.set(
                    address, status, output=output, category=category, message=message
                )
                if failure:
                    state.data = {**state.data, "failure": failure}
                state.known = self._closed_known(address, progress)
            case Begin(address, node, place):
                self._leaf(address, node, place, facts, planning)
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
        aside = Planning(planning.progress.copy(), past_first_effect=True)
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
            self._leaf(address, node, place, facts, planning)
            return
        # Under way already: the plan of what remains begins after it.
        planning.progress.set(address, StepStatus.SUCCEEDED, known=False)
        planning.past_first_effect = True

    def _leaf(
        self, address: str, node: Node, place: Place, facts: RunFacts, planning: Planning
    ) -> None:
        scope = scope_of(place, planning.progress, facts)
        match node:
            case ActionNode():
                self._action(address, node, place, scope, planning)
            case EndNode():
                planning.progress.set(address, StepStatus.SUCCEEDED, output=node.reason)
                planning.steps.append(
                    _line(address, node, "end", reason=node.reason, detail={"end": node.end})
                )
            case RestoreNode():
                self._restore(address, node, place, planning)
            case GateNode():
                detail: JsonObject = {
                    "role": node.role,
                    "approvals": node.approvals,
                    "on_timeout": node.on_timeout,
                    "on_reject": node.on_reject,
                }
                self._passed(address, planning)
                planning.steps.append(_line(address, node, "gate", detail=detail))
            case WaitNode() | ManualNode():
                state = "wait" if isinstance(node, WaitNode) else "manual"
                detail = node.model_dump(
                    mode="json",
                    exclude_none=True,
                    exclude_defaults=True,
                    exclude={"id", "name", "when", "source", "kind", "foreach", "retry"},
                )
                self._passed(address, planning)
                planning.steps.append(_line(address, node, state, detail=detail))

    def _passed(self, address: str, planning: Planning) -> None:
        planning.progress.set(address, StepStatus.SUCCEEDED, known=False)
        planning.past_first_effect = True

    def _action(
        self,
        address: str,
        node: ActionNode,
        place: Place,
        scope: dict[str, Any],
        planning: Planning,
    ) -> None:
        action = self._registry.action(node.action)
        unknown = value_unknown(node.with_, place, planning.progress)
        if unknown:
            planning.progress.set(address, StepStatus.UNKNOWN, known=False)
            planning.steps += self._opaque(address, node, unknown)
            planning.past_first_effect = planning.past_first_effect or isinstance(action, Change)
            return
        try:
            given = render(node.with_, scope)
            params = action.Params.model_validate(self._worlds.reveal(given))
            for target in action.targets(params):
                refused = self._worlds.refusal(target)
                if refused:
                    raise InvalidInput(refused)
        except (StanchError, ValidationError) as error:
            message = str(self._worlds.redact(readable(error)))
            self._failed(address, node, Category.PERMANENT, message, planning, "failed")
            return
        if isinstance(action, Read):
            self._read(address, node, action, params, planning)
        elif isinstance(action, Notify):
            planning.progress.set(address, StepStatus.SUCCEEDED, known=False)
            planning.steps.append(
                _line(
                    address,
                    node,
                    "notify",
                    action=node.action,
                    version=action.version,
                    params=given,
                )
            )
        else:
            assert isinstance(action, Change)
            self._change(address, node, action, params, given, place, planning)

    def _read(
        self, address: str, node: ActionNode, action: Read[Any], params: Any, planning: Planning
    ) -> None:
        if planning.past_first_effect:
            planning.progress.set(address, StepStatus.SUCCEEDED, known=False)
            planning.steps.append(
                _line(address, node, "later", action=node.action, version=action.version)
            )
            return
        try:
            output = self._worlds.redact(action.read(params, self._worlds.world(writable=False)))
        except ActionFailed as error:
            self._failed_read(address, node, action, error, planning)
            return
        planning.progress.set(address, StepStatus.SUCCEEDED, output=output)
        planning.reads.append(ReadDone(address, True, output))
        planning.steps.append(
            _line(
                address,
                node,
                "read",
                action=node.action,
                version=action.version,
                detail={"output": output},
            )
        )

    def _failed_read(
        self,
        address: str,
        node: ActionNode,
        action: Read[Any],
        error: ActionFailed,
        planning: Planning,
    ) -> None:
        message = str(self._worlds.redact(str(error)))
        if error.category in {Category.TRANSIENT, Category.RATE_LIMIT, Category.RESOURCE}:
            # It will be tried again with its retries when the run comes to it.
            planning.progress.set(address, StepStatus.SUCCEEDED, known=False)
            planning.steps.append(
                _line(
                    address,
                    node,
                    "later",
                    action=node.action,
                    version=action.version,
                    reason=message,
                )
            )
            return
        planning.reads.append(ReadDone(address, False, None, error.category, message))
        planning.progress.set(address, StepStatus.FAILED, category=error.category, message=message)
        planning.steps.append(_line(address, node, "read", action=node.action, reason=message))

    def _change(
        self,
        address: str,
        node: ActionNode,
        action: Change[Any],
        params: Any,
        given: Json,
        place: Place,
        planning: Planning,
    ) -> None:
        del place
        planning.past_first_effect = True
        earlier = tuple(planning.earlier)
        try:
            planned = action.plan(params, self._worlds.world(writable=False, earlier=earlier))
        except Unplannable as error:
            self._failed(address, node, Category.PERMANENT, str(error), planning, "unplannable")
            return
        except ActionFailed as error:
            message = str(self._worlds.redact(str(error)))
            self._failed(address, node, error.category, message, planning, "failed")
            return
        planning.earlier.append(planned)
        planned = Planned.from_json(self._worlds.redact(planned.as_json()))
        planning.progress.set(address, StepStatus.SUCCEEDED, known=False)
        planning.steps.append(
            _line(
                address,
                node,
                "planned",
                action=node.action,
                version=action.version,
                planned=planned,
                params=given,
                detail={"undo": node.undo, "verify": node.verify is not None, "risk": action.risk},
            )
        )

    def _failed(
        self,
        address: str,
        node: Node,
        category: Category,
        message: str,
        planning: Planning,
        state: str,
    ) -> None:
        planning.progress.set(address, StepStatus.FAILED, category=category, message=message)
        planning.steps.append(_line(address, node, state, reason=message))

    def _restore(self, address: str, node: RestoreNode, place: Place, planning: Planning) -> None:
        """The way back of what is planned here and of what the run has changed already."""
        applied = [
            (change.address, Planned.from_json(change.planned))
            for change in planning.progress.changes
            if not change.undone
        ]
        coming = [
            (line.address, line.planned) for line in planning.steps if line.planned is not None
        ]
        fields: list[JsonObject] = []
        for name, back in reversed([*applied, *coming]):
            if node.restore and not any(_belongs(name, place, step) for step in node.restore):
                continue
            line = {"step": name, "target": str(back.target), "before": dict(back.after)}
            if back.reversible:
                fields.append({**line, "after": dict(back.before), "counts": dict(back.counts)})
                planning.earlier.append(Planned(back.action, back.target, back.after, back.before))
            else:
                fields.append({**line, "after": dict(back.after), "why": back.why_irreversible})
        self._passed(address, planning)
        planning.steps.append(
            _line(
                address, node, "restore", detail={"restore": list(node.restore), "changes": fields}
            )
        )

    def _opaque(self, address: str, node: Node, reason: str) -> list[PlanStep]:
        """Lines for a step, and for all inside it, whose flow is known only after apply."""
        changes = False
        action = None
        bounds: JsonObject = {}
        if isinstance(node, ActionNode):
            changes = isinstance(self._registry.action(node.action), Change)
            action = node.action
            bounds = {name: bound.model_dump() for name, bound in node.bounds.items()}
        text = node.model_dump_json(by_alias=True, exclude={"source"})
        lines = [
            PlanStep(
                address,
                node.kind,  # type: ignore[attr-defined]  # every node class has its kind
                node.title,
                "unknown",
                action=action,
                when=node.when,
                reason=reason,
                bounds=bounds,
                detail={"changes": changes},
                text=text,
            )
        ]
        for prefix, child in _children(node):
            lines += self._opaque(f"{address}{prefix}{child.id}", child, reason)
        return lines


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


def _belongs(address: str, place: Place, step: str) -> bool:
    return any(
        address == scope + step or address.startswith((f"{scope}{step}[", f"{scope}{step}."))
        for scope in place.scopes
    )


def _children(node: Node) -> list[tuple[str, Node]]:
    """Children of a container that was not entered, with what stands before their ids."""
    inner: list[Node] = []
    for name in ("steps", "default"):
        inner += getattr(node, name, ())
    for case in getattr(node, "cases", ()):
        inner += case.steps
    program = getattr(node, "program", None)
    if program is not None:
        inner += [*program.steps, *program.finally_]
    return [(">", child) for child in inner]


def _line(address: str, node: Node, state: str, **values: Any) -> PlanStep:
    bounds = getattr(node, "bounds", {})
    return PlanStep(
        address=address,
        kind=node.kind,  # type: ignore[attr-defined]  # every node class has its kind
        title=node.title,
        state=state,
        when=node.when,
        bounds={name: bound.model_dump() for name, bound in bounds.items()},
        **values,
    )


def _shown(data: JsonObject) -> JsonObject:
    """Items of a foreach by key only: the items themselves are in the steps."""
    if "items" in data:
        return {"items": [item["key"] for item in data["items"]]}
    return data


def readable(error: Exception) -> str:
    """One line for a person out of a validation error or one of our own."""
    if isinstance(error, ValidationError):
        parts = [
            f"{'.'.join(map(str, item['loc'])) or 'with'}: {item['msg']}" for item in error.errors()
        ]
        return "; ".join(parts)
    if isinstance(error, TemplateError):
        return str(error)
    return str(error) or type(error).__name__


__all__ = ["Planner", "Planning", "ReadDone", "Unknown", "Worlds", "readable"]
