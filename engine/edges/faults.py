"""Ends the process on purpose, for fault tests of the real process: `STANCH_FAULT` (DESIGN 14).

`commit:3:before` and `commit:3:after` kill it around its third commit, `effect:1:before` and
`effect:1:after` around its first effect. The kill is SIGKILL: nothing is flushed, nothing is caught.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from engine.domain.errors import InvalidInput
from engine.running.services import Moment

VARIABLE = "STANCH_FAULT"


@dataclass
class Fault:
    """Where to end. Counts the effects itself; the store counts its commits."""

    kind: str
    number: int
    phase: str
    _effects: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def on_commit(self, number: int, phase: str) -> None:
        if self.kind == "commit" and number == self.number and phase == self.phase:
            _die()

    def on_moment(self, moment: Moment) -> None:
        if self.kind != "effect" or moment.phase in ("read", "plan"):
            return
        phase = "before" if moment.phase in ("before", "undo") else "after"
        with self._lock:
            self._effects += phase == "before"
            if self._effects == self.number and phase == self.phase:
                _die()


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def planned_fault(environ: Mapping[str, str]) -> Fault | None:
    """Read the fault that the environment asks for, if any.

    Raises:
        InvalidInput: it is not of the form above.
    """
    text = environ.get(VARIABLE)
    if not text:
        return None
    kind, _, rest = text.partition(":")
    number, _, phase = rest.partition(":")
    if kind not in {"commit", "effect"} or not number.isdigit() or phase not in {"before", "after"}:
        raise InvalidInput(
            f"{VARIABLE}={text!r}: write commit:N:before|after or effect:N:before|after"
        )
    return Fault(kind, int(number), phase)
