"""One attempt of one action: read, notify, or change with intent, effect, outcome, confirmation."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
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
    Read,
    Wrong,
)
from engine.domain.canonical import Json, JsonObject
from engine.domain.clock import format_time
from engine.domain.errors import ActionFailed, Category, InvalidInput, StanchError, Unplannable
from engine.domain.plan import Planned, Receipt, Target, Unknown, to_json
from engine.domain.run import RunMode, RunState
from engine.journal.store import Tx
from engine.language.program import ActionNode
from engine.language.templates import TemplateError, render
from engine.planning.drift import Difference, compare, own_values
from engine.planning.fold import expired
from engine.planning.inputs import seconds
from engine.planning.moves import Place
from engine.planning.planner import readable
from engine.planning.progress import StepState, StepStatus
from engine.planning.retry import Again, decide
from engine.planning.scope import scope_of
from engine.running.budgeting import Blocked, reserve, settle
from engine.running.outcome import PROGRESSED, Carried, Parked
from engine.running.services import Services
from engine.running.session import Session
from engine.running.verification import verify_step

CONFIRM_WITHIN = 900.0  # seconds that an effect may take to show, unless the step has a timeout


def step_key(run_id: str, address: str) -> str:
    """The key of an effect: stable across retries, owners and restarts (DESIGN 6)."""
    return hashlib.sha256(f"{run_id}\0{address}".encode()).hexdigest()[:40]


@dataclass
class Attempt:
    """One action step instance of one run, for as long as it takes to carry it one move on."""

    services: Services
    session: Session
    address: str
    node: ActionNode
    place: Place

    # ------------------------------------------------------------ where it stands

    def carry(self, state: StepState | None) -> Carried:
        """Take the step one move on."""
        action: Any = self.services.registry.action(self.node.action)
        if state is not None and state.in_doubt:
            return self._settle(action, state)
        if state is not None and state.status is StepStatus.APPLIED:
            return self._after_apply(action, state)
        now = self.services.clock.now()
        if state is not None and state.retry_at is not None and now < state.retry_at:
            return Parked(state.retry_at)
        if state is not None and self._late(state):
            self._fail(
                Category.PERMANENT, f"took longer than {self._timeout():g} s; last: {state.message}"
            )
            return PROGRESSED
        try:
            given = render(
                self.node.with_, scope_of(self.place, self.session.progress, self.session.facts)
            )
            params = action.Params.model_validate(self.services.connections.reveal(given))
            self._allowed(action.targets(params))
        except (StanchError, ValidationError) as error:
            self._fail(Category.PERMANENT, readable(error))
            return PROGRESSED
        if isinstance(action, Read):
            return self._read(action, params, state)
        if isinstance(action, Notify):
            return self._notify(action, params)
        return self._change(action, params, state)

    def _allowed(self, targets: Sequence[Target]) -> None:
        for target in targets:
            refused = self.services.connections.refusal(target)
            if refused:
                raise InvalidInput(refused)

    def _timeout(self) -> float | None:
        if self.node.timeout is None:
            return None
        scope = scope_of(self.place, self.session.progress, self.session.facts)
        return seconds(self.node.timeout, scope)

    def _late(self, state: StepState) -> bool:
        return expired(state.started_at, self._timeout(), self.services.clock.now())

    def _world(self, *, writable: bool) -> Any:
        return self.services.connections.world(
            writable=writable, timeout=self._timeout(), stopping=self.services.stopping
        )

    @property
    def _attempt(self) -> int:
        state = self.session.progress.steps.get(self.address)
        return 0 if state is None else state.attempt

    # ------------------------------------------------------------ reads and notifications

    def _read(self, action: Read[Any], params: Any, state: StepState | None) -> Carried:
        self.session.flush()
        try:
            output = action.read(params, self._world(writable=False))
        except ActionFailed as error:
            return self._failed(error, (state.attempt if state else 0) + 1)
        except Exception as error:  # noqa: BLE001  a plugin's own fault stops for a person
            return self._unclassified(error)
        self._succeed(output)
        return PROGRESSED

    def _notify(self, action: Notify[Any], params: Any) -> Carried:
        blocked = self._intent(None, {"effect": "notify", "summary": action.summary}, [], {})
        if blocked is not None:
            return blocked
        key = step_key(self.session.row.id, self.address)
        self.services.on_effect("before", key)
        try:
            output = action.send(params, self._world(writable=True), key)
            self.services.on_effect("after", key)
        except ActionFailed as error:
            if (
                error.effect_possible
                and action.sent(params, self._world(writable=False), key) is None
            ):
                self._succeed(
                    None, "it cannot be told whether the message was sent; it is not sent again"
                )
                return PROGRESSED
            return self._failed(error, self._attempt)
        except Exception as error:  # noqa: BLE001  see _read
            return self._unclassified(error)
        self._succeed(output)
        return PROGRESSED

    # ------------------------------------------------------------ changes

    def _change(self, action: Change[Any], params: Any, state: StepState | None) -> Carried:
        self.session.flush()
        try:
            live = action.plan(params, self._world(writable=False))
        except Unplannable as error:
            self._fail(Category.PERMANENT, str(error))
            return PROGRESSED
        except ActionFailed as error:
            return self._failed(error, (state.attempt if state else 0) + 1)
        except Exception as error:  # noqa: BLE001  see _read
            return self._unclassified(error)
        found = self._drift(live)
        if found:
            return self._drifted(found)
        if live.is_no_op:
            output = {"before": to_json(live.before), "after": to_json(live.after), "receipt": None}
            self._succeed(output, "already so; nothing to do")
            return PROGRESSED
        unknown = [name for name, value in live.after.items() if isinstance(value, Unknown)]
        shown = {
            "effect": "change",
            "target": str(live.target),
            "before": to_json(live.before),
            "after": to_json(live.after),
            "counts": dict(live.counts),
            "summary": live.summary,
            "unknown": unknown,
        }
        blocked = self._intent(live, shown, list(action.locks(params)), dict(live.counts))
        if blocked is not None:
            return blocked
        return self._apply(action, live)

    def _drift(self, live: Planned) -> list[Difference]:
        document = self.session.document
        step = document.step(self.address) if document is not None else None
        clean = Planned.from_json(self.services.connections.redact(live.as_json()))
        own = own_values(self.session.progress.changes)
        return compare(step, self.address, clean, self.node.bounds, own)

    def _drifted(self, found: Sequence[Difference]) -> Carried:
        for difference in found:
            self.session.note("drift.found", **difference.as_json())
        text = "; ".join(map(str, found[:3]))
        if self.session.row.mode is RunMode.AUTO:
            self._stuck(f"the world is not as planned: {text}")
        else:
            self.session.note("run.signal", signal="reask", reason=text)
        return PROGRESSED

    def _intent(
        self,
        planned: Planned | None,
        shown: JsonObject,
        locks: list[Target],
        counts: dict[str, int],
    ) -> Carried | None:
        """Journal the intent, unless a brake, a lock or a budget stands in the way."""
        key = step_key(self.session.row.id, self.address)
        body = {
            "address": self.address,
            "key": key,
            "attempt": self._attempt + 1,
            "action": self.node.action,
            **shown,
        }
        if planned is not None:
            body["planned"] = planned.as_json()

        def guard(tx: Tx) -> Blocked | None:
            return reserve(tx, self.services, self.session, key, locks, counts)

        blocked = self.session.flush(guard, ("step.intent", body)).blocked
        if blocked is None:
            return None
        return blocked.carry(self.session)

    def _apply(self, action: Change[Any], planned: Planned) -> Carried:
        key = step_key(self.session.row.id, self.address)
        revealed = Planned.from_json(self.services.connections.reveal(planned.as_json()))
        self.services.on_effect("before", key)
        try:
            receipt = action.apply(revealed, self._world(writable=True), key)
            self.services.on_effect("after", key)
        except ActionFailed as error:
            return self._apply_failed(action, revealed, key, error)
        except Exception as error:  # noqa: BLE001  see _read
            return self._unclassified(error)
        return self._received(action, planned, receipt, key, None)

    def _apply_failed(
        self, action: Change[Any], planned: Planned, key: str, error: ActionFailed
    ) -> Carried:
        if not error.effect_possible:
            self._settle_budget(planned, key, {})
            return self._failed(error, self._attempt)
        answer = self._confirm(action, planned, None, key)
        match answer:
            case Applied(receipt):
                return self._received(action, planned, receipt, key, answer)
            case NotApplied():
                self._settle_budget(planned, key, {})
                return self._failed(error, self._attempt)
            case NotYet(delay):
                return Parked(self.services.clock.now() + timedelta(seconds=delay))
            case Wrong(reason):
                self._stuck(f"{self.address}: {error}; the target now: {reason}")
            case CannotTell(reason):
                if action.protection_of(planned).retry_safe:
                    return self._failed(error, self._attempt)
                self._stuck(
                    f"{self.address}: {error}; whether it happened cannot be told: {reason}"
                )
        return PROGRESSED

    def _settle(self, action: Any, state: StepState) -> Carried:
        """After a crash: an intent without an outcome. Ask the target before anything else."""
        self.session.flush()
        if isinstance(action, Notify):
            return self._settle_notify(action, state)
        planned = Planned.from_json(self.services.connections.reveal(state.planned or {}))
        answer = self._confirm(action, planned, None, state.key)
        self.session.note(
            "step.confirm",
            address=self.address,
            result=type(answer).__name__,
            reason=getattr(answer, "reason", "after an interruption"),
        )
        match answer:
            case Applied(receipt):
                return self._received(action, planned, receipt, state.key, answer)
            case NotApplied():
                # Certain: it is not there, so planning and applying it anew cannot do it twice.
                self._again(Category.TRANSIENT, 0.0, "interrupted before the effect")
            case NotYet(delay):
                return Parked(self.services.clock.now() + timedelta(seconds=delay))
            case Wrong(reason):
                self._stuck(f"{self.address}: interrupted; the target now: {reason}")
            case CannotTell(reason):
                if action.protection_of(planned).retry_safe:
                    self._again(Category.TRANSIENT, 0.0, "interrupted; safe to apply again")
                else:
                    self._stuck(
                        f"{self.address}: interrupted between effect and outcome, and the target cannot "
                        f"tell ({reason}). Look, then: stanch done {self.session.row.id} {self.address} "
                        f"if it happened, stanch retry {self.session.row.id} if it did not"
                    )
        return PROGRESSED

    def _settle_notify(self, action: Notify[Any], state: StepState) -> Carried:
        try:
            given = render(
                self.node.with_, scope_of(self.place, self.session.progress, self.session.facts)
            )
            params = action.Params.model_validate(self.services.connections.reveal(given))
            sent = action.sent(params, self._world(writable=False), state.key)
        except (StanchError, ValidationError) as error:
            sent = None
            self.session.note(
                "step.confirm", address=self.address, result="CannotTell", reason=str(error)
            )
        if sent is False:
            self._again(Category.TRANSIENT, 0.0, "interrupted before it was sent")
        elif sent:
            self._succeed(None, "sent before the interruption")
        else:
            self._succeed(None, "it cannot be told whether it was sent; it is not sent again")
        return PROGRESSED

    # ------------------------------------------------------------ after the effect

    def _received(
        self,
        action: Change[Any],
        planned: Planned,
        receipt: Receipt,
        key: str,
        confirmed: Applied | None,
    ) -> Carried:
        connections = self.services.connections
        clean = receipt.as_json() if connections is None else connections.redact(receipt.as_json())
        body: JsonObject = {"address": self.address, "key": key, "receipt": clean}
        body["at"] = format_time(self.services.clock.now())
        if receipt.before_image is not None:
            from engine.domain.canonical import digest

            image = receipt.before_image
            body["image"] = digest(image)
            self.session.also(lambda tx: _put_image(tx, self.session.row.id, key, image))
        self._settle_budget(planned, key, dict(receipt.counts))
        self.session.note("step.applied", **body)
        wrong = _contradiction(planned, receipt)
        if wrong:
            self._fail(
                Category.PERMANENT,
                f"the plugin {self.node.action} answered against its plan: {wrong}",
            )
            return PROGRESSED
        state = self.session.progress.steps[self.address]
        return self._after_apply(action, state, confirmed)

    def _after_apply(
        self, action: Change[Any], state: StepState, confirmed: Applied | None = None
    ) -> Carried:
        planned = Planned.from_json(self.services.connections.reveal(state.planned or {}))
        receipt = Receipt.from_json(state.receipt or {"after": {}, "counts": {}, "output": {}})
        if not state.data.get("confirmed"):
            answer: Confirmation = confirmed or self._confirm(action, planned, receipt, state.key)
            match answer:
                case NotYet(delay):
                    limit = self._timeout() or CONFIRM_WITHIN
                    now = self.services.clock.now()
                    if expired(_applied_at(state), limit, now):
                        self._fail(
                            Category.PERMANENT, f"the effect did not show within {limit:g} s"
                        )
                        return PROGRESSED
                    return Parked(now + timedelta(seconds=delay))
                case Wrong(reason):
                    self._fail(
                        Category.PERMANENT,
                        f"after the change the target is not as planned: {reason}",
                    )
                    return PROGRESSED
                case NotApplied():
                    self._fail(
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
                self._fail(Category.PERMANENT, verdict)
                return PROGRESSED
        output = {
            "before": to_json(planned.before),
            "after": {**to_json(planned.after), **to_json(receipt.after)},
            "receipt": {**receipt.output, "counts": dict(receipt.counts)},
        }
        self._succeed(self.services.connections.redact(output), changed=True)
        return PROGRESSED

    def _confirm(
        self, action: Change[Any], planned: Planned, receipt: Receipt | None, key: str
    ) -> Confirmation:
        try:
            return action.confirm(planned, receipt, self._world(writable=False), key)
        except ActionFailed as error:
            if error.category in {Category.TRANSIENT, Category.RATE_LIMIT, Category.RESOURCE}:
                return NotYet(error.retry_after or 2.0)
            return CannotTell(str(error))
        except Exception as error:  # noqa: BLE001  a plugin that cannot say is one that cannot tell
            return CannotTell(f"{type(error).__name__}: {error}")

    # ------------------------------------------------------------ what is journalled

    def _succeed(self, output: Json, message: str = "", *, changed: bool = False) -> None:
        self.session.note(
            "step.outcome",
            address=self.address,
            attempt=self._attempt,
            state="succeeded",
            output=output,
            changed=changed,
            message=message,
        )

    def _fail(self, category: Category, message: str) -> None:
        state = self.session.progress.steps.get(self.address)
        self.session.note(
            "step.outcome",
            address=self.address,
            attempt=self._attempt,
            state="failed",
            output=None,
            changed=state is not None and state.changed,
            category=category.value,
            message=message,
        )

    def _again(self, category: Category, delay: float, reason: str) -> None:
        at = self.services.clock.now() + timedelta(seconds=delay)
        self.session.note(
            "step.retry",
            address=self.address,
            attempt=self._attempt,
            at=format_time(at),
            category=category.value,
            reason=reason,
        )

    def _failed(self, error: ActionFailed, attempt: int) -> Carried:
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
            self._fail(error.category, f"{error} ({verdict.reason})")
        return PROGRESSED

    def _unclassified(self, error: Exception) -> Carried:
        self._stuck(
            f"{self.address}: {self.node.action} raised {type(error).__name__}: {error}; "
            "the failure is not classified, so a person must look"
        )
        return PROGRESSED

    def _stuck(self, reason: str) -> None:
        self.session.note("run.signal", signal="stuck", reason=reason, address=self.address)

    def _settle_budget(self, planned: Planned, key: str, counts: dict[str, int]) -> None:
        units = set(planned.counts)
        self.session.also(lambda tx: settle(tx, self.services, self.session, key, units, counts))


def _put_image(tx: Tx, run_id: str, key: str, image: Json) -> None:
    tx.blobs.put_image(run_id, key, image)


def _applied_at(state: StepState) -> Any:
    from engine.domain.clock import parse_time

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


__all__ = ["Attempt", "RunState", "step_key"]
