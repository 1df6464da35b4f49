"""One action step instance at work: its limits, and what it journals of itself."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from engine.domain.canonical import Json
from engine.domain.clock import expired, format_time
from engine.domain.errors import ActionFailed, Category, InvalidInput
from engine.domain.plan import Planned, Target
from engine.language.program import ActionNode
from engine.language.scope import TemplateError
from engine.planning.inputs import seconds
from engine.planning.moves import Place
from engine.planning.progress import StepState
from engine.planning.retry import Again, decide
from engine.planning.scope import scope_of
from engine.running.budgeting import settle
from engine.running.outcome import PROGRESSED, Carried
from engine.running.services import Moment, Services
from engine.running.session import Session


def step_key(run_id: str, address: str) -> str:
    """The key of an effect: stable across retries, owners and restarts (DESIGN 6)."""
    return hashlib.sha256(f"{run_id}\0{address}".encode()).hexdigest()[:40]


@dataclass
class StepWork:
    """One action step instance of one run, for as long as it takes to carry it one move on."""

    services: Services
    session: Session
    address: str
    node: ActionNode
    place: Place

    def allowed(self, targets: Sequence[Target]) -> None:
        for target in targets:
            refused = self.services.connections.refusal(target)
            if refused:
                raise InvalidInput(refused)

    def timeout(self) -> float | None:
        if self.node.timeout is None:
            return None
        scope = scope_of(self.place, self.session.progress, self.session.facts)
        return seconds(self.node.timeout, scope)

    def late(self, state: StepState) -> bool:
        return expired(state.started_at, self.timeout(), self.services.clock.now())

    def world(self, *, writable: bool) -> Any:
        return self.services.connections.world(
            writable=writable,
            timeout=self.timeout(),
            stopping=self.services.stopping,
            ports=self.services.ports(self.session.row),
        )

    @property
    def attempt(self) -> int:
        state = self.session.progress.steps.get(self.address)
        return 0 if state is None else state.attempt

    def moment(self, phase: Literal["read", "plan", "before", "after"]) -> None:
        """Tell that a call outside is about to be made. Raises what stands for the call's failure."""
        attempt = self.attempt + (phase in ("read", "plan"))
        self.services.on_moment(Moment(phase, self.session.row.id, self.address, attempt))

    # ------------------------------------------------------------ what is journalled

    def succeed(self, output: Json, message: str = "", *, changed: bool = False) -> None:
        self.session.note(
            "step.outcome",
            address=self.address,
            attempt=self.attempt,
            state="succeeded",
            output=output,
            changed=changed,
            message=message,
        )

    def fail(self, category: Category, message: str) -> None:
        state = self.session.progress.steps.get(self.address)
        self.session.note(
            "step.outcome",
            address=self.address,
            attempt=self.attempt,
            state="failed",
            output=None,
            changed=state is not None and state.changed,
            category=category.value,
            message=message,
        )

    def again(self, category: Category, delay: float, reason: str) -> None:
        at = self.services.clock.now() + timedelta(seconds=delay)
        self.session.note(
            "step.retry",
            address=self.address,
            attempt=self.attempt,
            at=format_time(at),
            category=category.value,
            reason=reason,
        )

    def failed(self, error: ActionFailed, attempt: int) -> Carried:
        """An attempt failed for sure. Policy decides what follows."""
        state = self.session.progress.steps.get(self.address)
        made = attempt - (state.attempts_from if state else 0)
        override = self.node.retry
        delay = None
        if override is not None:
            scope = scope_of(self.place, self.session.progress, self.session.facts)
            try:
                delay = seconds(override.delay, scope)
            except TemplateError:
                delay = 1.0
        verdict = decide(error.category, made, override, delay=delay, retry_after=error.retry_after)
        if isinstance(verdict, Again):
            at = self.services.clock.now() + timedelta(seconds=verdict.delay)
            self.session.note(
                "step.retry",
                address=self.address,
                attempt=attempt,
                at=format_time(at),
                category=error.category.value,
                reason=f"{error}; {verdict.reason}",
            )
        else:
            self.fail(error.category, f"{error} ({verdict.reason})")
        return PROGRESSED

    def unclassified(self, error: Exception) -> Carried:
        self.stuck(
            f"{self.address}: {self.node.action} raised {type(error).__name__}: {error}; "
            "the failure is not classified, so a person must look"
        )
        return PROGRESSED

    def stuck(self, reason: str) -> None:
        self.session.note("run.signal", signal="stuck", reason=reason, address=self.address)

    def settle_budget(self, planned: Planned, key: str, counts: dict[str, int]) -> None:
        self.session.also(lambda tx: settle(tx, self.services, self.session, key, planned, counts))
