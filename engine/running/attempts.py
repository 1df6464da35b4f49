"""One attempt of one action: read, notify, or change with intent, effect, outcome, confirmation."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from pydantic import ValidationError

from engine.contract.action import (
    Applied,
    CannotTell,
    Change,
    NotApplied,
    Notify,
    NotYet,
    Read,
    Wrong,
)
from engine.domain.canonical import Json, JsonObject
from engine.domain.errors import ActionFailed, Category, StanchError, Unplannable
from engine.domain.plan import Planned, Target, Unknown, to_json
from engine.journal.store import Tx
from engine.language.templates import render
from engine.planning.drift import Difference, compare, own_values
from engine.planning.playing import readable
from engine.planning.progress import StepState, StepStatus
from engine.planning.scope import scope_of
from engine.running.braking import fresh_changes
from engine.running.budgeting import Blocked, reserve
from engine.running.drifted import ask_again
from engine.running.outcome import PROGRESSED, Carried, Parked
from engine.running.paging import held_for_others
from engine.running.settling import Settling
from engine.running.stepwork import step_key


class Attempt(Settling):
    """Takes an action step one move on."""

    _cancelled = False  # whether the run was being cancelled when the step was chosen

    # ------------------------------------------------------------ where it stands

    def carry(self, state: StepState | None) -> Carried:
        """Take the step one move on."""
        self._cancelled = self.session.progress.cancel is not None
        action: Any = self.services.registry.action(self.node.action)
        if state is not None and state.in_doubt:
            return self.settle(action, state)
        if state is not None and state.status is StepStatus.APPLIED:
            return self.after_apply(action, state)
        now = self.services.clock.now()
        if state is not None and state.retry_at is not None and now < state.retry_at:
            return Parked(state.retry_at)
        if state is not None and self.late(state):
            self.fail(
                Category.PERMANENT, f"took longer than {self.timeout():g} s; last: {state.message}"
            )
            return PROGRESSED
        try:
            given = render(
                self.node.with_, scope_of(self.place, self.session.progress, self.session.facts)
            )
            params = action.Params.model_validate(self.services.connections.reveal(given))
            self.allowed(action.targets(params))
        except (StanchError, ValidationError) as error:
            self.fail(Category.PERMANENT, readable(error))
            return PROGRESSED
        if isinstance(action, Read):
            return self._read(action, params, state)
        if isinstance(action, Notify):
            return self._notify(action, params)
        return self._change(action, params, given, state)

    # ------------------------------------------------------------ reads and notifications

    def _read(self, action: Read[Any], params: Any, state: StepState | None) -> Carried:
        self.session.secure()
        try:
            self.moment("read")
            output = self.services.connections.receive(
                action.read(params, self.world(writable=False))
            )
        except ActionFailed as error:
            return self.failed(error, (state.attempt if state else 0) + 1)
        except Exception as error:  # noqa: BLE001  a plugin's own fault stops for a person
            return self.unclassified(error)
        self.succeed(output)
        return PROGRESSED

    def _notify(self, action: Notify[Any], params: Any) -> Carried:
        blocked = self._intent({"effect": "notify", "summary": action.summary}, [], {})
        if blocked is not None:
            return blocked
        key = step_key(self.session.row.id, self.address)
        try:
            self.moment("before")
            output = self.services.connections.receive(
                action.send(params, self.world(writable=True), key)
            )
            self.moment("after")
        except ActionFailed as error:
            if (
                error.effect_possible
                and action.sent(params, self.world(writable=False), key) is None
            ):
                self.succeed(
                    None, "it cannot be told whether the message was sent; it is not sent again"
                )
                return PROGRESSED
            return self.failed(error, self.attempt)
        except Exception as error:  # noqa: BLE001  see _read
            return self.unclassified(error)
        self.succeed(output)
        return PROGRESSED

    # ------------------------------------------------------------ changes

    def _change(
        self, action: Change[Any], params: Any, given: Json, state: StepState | None
    ) -> Carried:
        self.session.secure()
        try:
            self.moment("plan")
            live = action.plan(params, self.world(writable=False))
        except Unplannable as error:
            self.fail(Category.PERMANENT, str(error))
            return PROGRESSED
        except ActionFailed as error:
            return self.failed(error, (state.attempt if state else 0) + 1)
        except Exception as error:  # noqa: BLE001  see _read
            return self.unclassified(error)
        found = self._drift(live)
        if found:
            ask_again(self.session, self.address, found, self.services.connections.personal)
            return PROGRESSED
        if live.is_no_op:
            output = {"before": to_json(live.before), "after": to_json(live.after), "receipt": None}
            self.succeed(output, "already so; nothing to do")
            return PROGRESSED
        unknown = [name for name, value in live.after.items() if isinstance(value, Unknown)]
        planned = live.as_json()
        shown = {
            "effect": "change",
            "target": str(live.target),
            **{name: planned[name] for name in ("before", "after", "counts", "summary")},
            "unknown": unknown,
            "planned": planned,
            **self._given(given),
        }
        fresh = fresh_changes(self.services, self.session, live.fresh_changes, live.target)
        if fresh is not None:
            row = self.session.row
            self.session.note("run.signal", signal="hold", reason=fresh, brake="fresh")
            self.session.also(lambda tx: held_for_others(tx, row, fresh))
            return PROGRESSED
        locks, connection = list(action.locks(params)), live.target.connection
        blocked = self._intent(shown, locks, dict(live.counts), connection)
        if blocked is not None:
            return blocked
        return self._apply(action, live)

    def _given(self, given: Json) -> JsonObject:
        """The parameters, where the plan in force does not hold them: an undo of the undo needs them."""
        step = self.session.document.step(self.address) if self.session.document else None
        return {} if step is not None and step.params == given else {"params": to_json(given)}

    def _drift(self, live: Planned) -> list[Difference]:
        document = self.session.document
        step = document.step(self.address) if document is not None else None
        clean = self.services.connections.redact_planned(live)
        own = own_values(self.session.progress.changes)
        return compare(step, self.address, clean, self.node.bounds, own)

    def _intent(
        self,
        shown: JsonObject,
        locks: list[Target],
        counts: dict[str, int],
        connection: str | None = None,
    ) -> Carried | None:
        """Journal the intent, unless a person, a brake, a lock or a budget stands in the way."""
        progress = self.session.progress
        held = progress.hold is not None or progress.way is not None
        if held or (progress.cancel is not None and not self._cancelled):
            return PROGRESSED  # it was said since the step was chosen
        key = step_key(self.session.row.id, self.address)
        body = {
            "address": self.address,
            "key": key,
            "attempt": self.attempt + 1,
            "action": self.node.action,
            **shown,
        }

        def guard(tx: Tx) -> Blocked | None:
            return reserve(tx, self.services, self.session, key, locks, counts, connection)

        written = self.session.flush(guard, ("step.intent", body))
        if written.stopped:
            return PROGRESSED
        blocked = written.blocked
        if blocked is None:
            return None
        if blocked.kind == "circle":
            self.fail(Category.PERMANENT, blocked.reason)
            return PROGRESSED
        return blocked.carry(self.session)

    def _apply(self, action: Change[Any], planned: Planned) -> Carried:
        key = step_key(self.session.row.id, self.address)
        revealed = self.services.connections.reveal_planned(planned)
        try:
            self.moment("before")
            receipt = action.apply(revealed, self.world(writable=True), key)
            self.moment("after")
        except ActionFailed as error:
            return self._apply_failed(action, revealed, key, error)
        except Exception as error:  # noqa: BLE001  see _read
            return self.unclassified(error)
        return self.received(action, planned, receipt, key, None)

    def _apply_failed(
        self, action: Change[Any], planned: Planned, key: str, error: ActionFailed
    ) -> Carried:
        if not error.effect_possible:
            self.settle_budget(planned, key, {})
            return self.failed(error, self.attempt)
        answer = self.confirm(action, planned, None, key)
        match answer:
            case Applied(receipt):
                return self.received(action, planned, receipt, key, answer)
            case NotApplied():
                self.settle_budget(planned, key, {})
                return self.failed(error, self.attempt)
            case NotYet(delay):
                return Parked(self.services.clock.now() + timedelta(seconds=delay))
            case Wrong(reason):
                self.stuck(f"{self.address}: {error}; the target now: {reason}")
            case CannotTell(reason):
                if action.protection_of(planned).retry_safe:
                    return self.failed(error, self.attempt)
                self.stuck(f"{self.address}: {error}; whether it happened cannot be told: {reason}")
        return PROGRESSED
