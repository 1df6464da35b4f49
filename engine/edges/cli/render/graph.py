"""A plan's graph as a tree for a terminal."""

from __future__ import annotations

from rich.text import Text
from rich.tree import Tree

from engine.domain.canonical import JsonObject
from engine.edges.cli.render.plan import MARKS
from engine.edges.cli.render.style import clean

_PARTS = (("steps", "steps"), ("rescue", "rescue: after a failure"), ("finally", "finally: always"))


def graph(found: JsonObject, title: str) -> Tree:
    """Return the tree of a graph as `engine.planning.graph` makes it."""
    tree = Tree(Text(clean(title), style="bold"), guide_style="dim")
    for name, label in _PARTS:
        steps = found.get(name) or []
        if not steps:
            continue
        part = tree if name == "steps" else tree.add(Text(label, style="dim"))
        for step in steps:
            _add(part, step)
    return tree


def _add(tree: Tree, step: JsonObject) -> None:
    mark, style, _ = MARKS.get(step["state"], ("·", "", ""))
    line = Text(f"{mark} ", style=style)
    line.append(clean(step["id"]), style=style or "bold")
    line.append(f"  {clean(step['action'] or step['kind'])}", style="dim")
    if step["note"]:
        line.append(f"  {clean(step['note'], 120)}")
    node = tree.add(line)
    several = len([branch for branch in step["branches"] if branch["steps"]]) > 1
    for branch in step["branches"]:
        if not branch["steps"]:
            continue
        where = node
        if branch["label"] or several:
            where = node.add(Text(clean(branch["label"]) or "beside", style="italic dim"))
        for child in branch["steps"]:
            _add(where, child)
