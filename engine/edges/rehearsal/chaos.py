"""Chaos: a rehearsal played again and again, with one thing going wrong each time.

The engine dies around every write that changes the journal and around every effect; every call fails once,
fails for ever, is told to slow down, takes long. What comes of it must be what came of it undisturbed, or an
honest end that names a person, and never a success over another world. Where a long performance can branch
(`branching`), what leads up to a trouble is not played again for each.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from engine.domain.canonical import JsonObject
from engine.edges.rehearsal.branching import Grown, branches, grow
from engine.edges.rehearsal.ends import End, Verdict, judged, play_to_end
from engine.edges.rehearsal.fragile import Phase, Writes
from engine.edges.rehearsal.sidebyside import number_of, side_by_side
from engine.edges.rehearsal.stage import Ground
from engine.edges.rehearsal.troubles import Disturbance, Kind, Trouble
from engine.language.rehearsalreading import Rehearsal

# A process for each trouble costs as much as playing a rehearsal of some fifty writes again.
WORTH = 60
_POLL = "step.verify "


@dataclass(frozen=True)
class Undisturbed:
    """The rehearsal as it goes by itself, everything that could go wrong in it, and its number of writes."""

    end: End
    troubles: tuple[Trouble, ...]
    writes: int


@dataclass(frozen=True)
class Outcome:
    """One disturbed performance."""

    trouble: Trouble
    end: End
    verdict: Verdict
    why: str = ""


@dataclass
class Chaos:
    """What became of one rehearsal under chaos.

    Attributes:
        branched: how many of its troubles were branches of one performance, not performances of their own.
        refused: why the system gave no process for more branches; empty where it did.
    """

    name: str
    place: str
    end: End
    seconds: float = 0.0
    branched: int = 0
    refused: str = ""
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
            "branched": self.branched,
            "refused": self.refused or None,
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
    worth: int = WORTH,
) -> Iterator[Chaos]:
    """Play each rehearsal undisturbed, then once for everything that can go wrong in it.

    Args:
        jobs: processes side by side; None: as many as there are cores.
        worth: the writes of a performance from which on its troubles branch.
    """
    calm = [partial(undisturbed, ground, one, service) for one in rehearsals]
    found = list(side_by_side(calm, jobs))
    for rehearsal, first in zip(rehearsals, found, strict=True):
        began = time.perf_counter()
        chaos = Chaos(rehearsal.name, rehearsal.place, first.end)
        grown = Grown({})
        if first.writes >= worth and branches(ground, rehearsal):
            grown = _grown(ground, rehearsal, service, first.troubles, jobs)
        chaos.branched, chaos.refused = len(grown.ends), grown.refused
        for trouble, end in _ends(ground, rehearsal, service, first.troubles, grown.ends, jobs):
            outcome = Outcome(trouble, end, *judged(first.end, end))
            if outcome.verdict == "differs":
                chaos.differing.append(outcome)
            elif outcome.verdict == "same":
                chaos.same += 1
            else:
                chaos.honest += 1
        chaos.seconds = time.perf_counter() - began
        yield chaos


def _grown(
    ground: Ground,
    rehearsal: Rehearsal,
    service: Callable[[str], str],
    troubles: Sequence[Trouble],
    jobs: int | None,
) -> Grown:
    """Return what those troubles led to that could branch, by their places."""
    shares = number_of(troubles, jobs)
    growing = [
        partial(grow, ground, rehearsal, service, dict(_share(troubles, shares, place)))
        for place in range(shares)
    ]
    grown = list(side_by_side(growing, jobs))
    ends = {number: end for one in grown for number, end in one.ends.items()}
    return Grown(ends, next((one.refused for one in grown if one.refused), ""))


def _ends(
    ground: Ground,
    rehearsal: Rehearsal,
    service: Callable[[str], str],
    troubles: Sequence[Trouble],
    grown: Mapping[int, End],
    jobs: int | None,
) -> Iterator[tuple[Trouble, End]]:
    """Yield each trouble with what it led to, in their order; what did not branch is played by itself."""
    left = [trouble for number, trouble in enumerate(troubles) if number not in grown]
    playing = side_by_side(
        [partial(disturbed, ground, rehearsal, service, trouble) for trouble in left], jobs
    )
    for number, trouble in enumerate(troubles):
        yield trouble, grown[number] if number in grown else next(playing)


def _share(troubles: Sequence[Trouble], shares: int, place: int) -> Iterator[tuple[int, Trouble]]:
    """Yield every so manieth trouble: what is near the beginning takes longest."""
    yield from list(enumerate(troubles))[place::shares]


def undisturbed(ground: Ground, rehearsal: Rehearsal, service: Callable[[str], str]) -> Undisturbed:
    """Play a rehearsal as it is and list what could go wrong in it."""
    disturbance = Disturbance(None)
    end = play_to_end(ground, rehearsal, service, disturbance)
    return Undisturbed(end, tuple(_troubles(disturbance)), disturbance.writes.number)


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
    ground: Ground, rehearsal: Rehearsal, service: Callable[[str], str], trouble: Trouble
) -> End:
    """Play a rehearsal with one trouble."""
    return play_to_end(ground, rehearsal, service, Disturbance(trouble))
