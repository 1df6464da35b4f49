"""What can go wrong in a rehearsal under chaos, one thing at a time, and how it is made to happen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from engine.domain.errors import ActionFailed, Category
from engine.edges.rehearsal.faults import Crash
from engine.edges.rehearsal.fragile import Phase, Writes
from engine.running.services import Moment

SLOW = 120.0  # seconds that a slow call takes
RETRY_AFTER = 30.0

Kind = Literal["write", "effect", "once", "happened", "always", "slow_down", "slow"]
Call = tuple[str, str]  # phase, address


@dataclass(frozen=True)
class Trouble:
    """One thing that goes wrong.

    Attributes:
        number, when: of a write, its number; of an effect, its number and whether before or after it.
        call: which call fails.
        label: what stands at that place, for people.
    """

    kind: Kind
    number: int = 0
    when: Phase = "before"
    call: Call = ("", "")
    label: str = ""

    def __str__(self) -> str:
        phase, address = self.call
        match self.kind:
            case "write":
                about = f" ({self.label})" if self.label else ""
                return f"the engine dies {self.when} write {self.number}{about}"
            case "effect":
                return f"the engine dies {self.when} effect {self.number} ({self.label})"
            case "once":
                return f"{phase} of {address} fails once"
            case "happened":
                return f"the effect of {address} happens and its call fails once"
            case "always":
                return f"{phase} of {address} fails for ever"
            case "slow_down":
                return f"{phase} of {address} answers 429 once"
        return f"{phase} of {address} takes {SLOW:g} s"


@dataclass
class Disturbance:
    """Carries out one trouble in one performance, and notes where others could."""

    trouble: Trouble | None
    writes: Writes = field(default_factory=Writes)
    effects: list[str] = field(default_factory=list)
    calls: dict[Call, None] = field(default_factory=dict)
    hits: int = 0

    def __post_init__(self) -> None:
        if self.trouble is not None:
            self.choose(self.trouble)

    def choose(self, trouble: Trouble) -> None:
        """Let this one go wrong."""
        self.trouble = trouble
        if trouble.kind == "write":
            self.writes.dies_at, self.writes.phase = trouble.number, trouble.when

    def hear(self, moment: Moment, sleep: Callable[[float], None]) -> None:
        """Let the trouble of this moment happen."""
        phase = moment.phase
        if phase in ("before", "undo"):
            self.effects.append(f"{phase} {moment.address}".removeprefix("before "))
        if phase in ("read", "plan", "before"):
            self.calls.setdefault((phase, moment.address))
        self.reached(moment)
        if self.trouble is not None and self.meets(self.trouble, moment):
            self.hits += 1
            _happen(self.trouble, sleep)

    def reached(self, moment: Moment) -> None:
        """Told every moment once it is noted; what goes wrong may be chosen here."""

    def meets(self, trouble: Trouble, moment: Moment) -> bool:
        """Tell whether a trouble happens at this moment: for ever, or for the first time."""
        if trouble.kind == "write" or (self.hits and trouble.kind != "always"):
            return False
        if trouble.kind == "effect":
            phases = ("before", "undo") if trouble.when == "before" else ("after", "undone")
            return moment.phase in phases and trouble.number == len(self.effects)
        wanted, address = trouble.call
        phase = "after" if trouble.kind == "happened" else wanted
        return (moment.phase, moment.address) == (phase, address)


def _happen(trouble: Trouble, sleep: Callable[[float], None]) -> None:
    if trouble.kind == "effect":
        raise Crash(str(trouble))
    if trouble.kind == "slow":
        sleep(SLOW)
        return
    if trouble.kind == "slow_down":
        raise ActionFailed(
            Category.RATE_LIMIT, "429: chaos", retry_after=RETRY_AFTER, effect_possible=False
        )
    possible = trouble.kind == "happened"
    raise ActionFailed(Category.TRANSIENT, "chaos broke it", effect_possible=possible)
