"""How a run comes to rest: it waits, is held, needs a person, or has ended; and lets go of its owner."""

from __future__ import annotations

from concurrent.futures import Executor, Future
from datetime import datetime

from engine.domain.clock import format_time
from engine.domain.run import RunState
from engine.journal.store import Tx
from engine.planning.moves import Finish
from engine.running.braking import at_end
from engine.running.ending import Ending
from engine.running.gates import close_all
from engine.running.outcome import Carried, Parked
from engine.running.paging import needs_human
from engine.running.services import Services
from engine.running.session import Session

_PARKED_STATES = {
    "waiting": RunState.WAITING,
    "verifying": RunState.VERIFYING,
    "approval": RunState.AWAITING_APPROVAL,
    "held": RunState.HELD,
}


class Parking:
    """One owner's drive of one run, as far as coming to rest goes."""

    def __init__(self, services: Services, session: Session, pool: Executor) -> None:
        self.services = services
        self.session = session
        self._pool = pool
        self._busy: dict[str, Future[Carried]] = {}
        self._parked: dict[str, Parked] = {}
        self._deadlines: list[datetime] = []
        self.ended: Ending | None = None  # resolves once the run's end is durable

    def _settle_busy(self) -> None:
        """Wait for what is under way in other threads."""
        for address in list(self._busy):
            self._busy.pop(address).result()

    def _park(self) -> None:
        wakes = [item.wake for item in self._parked.values() if item.wake is not None]
        wakes += self._deadlines
        reasons = {item.why for item in self._parked.values()}
        why = next((name for name in ("approval", "verifying") if name in reasons), "waiting")
        state = _PARKED_STATES[why]
        session = self.session
        if session.progress.state is not state:
            session.move(state, f"{why}: {', '.join(sorted(self._parked)) or 'a lock'}")
        self._release(min(wakes) if wakes else None)

    def _park_as(self, state: RunState, reason: str, wake: datetime | None = None) -> None:
        self._settle_busy()
        session = self.session
        arrives = session.progress.state is not state
        session.move(state, reason)
        if state is RunState.NEEDS_HUMAN and arrives:
            row = session.row
            verified = session.progress.verified
            session.also(lambda tx: self.services.on_end(tx, row, state, reason, verified=verified))
            session.also(lambda tx: needs_human(tx, row, reason))
            session.also(lambda tx: self._brakes(tx, state))
        self._release(wake)

    def _release(self, wake: datetime | None) -> None:
        """Let go. A signal that came meanwhile makes the run ready again in the same transaction."""
        run_id, epoch = self.session.row.id, self.session.row.epoch

        def release(tx: Tx) -> None:
            if wake is not None:
                tx.timers.set(run_id, "wake", wake)
            else:
                tx.timers.clear(run_id)
            tx.runs.release(run_id, epoch)

        self.session.also(release)
        self.session.flush()

    def _brakes(self, tx: Tx, state: RunState) -> None:
        session = self.session
        cooldown = session.progress.cooldown
        services, row = self.services, session.row
        at_end(tx, services.brakes, services.node, session.program, row, state, cooldown)

    def _let_go(self) -> None:
        self._release(None)

    def _finish(self, finish: Finish) -> None:
        session = self.session
        self._settle_busy()
        close_all(session, f"the run has ended: {finish.state.value}")
        if session.progress.state is RunState.PLANNING and finish.state is RunState.CANCELLED:
            session.move(RunState.CANCELLED, finish.reason)
        elif session.progress.state is not finish.state:
            session.move(finish.state, finish.reason)
        session.note(
            "run.ended",
            state=finish.state.value,
            reason=finish.reason,
            outputs=finish.outputs,
            at=format_time(self.services.clock.now()),
        )
        row = session.row

        def end(tx: Tx) -> None:
            tx.locks.release(row.id)
            if row.epoch > 1:  # its first owner set no timer: it never parked
                tx.timers.clear(row.id)
            verified = session.progress.verified
            self.services.on_end(tx, row, finish.state, finish.reason, verified=verified)
            self._brakes(tx, finish.state)
            if finish.state is RunState.NEEDS_HUMAN:
                needs_human(tx, row, finish.reason)

        session.ending = True
        session.also(end)
        self.ended = session.end()
