"""How a run begins: its place among its playbook's runs, its plan, the gate that the plan asks for."""

from __future__ import annotations

from engine.domain.errors import StanchError
from engine.domain.run import RunMode, RunState
from engine.planning.document import PlanDocument
from engine.planning.moves import Finish
from engine.running.braking import take_slot
from engine.running.gates import ask_for_plan, wants_plan_gate
from engine.running.paging import urgent_waits
from engine.running.parking import Parking
from engine.running.planning import first_plan


class Beginning(Parking):
    """One owner's drive of one run, as far as its beginning goes."""

    def _begin(self) -> bool:
        session = self.session
        if session.progress.cancel is not None:
            self._finish(Finish(RunState.CANCELLED, session.progress.cancel))
            return False
        if session.progress.hold is not None and session.progress.hold_kind == "person":
            self._park_as(RunState.HELD, session.progress.hold)
            return False
        if not self._has_place():
            return False
        if session.progress.state is not RunState.PLANNING:
            session.move(RunState.PLANNING, "planning")
        session.note("run.claimed", owner=session.row.owner, epoch=session.row.epoch)
        document = self._plan()
        if document is None:
            return False
        if session.row.mode is RunMode.DRY_RUN:
            reason = f"{len(document.changes)} changes planned, nothing written"
            self._finish(Finish(RunState.PLANNED, reason))
            return False
        why = wants_plan_gate(self.services, session, document)
        if why is not None:
            ask_for_plan(self.services, session, document, why)
        else:
            session.move(RunState.RUNNING, "planned")
        return True

    def _has_place(self) -> bool:
        """Whether the playbook's runs leave room for this one; it is woken when one has ended."""
        session, row = self.session, self.session.row
        at_once = self.services.brakes.at_once_of(session.program)
        if at_once is None or row.mode is RunMode.DRY_RUN or row.parent is not None:
            return True
        why = session.flush(lambda tx: take_slot(tx, row, at_once)).blocked
        if why is None:
            return True
        session.note("lock.waiting", reason=why)
        session.also(lambda tx: urgent_waits(tx, row, why))
        self._release(None)
        return False

    def _settled_plan(self) -> bool:
        """Plan anew, unless an effect in doubt must be asked about first. False: the run has ended."""
        doubt = any(state.in_doubt for state in self.session.progress.steps.values())
        return doubt or self.session.progress.cancel is not None or self._plan() is not None

    def _plan(self) -> PlanDocument | None:
        """Plan what remains and journal it. None: it cannot be planned, and the run has ended for it."""
        session = self.session
        try:
            document = first_plan(self.services, session)
        except StanchError as error:
            self._finish(Finish(RunState.FAILED, f"cannot be planned: {error}"))
            return None
        fingerprint = document.fingerprint
        stale = self._stale(fingerprint)
        plan = document.as_json()
        session.also(lambda tx: tx.blobs.put_plan(session.row.id, fingerprint, plan))
        session.note(
            "run.planned",
            fingerprint=fingerprint,
            changes=len(document.changes),
            reads=sum(step.state == "read" for step in document.steps),
        )
        session.document = document
        if stale:
            self._finish(Finish(RunState.FAILED, stale))
            return None
        bad = document.failed
        if bad is not None and session.row.mode is not RunMode.DRY_RUN:
            before = (
                "nothing more was changed" if session.progress.changes else "nothing was changed"
            )
            self._finish(Finish(RunState.FAILED, f"{before}: {bad.address}: {bad.reason}"))
            return None
        return document

    def _stale(self, fingerprint: str) -> str:
        """Say why a run that was started from a saved plan must not go on; empty: it may."""
        bound = self.session.row.trigger.get("plan")
        if bound in {None, fingerprint} or self.session.progress.fingerprint is not None:
            return ""
        return (
            f"nothing was changed: the saved plan {bound[:16]} is stale, it is {fingerprint[:16]} by now; "
            "plan again"
        )
