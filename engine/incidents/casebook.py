"""Episodes and incidents as one transaction sees them: found or opened, joined, and told in their chains."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from engine.domain.canonical import JsonObject, canonical_json
from engine.domain.entry import Entry
from engine.domain.ids import new_id
from engine.domain.incident import PRIORITIES, IncidentState
from engine.domain.people import ENGINE, Actor
from engine.domain.run import RunState
from engine.incidents.ports import OnOpened
from engine.journal.rows import AlertRow, DecisionRow, EpisodeRow, IncidentRow
from engine.journal.store import Tx
from engine.language.rules import Rule


@dataclass(frozen=True)
class Case:
    """A rule that matched something, on its way to a decision.

    Attributes:
        key: the `run_per` labels, as text; with the rule's name it names the episode.
        labels: what windows and throttle group by.
        alert: None for a schedule's or a query's fire.
        firing: (fingerprint, startsAt) that holds the episode open; None: nothing but its run does.
        group: the rendered concurrency group.
        tells: whether it belongs into an incident; a schedule's run does not.
        asked_before: what was decided when it was last asked, where it was postponed.
    """

    rule: Rule
    scope: JsonObject
    key: str
    labels: Mapping[str, str]
    alert: AlertRow | None = None
    firing: tuple[str, datetime] | None = None
    requester: Actor = ENGINE
    group: str | None = None
    tells: bool = True
    asked_before: DecisionRow | None = None

    @property
    def title(self) -> str:
        """What people read first: the alert's name and the labels that tell its episode from others."""
        name = self.alert.alert.name if self.alert else ""
        if not name:
            name = self.rule.name
        told = key_labels(self.key)
        shown = ", ".join(
            f"{label}={value}" for label, value in told.items() if value and value != name
        )
        return f"{name} ({shown})" if shown else name


def label_key(names: Iterable[str], labels: Mapping[str, str]) -> str:
    """Return the key of `labels` by `names`: canonical JSON, a missing label as "", no names as ""."""
    chosen = {name: labels.get(name, "") for name in names}
    return canonical_json(chosen) if chosen else ""


def key_labels(key: str) -> dict[str, str]:
    """The inverse of `label_key`."""
    return dict(json.loads(key)) if key else {}


def severity_of(priority: int) -> str:
    """P0, P1 or P2, from a run's priority."""
    for name, least in sorted(PRIORITIES.items()):
        if priority >= least:
            return name
    return "P2"


class Casebook:
    """The episodes and incidents that one transaction touches."""

    def __init__(self, tx: Tx, now: datetime, on_opened: OnOpened | None = None) -> None:
        self._tx = tx
        self._on_opened = on_opened
        self._opened_now: list[IncidentRow] = []
        self._now = now
        self._episodes: dict[tuple[str, str], EpisodeRow | None] = {}
        self._states: dict[str, RunState] = {}
        self._entries: dict[str, list[Entry]] = {}
        self._new: set[str] = set()  # incidents that this transaction opened
        self._openers: set[tuple[str, str]] = set()  # (incident, the alert that opened it)

    def episode(self, rule: str, key: str) -> EpisodeRow | None:
        """The open episode, asked of the store once a transaction."""
        place = (rule, key)
        if place not in self._episodes:
            self._episodes[place] = self._tx.episodes.find_open(rule, key)
        return self._episodes[place]

    def forget(self, episode: EpisodeRow) -> None:
        """The episode has changed: ask again."""
        self._episodes.pop((episode.rule, episode.key), None)

    def run_state(self, run_id: str) -> RunState:
        """The state of a run; one that has been pruned has ended."""
        if run_id not in self._states:
            run = self._tx.runs.get(run_id)
            self._states[run_id] = run.state if run else RunState.SUCCEEDED
        return self._states[run_id]

    def incident_of(self, case: Case) -> str | None:
        episode = self.episode(case.rule.name, case.key)
        return episode.incident_id if episode else None

    def incident(self, case: Case, severity: str, shared: str | None) -> str | None:
        """Find or open the incident of a case: its episode's, else `shared`, else a new one."""
        if not case.tells:
            return None
        known = self.incident_of(case) or shared
        return known if known is not None else self._open_incident(case, severity)

    def started(self, case: Case, incident_id: str | None, run_id: str) -> None:
        """The case's run was created: its episode has it, its incident tells it."""
        episode = self._opened(case, incident_id, run_id)
        self._states[run_id] = RunState.QUEUED
        self._hold_open(case, episode, incident_id, f"rule {case.rule.name} matched")
        if incident_id is not None:
            self.entry(incident_id, Entry("incident.run", {"run": run_id, "rule": case.rule.name}))

    def join(self, case: Case, shared: str | None, reason: str) -> str | None:
        """Put the case into its open episode and incident, opening them where there are none."""
        incident_id = self.incident(case, "P2", shared)
        episode = self._opened(case, incident_id, None)
        self._hold_open(case, episode, incident_id, reason)
        return incident_id

    def _opened(self, case: Case, incident_id: str | None, run_id: str | None) -> EpisodeRow:
        episode = self.episode(case.rule.name, case.key)
        if episode is None:
            episode = self._tx.episodes.open(
                case.rule.name, case.key, run_id=run_id, incident_id=incident_id
            )
        elif run_id is not None:
            self._tx.episodes.set_run(episode.id, run_id)
            episode = replace(episode, run_id=run_id)
        self._episodes[case.rule.name, case.key] = episode
        return episode

    def _hold_open(
        self, case: Case, episode: EpisodeRow, incident_id: str | None, reason: str
    ) -> None:
        if case.firing is not None:
            self._tx.episodes.join(episode.id, *case.firing)
        if incident_id is None or case.alert is None:
            return
        self._tx.incidents.add_alert(incident_id, case.alert.id)
        before = case.asked_before
        if (incident_id, case.alert.id) in self._openers or (before and before.incident_id):
            return  # the chain has told it already
        body = {
            "alert": case.alert.id,
            "name": case.alert.alert.name,
            "rule": case.rule.name,
            "reason": reason,
        }
        self.entry(incident_id, Entry("incident.joined", body))

    def _open_incident(self, case: Case, severity: str) -> str:
        row = IncidentRow(
            id=new_id("inc"),
            title=case.title,
            rule=case.rule.name,
            state=IncidentState.OPEN,
            severity=severity,
            opened_at=self._now,
            resolved_at=None,
            body=_facts_of(case),
        )
        self._tx.incidents.open(row)
        self._new.add(row.id)
        if self._on_opened is not None:
            self._opened_now.append(row)
        body = {
            "rule": row.rule,
            "alert": case.alert.id if case.alert else None,
            "severity": severity,
            "title": row.title,
        }
        self.entry(row.id, Entry("incident.opened", body))
        if case.alert is not None:
            self._openers.add((row.id, case.alert.id))
        return row.id

    def entry(self, chain: str, entry: Entry) -> None:
        """Gather an entry; `flush` appends each chain's entries at once."""
        self._entries.setdefault(chain, []).append(entry)

    def flush(self) -> None:
        for chain, entries in self._entries.items():
            self._tx.journal.append(chain, entries, new=chain in self._new)
        self._entries.clear()
        self._new.clear()
        opened, self._opened_now = self._opened_now, []
        for row in opened:
            assert self._on_opened is not None
            self._on_opened(self._tx, row)


def _facts_of(case: Case) -> JsonObject:
    """What an incident shows of its first alert."""
    body: JsonObject = {"key": key_labels(case.key)}
    if case.alert is not None:
        alert = case.alert.alert
        body["labels"] = dict(alert.labels)
        body["summary"] = alert.annotations.get("summary") or alert.annotations.get(
            "description", ""
        )
        body["generator_url"] = alert.generator_url
    return body
