"""What a performance came to under chaos, and how it is held against the undisturbed one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from engine.domain.canonical import Json, JsonObject, canonical_json
from engine.domain.errors import StanchError
from engine.edges.rehearsal.player import Player
from engine.edges.rehearsal.seen import Seen
from engine.edges.rehearsal.stage import Ground
from engine.edges.rehearsal.telling import UNSTEADY
from engine.edges.rehearsal.troubles import Disturbance
from engine.language.rehearsalreading import Rehearsal

# Ends that claim nothing: a person is told, or nothing more was done.
HONEST = frozenset({"needs_human", "failed", "undone", "held", "expired", "cancelled"})

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


def play_to_end(
    ground: Ground,
    rehearsal: Rehearsal,
    service: Callable[[str], str],
    disturbance: Disturbance,
) -> End:
    """Play a rehearsal with what goes wrong in it. A world that cannot be played is an end with its error."""
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
