"""Chaos: a rehearsal played again and again, with one thing going wrong each time.

The engine dies around every write that changes the journal and around every effect; every call fails once,
fails for ever, is told to slow down, takes long. What comes of it must be what came of it undisturbed, or an
honest end that names a person, and never a success over another world.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

from engine.domain.canonical import Json, JsonObject, canonical_json
from engine.domain.errors import StanchError
from engine.edges.rehearsal.fragile import Phase, Writes
from engine.edges.rehearsal.player import Player
from engine.edges.rehearsal.seen import Seen
from engine.edges.rehearsal.sidebyside import side_by_side
from engine.edges.rehearsal.stage import Ground
from engine.edges.rehearsal.telling import UNSTEADY
from engine.edges.rehearsal.troubles import Disturbance, Kind, Trouble
from engine.language.rehearsalreading import Rehearsal

# Ends that claim nothing: a person is told, or nothing more was done.
HONEST = frozenset({"needs_human", "failed", "undone", "held", "expired", "cancelled"})
_POLL = "step.verify "

Verdict = Literal["same", "honest", "differs"]


@dataclass(frozen=True)
class End:
    """What a performance came to, as far as chaos may not change it."""

    states: tuple[str, ...]
    changes: tuple[str, ...]
    messages: tuple[tuple[str, int], ...]
    reason: str = ""
    error: str = ""

    def as_json(self) -> JsonObject:
        return {
            "runs": list(self.states),
            "changes": list(self.changes),
            "messages": dict(self.messages),
            "reason": self.reason,
            "error": self.error,
        }


@dataclass(frozen=True)
class Undisturbed:
    """The rehearsal as it goes by itself, and everything that could go wrong in it."""

    end: End
    troubles: tuple[Trouble, ...]


@dataclass(frozen=True)
class Outcome:
    """One disturbed performance."""

    trouble: Trouble
    verdict: Verdict
    end: End
    why: str = ""


@dataclass
class Chaos:
    """What became of one rehearsal under chaos."""

    name: str
    place: str
    end: End
    seconds: float = 0.0
    same: int = 0
    honest: int = 0
    differing: list[Outcome] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.differing and not self.end.error

    def as_json(self) -> JsonObject:
        return {
            "name": self.name,
            "place": self.place,
            "ok": self.ok,
            "seconds": round(self.seconds, 3),
            "undisturbed": self.end.as_json(),
            "same": self.same,
            "honest": self.honest,
            "differing": [
                {"trouble": str(one.trouble), "why": one.why, "end": one.end.as_json()}
                for one in self.differing
            ],
        }


def disturb(
    ground: Ground,
    rehearsals: Sequence[Rehearsal],
    service: Callable[[str], str],
    jobs: int | None = None,
) -> Iterator[Chaos]:
    """Play each rehearsal undisturbed, then once for everything that can go wrong in it."""
    calm = [partial(undisturbed, ground, one, service) for one in rehearsals]
    found = list(side_by_side(calm, jobs))
    for rehearsal, first in zip(rehearsals, found, strict=True):
        began = time.perf_counter()
        chaos = Chaos(rehearsal.name, rehearsal.place, first.end)
        tasks = [
            partial(disturbed, ground, rehearsal, service, trouble, first.end)
            for trouble in first.troubles
        ]
        for outcome in side_by_side(tasks, jobs):
            if outcome.verdict == "differs":
                chaos.differing.append(outcome)
            elif outcome.verdict == "same":
                chaos.same += 1
            else:
                chaos.honest += 1
        chaos.seconds = time.perf_counter() - began
        yield chaos


def undisturbed(ground: Ground, rehearsal: Rehearsal, service: Callable[[str], str]) -> Undisturbed:
    """Play a rehearsal as it is and list what could go wrong in it."""
    disturbance = Disturbance(None)
    end = _play(ground, rehearsal, service, disturbance)
    return Undisturbed(end, tuple(_troubles(disturbance)))


_AROUND: tuple[Phase, ...] = ("before", "after")
_FAILING: tuple[Kind, ...] = ("once", "always", "slow_down", "slow")


def _troubles(calm: Disturbance) -> Iterator[Trouble]:
    for number, label in _telling(calm.writes):
        for when in _AROUND:
            yield Trouble("write", number, when, label=label)
    for number, label in enumerate(calm.effects, 1):
        for when in _AROUND:
            yield Trouble("effect", number, when, label=label)
    for call in calm.calls:
        for kind in _FAILING:
            yield Trouble(kind, call=call)
        if call[0] == "before":
            yield Trouble("happened", call=call)


def _telling(writes: Writes) -> list[tuple[int, str]]:
    """Return the writes to die at: all, but of a wait's many alike polls the first two and the last."""
    labelled = _labelled(writes)
    places: dict[str, list[int]] = {}
    for number, label in labelled:
        places.setdefault(label, []).append(number)
    return [
        (number, label)
        for number, label in labelled
        if _POLL not in label or number in (*places[label][:2], places[label][-1])
    ]


def _labelled(writes: Writes) -> list[tuple[int, str]]:
    """Name every write; what journals nothing itself (a claim, a decision) by what follows it."""
    found: list[tuple[int, str]] = []
    following = "the end"
    for number in reversed(writes.changing):
        label = writes.labels.get(number)
        following = label or following
        found.append((number, label or f"claiming, then {following}"))
    return found[::-1]


def disturbed(
    ground: Ground,
    rehearsal: Rehearsal,
    service: Callable[[str], str],
    trouble: Trouble,
    calm: End,
) -> Outcome:
    """Play a rehearsal with one trouble and judge its end."""
    end = _play(ground, rehearsal, service, Disturbance(trouble))
    verdict, why = judged(calm, end)
    return Outcome(trouble, verdict, end, why)


def judged(calm: End, end: End) -> tuple[Verdict, str]:
    """Hold a disturbed end against the undisturbed one. Pure."""
    if end.error:
        return "differs", end.error
    twice = [
        f"{to} was told {number} times instead of {dict(calm.messages).get(to, 0)}"
        for to, number in end.messages
        if number > dict(calm.messages).get(to, 0)
    ]
    if (end.states, end.changes) == (calm.states, calm.changes):
        return ("differs", "; ".join(twice)) if twice else ("same", "")
    if any(state in HONEST for state in end.states):
        return "honest", f"{', '.join(end.states)}: {end.reason}"
    if end.states != calm.states:
        return "differs", f"the run is {', '.join(end.states) or 'not there'}: {end.reason}"
    lacking = [one for one in calm.changes if one not in end.changes]
    more = [one for one in end.changes if one not in calm.changes]
    parts = [f"missing: {'; '.join(lacking)}"] if lacking else []
    parts += [f"too much: {'; '.join(more)}"] if more else []
    return "differs", "the world differs, " + ", ".join(parts)


def _play(
    ground: Ground,
    rehearsal: Rehearsal,
    service: Callable[[str], str],
    disturbance: Disturbance,
) -> End:
    form = rehearsal.form
    assert form is not None
    try:
        player = Player(ground, form, rehearsal.path.parent, service, disturbance)
        return _end(player.play())
    except StanchError as error:
        return End((), (), (), error=str(error))


def _end(seen: Seen) -> End:
    told = Counter(message.to for message in seen.messages if message.to not in UNSTEADY)
    changes = sorted(
        canonical_json(
            [
                f"{connection}:{change.target}",
                change.what,
                change.count,
                {name: _plain(pair) for name, pair in change.fields.items()},
            ]
        )
        for connection, change in seen.changes
    )
    return End(
        tuple(one.row.state.value for one in seen.runs),
        tuple(changes),
        tuple(sorted(told.items())),
        seen.run.row.reason if seen.run is not None else "",
        seen.stopped or "",
    )


def _plain(pair: tuple[Json, Json]) -> Json:
    return list(pair)
