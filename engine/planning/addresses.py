"""From an address such as `recover[eu].canary` back to the node that it names."""

from __future__ import annotations

from collections.abc import Sequence

from engine.language.program import (
    AnyNode,
    CallNode,
    GroupNode,
    Node,
    ParallelNode,
    Program,
    SwitchNode,
)


def find_node(program: Program, address: str) -> Node:
    """Return the node that an address names.

    Raises:
        KeyError: there is none.
    """
    node = _find(program, address)
    if node is None:
        raise KeyError(address)
    return node


def _find(program: Program, address: str) -> Node | None:
    head, _, rest = _split(address)
    node = _by_id((*program.steps, *program.rescue, *program.finally_), head)
    if node is None or not rest:
        return node
    if isinstance(node, CallNode):
        return _find(node.program, rest)
    if isinstance(node, GroupNode):
        return _find(Program(playbook="", steps=node.steps), rest)
    return None


def _split(address: str) -> tuple[str, str, str]:
    """Split `id[key].rest` into id, key and rest; keys may hold dots and brackets."""
    end = next((i for i, char in enumerate(address) if char in ".["), len(address))
    if end == len(address) or address[end] == ".":
        return address[:end], "", address[end + 1 :]
    depth = 0
    for index in range(end, len(address)):
        depth += {"[": 1, "]": -1}.get(address[index], 0)
        if depth == 0:
            return address[:end], address[end + 1 : index], address[index + 2 :]
    return address[:end], address[end + 1 :], ""


def _by_id(nodes: Sequence[AnyNode], name: str) -> Node | None:
    for node in nodes:
        if node.id == name:
            return node
        found: Node | None = None
        if isinstance(node, GroupNode | ParallelNode):
            found = _by_id(node.steps, name)
        elif isinstance(node, SwitchNode):
            for case in node.cases:
                found = found or _by_id(case.steps, name)
            found = found or _by_id(node.default, name)
        if found is not None:
            return found
    return None
