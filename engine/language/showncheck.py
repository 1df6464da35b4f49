"""Finds what a rehearsal expects people to be shown and what can never be shown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from engine.domain.run import RunState
from engine.language.diagnostics import Report, clipped, listed, suggestion
from engine.language.durations import format_duration
from engine.language.known import Known
from engine.language.rehearsalforms import RehearsalFile
from engine.language.rehearsalsteps import Addresses
from engine.language.shownforms import (
    INTERVALS,
    WEEK,
    BatchForm,
    ShownForm,
    Stages,
    TopForm,
    WarmedForm,
    is_series,
    is_window,
)
from engine.language.stepforms import STEP_KINDS
from engine.language.yamlnodes import Node

# Kinds of steps that a stage can be named after: an action's stage is the action.
_KINDS = tuple(kind for kind in STEP_KINDS if kind != "action")
_MOMENTS = ("at", "after")


def check_shown(
    root: Node, form: RehearsalFile, steps: Addresses, known: Known, report: Report
) -> None:
    """Report every entry of `shown:` that names what is not there, or that can never hold."""
    shown = root.at("expect").get("shown")
    for index, one in enumerate(form.expect.shown):
        assert shown is not None
        _Check(shown.at(index), one, form, steps, known, report).all()
    _restarts(root, form, report)


def _restarts(root: Node, form: RehearsalFile, report: Report) -> None:
    late = [(index, one) for index, one in enumerate(form.restarts) if one > form.longest]
    for index, _ in late:
        _too_late(root.at("restarts", index), form, report)
    for index, again in enumerate(form.again):
        if again.after > form.longest:
            _too_late(root.at("again", index, "after"), form, report)


def _too_late(node: Node, form: RehearsalFile, report: Report) -> None:
    what = f"the rehearsal is given up after {format_duration(form.longest)}"
    report.error(node, what, hint="write an earlier moment, or a larger longest:")


@dataclass
class _Check:
    node: Node
    shown: ShownForm
    form: RehearsalFile
    steps: Addresses
    known: Known
    report: Report

    def all(self) -> None:
        self._moment()
        shown = self.shown
        if not set(self.node.keys) - set(_MOMENTS):
            hint = "write batches:, top:, metrics: or warmup: with what is expected"
            self.report.error(self.node, "nothing is expected to be shown", hint=hint)
        self._batches(shown.batches, self.node.get("batches"))
        if shown.top is not None:
            self._top(shown.top, self.node.at("top"))
        if shown.metrics is not None:
            self._metrics()
        if shown.warmup is not None:
            self._warmup(shown.warmup, self.node.at("warmup"))

    def _moment(self) -> None:
        shown, node = self.shown, self.node
        if shown.at is not None and shown.after is not None:
            what = "one moment cannot be given by both at and after"
            self.report.error(node.key("after"), what, hint="write two entries")
        if shown.at is not None and shown.at > self.form.longest:
            _too_late(node.at("at"), self.form, self.report)

    # ---- batches and the monitor --------------------------------------------------------------

    def _batches(self, forms: Sequence[BatchForm], node: Node | None) -> None:
        for index, form in enumerate(forms):
            assert node is not None
            self._batch(form, node.at(index))

    def _batch(self, form: BatchForm, node: Node) -> None:
        step = self.steps.named(form.step, node.at("step"), self.report)
        if step is not None and step.foreach is None:
            what = f"{clipped(form.step)} has no foreach, so it is no batch"
            names = listed(list(self._batch_names()))
            self.report.error(node.at("step"), what, hint=f"steps with a foreach: {names}")
        runs = 1 + len(self.form.again)
        if self.form.playbook is not None and form.run > runs:
            what = f"there are {runs} runs" if runs > 1 else "there is one run"
            hint = "add again: [{after: 1h}], which starts the playbook once more"
            self.report.error(node.at("run"), what, found=str(form.run), hint=hint)
        parts = [form.done, form.failed, form.under_way, form.waiting]
        given = [one for one in parts if one is not None]
        whole = len(given) == len(parts)
        if form.total is not None and (
            sum(given) > form.total or (whole and sum(given) != form.total)
        ):
            what = f"{sum(given)} items done, failed, under way and waiting are not {form.total}"
            hint = "every item is one of the four"
            self.report.error(node.at("total"), what, hint=hint)

    def _batch_names(self) -> Iterator[str]:
        playbook = self.steps.playbook
        for step in playbook.walk() if playbook is not None else ():
            if step.foreach is not None:
                yield step.id

    def _top(self, form: TopForm, node: Node) -> None:
        states = [state.value for state in RunState]
        for state in form.states:
            if state not in states:
                self.report.error(
                    node.at("states").key(state),
                    f"{clipped(state)} is no state of a run",
                    expected=" | ".join(states),
                    hint=suggestion(state, states),
                )
        self._batches(form.batches or (), node.get("batches"))

    # ---- measures and warm-up -----------------------------------------------------------------

    def _metrics(self) -> None:
        form, node = self.shown.metrics, self.node.at("metrics")
        assert form is not None
        if not is_window(form.since):
            what = f"what is measured is shown for one minute to {format_duration(WEEK)}"
            self.report.error(node.at("since"), what, found=format_duration(form.since))
        elif not is_series(form.since, form.every):
            about = format_duration(form.since)
            what = f"{about} in steps of {format_duration(form.every)} make no series"
            hint = f"every is from 1s to the window, in at most {INTERVALS} intervals"
            key = "every" if "every" in node.keys else "since"
            self.report.error(node.at(key), what, hint=hint)
        self._stages(form.stages, node.get("stages"))
        for index, interval in enumerate(form.series):
            self._stages(interval.stages, node.at("series", index, "stages"))

    def _stages(self, stages: Stages, node: Node | None) -> None:
        names = (*self.known.actions, *_KINDS)
        for name in stages:
            if name not in names:
                assert node is not None
                self.report.error(
                    node.key(name),
                    f"there is no stage {clipped(name)}: it is an action, or a kind of step",
                    hint=suggestion(name, names),
                )

    def _warmup(self, form: WarmedForm, node: Node) -> None:
        if not self.form.restarts:
            what = "the engine warms up when it starts anew, which it never does here"
            self.report.error(node, what, hint="add restarts: [1h] beside faults:")
        names = (*self.known.connections, *self.known.playbooks)
        for index, name in enumerate(form.fetched):
            if name not in names:
                self.report.error(
                    node.at("fetched", index),
                    f"there is no connection and no playbook {clipped(name)}",
                    hint=suggestion(name, names),
                )
