"""The walk through what holds other steps: a switch, a group, a parallel, a sub-playbook."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Protocol

from engine.domain.errors import Category
from engine.language.program import (
    AnyNode,
    CallNode,
    GroupNode,
    Node,
    ParallelNode,
    Program,
    SwitchNode,
)
from engine.language.scope import TemplateError
from engine.language.templates import render
from engine.planning.inputs import checked_inputs
from engine.planning.moves import Close, Fail, Move, Opaque, Open, Place
from engine.planning.progress import Failure, RunProgress, StepState
from engine.planning.scope import value_unknown
from engine.planning.verdict import OK, PENDING, Flow, Verdict

CONTAINERS = (SwitchNode, GroupNode, ParallelNode, CallNode)


class Walk(Protocol):
    """The walk that goes through a container or a foreach, as far as these know it."""

    progress: RunProgress
    moves: list[Move]
    warnings: list[str]

    @property
    def stopping(self) -> bool: ...

    def visit(self, node: Node, place: Place) -> Verdict: ...

    def single(self, node: Node, address: str, place: Place) -> Verdict: ...

    def sequence(self, nodes: Sequence[AnyNode], place: Place) -> Verdict: ...

    def through(self, program: Program, place: Place) -> Verdict: ...

    def admitted(self, node: Node, address: str, place: Place) -> bool: ...

    def ended(self, node: Node, state: StepState) -> Verdict: ...

    def scope(self, place: Place) -> dict[str, Any]: ...

    def seconds(self, value: float | str | None, place: Place) -> float | None: ...

    def late(self, since: datetime | None, limit: float | None) -> bool: ...

    def vars(self, program: Program, place: Place) -> Mapping[str, Any]: ...

    def outputs(self, program: Program, place: Place) -> dict[str, Any]: ...


def visit_container(
    walk: Walk, node: Node, address: str, place: Place, state: StepState | None
) -> Verdict:
    """Open it, go through what is in it, or close it because its own time is over."""
    if state is None:
        _open(walk, node, address, place)
        return PENDING
    limit = walk.seconds(node.timeout, place)
    if walk.late(state.started_at, limit) and not walk.stopping:
        walk.moves.append(
            Close(
                address,
                node,
                False,
                category=Category.PERMANENT,
                message=f"took longer than {limit:g} s",
            )
        )
        return PENDING
    verdict, output = _inside(walk, node, address, place, state)
    return close(walk, node, address, verdict, output)


def _open(walk: Walk, node: Node, address: str, place: Place) -> None:
    data: dict[str, Any] = {}
    try:
        if isinstance(node, SwitchNode):
            unknown = value_unknown(node.switch, place, walk.progress)
            if unknown:
                walk.moves.append(Opaque(address, node, place, f"switch {node.switch}: {unknown}"))
                return
            data = {"case": str(render(node.switch, walk.scope(place)))}
        elif isinstance(node, CallNode):
            unknown = value_unknown(node.with_, place, walk.progress)
            if unknown:
                walk.moves.append(Opaque(address, node, place, f"with: {unknown}"))
                return
            given = render(node.with_, walk.scope(place))
            data = {"inputs": checked_inputs(node.program, given)}
    except Exception as error:  # noqa: BLE001  a template or an input that does not fit fails the step
        walk.moves.append(Fail(address, node, Category.PERMANENT, str(error)))
        return
    walk.moves.append(Open(address, node, place, data))


def _inside(
    walk: Walk, node: Node, address: str, place: Place, state: StepState
) -> tuple[Verdict, Any]:
    if isinstance(node, SwitchNode):
        case = state.data["case"]
        steps = next((item.steps for item in node.cases if item.value == case), node.default)
        return walk.sequence(steps, place), {"case": case}
    if isinstance(node, GroupNode):
        return walk.sequence(node.steps, place), None
    if isinstance(node, ParallelNode):
        return _parallel(walk, node, place), None
    assert isinstance(node, CallNode)
    prefix = f"{address}."
    inner = Place(prefix, (prefix,), state.data["inputs"], {})
    if node.program.vars:
        inner = replace(inner, vars=walk.vars(node.program, inner))
    verdict = walk.through(node.program, inner)
    output: Any = None
    if verdict.flow is Flow.OK:
        try:
            output = walk.outputs(node.program, inner)
        except TemplateError as error:
            verdict = Verdict(
                Flow.FAILED, Failure(address, Category.PERMANENT, f"outputs: {error}")
            )
    return verdict, output


def _parallel(walk: Walk, node: ParallelNode, place: Place) -> Verdict:
    verdicts = [walk.visit(child, place) for child in node.steps]
    for flow in (Flow.PENDING, Flow.STOPPED, Flow.FAILED, Flow.ENDED):
        for verdict in verdicts:
            if verdict.flow is flow:
                return verdict
    return OK


def close(walk: Walk, node: Node, address: str, verdict: Verdict, output: Any) -> Verdict:
    """Ask for its end once all inside it has come to an end that is not the run's own."""
    if verdict.flow in {Flow.PENDING, Flow.STOPPED}:
        return verdict
    if verdict.flow is Flow.ENDED:
        return verdict
    failure = verdict.failure
    if failure is None:
        walk.moves.append(Close(address, node, True, output))
    else:
        walk.moves.append(
            Close(
                address,
                node,
                False,
                None,
                failure.category,
                f"{failure.step}: {failure.message}",
                {**failure.as_json(), "policy": failure.policy},
            )
        )
    return PENDING
