"""Checks a playbook's steps against everything they name: actions, playbooks, other steps, roles."""

from __future__ import annotations

from collections.abc import Mapping

from engine.domain.plan import Effect
from engine.language.diagnostics import Report, clipped, listed, suggestion
from engine.language.inputcheck import check_given
from engine.language.known import Known
from engine.language.naming import Names, check_expression, check_text, check_tree
from engine.language.parameters import Given, check_action, check_query, language_fields
from engine.language.problems import UnitError
from engine.language.quantities import quantity
from engine.language.reading import Playbook, Step
from engine.language.stepforms import (
    ActionStep,
    CallStep,
    EndStep,
    GateStep,
    ManualStep,
    RestoreStep,
    WaitBecomes,
    WaitRead,
    WaitStays,
)
from engine.language.stepnaming import Naming
from engine.language.templatescan import is_template
from engine.language.yamlnodes import Node


def check_steps(playbook: Playbook, naming: Naming, known: Known, report: Report) -> None:
    """Report every mistake of a playbook's steps that their shape alone does not show."""
    steps = _Steps(playbook, naming, known, report)
    for step in playbook.walk():
        steps.check(step)


class _Steps:
    def __init__(self, playbook: Playbook, naming: Naming, known: Known, report: Report) -> None:
        self.playbook = playbook
        self.naming = naming
        self.known = known
        self.report = report
        self.root = playbook.node

    def check(self, step: Step) -> None:
        names = self.naming.at(step)
        node = step.node
        inside = names
        if step.foreach is not None:
            foreach = node.at("foreach")
            check_tree(foreach.get("in") or foreach, names, self.report)
            inside = names.plus("item", "key")
            check_tree(foreach.get("key"), names.plus("item"), self.report)
            self._foreach_in(foreach.get("in") or foreach)
        check_expression(node.get("when"), inside, self.report, what="when")
        check_tree(node.get("timeout"), inside, self.report)
        check_tree(node.at("retry").get("delay"), inside, self.report)
        self._static(node.get("name"), "a step's name")
        match step.form:
            case ActionStep():
                self._action(step, inside)
            case CallStep():
                self._call(step, inside)
            case GateStep():
                self._role(node.at("gate").get("role"))
                check_tree(node.at("gate").get("within"), inside, self.report)
            case ManualStep():
                self._role(node.get("role"))
                check_tree(node.get("manual"), inside, self.report)
                check_tree(node.get("within"), inside, self.report)
            case RestoreStep():
                self._restore(step)
            case EndStep():
                check_tree(node.get("reason"), inside, self.report)
        if step.kind == "switch":
            self._switch(node.get("switch"), inside)
        if step.wait is not None:
            self._wait(step, inside)

    def _static(self, node: Node | None, what: str) -> None:
        if node is not None and is_template(node.value):
            hint = "write what does not change; the step's parameters show the rest"
            self.report.error(node, f"{what} cannot be a template", hint=hint)

    def _foreach_in(self, node: Node) -> None:
        if isinstance(node.value, str) and not is_template(node.value):
            self.report.error(
                node,
                "foreach needs a list",
                found=clipped(node.value),
                expected="a list, or a template that yields one",
                hint=f'write "{{{{ {node.value} }}}}"' if "." in node.value else None,
            )

    def _switch(self, node: Node | None, names: Names) -> None:
        if node is None or not isinstance(node.value, str):
            return
        if not is_template(node.value):
            self.report.error(
                node,
                "switch: this is a constant",
                found=clipped(node.value),
                expected="a template",
                hint=f'write "{{{{ {node.value} }}}}"' if "." in node.value else None,
            )
            return
        check_text(node, names, self.report)

    def _role(self, node: Node | None) -> None:
        roles = self.known.roles
        if node is None or not isinstance(node.value, str) or roles is None:
            return
        if node.value not in roles and node.value != "admin":
            self.report.error(
                node,
                f"there is no role {clipped(node.value)}",
                expected=listed({*roles, "admin"}),
                hint=suggestion(node.value, roles) or "name it under roles: in the configuration",
            )

    def _defaults_for(self, system: str) -> Mapping[str, Node]:
        defaults = self.root.get("defaults")
        node = defaults.get(system) if defaults is not None else None
        return dict(node.entries()) if node is not None else {}

    def _action(self, step: Step, names: Names) -> None:
        node = step.node
        action_node = node.at("action")
        if not isinstance(action_node.value, str):
            return
        given = node.get("with") or _nothing(action_node)
        system = action_node.value.partition(".")[0]
        defaults = self._defaults_for(system)
        action = check_action(action_node, Given(given, defaults), self.known, self.report)
        self._with(given, language_fields(action) if action is not None else set(), names)
        verify = node.get("verify")
        if verify is not None:
            check_tree(verify.get("within"), names, self.report)
            check_tree(verify.get("every"), names, self.report)
            self._query(verify.get("query"), names)
        if action is not None and action.effect is not Effect.CHANGE:
            self._only_changes(step, action.name)
        self._bounds(node.get("bounds"))

    def _only_changes(self, step: Step, action: str) -> None:
        for field in ("bounds", "undo"):
            if field in step.node.keys:
                self.report.error(
                    step.node.key(field),
                    f"{field} is for changes, and {action} changes nothing",
                    hint="remove it",
                )

    def _with(self, given: Node, literal: set[str], names: Names) -> None:
        for name, value in given.entries():
            if name not in literal:
                check_tree(value, names.plus("secret"), self.report)

    def _bounds(self, node: Node | None) -> None:
        for name, bound in node.entries() if node is not None else ():
            low, high = bound.at("min").value, bound.at("max").value
            if not isinstance(bound.value, dict):
                continue
            if not bound.value:
                hint = f"write {name}: {{max: 10}}"
                self.report.error(bound, f"the bound {name!r} bounds nothing", hint=hint)
            elif "min" in bound.keys and "max" in bound.keys and _above(low, high):
                self.report.error(
                    bound,
                    f"the bound {name!r} is empty: min {low} is over max {high}",
                    hint="exchange them",
                )

    def _query(self, node: Node | None, names: Names) -> None:
        if node is None:
            return
        default = next(
            (
                found
                for kind in sorted(self.known.query_kinds())
                if (found := self._defaults_for(kind).get("connection")) is not None
            ),
            None,
        )
        check_query(node, default, self.known, self.report)
        check_tree(node.get("connection"), names, self.report)
        check_tree(node.get("params"), names, self.report)

    def _call(self, step: Step, names: Names) -> None:
        node = step.node
        name_node = node.at("playbook")
        given = node.get("with")
        check_tree(given, names, self.report)
        if not isinstance(step.form, CallStep):
            return
        target = self.known.playbooks.get(step.form.playbook)
        if target is None:
            self.report.error(
                name_node,
                f"there is no playbook {clipped(step.form.playbook)}",
                expected=listed(self.known.playbooks),
                hint=suggestion(step.form.playbook, self.known.playbooks),
            )
            return
        check_given(given, name_node, target, self.report)

    def _wait(self, step: Step, names: Names) -> None:
        node, form = step.node.at("wait"), step.wait
        for field in ("for", "within", "every"):
            check_tree(node.get(field), names, self.report)
        if isinstance(form, WaitBecomes | WaitStays):
            self._query(node.get("query"), names)
        elif isinstance(form, WaitRead):
            self._wait_read(node, names)
        else:
            check_tree(node.get("until"), names, self.report)

    def _wait_read(self, node: Node, names: Names) -> None:
        check_expression(node.get("until"), names.plus("result"), self.report, what="until")
        read = node.at("read")
        action_node = read.at("action")
        given = read.get("with") or _nothing(action_node)
        system = str(action_node.value).partition(".")[0]
        defaults = self._defaults_for(system)
        action = check_action(action_node, Given(given, defaults), self.known, self.report)
        self._with(given, language_fields(action) if action is not None else set(), names)
        if action is not None and action.effect is not Effect.READ:
            reads = [one for one, its in self.known.actions.items() if its.effect is Effect.READ]
            self.report.error(
                action_node,
                f"a wait may only read, and {action.name} does more",
                expected=listed(reads),
                hint="make it a step of its own before the wait",
            )

    def _restore(self, step: Step) -> None:
        for item in step.node.at("restore").elements():
            name = item.value
            if not isinstance(name, str):
                continue
            problem = self.naming.exists(name)
            if problem is not None:
                self.report.error(item, problem[0], hint=problem[1])
                continue
            target = self.playbook.steps[name]
            later = target.section > step.section or (
                target.section == step.section and target.order > step.order
            )
            if later:
                self.report.error(
                    item,
                    f"step {name!r} comes later and cannot be restored here",
                    hint="move the restore after it",
                )
            elif not self._changes(target):
                changes = [one.id for one in self.playbook.walk() if one.id and self._changes(one)]
                self.report.error(
                    item,
                    f"step {name!r} changes nothing that could be restored",
                    expected=listed(changes),
                )

    def _changes(self, step: Step) -> bool:
        """Tell whether a step, or anything inside it, may change something."""
        if step.form is None:
            return True  # what it is has to be mended first
        if isinstance(step.form, ActionStep):
            action = self.known.actions.get(step.form.action)
            return action is None or action.effect is Effect.CHANGE
        if isinstance(step.form, CallStep):
            return True
        return any(self._changes(inner) for block in step.blocks for inner in block.steps)


def _above(low: object, high: object) -> bool:
    try:
        return quantity(low) > quantity(high)
    except UnitError:
        return False  # said elsewhere: it is no amount


def _nothing(place: Node) -> Node:
    """Return an empty mapping that stands where `place` does."""
    return Node(place.source, {}, place.line, place.column, items={})
