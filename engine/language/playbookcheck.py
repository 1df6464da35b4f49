"""Checks a playbook against everything it names, before anything runs."""

from __future__ import annotations

from pathlib import PurePath

from engine.language.diagnostics import Report, clipped, listed, suggestion
from engine.language.inputschema import check_schema
from engine.language.known import Known
from engine.language.locations import names_at
from engine.language.naming import check_tree
from engine.language.reading import Playbook, Step
from engine.language.stepcheck import check_steps
from engine.language.stepnaming import Naming

BUDGET_UNITS = ("bytes", "objects", "pods", "requests", "rows")


def check_playbook(playbook: Playbook, known: Known, report: Report) -> None:
    """Report every mistake of a playbook that its shape alone does not show."""
    _Check(playbook, known, report).all()


class _Check:
    def __init__(self, playbook: Playbook, known: Known, report: Report) -> None:
        self.playbook = playbook
        self.known = known
        self.report = report
        self.naming = Naming(playbook, known)
        self.root = playbook.node

    def all(self) -> None:
        self._file()
        inputs = self.root.get("inputs")
        if inputs is not None:
            check_schema(inputs, self.report)
        outside = self.naming.outside()
        check_tree(self.root.get("vars"), outside.without("vars"), self.report)
        check_tree(self.root.get("timeout"), outside, self.report)
        self._defaults()
        self._budget()
        for block in self.playbook.blocks:
            self._unreachable(block.steps)
        check_steps(self.playbook, self.naming, self.known, self.report)
        check_tree(self.root.get("outputs"), self.naming.outputs(), self.report)

    def _file(self) -> None:
        form = self.playbook.form
        path = PurePath(self.root.source.name)
        if form is None or path.suffix not in (".yaml", ".yml"):
            return
        parts = PurePath(form.playbook).parts
        if path.with_suffix("").parts[-len(parts) :] != parts:
            self.report.error(
                self.root.at("playbook"),
                f"the playbook {form.playbook!r} stands in a file of another name",
                found=path.name,
                expected=f"a path that ends with {form.playbook}.yaml",
                hint="rename the file or the playbook, so that one is found by the other",
            )

    def _budget(self) -> None:
        for unit, node in self.root.at("budget").entries() if self.root.get("budget") else ():
            if unit not in BUDGET_UNITS:
                self.report.error(
                    self.root.at("budget").key(unit),
                    f"there is no budget unit {clipped(unit)}",
                    expected=listed(BUDGET_UNITS),
                    hint=suggestion(unit, BUDGET_UNITS),
                )
            elif isinstance(node.value, int) and node.value < 0:
                self.report.error(node, "a budget cannot be negative", hint="write 0 or more")

    def _defaults(self) -> None:
        node = self.root.get("defaults")
        for system, fields in node.entries() if node is not None else ():
            assert node is not None
            actions = [
                action
                for name, action in self.known.actions.items()
                if name.partition(".")[0] == system
            ]
            if not actions:
                self.report.error(
                    node.key(system),
                    f"there are no actions of a system {clipped(system)}",
                    expected=listed(self.known.systems),
                    hint=suggestion(system, self.known.systems),
                )
                continue
            parameters = {name for action in actions for name in names_at(action.Params, ()) or []}
            for field in fields.keys:
                if field not in parameters:
                    self.report.error(
                        fields.key(field),
                        f"no action of {system} has a parameter {clipped(field)}",
                        expected=listed(parameters),
                        hint=suggestion(field, parameters),
                    )
            check_tree(fields, self.naming.outside().plus("item", "key", "secret"), self.report)

    def _unreachable(self, steps: list[Step]) -> None:
        for index, step in enumerate(steps):
            for block in step.blocks:
                if step.kind != "parallel":
                    self._unreachable(block.steps)
            ends = step.kind == "end" and "when" not in step.node.keys
            if ends and index + 1 < len(steps):
                line = step.node.line
                self.report.error(
                    steps[index + 1].node,
                    "this step never runs",
                    hint=f"the run ends before it, at line {line}: give the end a when, or move it",
                )
