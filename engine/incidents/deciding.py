"""Decides prepared alerts inside one transaction; `following` carries out what was decided.

The transaction may be run again from the start (a lost race for an episode), so nothing here has an
effect outside `tx`. What one transaction has learnt it keeps (episodes, run states, brakes), so that a
storm asks the store once a key and not once an alert.
"""

from __future__ import annotations

from dataclasses import replace

from engine.domain.alert import AlertStatus
from engine.domain.errors import InvalidInput, Refused
from engine.domain.people import ENGINE, Actor
from engine.domain.run import RunMode
from engine.incidents import lifecycle
from engine.incidents.casebook import Case, label_key
from engine.incidents.following import Following
from engine.incidents.matching import Match, Prepared
from engine.journal.rows import DecisionRow, Page
from engine.language.rules import Rule
from engine.planning.decision import (
    Decision,
    Reason,
    Verdict,
    condition_not_met,
    decide,
    failed,
    no_rule,
    rule_gone,
)


class Deciding(Following):
    """One transaction's decisions. Call `finish` before the transaction ends."""

    # ------------------------------------------------------------ alerts

    def alert(self, prepared: Prepared) -> None:
        """Decide one alert: every rule that took it, one after another."""
        row = prepared.row
        if row.alert.status is AlertStatus.RESOLVED:
            self._alert_resolved(row)
            return
        if prepared.postponed is not None:
            if not self._tx.decisions.done(row.id, prepared.postponed):
                return  # another node has decided it meanwhile
            if not prepared.matches:
                self.record(row, prepared.postponed, rule_gone(prepared.postponed))
        elif not prepared.matches:
            self.record(row, "", no_rule())
        incident_id: str | None = None  # rules that take the same alert tell one story
        for match in prepared.matches:
            incident_id = self._match(prepared, match, incident_id) or incident_id

    def act(self, prepared: Prepared, rule: Rule, actor: Actor) -> str:
        """Run `rule` for the alert because `actor` says so, whatever its age, windows or brakes.

        Raises:
            Refused: a run of the episode is at work. InvalidInput, NotFound: the run cannot be made.
        """
        case = self._case(prepared, rule, actor)
        episode = self._cases.episode(rule.name, case.key)
        if episode is not None and episode.run_id is not None:
            state = self._cases.run_state(episode.run_id)
            if state in lifecycle.AT_WORK:
                raise Refused(
                    f"run {episode.run_id} of this episode is {state.value}; end it first"
                )
        mode = RunMode.APPROVE if rule.mode == "off" else RunMode(rule.mode)
        text = f"{actor.name} asked for it"
        decision = Decision(Verdict.RUN, Reason.MATCHED, text, mode=mode)
        run_id = self._start(case, decision, None)
        self._cases.flush()
        incident_id = self._cases.incident_of(case)
        if incident_id is not None:
            lifecycle.reopen(self._tx, incident_id, text)
        return run_id

    def fire(self, case: Case) -> Decision:
        """Decide a schedule's or a query's fire."""
        decision, case = self._decide(case)
        self._carry(case, decision, None)
        return decision

    def would(self, case: Case) -> Decision:
        """What `fire` would decide now, without doing it."""
        return self._decide(case)[0]

    # ------------------------------------------------------------ one rule

    def _match(self, prepared: Prepared, match: Match, shared: str | None) -> str | None:
        rule = match.rule
        if match.refused is not None:
            self.record(prepared.row, rule.name, condition_not_met(rule, match.refused))
            return None
        decision, case = self._decide(self._case(prepared, rule, ENGINE))
        if match.note:
            decision = replace(decision, text=f"{decision.text}; {match.note}")
        return self._carry(case, decision, shared)

    def _case(self, prepared: Prepared, rule: Rule, actor: Actor) -> Case:
        row = prepared.row
        names = tuple(row.group_labels) if rule.run_per is None else rule.run_per
        source = row.group_labels if rule.run_per is None else row.alert.labels
        return Case(
            rule=rule,
            scope=prepared.scope,
            key=label_key(names, source),
            labels=row.alert.labels,
            alert=row,
            firing=(row.alert.fingerprint, row.alert.starts_at),
            requester=actor,
            asked_before=self._last(row.id, rule.name) if prepared.postponed else None,
        )

    def _last(self, alert_id: str, rule: str) -> DecisionRow | None:
        found = self._tx.decisions.list(Page(limit=1), alert_id=alert_id, rule=rule)
        return found[0] if found else None

    def _decide(self, case: Case) -> tuple[Decision, Case]:
        try:
            facts = self._facts.about(case)
        except InvalidInput as error:
            return failed(f"concurrency.group of rule {case.rule.name}: {error}"), case
        if facts.group is not None:
            case = replace(case, group=facts.group)
        return decide(case.rule, facts), case
