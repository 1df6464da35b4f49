"""Escalation chains: whom a page calls next, and when. Pure: rows in, calls out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from engine.domain.canonical import JsonObject
from engine.domain.incident import Level
from engine.journal.casefiles import CallRow
from engine.language.matchers import Matcher, matches_all

DEFAULT = "default"


@dataclass(frozen=True)
class Contact:
    """Somebody, or whoever is on call, and the ways to reach them.

    Attributes:
        name: as the configuration calls it. title: what people call it.
        ways: where messages go; each is `{webhook: …}`, `{mail: …}` or `{chat: …}`.
        on_call: a schedule that says who it is just now; their own ways come first.
    """

    name: str
    title: str
    ways: tuple[JsonObject, ...] = ()
    on_call: str | None = None


@dataclass(frozen=True)
class Rung:
    """One step of a chain.

    Attributes:
        contact: its name.
        within: seconds that they have to acknowledge before the next one is called.
        matchers: only for subjects with such labels; none: for all.
    """

    contact: str
    within: float
    matchers: tuple[Matcher, ...] = ()


@dataclass(frozen=True)
class Chain:
    """Contacts in their order; `repeat` seconds after the last it begins anew."""

    rungs: tuple[Rung, ...]
    repeat: float


@dataclass(frozen=True)
class LevelRule:
    """How a level calls.

    Attributes:
        chain: which chain.
        first: seconds until the first contact is called: time for the engine, or for somebody who looks.
        step: seconds between contacts instead of the rungs' own; 0: everybody at once. None: their own.
    """

    chain: str
    first: float = 0.0
    step: float | None = None


@dataclass(frozen=True)
class Policy:
    """The configured escalation.

    Attributes:
        severities: which incidents call people as soon as they open, and how loudly.
    """

    chains: Mapping[str, Chain] = field(default_factory=dict)
    contacts: Mapping[str, Contact] = field(default_factory=dict)
    levels: Mapping[Level, LevelRule] = field(default_factory=dict)
    severities: Mapping[str, Level] = field(default_factory=dict)

    def rule(self, level: Level) -> LevelRule | None:
        """Return how a level calls; a level that is not configured calls the default chain at once."""
        if level in self.levels:
            return self.levels[level]
        if not self.chains:
            return None
        name = DEFAULT if DEFAULT in self.chains else next(iter(self.chains))
        return LevelRule(name)

    def chain_of(self, level: Level, wanted: str | None = None) -> str:
        """Return the chain's name for a page; "" where nothing is configured."""
        if wanted and wanted in self.chains:
            return wanted
        rule = self.rule(level)
        return "" if rule is None else rule.chain


@dataclass(frozen=True)
class Call:
    """What is due of a call: whom to tell now, and where it stands afterwards."""

    contacts: Sequence[Contact]
    rung: int
    round: int
    next_at: datetime | None


def next_call(policy: Policy, call: CallRow, now: datetime) -> Call:
    """Return the contacts that a due call reaches now.

    Rungs whose matchers do not fit are passed over. After the last one the chain begins anew, until
    somebody acknowledges: a page never falls silent by itself.
    """
    chain = policy.chains.get(call.chain)
    if chain is None:
        return Call((), call.rung, call.round, None)
    labels = call.body.get("labels") or {}
    rule = policy.rule(Level(call.level))
    step = rule.step if rule is not None else None
    told: list[Contact] = []
    place = call.rung
    while place < len(chain.rungs):
        rung = chain.rungs[place]
        place += 1
        if rung.matchers and not matches_all(rung.matchers, labels):
            continue
        told.append(policy.contacts[rung.contact])
        pause = rung.within if step is None else step
        if pause > 0 and _fits(chain.rungs[place:], labels):
            return Call(told, place, call.round, now + timedelta(seconds=pause))
    return Call(told, 0, call.round + 1, now + timedelta(seconds=chain.repeat))


def _fits(rungs: Sequence[Rung], labels: Mapping[str, str]) -> bool:
    return any(not rung.matchers or matches_all(rung.matchers, labels) for rung in rungs)
