"""From a YAML tree to forms with their places: playbooks step by step, rules one by one.

A mistake in one step or rule leaves the others readable, so that all mistakes of a file come in one go.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from engine.language.diagnostics import Report, clipped, described, listed, suggestion
from engine.language.explain import read_form
from engine.language.fileforms import PlaybookFile
from engine.language.forms import Form
from engine.language.stepforms import (
    STEP_KINDS,
    WAIT_KINDS,
    ActionStep,
    CallStep,
    ForeachForm,
    GroupStep,
    ParallelStep,
    StepForm,
    SwitchStep,
    WaitStep,
    wait_form,
)
from engine.language.yamlnodes import Node

_ELSEWHERE = {
    "foreach": "foreach goes on an action, a playbook or a group; wrap the step in a group",
    "verify": "verify goes on an action; use wait: {query: …, becomes: …} for a check of its own",
    "bounds": "bounds go on an action",
    "undo": "undo goes on an action",
    "with": "with goes on an action or a playbook",
    "role": "role goes on a manual step, and inside gate:",
    "within": "within goes inside gate: or wait:, and on a manual step",
    "reason": "reason goes on an end step",
    "cases": "cases goes with switch:",
    "default": "default goes with switch:",
    "if": "write when:",
    "until": "write wait: {read: …, until: …}",
    "loop": "write foreach:",
    "with_items": "write foreach:",
    "register": "a step's output is steps.ID by itself",
    "ignore_errors": "write on_failure: continue",
}
_FILE_ELSEWHERE = {
    "on_failure": "on_failure goes on a step; rescue: follows any failure",
    "name": "the playbook's name is the value of playbook:",
    "description": "write summary:",
    "always": "write finally:",
}


@dataclass(eq=False)
class Block:
    """Steps that run one after the other. `name` tells a switch's cases apart."""

    name: str
    steps: list[Step] = field(default_factory=list)


@dataclass(eq=False)
class Step:
    """A step as it was read.

    Attributes:
        form: None where the step cannot be used; its id is known all the same.
        wait: the form of its wait, for a wait step.
        blocks: its own steps: a switch's cases (and default), a group's or a parallel's one block.
        within: the steps that hold it, outermost first, each with the index of the branch.
        order: its place in the file, holders before what they hold.
        section: 0 steps, 1 rescue, 2 finally.
    """

    node: Node
    id: str
    kind: str
    form: StepForm | None = None
    foreach: ForeachForm | None = None
    wait: Form | None = None
    blocks: list[Block] = field(default_factory=list)
    within: tuple[tuple[Step, int], ...] = ()
    order: int = 0
    section: int = 0

    def walk(self) -> Iterator[Step]:
        """Yield the step and everything inside it, in order."""
        yield self
        for block in self.blocks:
            for step in block.steps:
                yield from step.walk()


@dataclass(eq=False)
class Playbook:
    """A playbook file as it was read. `steps` maps every id of the file to its step."""

    node: Node
    name: str
    form: PlaybookFile | None
    blocks: tuple[Block, Block, Block]
    steps: dict[str, Step]

    def walk(self) -> Iterator[Step]:
        for block in self.blocks:
            for step in block.steps:
                yield from step.walk()


SECTIONS = ("steps", "rescue", "finally")


def read_playbook(root: Node, report: Report) -> Playbook:
    """Read a playbook's file; report what is wrong with its shape."""
    form = read_form(PlaybookFile, root, report, what="the playbook", sections=_FILE_ELSEWHERE)
    reader = _Steps(report)
    blocks = []
    for section, name in enumerate(SECTIONS):
        reader.section = section
        node = root.get(name)
        blocks.append(Block(name, reader.steps(node, ()) if node is not None else []))
    written = root.at("playbook").value
    name = written if isinstance(written, str) else ""
    return Playbook(root, name, form, (blocks[0], blocks[1], blocks[2]), reader.known)


class _Steps:
    def __init__(self, report: Report) -> None:
        self.report = report
        self.known: dict[str, Step] = {}
        self.order = 0
        self.section = 0

    def steps(self, node: Node, within: tuple[tuple[Step, int], ...]) -> list[Step]:
        """Read a list of steps. What is no list has been reported by the form around it."""
        return [self.step(item, within) for item in node.elements()]

    def step(self, node: Node, within: tuple[tuple[Step, int], ...]) -> Step:
        self.order += 1
        step = Step(node, self._id(node), "", within=within, order=self.order, section=self.section)
        self._remember(step)
        if not isinstance(node.value, dict):
            if node.sound:
                hint = "begin it with - id: …"
                what = "a step must be a mapping"
                self.report.error(
                    node, what, found=described(node.value), expected="a mapping", hint=hint
                )
            return step
        step.kind = self._kind(node)
        if not step.kind:
            return step
        what = f"the {'group' if step.kind == 'group' else step.kind + ' step'}"
        what += f" {step.id!r}" if step.id else ""
        sections = {key: text for key, text in _ELSEWHERE.items() if key != step.kind}
        step.form = read_form(
            STEP_KINDS[step.kind], node, self.report, what=what, sections=sections
        )
        self._parts(step)
        return step

    def _id(self, node: Node) -> str:
        value = node.value.get("id") if isinstance(node.value, dict) else None
        return value if isinstance(value, str) else ""

    def _remember(self, step: Step) -> None:
        if not step.id:
            return
        first = self.known.setdefault(step.id, step)
        if first is not step:
            at = first.node.at("id")
            self.report.error(
                step.node.at("id"),
                f"the id {clipped(step.id)} is used a second time",
                hint=f"its first use is at line {at.line}; ids are unique in a file",
            )

    def _kind(self, node: Node) -> str:
        kinds = [key for key in node.keys if key in STEP_KINDS]
        if len(kinds) > 1:
            second = node.keys[kinds[1]]
            self.report.error(
                second,
                f"a step does one thing, and this one has {kinds[0]} and {kinds[1]}",
                hint="make them two steps",
            )
            return ""
        if kinds:
            return kinds[0]
        near = None
        place = node
        for key in node.keys:
            hint = suggestion(key, STEP_KINDS)
            if hint and key not in StepForm.model_fields and key not in _ELSEWHERE:
                near, place = hint, node.keys[key]
                break
        self.report.error(
            place,
            "this step says nothing to do",
            found=listed(node.keys) if node.keys else "an empty mapping",
            expected="one of " + ", ".join(STEP_KINDS),
            hint=near,
        )
        return ""

    def _parts(self, step: Step) -> None:
        """Read what a step holds: steps, a foreach, a wait."""
        node = step.node
        inner = step.within
        if step.kind == "switch":
            cases = node.get("cases")
            for index, (value, case) in enumerate(cases.entries() if cases else ()):
                self._case(case, value)
                step.blocks.append(Block(value, self.steps(case, (*inner, (step, index)))))
            default = node.get("default")
            if default is not None:
                block = Block("default", self.steps(default, (*inner, (step, -1))))
                step.blocks.append(block)
        elif step.kind == "group":
            step.blocks = [Block("group", self.steps(node.at("group"), (*inner, (step, 0))))]
        elif step.kind == "parallel":
            items = node.at("parallel").elements()
            steps = [self.step(item, (*inner, (step, n))) for n, item in enumerate(items)]
            step.blocks = [Block("parallel", steps)]
        if isinstance(step.form, ActionStep | CallStep | GroupStep):
            step.foreach = self._foreach(node)
        if isinstance(step.form, WaitStep):
            step.wait = self._wait(node.at("wait"))
        assert isinstance(step.form, SwitchStep | ParallelStep | StepForm | None)

    def _case(self, node: Node, value: str) -> None:
        if not isinstance(node.value, list) and node.sound:
            self.report.error(
                node,
                f"the case {clipped(value)} must be a list of steps",
                found=described(node.value),
                expected="a list",
                hint="write [] for a case that does nothing" if node.value is None else None,
            )

    def _foreach(self, node: Node) -> ForeachForm | None:
        foreach = node.get("foreach")
        if foreach is None:
            return None
        if isinstance(foreach.value, str | list):
            return ForeachForm.model_validate({"in": foreach.value})
        form = read_form(ForeachForm, foreach, self.report, what="foreach")
        if form is not None and not isinstance(form.in_, str | list):
            self.report.error(
                foreach.at("in"),
                "in: this is of the wrong kind",
                found=described(form.in_),
                expected="a list, or a template that yields one",
            )
            return None
        return form

    def _wait(self, node: Node) -> Form | None:
        if not isinstance(node.value, dict):
            hint = None
            if isinstance(node.value, str | int | float):
                hint = f"write wait: {{for: {node.value}}}"
            self.report.error(
                node,
                "wait must be a mapping",
                found=described(node.value),
                hint=hint,
                expected="for, until, query or read",
            )
            return None
        form = wait_form(set(node.keys))
        if form is None:
            known = sorted({key for one in WAIT_KINDS for key in _aliases(one)})
            near = next((s for key in node.keys if (s := suggestion(key, known))), None)
            self.report.error(
                node,
                "this wait says not what for",
                found=listed(node.keys) if node.keys else "an empty mapping",
                expected="for, until, query or read",
                hint=near or "write for example wait: {for: 15m}",
            )
            return None
        return read_form(form, node, self.report, what="wait")


def _aliases(form: type[Form]) -> list[str]:
    return [field.alias or name for name, field in form.model_fields.items()]


def node_of(parent: Node, *path: Any) -> Node | None:
    """Return the node at exactly that path, or None."""
    node: Node | None = parent
    for part in path:
        node = node.get(part) if node is not None else None
    return node
