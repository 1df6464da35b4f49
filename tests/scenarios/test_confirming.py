"""What a shipped playbook changes in a system, it asks for afterwards by a query of its own.

An action confirms its own effect; that is not a playbook's look at whether the change took or helped. Such a look
is the change's `verify`, a wait for a query or for a read of the changed connection, or a read of it whose answer
decides something or is given as an output. It stands behind the change: in the same playbook, or in those that it is
part of.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pytest

from engine.contract.registry import Registry
from engine.domain.plan import Effect
from engine.edges.rehearsal.stage import Ground
from engine.language.mutations import MutationForm, mutate
from engine.language.program import (
    ActionNode,
    AnyNode,
    CallNode,
    GroupNode,
    ManualNode,
    ParallelNode,
    Program,
    SwitchNode,
    WaitNode,
)

# Changes that reach nothing which Stanch could ask, each with the reason.
UNASKED: Mapping[tuple[str, str], str] = {
    ("batch/recover-exports", "validate.run"): "the processor's own script, which itself looks",
    ("batch/sla", "notify.run"): "a script that tells customers",
    ("queue/quarterly-review", "backup"): "a file of Stanch's own, which people then restore",
    ("batch/quarterly-drill", "backup"): "a file of Stanch's own, which people then restore",
}
# Playbooks that wait for what a change is for, wherever it was made: records are finished again.
OUTCOMES = frozenset({"queue/keeps-up"})
_DECIDING = ("when", "until", "switch", "reason", "outputs")


Calls = tuple[tuple[str, str], ...]
Branches = tuple[tuple[int, str, str], ...]


@dataclass(frozen=True)
class Placed:
    """A step of a playbook with all that it calls.

    Attributes:
        calls: (playbook, address within it), outermost first.
        branches: the sections, cases and parallel steps that it stands in, outermost first.
    """

    node: AnyNode
    calls: Calls
    branches: Branches


def placed(program: Program, calls: Calls = (), branches: Branches = ()) -> Iterator[Placed]:
    """Yield the steps in their order, those of called playbooks in the place of the call."""
    within = (*calls, (program.playbook, ""))
    for name, nodes in (
        ("steps", program.steps),
        ("rescue", program.rescue),
        ("finally", program.finally_),
    ):
        yield from _placed(nodes, within, (*branches, (id(program), "section", name)))


def _placed(nodes: Sequence[AnyNode], calls: Calls, branches: Branches) -> Iterator[Placed]:
    for node in nodes:
        here = tuple((name, f"{way}.{node.id}".lstrip(".")) for name, way in calls)
        if isinstance(node, SwitchNode):
            for number, steps in enumerate([*(one.steps for one in node.cases), node.default]):
                yield from _placed(steps, calls, (*branches, (id(node), "case", str(number))))
        elif isinstance(node, ParallelNode):
            for one in node.steps:
                yield from _placed([one], calls, (*branches, (id(node), "beside", one.id)))
        elif isinstance(node, GroupNode):
            yield from _placed(node.steps, calls, branches)
        elif isinstance(node, CallNode):
            yield from placed(node.program, here, branches)
        else:
            yield Placed(node, here, branches)


def reaches(earlier: Placed, later: Placed) -> bool:
    """Whether the later step comes after the earlier one on a way through the playbook."""
    for (holder, kind, mine), (other, _, its) in zip(
        earlier.branches, later.branches, strict=False
    ):
        if holder != other:
            return True
        if mine != its:
            return kind == "section" and its == "finally"
    return True


def deciding(program: Program) -> set[str]:
    """Return the ids of steps whose output decides something, or is given as an output."""
    found: set[str] = set()

    def visit(value: object) -> None:
        if isinstance(value, dict):
            for key, item in value.items():
                if key in _DECIDING:
                    found.update(re.findall(r"steps\.(\w+)", json.dumps(item)))
                visit(item)
        elif isinstance(value, list):
            for item in value:
                visit(item)

    visit(json.loads(program.frozen_text))
    return found


def changes(node: AnyNode, registry: Registry) -> bool:
    return isinstance(node, ActionNode) and registry.action(node.action).effect is Effect.CHANGE


def asks(step: Placed, change: ActionNode, decides: set[str], registry: Registry) -> bool:
    """Whether a step looks at what became of a change."""
    node, connection = step.node, change.with_.get("connection")
    if isinstance(node, WaitNode):
        measures = any(name in OUTCOMES for name, _ in step.calls)
        return node.query is not None or (
            node.read_action is not None
            and (measures or node.read_with.get("connection") == connection)
        )
    if isinstance(node, ManualNode):  # what a script did where no connection leads
        return change.action == "kubernetes.exec"
    return (
        isinstance(node, ActionNode)
        and registry.action(node.action).effect is Effect.READ
        and node.with_.get("connection") == connection
        and node.id in decides
    )


def unconfirmed(program: Program, registry: Registry) -> list[Placed]:
    """Return the changes of a playbook that no query of it comes after."""
    steps, decides = list(placed(program)), deciding(program)
    found = []
    for number, step in enumerate(steps):
        change = step.node
        if not isinstance(change, ActionNode) or change.verify or not changes(change, registry):
            continue
        if not any(
            reaches(step, later) and asks(later, change, decides, registry)
            for later in steps[number + 1 :]
        ):
            found.append(step)
    return found


def first_ones(programs: Mapping[str, Program], started: set[str]) -> list[Program]:
    """Return the playbooks that rules start, or that no other playbook calls."""
    called = {
        name
        for program in programs.values()
        for step in placed(program)
        for name, _ in step.calls[1:]
    }
    return [program for name, program in programs.items() if name in started or name not in called]


def test_every_change_is_followed_by_a_query_of_the_playbook(ground: Ground) -> None:
    programs = ground.project.playbooks
    started = {rule.playbook for rule in ground.project.rules}
    open_ = [
        (step.calls[0], step.calls)
        for program in first_ones(programs, started)
        for step in unconfirmed(program, ground.registry)
    ]
    unasked = {call for _, calls in open_ for call in calls if call in UNASKED}
    wrong = [f"{name}: {way}" for (name, way), calls in open_ if not unasked.intersection(calls)]
    assert not wrong, "no query of the playbook says what became of it"
    assert unasked == set(UNASKED), "an exception is no longer one"


@pytest.mark.parametrize(
    ("name", "look"),
    [
        ("etl/database", "serves"),
        ("queue/stop-intake", "stopped"),
        ("workers/escalate", "rests"),
        ("batch/restart", "rolled_out"),
        ("queue/reset-failed", "left"),
    ],
)
def test_a_change_that_nothing_asks_for_is_found(ground: Ground, name: str, look: str) -> None:
    program = ground.project.playbooks[name]
    assert unconfirmed(program, ground.registry) == []
    fault = MutationForm(mutation="nobody looks", playbook=name, drop=look, fails="-")
    assert unconfirmed(mutate(program, fault), ground.registry)
