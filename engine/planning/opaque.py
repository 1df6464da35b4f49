"""What a plan can say of steps that are known only after an earlier change: their texts and their bounds."""

from __future__ import annotations

from engine.contract.action import Change
from engine.contract.registry import Registry
from engine.domain.canonical import JsonObject
from engine.language.program import ActionNode, CallNode, Node, SwitchNode
from engine.planning.document import PlanStep


def opaque(
    registry: Registry, address: str, node: Node, reason: str, branch: str | None = None
) -> list[PlanStep]:
    """Lines for a step, and for all inside it, whose flow is known only after apply.

    Args:
        branch: the condition under which the flow comes here at all, where a switch decides it.
    """
    changes = False
    action = None
    bounds: JsonObject = {}
    if isinstance(node, ActionNode):
        changes = isinstance(registry.action(node.action), Change)
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
            detail={"changes": changes, "branch": branch},
            text=text,
        )
    ]
    for child, condition in _children(node):
        lines += opaque(registry, f"{address}>{child.id}", child, reason, condition or branch)
    return lines


def _children(node: Node) -> list[tuple[Node, str | None]]:
    """Children of a container that was not entered, with the condition that leads to each."""
    inner: list[tuple[Node, str | None]] = [(child, None) for child in getattr(node, "steps", ())]
    if isinstance(node, SwitchNode):
        for case in node.cases:
            inner += [(child, f"{node.switch} is {case.value!r}") for child in case.steps]
        inner += [(child, f"{node.switch} is none of the cases") for child in node.default]
    if isinstance(node, CallNode):
        inner += [(child, None) for child in (*node.program.steps, *node.program.finally_)]
    return inner
