"""A playbook as a graph that a plan has coloured: a tree of steps and branches, as data. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from engine.domain.canonical import JsonObject
from engine.language.program import (
    ActionNode,
    AnyNode,
    CallNode,
    GroupNode,
    ParallelNode,
    Program,
    SwitchNode,
)
from engine.planning.document import PlanDocument, PlanStep


def graph(program: Program, document: PlanDocument | None = None) -> JsonObject:
    """Return `{steps, rescue, finally}`: nodes of `id, title, kind, state, note, branches`.

    `branches` are `{label, steps}`: one of a group or a sub-playbook, several of a switch or a parallel.
    Without a document the states are empty.
    """
    drawing = _Drawing(document)
    return drawing.program(program, "")


class _Drawing:
    def __init__(self, document: PlanDocument | None) -> None:
        steps: Sequence[PlanStep] = document.steps if document is not None else ()
        self._lines: Mapping[str, PlanStep] = {step.address: step for step in steps}

    def program(self, program: Program, prefix: str) -> JsonObject:
        return {
            "steps": self._nodes(program.steps, prefix),
            "rescue": self._nodes(program.rescue, prefix),
            "finally": self._nodes(program.finally_, prefix),
        }

    def _nodes(self, nodes: Sequence[AnyNode], prefix: str) -> list[JsonObject]:
        return [self._node(node, prefix) for node in nodes]

    def _node(self, node: AnyNode, prefix: str) -> JsonObject:
        address = prefix + node.id
        line = self._lines.get(address)
        items = self._items(address) if node.foreach is not None else []
        shown = line or (self._lines[items[0]] if items else None)
        opaque = shown is not None and shown.state == "unknown"
        inner = f"{address}>" if opaque else prefix
        if node.foreach is not None and items:
            inner = f"{items[0]}."
        return {
            "id": address,
            "title": node.title,
            "kind": node.kind,
            "action": node.action if isinstance(node, ActionNode) else None,
            "state": shown.state if shown is not None else "",
            "note": _note(node, shown, len(items)),
            "branches": self._branches(node, address, inner, opaque=opaque),
        }

    def _items(self, address: str) -> list[str]:
        """Addresses of the items of a foreach, not of what is inside them."""
        return [
            name for name in self._lines if name.startswith(f"{address}[") and name.endswith("]")
        ]

    def _branches(
        self, node: AnyNode, address: str, inner: str, *, opaque: bool
    ) -> list[JsonObject]:
        if isinstance(node, GroupNode):
            return [{"label": "", "steps": self._nodes(node.steps, inner)}]
        if isinstance(node, ParallelNode):
            return [{"label": "", "steps": [self._node(child, inner)]} for child in node.steps]
        if isinstance(node, SwitchNode):
            branches = [
                {"label": case.value, "steps": self._nodes(case.steps, inner)}
                for case in node.cases
            ]
            return [*branches, {"label": "default", "steps": self._nodes(node.default, inner)}]
        if isinstance(node, CallNode):
            called = inner if opaque or node.foreach is not None else f"{address}."
            parts = self.program(node.program, called)
            labels = {"steps": node.program.playbook, "rescue": "rescue", "finally": "finally"}
            return [
                {"label": label, "steps": parts[name]}
                for name, label in labels.items()
                if parts[name]
            ]
        return []


def _note(node: AnyNode, line: PlanStep | None, items: int) -> str:
    parts = []
    if node.when:
        parts.append(f"when {node.when}")
    if isinstance(node, SwitchNode):
        parts.append(f"by {node.switch}")
    if node.foreach is not None:
        parts.append(f"for each of {items}" if items else "for each item")
    if line is not None and line.planned is not None:
        parts.append(line.planned.summary or str(line.planned.target))
        if not line.planned.reversible:
            parts.append("cannot be undone")
    return "; ".join(part for part in parts if part)
