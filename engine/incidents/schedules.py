"""Rules that start by themselves: by the clock (`schedule`) or by a metric (`query`).

Every node computes the fire times; a unique row (rule, fire time) decides whose transaction acts.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from engine.domain.clock import format_time, spell
from engine.domain.entry import Entry
from engine.domain.errors import ActionFailed, InvalidInput
from engine.incidents.casebook import Case
from engine.incidents.conditions import Answers, bound
from engine.incidents.deciding import Deciding
from engine.incidents.following import Desk
from engine.incidents.matching import RuleBook, fire_scope
from engine.incidents.ports import QueryPort
from engine.journal.store import Store, Tx
from engine.language.comparisons import format_comparison, holds
from engine.language.rules import QueryTrigger, Rule, Schedule
from engine.language.schedules import next_fire
from engine.planning.decision import Verdict, misfired

GRACE = timedelta(seconds=60)  # a fire this late is still on time; later it is a misfire
MOST_MISSED = 20_000  # fire times looked through after an outage
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Counts = Counter[tuple[str, str]]


@dataclass(frozen=True)
class Due:
    """The fire times of a schedule that have come: the latest, and how many before it were missed."""

    at: datetime
    missed: int
    on_time: bool


def due(schedule: Schedule, after: datetime, now: datetime) -> Due | None:
    """Return what is due of `schedule` since `after`. Pure."""
    latest, number = None, 0
    at = next_fire(schedule, after)
    while at is not None and at <= now and number < MOST_MISSED:
        latest, number = at, number + 1
        at = next_fire(schedule, at)
    if latest is None:
        return None
    return Due(latest, number - 1, now - latest <= GRACE)


def slot(trigger: QueryTrigger, now: datetime) -> datetime:
    """The last time at which the query was to be asked: whole multiples of `every`, on every node."""
    seconds = math.floor(now.timestamp() / trigger.every) * trigger.every
    return datetime.fromtimestamp(seconds, UTC)


@dataclass
class Firing:
    """Schedules and queries of the loaded rules.

    Attributes:
        next_due: when the next of them is due, as of the last tick.
    """

    store: Store
    desk: Desk
    query: QueryPort | None
    next_due: datetime | None = None
    _next: dict[str, datetime | None] = field(default_factory=dict)
    _known: dict[str, Schedule | QueryTrigger] = field(default_factory=dict)

    def tick(self, book: RuleBook, now: datetime, counts: Counts) -> int:
        """Fire what is due; return how many rules fired or were recorded as missed."""
        fired = 0
        for rule in book.scheduled:
            fired += self._schedule(book, rule, now, counts)
        answers = Answers(self.query)
        for rule in book.querying:
            fired += self._ask(book, rule, now, answers, counts)
        self.next_due = self.next_of(book)
        return fired

    def next_of(self, book: RuleBook, *, queries: bool = True) -> datetime | None:
        """When the next of the loaded rules is due; without `queries`, of the schedules alone."""
        rules = (*book.scheduled, *book.querying) if queries else book.scheduled
        times = [self._next[rule.name] for rule in rules if rule.name in self._next]
        return min((at for at in times if at is not None), default=None)

    # ------------------------------------------------------------ by the clock

    def _schedule(self, book: RuleBook, rule: Rule, now: datetime, counts: Counts) -> int:
        schedule = rule.schedule
        assert schedule is not None
        if self._known.get(rule.name) == schedule:
            at = self._next[rule.name]
            if at is None or now < at:
                return 0
        base = self.store.write(_base(rule.name))
        found = due(schedule, base, now)
        done = 0
        if found is not None:
            done = self._commit(self._fire(book, rule, found), counts)
            base = found.at
        self._known[rule.name] = schedule
        self._next[rule.name] = next_fire(schedule, max(base, now) if found else base)
        return done

    def _commit(self, work: Callable[[Tx], tuple[int, Counts]], counts: Counts) -> int:
        done, decided = self.store.write(work)
        counts.update(decided)
        return done

    def _fire(self, book: RuleBook, rule: Rule, found: Due) -> Callable[[Tx], tuple[int, Counts]]:
        assert rule.schedule is not None
        skip = not found.on_time and rule.schedule.misfire == "skip"
        at = format_time(found.at)

        def work(tx: Tx) -> tuple[int, Counts]:
            if not tx.schedules.fire(rule.name, found.at):
                return 0, Counter()  # another node has it
            deciding = Deciding(tx, book, self.desk)
            if skip:
                late = spell((tx.now() - found.at).total_seconds())
                text = f"the fire of {at} was missed ({late} late); misfire: skip"
                deciding.record(None, rule.name, misfired(text))
            else:
                scope = fire_scope("schedule", rule, at, None)
                deciding.fire(Case(rule, scope, "", scope["trigger"]["labels"], tells=False))
            deciding.finish()
            body = {"rule": rule.name, "at": at, "missed": found.missed, "skipped": skip}
            tx.journal.append(f"node:{self.desk.node}", [Entry("schedule.fired", body)])
            return 1, deciding.counts

        return work

    # ------------------------------------------------------------ by a metric

    def _ask(
        self, book: RuleBook, rule: Rule, now: datetime, answers: Answers, counts: Counts
    ) -> int:
        trigger = rule.query
        assert trigger is not None
        if self._known.get(rule.name) == trigger:
            at = self._next[rule.name]
            if at is None or now < at:
                return 0
        asked = slot(trigger, now)
        self._known[rule.name] = trigger
        self._next[rule.name] = asked + timedelta(seconds=trigger.every)
        scope = fire_scope("query", rule, format_time(asked), None)
        try:
            value = answers.ask(bound(trigger.query, scope))
        except (ActionFailed, InvalidInput):
            return 0  # not known is neither yes nor no: what is open stays open, `for` begins anew
        return self._commit(self._answered(book, rule, asked, value), counts)

    def _answered(
        self, book: RuleBook, rule: Rule, asked: datetime, value: float | None
    ) -> Callable[[Tx], tuple[int, Counts]]:
        trigger = rule.query
        assert trigger is not None
        truth = holds(trigger.is_, value)
        scope = fire_scope("query", rule, format_time(asked), value)
        case = Case(
            rule,
            scope,
            "",
            scope["trigger"]["labels"],
            firing=(f"query:{rule.name}", _EPOCH),
        )

        def work(tx: Tx) -> tuple[int, Counts]:
            if not tx.schedules.fire(f"query:{rule.name}", asked):
                return 0, Counter()
            deciding = Deciding(tx, book, self.desk)
            if truth:
                tx.windows.add(rule.name, "held", format_time(asked), asked)
                fired = held_long(tx, rule.name, trigger, asked) and _tell(deciding, tx, case)
            else:
                fired = False
                _over(deciding, tx, rule, value)
            deciding.finish()
            return int(fired), deciding.counts

        return work


def _tell(deciding: Deciding, tx: Tx, case: Case) -> bool:
    """Decide once an episode, not once a slot; what was held back is asked again until it runs."""
    episode = tx.episodes.find_open(case.rule.name, case.key)
    if episode is None or (episode.run_id is None and deciding.would(case).verdict is Verdict.RUN):
        deciding.fire(case)
        return True
    return False


def _over(deciding: Deciding, tx: Tx, rule: Rule, value: float | None) -> None:
    """The query holds no longer: to its episode that is what `resolved` is to an alert's."""
    assert rule.query is not None
    for episode in tx.episodes.resolve(f"query:{rule.name}", _EPOCH):
        if episode.incident_id is not None:
            shown = "nothing" if value is None else f"{value:g}"
            text = f"the query gives {shown}, no longer {format_comparison(rule.query.is_)}"
            body = {"alert": None, "name": rule.name, "rule": rule.name, "text": text, "firing": 0}
            tx.journal.append(episode.incident_id, [Entry("incident.alert_resolved", body)])
        deciding.all_resolved(episode)


def held_long(tx: Tx, rule: str, trigger: QueryTrigger, asked: datetime) -> bool:
    """Whether the query has held at every slot of its `for`. Durable: a restart does not begin anew."""
    slots = math.ceil(trigger.for_ / trigger.every)
    since = asked - timedelta(seconds=(slots + 0.5) * trigger.every)
    return tx.windows.count(rule, "held", since) >= slots + 1


def _base(name: str) -> Callable[[Tx], datetime]:
    """The time since which fires count: the last fire, or when the rule was first seen."""

    def work(tx: Tx) -> datetime:
        last = tx.schedules.last(name) or tx.schedules.last(f"seen:{name}")
        if last is None:
            last = tx.now()
            tx.schedules.fire(f"seen:{name}", last)
        return last

    return work
