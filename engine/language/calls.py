"""Playbooks that call playbooks: no cycles, and no more steps than a person can oversee once inlined."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from engine.language.diagnostics import Report
from engine.language.reading import Playbook, Step
from engine.language.stepforms import CallStep

MAX_STEPS = 2000
MAX_DEPTH = 16


def check_calls(playbooks: Mapping[str, Playbook], report: Report) -> None:
    """Report every call that closes a cycle, and every playbook that grows too large."""
    graph = {
        name: [(step, to) for step, to in _calls(one) if to in playbooks]
        for name, one in playbooks.items()
    }
    cyclic = False
    for name in sorted(playbooks):
        for step, to in graph[name]:
            way = _way(graph, to, name)
            if way is not None:
                cyclic = True
                report.error(
                    step.node.at("playbook"),
                    f"the playbook {name!r} calls itself",
                    found=" -> ".join([name, *way]),
                    hint="a playbook cannot call itself, not through others either; "
                    "use foreach or a wait to repeat",
                )
    if not cyclic:
        _check_sizes(playbooks, graph, report)


def _calls(playbook: Playbook) -> Iterator[tuple[Step, str]]:
    for step in playbook.walk():
        if isinstance(step.form, CallStep):
            yield step, step.form.playbook


def _way(graph: Mapping[str, list[tuple[Step, str]]], start: str, goal: str) -> list[str] | None:
    """Return the shortest way from one playbook to another, both included, or None."""
    ways = {start: [start]}
    queue = [start]
    while queue:
        current = queue.pop(0)
        if current == goal:
            return ways[current]
        for _, to in graph[current]:
            if to not in ways:
                ways[to] = [*ways[current], to]
                queue.append(to)
    return None


def _check_sizes(
    playbooks: Mapping[str, Playbook],
    graph: Mapping[str, list[tuple[Step, str]]],
    report: Report,
) -> None:
    sizes: dict[str, int] = {}
    depths: dict[str, int] = {}
    # Called playbooks first: a stack instead of recursion, since chains may be long.
    for name in playbooks:
        stack = [name]
        while stack:
            current = stack[-1]
            waiting = [to for _, to in graph[current] if to not in sizes]
            if waiting:
                stack += waiting
                continue
            stack.pop()
            own = sum(1 for _ in playbooks[current].walk())
            sizes[current] = own + sum(sizes[to] for _, to in graph[current])
            depths[current] = 1 + max((depths[to] for _, to in graph[current]), default=0)
    for name, depth in depths.items():
        if depth == MAX_DEPTH + 1:
            report.error(
                playbooks[name].node.at("playbook"),
                f"the playbook {name!r} calls playbooks {depth} levels deep",
                expected=f"at most {MAX_DEPTH}",
                hint="call the deeper ones from here",
            )
    for name, size in sizes.items():
        called = [sizes[to] for _, to in graph[name]]
        if size > MAX_STEPS and all(one <= MAX_STEPS for one in called):
            report.error(
                playbooks[name].node.at("playbook"),
                f"the playbook {name!r} has {size} steps once its sub-playbooks are inlined",
                expected=f"at most {MAX_STEPS}",
                hint="split it, or use foreach",
            )
