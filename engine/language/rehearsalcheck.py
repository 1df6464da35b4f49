"""Checks a rehearsal against what it names: playbook, rule, connections, steps, gates; and what can never hold."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from engine.domain.incident import IncidentState
from engine.domain.plan import Effect
from engine.domain.run import RunState
from engine.language.diagnostics import Diagnostic, clipped, listed, suggestion
from engine.language.explain import Report
from engine.language.inputcheck import check_given
from engine.language.known import Known
from engine.language.reading import Playbook, Step
from engine.language.rehearsalforms import STEP_STATES, RehearsalFile
from engine.language.rehearsalreading import Rehearsal
from engine.language.rulereading import ReadRule, RuleFile
from engine.language.stepforms import ActionStep, CallStep
from engine.language.yamlsource import Node

GATE_STATES = ("approved", "rejected", "expired", "void", "withdrawn", "open")
OWN_GATES = ("plan", "budget", "breaker")
_STEP_EVENTS = ("started", "failed", "skipped", "retry", "undone", "undo_failed", "opened", "done")
_RUN_EVENTS = (*(state.value for state in RunState), "ended")
_INCIDENT_EVENTS = ("opened", *(state.value for state in IncidentState))
_UNREACHED = ("skipped", "not_reached")
_KEY = re.compile(r"\[[^\]]*\]")

# Checks one entry of `world:`: connection, its kind, the entry.
WorldCheck = Callable[[str, str, Node], list[Diagnostic]]

# Tells whether a world has a target at its beginning: kind, entry, target; None: it cannot be told.
TargetCheck = Callable[[str, object, str], bool | None]


@dataclass(frozen=True)
class Ground:
    """What rehearsals may name, besides what `Known` holds."""

    rules: Mapping[str, ReadRule]
    world: WorldCheck | None = None
    holds: TargetCheck | None = None

    @classmethod
    def of(
        cls, files: Sequence[RuleFile], world: WorldCheck | None, holds: TargetCheck | None
    ) -> Ground:
        return cls({rule.name: rule for file in files for rule in file.rules}, world, holds)


def check_rehearsal(rehearsal: Rehearsal, ground: Ground, known: Known, report: Report) -> None:
    """Report every mistake of a rehearsal that its shape alone does not show."""
    if rehearsal.form is not None:
        _Check(rehearsal.node, rehearsal.form, ground, known, report).all()


class _Check:
    def __init__(
        self, root: Node, form: RehearsalFile, ground: Ground, known: Known, report: Report
    ) -> None:
        self.root = root
        self.form = form
        self.ground = ground
        self.known = known
        self.report = report
        self.playbook = self._playbook()

    def all(self) -> None:
        self._start()
        self._world()
        for address, node in self._addresses():
            self._step(address, node)
        self._people()
        self._gates()
        self._states()
        self._branches()
        self._order()
        self._took()
        self._incident()
        self._targets()

    # ---- what starts it -----------------------------------------------------------------------

    def _playbook(self) -> Playbook | None:
        form = self.form
        if (form.playbook is None) == (form.rule is None):
            self.report.error(
                self.root.at("playbook") if form.rule else self.root,
                "a rehearsal starts with a playbook or a rule",
                found="both" if form.rule else "neither",
                expected="one of them",
                hint="write playbook: with inputs:, or rule: with alert:",
            )
            return None
        name = form.playbook
        if form.rule is not None:
            rule = self.ground.rules.get(form.rule)
            if rule is None:
                self._unknown("rule", "rule", form.rule, self.ground.rules)
                return None
            name = rule.form.playbook if rule.form is not None else None
        if name is None:
            return None
        playbook = self.known.playbooks.get(name)
        if playbook is None and form.playbook is not None:
            self._unknown("playbook", "playbook", name, self.known.playbooks)
        return playbook

    def _unknown(self, key: str, what: str, name: str, names: Collection[str]) -> None:
        self.report.error(
            self.root.at(key),
            f"there is no {what} {clipped(name)}",
            expected=listed(names),
            hint=suggestion(name, names),
        )

    def _start(self) -> None:
        form = self.form
        alerts = form.alert is not None or bool(form.alerts)
        if form.playbook is not None:
            if alerts:
                key = "alert" if form.alert is not None else "alerts"
                hint = "write rule: to start from an alert"
                self.report.error(
                    self.root.key(key), "a playbook is run directly, without an alert", hint=hint
                )
            if self.playbook is not None:
                check_given(
                    self.root.get("inputs"), self.root.at("playbook"), self.playbook, self.report
                )
            return
        if "inputs" in self.root.keys:
            hint = "the rule's own inputs hold"
            self.report.error(self.root.key("inputs"), "a rule brings its own inputs", hint=hint)
        rule = self.ground.rules.get(form.rule or "")
        if rule is not None and rule.trigger == "matchers" and not alerts:
            self.report.error(
                self.root.at("rule"),
                f"the rule {clipped(rule.name)} waits for an alert, and none comes",
                hint="add alert: {labels: {alertname: …}}",
            )

    def _world(self) -> None:
        world = self.root.get("world")
        for name, node in world.entries() if world is not None else ():
            assert world is not None
            kind = self.known.connections.get(name)
            if kind is None:
                self.report.error(
                    world.key(name),
                    f"there is no connection {clipped(name)}",
                    expected=listed(self.known.connections),
                    hint=suggestion(name, self.known.connections),
                )
            elif self.ground.world is not None:
                self.report.diagnostics += self.ground.world(name, kind, node)

    # ---- steps --------------------------------------------------------------------------------

    def _addresses(self) -> Iterator[tuple[str, Node]]:
        """Yield every place at which the rehearsal names a step."""
        expect = self.root.at("expect")
        for key in ("steps", "attempts"):
            node = expect.get(key)
            for address in node.keys if node is not None else ():
                assert node is not None
                yield address, node.key(address)
        faults = self.root.get("faults")
        for fault in faults.elements() if faults is not None else ():
            if isinstance((step := fault.at("step")).value, str):
                yield step.value, step
        world = self.root.get("world")
        for _, entry in world.entries() if world is not None else ():
            yield from _waited(entry)

    def _step(self, address: str, node: Node) -> Step | None:
        """Return the step that an address names; report where there is none."""
        if self.playbook is None:
            return None
        playbook: Playbook = self.playbook
        parts = _KEY.sub("", address).split(".")
        step: Step | None = None
        for index, part in enumerate(parts):
            step = playbook.steps.get(part)
            if step is None:
                before = ".".join(parts[:index])
                self.report.error(
                    node,
                    f"there is no step {clipped(part)} in the playbook {playbook.name!r}",
                    expected=listed(playbook.steps),
                    hint=_nearest(part, before, playbook, self.known),
                )
                return None
            if isinstance(step.form, CallStep) and index + 1 < len(parts):
                called = self.known.playbooks.get(step.form.playbook)
                if called is None:
                    return None  # reported at the playbook
                playbook = called
        return step

    def _states(self) -> None:
        steps = self.root.at("expect").get("steps")
        for address, node in steps.entries() if steps is not None else ():
            if node.value not in STEP_STATES:
                self._not_allowed(node, STEP_STATES)
            elif node.value in ("changed", "undone"):
                self._can_change(address, node)

    def _can_change(self, address: str, node: Node) -> None:
        step = self._quiet(address)
        if step is None or not isinstance(step.form, ActionStep):
            if step is not None:
                hint = "name the action inside it that does"
                what = f"{clipped(address)} is no action, so it changes nothing itself"
                self.report.error(node, what, hint=hint)
            return
        action = self.known.actions.get(step.form.action)
        if action is not None and action.effect is not Effect.CHANGE:
            what = f"{step.form.action} changes nothing, so this can never hold"
            self.report.error(node, what, hint="write succeeded")

    def _quiet(self, address: str) -> Step | None:
        """As `_step`, where what is wrong was reported already."""
        kept, self.report = self.report, Report()
        try:
            return self._step(address, self.root)
        finally:
            self.report = kept

    def _not_allowed(self, node: Node, allowed: Sequence[str]) -> None:
        value = node.value
        self.report.error(
            node,
            f"{clipped(str(value))} is not allowed here",
            expected=" | ".join(allowed),
            hint=suggestion(value, allowed) if isinstance(value, str) else None,
        )

    def _branches(self) -> None:
        """Steps of two cases of one switch cannot both be reached in one run."""
        steps = self.root.at("expect").get("steps")
        reached = [
            (address, node, step)
            for address, node in (steps.entries() if steps is not None else ())
            if node.value not in _UNREACHED and (step := self._quiet(address)) is not None
        ]
        for (one, _, first), (other, node, second) in combinations(reached, 2):
            if one.rpartition(".")[0] != other.rpartition(".")[0]:
                continue
            branches = {id(holder): branch for holder, branch in first.within}
            for holder, branch in second.within:
                if holder.kind == "switch" and branches.get(id(holder), branch) != branch:
                    self.report.error(
                        node,
                        f"{clipped(other)} stands in another case of the switch {holder.id!r} than "
                        f"{clipped(one)}: both cannot be reached",
                        hint="one of them is skipped or not_reached",
                    )

    # ---- people, gates, order -----------------------------------------------------------------

    def _people(self) -> None:
        people = self.root.get("people")
        for index, node in enumerate(people.elements() if people is not None else ()):
            if index >= len(self.form.people):
                return
            form = self.form.people[index]
            if form.gate is not None:
                self._gate(form.gate, node.at("gate"))
            if form.does == "done":
                self._task(form.step, node)

    def _task(self, address: str | None, node: Node) -> None:
        if address is None:
            self.report.error(node, "which task is done?", hint="add step: with the manual step")
            return
        step = self._step(address, node.at("step"))
        if step is not None and step.kind not in ("manual", "action"):
            what = f"{clipped(address)} is no manual step, so nobody can say that it is done"
            self.report.error(node.at("step"), what)

    def _gates(self) -> None:
        gates = self.root.at("expect").get("gates")
        for address, node in gates.entries() if gates is not None else ():
            assert gates is not None
            self._gate(address, gates.key(address))
            if node.value not in GATE_STATES:
                self._not_allowed(node, GATE_STATES)

    def _gate(self, address: str, node: Node) -> None:
        if address in OWN_GATES:
            return
        step = self._step(address, node)
        if step is not None and step.kind != "gate":
            names = [one.id for one in self.playbook.walk() if one.kind == "gate"]  # type: ignore[union-attr]
            self.report.error(
                node, f"{clipped(address)} is no gate", expected=listed([*OWN_GATES, *names])
            )

    def _order(self) -> None:
        order = self.root.at("expect").get("order")
        for node in order.elements() if order is not None else ():
            if isinstance(node.value, str):
                self._event(node.value, node)

    def _event(self, name: str, node: Node) -> None:
        head, _, tail = name.rpartition(".")
        for word, events in (("run", _RUN_EVENTS), ("incident", _INCIDENT_EVENTS)):
            if head == word:
                if tail not in events:
                    self._not_allowed(node, [f"{word}.{one}" for one in events])
                return
        if head in OWN_GATES:
            if tail not in ("opened", *GATE_STATES[:-1]):
                self._not_allowed(node, [f"{head}.{one}" for one in ("opened", *GATE_STATES[:-1])])
            return
        known = tail in _STEP_EVENTS or tail in GATE_STATES
        self._step(head if head and known else name, node)

    def _targets(self) -> None:
        """What changes or goes must be there at the beginning, in one of the worlds."""
        holds = self.ground.holds
        if holds is None:
            return
        for index, change in enumerate(self.form.expect.changes or ()):
            if change.created or change.requests is not None or "*" in change.target:
                continue
            held = [
                holds(self.known.connections[name], entry, change.target)
                for name, entry in self.form.world.items()
                if name in self.known.connections and change.connection in (None, name)
            ]
            if not any(one is None or one for one in held):
                self.report.error(
                    self.root.at("expect", "changes", index, "target"),
                    f"no world holds {clipped(change.target)} at the beginning, so it cannot change",
                    hint="a target is named as the plan names it: namespace/Kind/name, schema.table, bucket/key",
                )

    def _took(self) -> None:
        took = self.form.expect.took
        if took is not None and took.op in ("<", "<=") and took.value <= 0:
            node = self.root.at("expect", "took")
            self.report.error(
                node, "no run takes less than no time", hint='write for example "< 1h"'
            )

    def _incident(self) -> None:
        wanted = self.form.expect.incident
        states = [state.value for state in IncidentState]
        if wanted is not None and wanted not in states:
            self._not_allowed(self.root.at("expect", "incident"), states)
        elif wanted is not None and self.form.rule is None:
            node = self.root.at("expect", "incident")
            hint = "write rule: to start from an alert"
            self.report.error(node, "a playbook that is run directly has no incident", hint=hint)


def _nearest(part: str, before: str, playbook: Playbook, known: Known) -> str | None:
    """Return the step that was meant: of this playbook, or of one that it calls."""
    if (near := suggestion(part, playbook.steps)) is not None:
        return near
    for step in playbook.walk():
        called = (
            known.playbooks.get(step.form.playbook) if isinstance(step.form, CallStep) else None
        )
        if called is not None and part in called.steps:
            prefix = f"{before}." if before else ""
            return f"it stands in the playbook that {step.id} calls: write {prefix}{step.id}.{part}"
    return None


def _waited(entry: Node) -> Iterator[tuple[str, Node]]:
    """Yield the steps that an entry of a world waits for."""
    for item in [*entry.elements(), *(node for _, node in entry.entries())]:
        after = item.get("after")
        step = after.get("step") if after is not None else None
        if step is not None and isinstance(step.value, str):
            yield step.value, step
        elif item.items is not None:
            yield from _waited(item)
