"""Finds what a rehearsal expects and what can never hold, whatever the playbook's steps come to.

Only what is certain is reported: an expectation that is merely unlikely is the rehearsal's to disprove.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from engine.domain.plan import Effect
from engine.domain.run import TRANSITIONS
from engine.language.diagnostics import Report, clipped, listed, suggestion
from engine.language.durations import format_duration
from engine.language.reading import Step
from engine.language.rehearsalforms import ChangeForm, RehearsalFile
from engine.language.rehearsalsteps import OWN_GATES, Addresses, parts_of
from engine.language.rulereading import ReadRule
from engine.language.stepforms import ActionStep
from engine.language.yamlnodes import Node

_UNREACHED = ("skipped", "not_reached")
_ANY = "*"  # stands for any value of a change
# A dry run plans and ends: whatever presupposes that something ran or was asked never comes.
_NOT_OF_A_DRY_RUN = ("succeeded", "undone", "awaiting_approval", "waiting", "expired")
_OF_A_RUN = ("reason", "steps", "attempts", "outputs", "took", "gates")
# From these no state follows, so nothing more happens in the run.
_FINAL = frozenset(f"run.{state.value}" for state, later in TRANSITIONS.items() if not later)
_TIMELINE = "timeline"  # of the incident; messages to a channel come without one, too


def check_expectations(
    root: Node, form: RehearsalFile, rule: ReadRule | None, steps: Addresses, report: Report
) -> None:
    """Report every expectation that can never hold.

    Args:
        rule: the rule that starts it, where there is one.
        steps: finds the steps that the rehearsal names; unknown ones have been reported.
    """
    about = _About(root, form, rule, steps, report)
    about.run()
    about.incident()
    about.outputs()
    about.step_states()
    about.branches()
    about.gates()
    about.order()
    about.changes()
    about.took()


@dataclass
class _About:
    root: Node
    form: RehearsalFile
    rule: ReadRule | None
    steps: Addresses
    report: Report

    def at(self, *path: str | int) -> Node:
        return self.root.at("expect", *path)

    @property
    def mode(self) -> str | None:
        """The run's mode; None where a rule could not be read."""
        if self.form.mode is not None:
            return self.form.mode
        if self.form.rule is None:
            return "auto"
        return self.rule.form.mode if self.rule is not None and self.rule.form is not None else None

    # ---- the run ------------------------------------------------------------------------------

    def run(self) -> None:
        expect, direct = self.form.expect, self.form.playbook is not None
        none = expect.run == "none"
        if direct and (none or expect.runs == 0):
            node = self.at("run" if none else "runs")
            hint = "only a rule may start nothing; expect the state in which the run rests"
            self.report.error(node, "a playbook that is run directly has a run", hint=hint)
        elif none and expect.runs:
            what = f"no run (run: none) and {expect.runs} of them cannot both be"
            self.report.error(self.at("runs"), what, hint="leave one of them out")
        elif none or expect.runs == 0:
            given = self.at().keys
            for key in [one for one in _OF_A_RUN if one in given]:
                what = f"there is no run, so {key} can never be as expected"
                self.report.error(given[key], what, hint="leave it out, or expect a run")
        self._mode()

    def _mode(self) -> None:
        run, mode = self.form.expect.run, self.mode
        if mode == "off" and run not in (None, "none"):
            what = f"the mode of the rule {self.form.rule!r} is off, so no run comes"
            self.report.error(self.at("run"), what, hint="write none, or mode: approve above")
        elif mode not in ("dry_run", "off", None) and run == "planned":
            hint = "write mode: dry_run above, or the state in which the run rests"
            self.report.error(self.at("run"), "only a dry run ends planned", hint=hint)
        if mode != "dry_run":
            return
        if run in _NOT_OF_A_DRY_RUN:
            self.report.error(self.at("run"), "a dry run ends planned", hint="write planned")
        if self.form.expect.changes:
            self.report.error(self.at("changes"), "a dry run changes nothing", hint="write []")
        if self.form.expect.gates:
            what = "a dry run ends before any gate opens"
            self.report.error(self.at().keys["gates"], what, hint="leave them out")

    def outputs(self) -> None:
        playbook = self.steps.playbook
        if playbook is None or playbook.form is None:
            return
        known = playbook.form.outputs
        for name in self.form.expect.outputs:
            if name not in known:
                self.report.error(
                    self.at("outputs").key(name),
                    f"the playbook {playbook.name!r} has no output {clipped(name)}",
                    expected=listed(known),
                    hint=suggestion(name, known),
                )

    def took(self) -> None:
        took, longest = self.form.expect.took, self.form.longest
        if took is None:
            return
        never = took.op in ("<", "<=") and took.value <= 0
        if never:
            what, hint = "no run takes less than no time", 'write for example "< 1h"'
            self.report.error(self.at("took"), what, hint=hint)
        elif took.op in (">", ">=", "==") and took.value > longest:
            what = f"the rehearsal is given up after {format_duration(longest)}"
            self.report.error(self.at("took"), what, hint="write a larger longest:")

    # ---- what belongs to alerts ---------------------------------------------------------------

    def incident(self) -> None:
        """A playbook that is run directly has no alert, so nothing is decided and no incident opens."""
        if self.form.playbook is None:
            return
        expect, hint = self.form.expect, "write rule: to start from an alert"
        if expect.incident is not None:
            what = "a playbook that is run directly has no incident"
            self.report.error(self.at("incident"), what, hint=hint)
        for index, decision in enumerate(expect.decisions):
            if decision.times != 0:
                what = "no alert comes, so nothing is decided"
                self.report.error(self.at("decisions", index), what, hint=hint)
        for index, message in enumerate(expect.messages):
            if message.to == _TIMELINE and message.times != 0:
                what = "a playbook that is run directly has no incident, so no timeline"
                self.report.error(self.at("messages", index, "to"), what, hint=hint)
        for index, name in enumerate(expect.order):
            if name.startswith("incident."):
                what = "a playbook that is run directly has no incident"
                self.report.error(self.at("order", index), what, hint=hint)

    # ---- steps --------------------------------------------------------------------------------

    def step_states(self) -> None:
        expect = self.form.expect
        for address, state in expect.steps.items():
            if state in ("changed", "undone"):
                self._can_change(address, self.at("steps", address))
            tried = expect.attempts.get(address, 0)
            if state in _UNREACHED and tried > 0:
                what = f"a step that is {state.replace('_', ' ')} is never tried"
                hint = "leave the attempts out, or expect another state"
                self.report.error(self.at("attempts", address), what, hint=hint)

    def _can_change(self, address: str, node: Node) -> None:
        step = self.steps.find(address)
        if step is None:
            return
        if not isinstance(step.form, ActionStep):
            hint = "name the action inside it that does"
            what = f"{clipped(address)} is no action, so it changes nothing itself"
            self.report.error(node, what, hint=hint)
            return
        action = self.steps.known.actions.get(step.form.action)
        if action is not None and action.effect is not Effect.CHANGE:
            what = f"{step.form.action} changes nothing, so this can never hold"
            self.report.error(node, what, hint="write succeeded")
        elif self.mode == "dry_run":
            self.report.error(node, "a dry run changes nothing", hint="leave it out")

    def branches(self) -> None:
        """Steps of two cases of one switch cannot both be reached in one run."""
        reached = [
            (address, step)
            for address, state in self.form.expect.steps.items()
            if state not in _UNREACHED and (step := self.steps.find(address)) is not None
        ]
        for (one, first), (other, second) in combinations(reached, 2):
            if one.rpartition(".")[0] != other.rpartition(".")[0]:
                continue
            branches = {id(holder): branch for holder, branch in first.within}
            for holder, branch in second.within:
                if holder.kind == "switch" and branches.get(id(holder), branch) != branch:
                    self.report.error(
                        self.at("steps", other),
                        f"{clipped(other)} stands in another case of the switch {holder.id!r} than "
                        f"{clipped(one)}: both cannot be reached",
                        hint="one of them is skipped or not_reached",
                    )

    # ---- gates and order ----------------------------------------------------------------------

    def gates(self) -> None:
        for address, state in self.form.expect.gates.items():
            self._decided(address, state, self.at("gates", address))

    def _decided(self, address: str, state: str, node: Node) -> None:
        """A gate is approved or rejected by a person, never by time."""
        if address not in OWN_GATES and self.steps.find(address) is None:
            return  # reported: there is no such gate
        does = {"approved": "approve", "rejected": "reject"}.get(state)
        if does is None or any(
            one.does == does
            and one.refused is None
            and parts_of(one.gate or "") == parts_of(address)
            for one in self.form.people
        ):
            return
        what = f"nobody under people {does}s {clipped(address)}, so it is never {state}"
        hint = f"add people: [{{gate: {address}, who: alice, roles: [sre], does: {does}}}]"
        self.report.error(node, what, hint=hint)

    def order(self) -> None:
        past: tuple[int, str] | None = None
        over: str | None = None
        for index, name in enumerate(self.form.expect.order):
            head, _, event = name.rpartition(".")
            if event in ("approved", "rejected") and head:
                self._decided(head, event, self.at("order", index))
            address, event = self._event(name)
            if address is None:
                over = name if name in _FINAL and self._one_run() else over
                continue
            node = self.at("order", index)
            if over is not None:
                what = f"after {over} no step of the run goes on, so {clipped(name)} cannot follow"
                self.report.error(node, what, hint="write it before")
            self._reached(address, event, name, node)
            place = self._place(address, event)
            if place is not None and past is not None and place < past[0]:
                what = f"{clipped(address)} comes before {clipped(past[1])} in the playbook"
                self.report.error(node, what, hint="events are listed as they happen")
            elif place is not None:
                past = (place, address)

    def _event(self, name: str) -> tuple[str | None, str]:
        """Return the address of a step's event and which it is; no address: it is no step's."""
        if self.steps.find(name) is not None:
            return name, ""
        head, _, event = name.rpartition(".")
        return (head, event) if head and self.steps.find(head) is not None else (None, event)

    def _reached(self, address: str, event: str, name: str, node: Node) -> None:
        state = self.form.expect.steps.get(address)
        if state == "not_reached" or (state == "skipped" and event != "skipped"):
            what = (
                f"{clipped(address)} is {state.replace('_', ' ')}, so {clipped(name)} never comes"
            )
            self.report.error(node, what, hint="leave it out, or expect another state")

    def _place(self, address: str, event: str) -> int | None:
        """Return where the outermost step stands among those that run one after the other."""
        if event in ("undone", "undo_failed", "retry") or not self._one_run():
            return None
        first = self.steps.path(address)[0]
        outer = _outermost(first) if first is not None else None
        # What a foreach or a handler holds may come again, or at any time.
        return outer.order if outer is not None and outer.section == 0 else None

    def _one_run(self) -> bool:
        """Whether all events are those of one course through the playbook."""
        acts = {one.does for one in self.form.people}
        return self.form.playbook is not None and not acts & {"undo", "retry"}

    # ---- differences --------------------------------------------------------------------------

    def changes(self) -> None:
        for index, change in enumerate(self.form.expect.changes or ()):
            for path, what, hint in _impossible(change):
                self.report.error(self.at("changes", index, *path), what, hint=hint)


def _outermost(step: Step) -> Step:
    return step.within[0][0] if step.within else step


def _impossible(change: ChangeForm) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """Yield path, message and hint of what no difference can be."""
    ways: Mapping[str, Any] = {
        "created": change.created,
        "deleted": change.deleted,
        "requests": change.requests is not None,
    }
    given = [name for name, value in ways.items() if value]
    if len(given) > 1:
        yield (given[1],), f"one difference cannot be both {' and '.join(given)}", "write two"
    if given:
        return
    if not change.set:
        hint = "write set: with its fields, created: true, deleted: true or requests: 1"
        yield (), f"{clipped(change.target)} differs in nothing", hint
    for name, value in change.set.items():
        pair = value if isinstance(value, list) and len(value) == 2 else None
        if pair is not None and pair[0] == pair[1] != _ANY:
            hint = "write [before, after], or leave the field out"
            yield (
                ("set", name),
                f"{name} is the same before and after, which is no difference",
                hint,
            )
