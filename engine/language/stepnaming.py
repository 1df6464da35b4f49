"""Whether a template at one step may name another: it must exist, come before, and be able to have run."""

from __future__ import annotations

from collections.abc import Collection

from engine.domain.plan import Effect
from engine.language.diagnostics import listed, suggestion
from engine.language.fileforms import PlaybookFile
from engine.language.judge import Use
from engine.language.known import Known
from engine.language.naming import RUN_NAMES, Names
from engine.language.reading import SECTIONS, Playbook, Step
from engine.language.scope import STATE_TESTS
from engine.language.stepforms import ActionStep, CallStep

Problem = tuple[str, str | None]
_GATE = frozenset({"decision", "by", "comment"})
_CHANGE = frozenset({"before", "after", "receipt"})
_AFTER_ALL = 3  # the section of outputs


class Naming:
    """The names at each place of one playbook."""

    def __init__(self, playbook: Playbook, known: Known) -> None:
        self.playbook = playbook
        self.known = known
        form = playbook.form
        self.fields: dict[str, Collection[str] | None] = {
            "inputs": input_names(playbook),
            "vars": form.vars.keys() if form is not None else None,
        }

    def at(self, step: Step) -> Names:
        """Return the names at a step's own fields; `item` and `key` where a foreach holds it."""
        names = Names(
            RUN_NAMES,
            self.fields,
            step=lambda use: self._judge(use, step, step.section, step.order, step.within),
            secrets=self.known.secrets,
        )
        if step.section > 0:
            names = names.plus("failure")
        if any(holder.node.get("foreach") is not None for holder, _ in step.within):
            names = names.plus("item", "key")
        return names

    def outside(self) -> Names:
        """Return the names where no step has run yet: vars, the run's time-out."""
        why = "no step has run yet; read steps.ID in the step that needs it"
        return Names(RUN_NAMES - {"steps"}, self.fields, absent={"steps": why})

    def outputs(self) -> Names:
        """Return the names in the playbook's outputs."""
        return Names(
            RUN_NAMES,
            self.fields,
            step=lambda use: self._judge(use, None, _AFTER_ALL, 1 << 30, ()),
        )

    def exists(self, name: str) -> Problem | None:
        """Tell whether there is such a step in the file."""
        if name in self.playbook.steps:
            return None
        near = suggestion(name, self.playbook.steps)
        known = listed(self.playbook.steps)
        return f"there is no step {name!r} in this playbook", near or f"its steps: {known}"

    def _judge(
        self,
        use: Use,
        place: Step | None,
        section: int,
        order: int,
        within: tuple[tuple[Step, int], ...],
    ) -> Problem | None:
        if len(use.path) < 2:
            return None
        name = use.path[1]
        problem = self.exists(name)
        if problem is not None:
            return problem
        target = self.playbook.steps[name]
        problem = relation(name, target, place, section, order, within)
        return problem or self._part(use, target) or _never(use, target, section, within)

    def _part(self, use: Use, target: Step) -> Problem | None:
        """Check what is read of a step's output, where its keys are known."""
        if len(use.path) < 3 or target.foreach is not None or target.form is None:
            return None
        part = use.path[2]
        if part in STATE_TESTS or part == "state":
            test = part if part in STATE_TESTS else "succeeded"
            if self._keys(target) is not None:
                return (
                    f"a step's state is a test, not {part!r}",
                    f"write steps.{use.path[1]} is {test}",
                )
        keys = self._keys(target)
        if keys is None or part in keys:
            return None
        near = suggestion(part, keys)
        return f"step {use.path[1]!r} has no output {part!r}", near or f"it has: {listed(keys)}"

    def _keys(self, target: Step) -> Collection[str] | None:
        if target.kind == "gate":
            return _GATE
        if isinstance(target.form, ActionStep):
            action = self.known.actions.get(target.form.action)
            return _CHANGE if action is not None and action.effect is Effect.CHANGE else None
        if isinstance(target.form, CallStep):
            called = self.known.playbooks.get(target.form.playbook)
            if called is not None and called.form is not None:
                return called.form.outputs.keys()
        return None


def relation(
    name: str,
    target: Step,
    place: Step | None,
    section: int,
    order: int,
    within: tuple[tuple[Step, int], ...],
) -> Problem | None:
    """Tell why a place cannot see a step, or None where it can."""
    if target is place:
        return f"step {name!r} names itself", "it has no output before it has run"
    if any(holder is target for holder, _ in within):
        return f"step {name!r} is not done while its own steps run", None
    if target.section > section:
        return f"step {name!r} runs later, in {SECTIONS[target.section]}", None
    common = 0
    for (left, left_branch), (right, right_branch) in zip(within, target.within, strict=False):
        if left is not right:
            break
        if left_branch != right_branch:
            return _other_branch(name, left)
        common += 1
    for holder, _ in target.within[common:]:
        if holder.node.get("foreach") is not None:
            hint = f"steps.{holder.id} is the list of what each item gave"
            return f"step {name!r} runs once an item of {holder.id!r}", hint
    if target.section == section and target.order > order:
        return f"step {name!r} comes later", "move it before this step, or name an earlier one"
    return None


def _other_branch(name: str, holder: Step) -> Problem:
    if holder.kind == "switch":
        hint = f"only one case of {holder.id!r} runs; move what both need before it"
        return f"step {name!r} is in another case and can only be skipped here", hint
    hint = f"steps of parallel {holder.id!r} run at the same time; name it after them"
    return f"step {name!r} may not have run yet", hint


def _never(
    use: Use, target: Step, section: int, within: tuple[tuple[Step, int], ...]
) -> Problem | None:
    """Find a test for failure where a failure would have ended the run."""
    if use.test != "failed" or section != 0 or target.section != 0 or target.form is None:
        return None
    holders = [holder for holder, _ in target.within if holder not in {one for one, _ in within}]
    if any(holder.kind == "parallel" for holder, _ in within):
        return None
    forms = [target.form, *(holder.form for holder in holders if holder.form is not None)]
    if any(form.on_failure in ("continue", "escalate") for form in forms):
        return None
    hint = "add on_failure: continue to it, or do this in rescue:"
    return f"steps.{use.path[1]} is failed can never hold here: its failure ends the run", hint


def input_names(playbook: Playbook) -> Collection[str] | None:
    """Return the names of a playbook's inputs, or None where its schema allows any."""
    form: PlaybookFile | None = playbook.form
    if form is None or not isinstance(form.inputs, dict):
        return None
    properties = form.inputs.get("properties", {})
    if not isinstance(properties, dict) or open_inputs(form.inputs):
        return None
    return properties.keys()


def open_inputs(schema: dict[str, object]) -> bool:
    """Tell whether a schema takes inputs that it does not name, as it says with additionalProperties."""
    return schema.get("additionalProperties", False) is not False or "patternProperties" in schema
