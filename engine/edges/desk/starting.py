"""What people may begin: previews and saved plans, runs, and the way back of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from engine.domain.canonical import JsonObject
from engine.domain.errors import InvalidInput, NotFound, Refused, StoreUnavailable
from engine.domain.people import Actor
from engine.domain.run import RunMode
from engine.edges.desk.alerts import playbook_for, sent_alert
from engine.edges.desk.find import find_run
from engine.edges.desk.people import Level, require
from engine.edges.desk.reading import Reading
from engine.edges.desk.saved import read_saved, refuse_stale, saved_plan
from engine.incidents.matching import alert_json
from engine.journal.rows import RunRow
from engine.language.program import Program
from engine.planning.document import PlanDocument
from engine.planning.graph import graph
from engine.planning.outlook import limits_of, outlook
from engine.planning.planner import trigger_of
from engine.running.changes import UNDO_PLAYBOOK
from engine.running.conflicts import conflicts_of, images_of, wanted_changes
from engine.running.planning import preview_undo
from engine.running.views import public_plan, run_view


class Starting(Reading):
    """Plans and runs."""

    # ------------------------------------------------------------ plans

    def preview(
        self,
        actor: Actor,
        playbook: str | None,
        inputs: Mapping[str, Any],
        *,
        alert: str | JsonObject | None = None,
        save: bool = False,
    ) -> JsonObject:
        """Plan without a run: reads really happen, nothing is written or stored.

        Args:
            save: add `saved`, the content of a plan file that a run can be started from.

        Raises:
            Refused: the actor is no operator (a preview reads from the connections).
            InvalidInput, NotFound: bad inputs, no such playbook.
        """
        require(actor, Level.OPERATOR, "preview a plan")
        given = self._alert(alert)
        if playbook is None:
            if given is None:
                raise InvalidInput("name a playbook, or give an alert that a rule matches")
            playbook, inputs = playbook_for(self.app.project.rules, given)
        program = self._program(playbook)
        document = self._previewed(program, inputs, given)
        shown = self._shown(program, document)
        if save:
            clean = self.app.world.redact(document.inputs)
            shown["saved"] = saved_plan(document, given, self.app.clock.now(), clean)
        return shown

    def _previewed(
        self, program: Program, inputs: Mapping[str, Any], alert: JsonObject | None
    ) -> PlanDocument:
        return self.app.planner.preview(program, inputs, alert=alert)

    def _shown(self, program: Program, document: PlanDocument) -> JsonObject:
        return {
            **public_plan(document.as_json()),
            "outlook": outlook(document, self._limits(program, document)),
            "graph": graph(program, document),
        }

    def _limits(self, program: Program, document: PlanDocument) -> Any:
        """The budgets that the plan may meet. What is used already is read only where it matters."""
        units = {unit for step in document.changes for unit in step.bounds} | set(document.budget())
        configured = {
            unit: (limit.limit, limit.within)
            for unit, limit in self.app.budgets().items()
            if unit in units
        }
        used: dict[str, int | None] = {}
        for unit, (_, within) in configured.items() if self.app.has_store() else ():
            try:
                used[unit] = self._used(unit, within)
            except StoreUnavailable:
                used[unit] = None
        return limits_of(program.budget, configured, used)

    def _used(self, unit: str, within: float) -> int:
        return self._read(lambda tx: tx.budgets.used("global", unit, window=within))

    # ------------------------------------------------------------ runs

    def start(
        self,
        actor: Actor,
        playbook: str | None,
        inputs: Mapping[str, Any],
        *,
        mode: str = "approve",
        priority: int = 5,
        alert: str | None = None,
        plan: JsonObject | None = None,
        incident: str | None = None,
    ) -> JsonObject:
        """Start a run and return its line.

        Args:
            incident: the id of the incident that it is to belong to.
            plan: the content of a plan file; it says playbook, inputs and alert, and what must come of them.

        Raises:
            Refused: no operator; `auto` (no gate before the first change) without an approver's role; a
                saved plan that is stale, or of another version.
            InvalidInput, NotFound: bad inputs, mode or priority, no such playbook, a plan that was edited.
        """
        least = Level.APPROVER if mode == "auto" else Level.OPERATOR
        require(actor, least, "start a run without a gate" if mode == "auto" else "start a run")
        if mode not in {item.value for item in RunMode}:
            raise InvalidInput(f"{mode!r} is no mode; there are auto, approve and dry_run")
        if not 0 <= priority <= 9:
            raise InvalidInput(f"priority is {priority}; it must be from 0 to 9, 9 the most urgent")
        if plan is not None:
            if playbook is not None or inputs or alert is not None:
                raise InvalidInput(
                    "a saved plan says playbook, inputs and alert itself; give it alone"
                )
            return self._start_saved(actor, plan, RunMode(mode), priority)
        if playbook is None:
            if alert is None:
                raise InvalidInput("name a playbook, or the id of an alert that a rule takes")
            return self._run_line(self.app.triage.act(self.alert(alert)["id"], actor))
        self._program(playbook)
        return self._started(
            actor,
            playbook,
            inputs,
            RunMode(mode),
            priority,
            self._alert(alert),
            {},
            incident=incident,
        )

    def _start_saved(
        self, actor: Actor, plan: JsonObject, mode: RunMode, priority: int
    ) -> JsonObject:
        saved = read_saved(plan)
        program = self._program(saved.playbook)
        fresh = self._previewed(program, saved.inputs, saved.alert)
        refuse_stale(saved, fresh)
        bound: JsonObject = {"plan": saved.fingerprint}
        return self._started(
            actor, saved.playbook, saved.inputs, mode, priority, saved.alert, bound
        )

    def _started(
        self,
        actor: Actor,
        playbook: str,
        inputs: Mapping[str, Any],
        mode: RunMode,
        priority: int,
        alert: JsonObject | None,
        bound: JsonObject,
        *,
        incident: str | None = None,
    ) -> JsonObject:
        trigger: JsonObject = {"kind": "manual"}
        if alert is not None:
            trigger = trigger_of(alert, alert.get("starts_at") or "")
        run_id = self.app.commands.start(
            playbook,
            inputs,
            requester=actor,
            mode=mode,
            priority=priority,
            alert=alert,
            trigger={**trigger, **bound},
            incident_id=incident,
        )
        return self._run_line(run_id)

    # ------------------------------------------------------------ the way back

    def undo(
        self, actor: Actor, run: str, steps: Sequence[str] = (), override: str = ""
    ) -> JsonObject:
        """Start the way back, a run of its own with its own gate, and return it.

        Args:
            override: why what others changed since is to be restored as well; empty: it is not.

        Raises:
            Refused: others changed since what would be restored, named; or a before-image is gone; or there
                is nothing to undo.
        """
        require(actor, Level.OPERATOR, "undo a run")
        row = self._read(lambda tx: find_run(tx, run))
        self._refuse_in_the_way(row, steps, override)
        made = self.app.commands.undo(row.id, actor, tuple(steps), override)
        return self._run_line(made["run"])

    def recover(self, actor: Actor, run: str, step: str | None = None) -> JsonObject:
        """Start a run over just the items of an ended run's foreach that failed, and return it.

        Raises:
            Refused: nothing failed that was not recovered since, or it cannot be done on its own.
        """
        require(actor, Level.OPERATOR, "recover a run")
        row = self._read(lambda tx: find_run(tx, run))
        return self._run_line(self.app.commands.recover(row.id, actor, step)["run"])

    def plan_undo(
        self, actor: Actor, run: str, steps: Sequence[str] = (), override: str = ""
    ) -> JsonObject:
        """Plan the way back without a run: what would be restored, and what stands in the way."""
        require(actor, Level.OPERATOR, "preview an undo")
        row = self._read(lambda tx: find_run(tx, run))
        program, inputs = self.app.commands.way_back(row.id, tuple(steps))
        if program.playbook == UNDO_PLAYBOOK:
            document = preview_undo(self.app.services, program, row, override)
        else:
            document = self.app.planner.preview(program, inputs)
        return self._shown(program, document)

    def _refuse_in_the_way(self, row: RunRow, steps: Sequence[str], override: str) -> None:
        services = self.app.services
        if row.playbook == UNDO_PLAYBOOK:
            return  # its undo makes changes anew, planned on the world as it is
        changes = wanted_changes(services, row.id, steps)
        images, lost = images_of(services, row.id, changes)
        if lost:
            text = "; ".join(f"{step}: {why}" for step, why in lost.items())
            raise Refused(f"{text}. Nothing was started; --step names the steps to undo without it")
        found = {} if override else conflicts_of(services, changes, images)
        if not found:
            return
        text = "; ".join(f"{step}: {why}" for step, whys in found.items() for why in whys)
        raise Refused(
            f"others changed since what run {row.id} had left: {text}; nothing was started. "
            "--step leaves such a step out; --override REASON restores it all the same"
        )

    # ------------------------------------------------------------ small helps

    def _alert(self, alert: str | JsonObject | None) -> JsonObject | None:
        """Return an alert as templates see it: a stored one by its id, or one as it was sent."""
        if isinstance(alert, str):
            alert_id = self.alert(alert)["id"]
            row = self._read(lambda tx: tx.alerts.get(alert_id))
            if row is None:
                raise NotFound(f"there is no alert {alert_id}")
            return alert_json(row)
        return None if alert is None else sent_alert(alert)

    def _program(self, name: str) -> Program:
        self.playbook(name)  # raises NotFound with near names
        return self.app.project.playbooks[name]

    def _run_line(self, run_id: str) -> JsonObject:
        return self._read(lambda tx: run_view(find_run(tx, run_id)))
