"""The faults of a rehearsal, put in where the engine says that a call outside is about to be made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from engine.contract.status import category_of
from engine.domain.clock import Clock
from engine.domain.errors import ActionFailed, Category
from engine.language.rehearsalforms import FailForm, FaultForm
from engine.running.services import Moment

_TRIED_AGAIN = frozenset({Category.TRANSIENT, Category.RATE_LIMIT, Category.RESOURCE})


class Crash(BaseException):
    """The engine's process dies here. No `except Exception` of the engine may stop it, as none stops SIGKILL."""


def failure(form: FailForm) -> Exception:
    """Return what a failing attempt raises."""
    if form.category == "unclassified":
        return RuntimeError(form.message)
    named = Category(form.category) if form.category else Category.TRANSIENT
    category = category_of(form.status, form.message) if form.status else named
    if form.category:
        category = named
    message = f"{form.status}: {form.message}" if form.status else form.message
    return ActionFailed(
        category,
        message,
        retry_after=form.retry_after,
        effect_possible=form.effect == "happened",
    )


@dataclass
class Faults:
    """Which faults there are and which came true.

    Attributes:
        heard: told every moment first; chaos does its own there.
    """

    forms: tuple[FaultForm, ...]
    clock: Clock
    heard: Callable[[Moment], None] | None = None
    fired: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.fired = [0] * len(self.forms)

    def on_moment(self, moment: Moment) -> None:
        """Let the fault of this moment happen, if there is one."""
        if self.heard is not None:
            self.heard(moment)
        for index, form in enumerate(self.forms):
            if self._is_due(form, moment) and self._phase(form, moment.phase):
                self.fired[index] += 1
                self._happen(form)

    def on_plan_read(self, address: str) -> None:
        """A read for the plan fails as its first attempt will; that one then fails once more."""
        if self.heard is not None:
            self.heard(Moment("read", "", address, 1))
        for index, form in enumerate(self.forms):
            if form.step != address or form.attempt != 1 or form.crash:
                continue
            error = failure(form.fail) if form.fail else None
            again = isinstance(error, ActionFailed) and error.category in _TRIED_AGAIN
            if not again:
                self.fired[index] += 1
            self._happen(form)

    def unfired(self) -> list[int]:
        """Return the places of the faults that never came true."""
        return [index for index, times in enumerate(self.fired) if times == 0]

    def _is_due(self, form: FaultForm, moment: Moment) -> bool:
        return (
            form.step == moment.address
            and form.attempt <= moment.attempt < form.attempt + form.times
        )

    def _phase(self, form: FaultForm, phase: str) -> bool:
        if form.crash:
            return phase == ("before" if form.crash == "before_effect" else "after")
        if form.fail and form.fail.effect == "happened":
            return phase == "after"
        return phase in ("read", "before")

    def _happen(self, form: FaultForm) -> None:
        if form.slow:
            self.clock.sleep(form.slow)
        if form.crash:
            raise Crash(f"{form.crash} of {form.step}")
        if form.fail:
            raise failure(form.fail)
