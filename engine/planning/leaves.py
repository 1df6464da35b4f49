"""Plans the leaves of a program: actions through read-only worlds, gates, waits, restores."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from pydantic import ValidationError

from engine.contract.action import Change, Notify, Read
from engine.contract.registry import Registry
from engine.domain.canonical import Json, JsonObject
from engine.domain.errors import ActionFailed, Category, InvalidInput, StanchError, Unplannable
from engine.domain.plan import Planned
from engine.language.program import (
    ActionNode,
    EndNode,
    GateNode,
    ManualNode,
    Node,
    RestoreNode,
    WaitNode,
)
from engine.language.templates import render
from engine.planning.moves import Place
from engine.planning.opaque import opaque
from engine.planning.playing import Planning, ReadDone, Worlds, line, readable
from engine.planning.progress import StepStatus
from engine.planning.scope import RunFacts, scope_of, value_unknown

# Told the address of a step whose read is about to be made for the plan; what it raises is the read's own.
OnRead = Callable[[str], None]


def unheard(address: str) -> None:
    """Tell nobody."""
    del address


class Leaves:
    """Plans one step at a time; writes nothing but the pass that it plays on."""

    def __init__(self, registry: Registry, worlds: Worlds, on_read: OnRead = unheard) -> None:
        self._registry = registry
        self._worlds = worlds
        self._on_read = on_read

    def leaf(
        self, address: str, node: Node, place: Place, facts: RunFacts, planning: Planning
    ) -> None:
        scope = scope_of(place, planning.progress, facts)
        match node:
            case ActionNode():
                self._action(address, node, place, scope, planning)
            case EndNode():
                planning.progress.set(address, StepStatus.SUCCEEDED, output=node.reason)
                planning.steps.append(
                    line(address, node, "end", reason=node.reason, detail={"end": node.end})
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
                planning.steps.append(line(address, node, "gate", detail=detail))
            case WaitNode() | ManualNode():
                state = "wait" if isinstance(node, WaitNode) else "manual"
                detail = node.model_dump(
                    mode="json",
                    exclude_none=True,
                    exclude_defaults=True,
                    exclude={"id", "name", "when", "source", "kind", "foreach", "retry"},
                )
                self._passed(address, planning)
                planning.steps.append(line(address, node, state, detail=detail))

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
            planning.steps += opaque(self._registry, address, node, unknown)
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
                line(
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
                line(address, node, "later", action=node.action, version=action.version)
            )
            return
        before = time.thread_time()
        try:
            self._on_read(address)
            output = self._worlds.receive(action.read(params, self._worlds.world(writable=False)))
        except ActionFailed as error:
            self._failed_read(address, node, action, error, planning)
            return
        planning.progress.set(address, StepStatus.SUCCEEDED, output=output)
        cpu = time.thread_time() - before
        planning.reads.append(ReadDone(address, True, output, cpu=cpu))
        planning.steps.append(
            line(
                address,
                node,
                "read",
                action=node.action,
                version=action.version,
                detail={"output": output, "connections": _connections(action, params)},
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
                line(
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
        planning.steps.append(line(address, node, "read", action=node.action, reason=message))

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
        planned = self._worlds.redact_planned(planned)
        planning.progress.set(address, StepStatus.SUCCEEDED, known=False)
        planning.steps.append(
            line(
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
        planning.steps.append(line(address, node, state, reason=message))

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
            way = {"step": name, "target": str(back.target), "before": dict(back.after)}
            if back.reversible:
                fields.append({**way, "after": dict(back.before), "counts": dict(back.counts)})
                planning.earlier.append(Planned(back.action, back.target, back.after, back.before))
            else:
                fields.append({**way, "after": dict(back.after), "why": back.why_irreversible})
        self._passed(address, planning)
        planning.steps.append(
            line(
                address, node, "restore", detail={"restore": list(node.restore), "changes": fields}
            )
        )


def _connections(action: Read[Any], params: Any) -> list[str]:
    """Whose data a read answers with."""
    found = {target.connection for target in action.targets(params)}
    return sorted(found | {str(getattr(params, "connection", ""))} - {""})


def _belongs(address: str, place: Place, step: str) -> bool:
    return any(
        address == scope + step or address.startswith((f"{scope}{step}[", f"{scope}{step}."))
        for scope in place.scopes
    )
