"""What follows from a decision, inside its transaction: a run, a place in an incident, a later look; the record."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta

from engine.domain.canonical import JsonObject
from engine.domain.entry import Entry
from engine.domain.errors import InvalidInput, NotFound, Refused
from engine.domain.ids import new_id
from engine.domain.run import RunMode, RunState
from engine.incidents import lifecycle
from engine.incidents.casebook import Case, Casebook, label_key, severity_of
from engine.incidents.facts import FactFinder
from engine.incidents.matching import RuleBook, priority_of
from engine.incidents.ports import CreateRun, OnOpened, OnResolved, leave_running
from engine.journal.rows import AlertRow, DecisionRow, EpisodeRow, RunRow
from engine.journal.store import Tx
from engine.language.templates import render
from engine.planning.decision import Decision, Reason, Verdict, failed, recorded
from engine.running.requests import RunRequest

QUEUE_POLL = timedelta(
    seconds=60
)  # a queued alert is released by its run's end; this is the net below
_TELLS_PEOPLE = frozenset({Reason.PAUSED, Reason.COOLDOWN, Reason.TOO_OLD, Reason.ERROR})


@dataclass(frozen=True)
class Desk:
    """What deciding needs besides the transaction.

    Attributes:
        node: names the node's own journal chain.
        max_alert_age: seconds; older alerts are asked about. None: never.
    """

    create_run: CreateRun
    on_resolved: OnResolved = leave_running
    node: str = "local"
    max_alert_age: float | None = None
    on_opened: OnOpened | None = None


class Following:
    """One transaction: what it knows and has learnt, and what follows from its decisions."""

    def __init__(self, tx: Tx, book: RuleBook, desk: Desk) -> None:
        self._tx = tx
        self._book = book
        self._desk = desk
        self._now = tx.now()
        self._cases = Casebook(tx, self._now, desk.on_opened)
        self._facts = FactFinder(tx, self._cases, self._now, desk.max_alert_age)
        self._outside: list[JsonObject] = []
        self.counts: Counter[tuple[str, str]] = Counter()

    def finish(self) -> None:
        """Write the journal entries that have gathered."""
        self._cases.flush()
        if self._outside:
            entry = Entry("decisions.made", {"decisions": self._outside})
            self._tx.journal.append(f"node:{self._desk.node}", [entry])
            self._outside = []

    # ------------------------------------------------------------ one decision

    def _carry(self, case: Case, decision: Decision, shared: str | None) -> str | None:
        """Do what the decision says; return the incident that the alert now belongs to."""
        if decision.verdict is Verdict.RUN:
            try:
                self._start(case, decision, shared)
            except (InvalidInput, NotFound, Refused) as error:
                what = f"rule {case.rule.name} matched, but its run cannot be made: {error}"
                return self._hold_back(case, failed(what), shared)
            return self._cases.incident_of(case)
        if decision.verdict is Verdict.JOIN:
            return self._join(case, decision, shared)
        if decision.verdict is Verdict.WAIT:
            return self._wait(case, decision, shared)
        if decision.code in _TELLS_PEOPLE:
            return self._hold_back(case, decision, shared)
        return self._left_alone(case, decision)

    def _start(self, case: Case, decision: Decision, shared: str | None) -> str:
        """Create the run.

        Raises:
            InvalidInput, NotFound, Refused: a template or the playbook refuses; nothing was written.
        """
        rule = case.rule
        inputs = render(rule.inputs, case.scope)
        priority = priority_of(rule, case.scope)
        incident_id = self._cases.incident(case, severity_of(priority), shared)
        run_id = self._desk.create_run(
            self._tx,
            RunRequest(
                playbook=rule.playbook,
                inputs=inputs,
                rule=rule.name,
                alert=case.scope.get("alert"),
                trigger=case.scope["trigger"],
                mode=decision.mode or RunMode.APPROVE,
                priority=priority,
                requester=case.requester,
                incident_id=incident_id,
                group=case.group,
                cooldown=rule.cooldown,
            ),
        )
        self._cases.started(case, incident_id, run_id)
        if rule.throttle is not None:
            key = label_key(rule.throttle.by, case.labels)
            self._tx.windows.set_last_run(rule.name, key, self._now)
        self.record(case.alert, rule.name, decision, run_id=run_id, incident_id=incident_id)
        return run_id

    def _join(self, case: Case, decision: Decision, shared: str | None) -> str | None:
        run = self._tx.runs.get(decision.run_id or "")
        running = run.incident_id if run is not None else None
        incident_id = self._cases.join(case, running or shared, decision.text)
        if decision.code is Reason.RUN_ENDED and incident_id is not None:
            self._cases.flush()
            lifecycle.reopen(self._tx, incident_id, f"another alert fires: {decision.text}")
        if run is not None:
            self._hurry(case, run, incident_id)
        self.record(
            case.alert,
            case.rule.name,
            decision,
            run_id=decision.run_id,
            incident_id=incident_id,
        )
        return incident_id

    def _hurry(self, case: Case, run: RunRow, incident_id: str | None) -> None:
        """What joins a run that is less urgent makes it as urgent: it waits behind nothing lesser any more."""
        try:
            priority = priority_of(case.rule, case.scope)
        except InvalidInput:
            return  # the run goes on as it was; the rule's mistake is told where the rule starts one
        if priority <= run.priority or not self._tx.runs.hurry(run.id, priority):
            return
        if incident_id is not None:
            text = (
                f"run {run.id} is {severity_of(priority)} from now on: what joined it is as urgent"
            )
            body = {"text": text, "rule": case.rule.name, "run": run.id}
            self._cases.entry(incident_id, Entry("incident.note", body))

    def _wait(self, case: Case, decision: Decision, shared: str | None) -> str | None:
        queued = decision.code is Reason.QUEUED
        if case.alert is not None:
            due = decision.until or self._now + QUEUE_POLL
            group = case.group if queued else None
            self._tx.decisions.postpone(case.alert.id, case.rule.name, due, group=group)
        before = case.asked_before
        if before is not None and before.reason.startswith(f"{decision.code.value}:"):
            return before.incident_id  # still waiting for the same thing: nothing new to tell
        incident_id = self._cases.join(case, shared, decision.text) if queued else None
        self.record(case.alert, case.rule.name, decision, incident_id=incident_id)
        return incident_id

    def _hold_back(self, case: Case, decision: Decision, shared: str | None) -> str | None:
        """Nothing runs although something is wrong: an incident says so to people."""
        incident_id = self._cases.join(case, shared, decision.text)
        if incident_id is not None:
            body = {"text": decision.text, "rule": case.rule.name, "code": decision.code.value}
            self._cases.entry(incident_id, Entry("incident.note", body))
        self.record(case.alert, case.rule.name, decision, incident_id=incident_id)
        return incident_id

    def _left_alone(self, case: Case, decision: Decision) -> str | None:
        """A rule's own restraint (throttle, count, busy): it joins an open episode, and opens none."""
        incident_id = None
        firing = decision.code is not Reason.RESOLVED and decision.code is not Reason.OFF
        if firing and self._cases.episode(case.rule.name, case.key) is not None:
            incident_id = self._cases.join(case, None, decision.text)
        self.record(case.alert, case.rule.name, decision, incident_id=incident_id)
        return incident_id

    # ------------------------------------------------------------ resolved

    def _alert_resolved(self, row: AlertRow) -> None:
        """Recorded, never a trigger. The last one lets the run know and may close the episode."""
        alert = row.alert
        episodes = self._tx.episodes.resolve(alert.fingerprint, alert.starts_at)
        if not episodes:
            self.record(row, "", recorded("resolved; it belongs to no open episode"))
        for episode in episodes:
            self._cases.forget(episode)
            left = self._tx.episodes.firing(episode.id)
            text = (
                f"resolved; {left} of its episode still fire" if left else "resolved, the last one"
            )
            self.record(
                row,
                episode.rule,
                recorded(text),
                run_id=episode.run_id,
                incident_id=episode.incident_id,
            )
            if episode.incident_id is not None:
                body = {"alert": row.id, "name": alert.name, "rule": episode.rule, "firing": left}
                self._cases.entry(episode.incident_id, Entry("incident.alert_resolved", body))
            if not left:
                self.all_resolved(episode)

    def all_resolved(self, episode: EpisodeRow) -> None:
        """Nothing of the episode fires any more."""
        self._cases.flush()
        self._cases.forget(episode)
        if lifecycle.settle(self._tx, episode):
            if episode.incident_id is not None:
                lifecycle.resolve_if_over(self._tx, episode.incident_id)
            return
        assert episode.run_id is not None, "an episode without a run is settled"
        if self._cases.run_state(episode.run_id) is RunState.NEEDS_HUMAN:
            return
        rule = self._book.rules.get(episode.rule)
        self._desk.on_resolved(self._tx, episode.run_id, rule.on_resolved if rule else "note")

    # ------------------------------------------------------------ the record

    def record(
        self,
        alert: AlertRow | None,
        rule: str,
        decision: Decision,
        *,
        run_id: str | None = None,
        incident_id: str | None = None,
    ) -> None:
        row = DecisionRow(
            id=new_id("dec"),
            alert_id=alert.id if alert else None,
            rule=rule,
            verdict=decision.verdict.value,
            reason=decision.reason,
            at=self._now,
            run_id=run_id,
            incident_id=incident_id,
        )
        self._tx.decisions.add(row)
        self.counts[decision.verdict.value, decision.code.value] += 1
        if incident_id is None and run_id is None:  # told in no incident's chain and in no run's
            self._outside.append(
                {
                    "alert": row.alert_id,
                    "rule": rule,
                    "verdict": row.verdict,
                    "reason": row.reason,
                }
            )
