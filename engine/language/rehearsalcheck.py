"""Checks a rehearsal against what it names: playbook, rule, connections, steps, gates, events, targets.

That what it expects can hold is checked by `expectations`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from engine.domain.incident import IncidentState
from engine.domain.run import RunState
from engine.language.diagnostics import Diagnostic, Report, clipped, listed, suggestion
from engine.language.expectations import check_expectations
from engine.language.inputcheck import check_given
from engine.language.known import Known
from engine.language.reading import Playbook, Step
from engine.language.rehearsalforms import STEP_STATES, RehearsalFile
from engine.language.rehearsalreading import Rehearsal
from engine.language.rehearsalsteps import OWN_GATES, Addresses, addresses_in
from engine.language.rulereading import ReadRule, RuleFile
from engine.language.showncheck import check_shown
from engine.language.yamlnodes import Node

GATE_STATES = ("approved", "rejected", "expired", "void", "withdrawn", "open")
_STEP_EVENTS = ("started", "failed", "skipped", "retry", "undone", "undo_failed", "opened", "done")
_RUN_EVENTS = (*(state.value for state in RunState), "ended")
_INCIDENT_EVENTS = ("opened", *(state.value for state in IncidentState))

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
        self.steps = Addresses(self.playbook, known)

    def all(self) -> None:
        self._start()
        self._world()
        for address, node in addresses_in(self.root):
            self._step(address, node)
        self._people()
        self._gates()
        self._states()
        self._order()
        self._incident()
        self._targets()
        rule = self.ground.rules.get(self.form.rule or "")
        check_expectations(self.root, self.form, rule, self.steps, self.report)
        check_shown(self.root, self.form, self.steps, self.known, self.report)

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
                self._unknown(self.root.at("rule"), "rule", form.rule, self.ground.rules)
                return None
            name = rule.form.playbook if rule.form is not None else None
        if name is None:
            return None
        playbook = self.known.playbooks.get(name)
        if playbook is None and form.playbook is not None:
            self._unknown(self.root.at("playbook"), "playbook", name, self.known.playbooks)
        return playbook

    def _unknown(self, node: Node, what: str, name: str, names: Collection[str]) -> None:
        self.report.error(
            node,
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
                self._given(self.playbook)
            return
        if "inputs" in self.root.keys:
            hint = "the rule's own inputs hold"
            self.report.error(self.root.key("inputs"), "a rule brings its own inputs", hint=hint)
        if form.again:
            what, hint = "a rule is started by alerts", "write alerts: with several, or times: 2"
            self.report.error(self.root.key("again"), what, hint=hint)
        rule = self.ground.rules.get(form.rule or "")
        if rule is not None and rule.trigger == "matchers" and not alerts:
            self.report.error(
                self.root.at("rule"),
                f"the rule {clipped(rule.name)} waits for an alert, and none comes",
                hint="add alert: {labels: {alertname: …}}",
            )

    def _given(self, playbook: Playbook) -> None:
        check_given(self.root.get("inputs"), self.root.at("playbook"), playbook, self.report)
        for index, again in enumerate(self.form.again):
            if again.inputs is not None:
                node = self.root.at("again", index)
                check_given(node.get("inputs"), node, playbook, self.report)

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

    def _step(self, address: str, node: Node) -> Step | None:
        return self.steps.named(address, node, self.report)

    def _states(self) -> None:
        steps = self.root.at("expect").get("steps")
        for _, node in steps.entries() if steps is not None else ():
            if node.value not in STEP_STATES:
                self._not_allowed(node, STEP_STATES)

    def _not_allowed(self, node: Node, allowed: Sequence[str]) -> None:
        value = node.value
        self.report.error(
            node,
            f"{clipped(str(value))} is not allowed here",
            expected=" | ".join(allowed),
            hint=suggestion(value, allowed) if isinstance(value, str) else None,
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

    def _incident(self) -> None:
        wanted = self.form.expect.incident
        states = [state.value for state in IncidentState]
        if wanted is not None and wanted not in states:
            self._not_allowed(self.root.at("expect", "incident"), states)
        for index, decision in enumerate(self.form.expect.decisions):
            node = self.root.at("expect", "decisions", index)
            if decision.rule is not None and decision.rule not in self.ground.rules:
                self._unknown(node.at("rule"), "rule", decision.rule, self.ground.rules)
