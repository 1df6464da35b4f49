"""After the effect: receipts, confirmation, verification; and what a crash left in doubt."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from pydantic import ValidationError

from engine.contract.action import (
    Applied,
    CannotTell,
    Change,
    Confirmation,
    NotApplied,
    Notify,
    NotYet,
    Wrong,
)
from engine.domain.canonical import Json, JsonObject
from engine.domain.clock import expired, format_time, parse_time
from engine.domain.errors import ActionFailed, Category, StanchError
from engine.domain.plan import Planned, Receipt, Unknown, to_json
from engine.journal.store import Tx
from engine.language.templates import render
from engine.planning.progress import StepState
from engine.planning.scope import scope_of
from engine.running.outcome import PROGRESSED, Carried, Parked
from engine.running.stepwork import StepWork
from engine.running.verification import verify_step

CONFIRM_WITHIN = 900.0  # seconds that an effect may take to show, unless the step has a timeout


class Settling(StepWork):
    """Finds out what became of an effect."""

    def settle(self, action: Any, state: StepState) -> Carried:
        """After a crash: an intent without an outcome. Ask the target before anything else."""
        self.session.flush()
        if isinstance(action, Notify):
            return self.settle_notify(action, state)
        planned = Planned.from_json(self.services.connections.reveal(state.planned or {}))
        answer = self.confirm(action, planned, None, state.key)
        self.session.note(
            "step.confirm",
            address=self.address,
            result=type(answer).__name__,
            reason=getattr(answer, "reason", "after an interruption"),
        )
        match answer:
            case Applied(receipt):
                return self.received(action, planned, receipt, state.key, answer)
            case NotApplied():
                # Certain: it is not there, so planning and applying it anew cannot do it twice.
                self.again(Category.TRANSIENT, 0.0, "interrupted before the effect")
            case NotYet(delay):
                return Parked(self.services.clock.now() + timedelta(seconds=delay))
            case Wrong(reason):
                self.stuck(f"{self.address}: interrupted; the target now: {reason}")
            case CannotTell(reason):
                if action.protection_of(planned).retry_safe:
                    self.again(Category.TRANSIENT, 0.0, "interrupted; safe to apply again")
                else:
                    self.stuck(
                        f"{self.address}: interrupted between effect and outcome, and the target cannot "
                        f"tell ({reason}). Look, then: stanch done {self.session.row.id} {self.address} "
                        f"if it happened, stanch retry {self.session.row.id} if it did not"
                    )
        return PROGRESSED

    def settle_notify(self, action: Notify[Any], state: StepState) -> Carried:
        try:
            given = render(
                self.node.with_, scope_of(self.place, self.session.progress, self.session.facts)
            )
            params = action.Params.model_validate(self.services.connections.reveal(given))
            sent = action.sent(params, self.world(writable=False), state.key)
        except (StanchError, ValidationError) as error:
            sent = None
            self.session.note(
                "step.confirm", address=self.address, result="CannotTell", reason=str(error)
            )
        if sent is False:
            self.again(Category.TRANSIENT, 0.0, "interrupted before it was sent")
        elif sent:
            self.succeed(None, "sent before the interruption")
        else:
            self.succeed(None, "it cannot be told whether it was sent; it is not sent again")
        return PROGRESSED

    # ------------------------------------------------------------ after the effect

    def received(
        self,
        action: Change[Any],
        planned: Planned,
        receipt: Receipt,
        key: str,
        confirmed: Applied | None,
    ) -> Carried:
        connections = self.services.connections
        clean = connections.receive(receipt.as_json())
        body: JsonObject = {"address": self.address, "key": key, "receipt": clean}
        body["at"] = format_time(self.services.clock.now())
        if receipt.before_image is not None:
            from engine.domain.canonical import digest

            image = receipt.before_image
            body["image"] = digest(image)
            self.session.also(lambda tx: _put_image(tx, self.session.row.id, key, image))
        self.settle_budget(planned, key, dict(receipt.counts))
        self.session.note("step.applied", **body)
        wrong = _contradiction(planned, receipt)
        if wrong:
            self.fail(
                Category.PERMANENT,
                f"the plugin {self.node.action} answered against its plan: {wrong}",
            )
            return PROGRESSED
        state = self.session.progress.steps[self.address]
        return self.after_apply(action, state, confirmed, connections.reveal_planned(planned))

    def after_apply(
        self,
        action: Change[Any],
        state: StepState,
        confirmed: Applied | None = None,
        planned: Planned | None = None,
    ) -> Carried:
        """Confirm and verify an applied change.

        Args:
            planned: what was applied, where it is at hand; else it is taken from the journal.
        """
        if planned is None:
            planned = Planned.from_json(self.services.connections.reveal(state.planned or {}))
        receipt = Receipt.from_json(state.receipt or {"after": {}, "counts": {}, "output": {}})
        if not state.data.get("confirmed"):
            answer: Confirmation = confirmed or self.confirm(action, planned, receipt, state.key)
            match answer:
                case NotYet(delay):
                    limit = self.timeout() or CONFIRM_WITHIN
                    now = self.services.clock.now()
                    if expired(_applied_at(state), limit, now):
                        self.fail(Category.PERMANENT, f"the effect did not show within {limit:g} s")
                        return PROGRESSED
                    return Parked(now + timedelta(seconds=delay))
                case Wrong(reason):
                    self.fail(
                        Category.PERMANENT,
                        f"after the change the target is not as planned: {reason}",
                    )
                    return PROGRESSED
                case NotApplied():
                    self.fail(
                        Category.PERMANENT, "the target gave a receipt, and the effect is not there"
                    )
                    return PROGRESSED
                case Applied() | CannotTell():
                    pass
            if self.node.verify is not None:
                self.session.note("step.confirm", address=self.address, result="Applied", reason="")
        if self.node.verify is not None:
            verdict = verify_step(
                self.services, self.session, self.address, self.node.verify, self.place
            )
            if isinstance(verdict, Parked):
                return verdict
            if verdict is not None:
                self.fail(Category.PERMANENT, verdict)
                return PROGRESSED
        output = {
            "before": to_json(planned.before),
            "after": {**to_json(planned.after), **to_json(receipt.after)},
            "receipt": {**receipt.output, "counts": dict(receipt.counts)},
        }
        self.succeed(self.services.connections.redact(output), changed=True)
        return PROGRESSED

    def confirm(
        self, action: Change[Any], planned: Planned, receipt: Receipt | None, key: str
    ) -> Confirmation:
        try:
            return action.confirm(planned, receipt, self.world(writable=False), key)
        except ActionFailed as error:
            if error.category in {Category.TRANSIENT, Category.RATE_LIMIT, Category.RESOURCE}:
                return NotYet(error.retry_after or 2.0)
            return CannotTell(str(error))
        except Exception as error:  # noqa: BLE001  a plugin that cannot say is one that cannot tell
            return CannotTell(f"{type(error).__name__}: {error}")


def _put_image(tx: Tx, run_id: str, key: str, image: Json) -> None:
    tx.blobs.put_image(run_id, key, image)


def _applied_at(state: StepState) -> Any:
    text = state.data.get("applied_at")
    return parse_time(text) if text else state.started_at


def _contradiction(planned: Planned, receipt: Receipt) -> str | None:
    """Compare what the target answered with the plan's known values."""
    for name, value in receipt.after.items():
        then = planned.after.get(name, value)
        if isinstance(then, Unknown) or isinstance(value, Unknown):
            continue
        if then != value:
            return f"{name} is {value!r}, planned was {then!r}"
    return None
