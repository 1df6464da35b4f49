"""What a matching rule decides about an alert, and why (DESIGN 3). Pure: facts in, a decision out.

The cases are asked in one fixed order, told in `CASES`; the first that holds decides. Every decision
carries its reason as data (a code), as a sentence for people, and, where time will change it, until when.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from engine.domain.clock import format_time, spell
from engine.domain.run import ENDS, RunMode, RunState
from engine.language.rules import Rule


class Verdict(enum.StrEnum):
    """What follows.

    `run` starts a run; `join` adds the alert to the open episode or the busy group's incident; `skip`
    starts nothing; `wait` asks again later; `ask` leaves it to a person; `note` is for the record only.
    """

    RUN = "run"
    JOIN = "join"
    SKIP = "skip"
    WAIT = "wait"
    ASK = "ask"
    NOTE = "note"


class Reason(enum.StrEnum):
    MATCHED = "matched"
    NOT_MATCHED = "not_matched"
    CONDITION = "condition"
    RESOLVED = "resolved"
    OFF = "off"
    RULE_GONE = "rule_gone"
    OPEN_EPISODE = "open_episode"
    RUN_ENDED = "run_ended"
    NEEDS_HUMAN = "needs_human"
    FIRING_FOR = "firing_for"
    TOO_OLD = "too_old"
    COUNT = "count"
    PAUSED = "paused"
    COOLDOWN = "cooldown"
    THROTTLED = "throttled"
    BUSY_JOIN = "busy_join"
    BUSY_SKIP = "busy_skip"
    QUEUED = "queued"
    MISFIRE = "misfire"
    ERROR = "error"


@dataclass(frozen=True)
class Decision:
    """A verdict with its reason.

    Attributes:
        text: one sentence for people, without the code.
        until: when the reason ends or is asked again, where time ends it.
        run_id: the run that is joined.
        mode: how the run is to be made; set with RUN only.
    """

    verdict: Verdict
    code: Reason
    text: str
    until: datetime | None = None
    run_id: str | None = None
    mode: RunMode | None = None

    @property
    def reason(self) -> str:
        """The code and the sentence, as they are stored: `throttled: ran 4m ago, …`."""
        return f"{self.code.value}: {self.text}"


@dataclass(frozen=True)
class OpenEpisode:
    """The open episode of the rule and its `run_per` labels. `run_id` None: nothing has run in it yet."""

    run_id: str | None = None
    run_state: RunState | None = None


@dataclass(frozen=True)
class Pause:
    """The kill switch, or a cooldown until a time."""

    by: str
    reason: str
    until: datetime | None = None


@dataclass(frozen=True)
class Facts:
    """What is known when a rule has matched.

    Attributes:
        firing_since: the alert's startsAt; None for a schedule's or a query's fire.
        resolved: its `resolved` has been accepted, or it is one.
        max_age: seconds after which an alert is asked about instead of acted on; None: never.
        window: episodes counted in the rule's window, this one included.
        last_run: when the throttle last let a run through.
        group, busy: the concurrency group, and the ids of its runs that have not ended.
        breaker: why the playbook's circuit breaker is open; None: it is closed.
    """

    now: datetime
    firing_since: datetime | None = None
    resolved: bool = False
    max_age: float | None = None
    episode: OpenEpisode | None = None
    window: int = 0
    last_run: datetime | None = None
    group: str | None = None
    busy: tuple[str, ...] = ()
    paused: Pause | None = None
    cooldown: Pause | None = None
    breaker: str | None = None


def decide(rule: Rule, facts: Facts) -> Decision:
    """Return what `rule`, which has matched, decides. The first case that holds decides."""
    for case in CASES:
        decision = case(rule, facts)
        if decision is not None:
            return decision
    return _run(rule, facts)


Case = Callable[[Rule, Facts], Decision | None]


def _resolved(rule: Rule, facts: Facts) -> Decision | None:
    if not facts.resolved:
        return None
    if rule.firing_for:
        text = f"it resolved before it had fired for {spell(rule.firing_for)}"
    else:
        text = "it had resolved before it was decided; nothing is repaired on resolved"
    return Decision(Verdict.SKIP, Reason.RESOLVED, text)


def _off(rule: Rule, _: Facts) -> Decision | None:
    if rule.mode != "off":
        return None
    return Decision(Verdict.SKIP, Reason.OFF, f"rule {rule.name} is switched off (mode: off)")


def _episode(_: Rule, facts: Facts) -> Decision | None:
    """An episode that has had its run starts nothing more until its alerts resolve: no loops."""
    episode = facts.episode
    if episode is None or episode.run_id is None:
        return None
    run_id, state = episode.run_id, episode.run_state
    if state is RunState.NEEDS_HUMAN:
        code = Reason.NEEDS_HUMAN
        text = f"run {run_id} of this episode needs a person; nothing starts until one has decided"
    elif state in ENDS:
        code = Reason.RUN_ENDED
        text = (
            f"run {run_id} of this episode ended ({state.value}) while alerts still fire; "
            "nothing starts again until they resolve"
        )
    else:
        code = Reason.OPEN_EPISODE
        text = f"the episode is open and run {run_id} is at work"
    return Decision(Verdict.JOIN, code, text, run_id=run_id)


def _firing_for(rule: Rule, facts: Facts) -> Decision | None:
    if not rule.firing_for or facts.firing_since is None:
        return None
    due = facts.firing_since + timedelta(seconds=rule.firing_for)
    if facts.now >= due:
        return None
    text = f"it must fire for {spell(rule.firing_for)}, until {format_time(due)}"
    return Decision(Verdict.WAIT, Reason.FIRING_FOR, text, until=due)


def _too_old(rule: Rule, facts: Facts) -> Decision | None:
    if facts.max_age is None or facts.firing_since is None:
        return None
    age = (facts.now - facts.firing_since).total_seconds() - rule.firing_for
    if age <= facts.max_age:
        return None
    text = (
        f"it began {spell(age)} ago, before max_alert_age ({spell(facts.max_age)}); "
        "it is not acted on unless a person says so: stanch run --alert ID"
    )
    return Decision(Verdict.ASK, Reason.TOO_OLD, text)


def _count(rule: Rule, facts: Facts) -> Decision | None:
    if rule.count is None or facts.window >= rule.count.at_least:
        return None
    text = (
        f"{facts.window} of {rule.count.at_least} episodes within {spell(rule.count.within)}"
        f"{_by(rule.count.by)}"
    )
    return Decision(Verdict.SKIP, Reason.COUNT, text)


def _paused(rule: Rule, facts: Facts) -> Decision | None:
    if facts.paused is None or rule.mode == "dry_run":  # a dry run changes nothing
        return None
    pause = facts.paused
    return Decision(Verdict.SKIP, Reason.PAUSED, f"paused by {pause.by}: {pause.reason}")


def _cooldown(_: Rule, facts: Facts) -> Decision | None:
    pause = facts.cooldown
    if pause is None or (pause.until is not None and facts.now >= pause.until):
        return None
    until = f" until {format_time(pause.until)}" if pause.until else ""
    return Decision(
        Verdict.SKIP, Reason.COOLDOWN, f"cooling down{until}: {pause.reason}", until=pause.until
    )


def _throttled(rule: Rule, facts: Facts) -> Decision | None:
    if rule.throttle is None or facts.last_run is None:
        return None
    until = facts.last_run + timedelta(seconds=rule.throttle.every)
    if facts.now >= until:
        return None
    text = (
        f"it ran at {format_time(facts.last_run)}; at most once every "
        f"{spell(rule.throttle.every)}{_by(rule.throttle.by)}"
    )
    return Decision(Verdict.SKIP, Reason.THROTTLED, text, until=until)


def _busy(rule: Rule, facts: Facts) -> Decision | None:
    if rule.concurrency is None or not facts.busy:
        return None
    text = f"run {facts.busy[0]} is at work in group {facts.group!r}"
    if rule.concurrency.when_busy == "join":
        return Decision(Verdict.JOIN, Reason.BUSY_JOIN, text, run_id=facts.busy[0])
    if rule.concurrency.when_busy == "skip":
        return Decision(Verdict.SKIP, Reason.BUSY_SKIP, text)
    return Decision(Verdict.WAIT, Reason.QUEUED, f"{text}; it runs when that one has ended")


CASES: tuple[Case, ...] = (
    _resolved,
    _off,
    _episode,
    _firing_for,
    _too_old,
    _count,
    _paused,
    _cooldown,
    _throttled,
    _busy,
)


def _run(rule: Rule, facts: Facts) -> Decision:
    mode = RunMode(rule.mode)
    text = f"rule {rule.name} matched"
    if facts.breaker is not None and mode is RunMode.AUTO:
        mode = RunMode.APPROVE
        text += f"; the circuit breaker is open ({facts.breaker}), so a person approves"
    return Decision(Verdict.RUN, Reason.MATCHED, text, mode=mode)


def no_rule() -> Decision:
    """No rule of any file matched: the alert is stored, nothing follows."""
    return Decision(Verdict.NOTE, Reason.NOT_MATCHED, "no rule matched")


def condition_not_met(rule: Rule, why: str) -> Decision:
    name = f"condition {rule.condition_name}" if rule.condition_name else "the condition"
    return Decision(Verdict.SKIP, Reason.CONDITION, f"{name} does not hold: {why}")


def rule_gone(name: str) -> Decision:
    return Decision(Verdict.SKIP, Reason.RULE_GONE, f"rule {name} is no longer loaded")


def failed(what: str) -> Decision:
    """The rule matched but its run could not be made."""
    return Decision(Verdict.SKIP, Reason.ERROR, what)


def misfired(text: str) -> Decision:
    return Decision(Verdict.SKIP, Reason.MISFIRE, text)


def recorded(text: str) -> Decision:
    """A `resolved`: recorded, never a trigger."""
    return Decision(Verdict.NOTE, Reason.RESOLVED, text)


def _by(labels: tuple[str, ...]) -> str:
    return f" by {', '.join(labels)}" if labels else ""
