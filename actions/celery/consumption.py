"""celery.pause and celery.resume: workers stop taking a queue's messages, and take them again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from pydantic import Field

from actions.celery import byhand
from actions.celery.connection import CeleryClient, asks
from engine.contract import (
    ActionFailed,
    ActionParams,
    Applied,
    Category,
    Change,
    Confirmation,
    Grant,
    NotApplied,
    NotYet,
    Planned,
    Protection,
    Receipt,
    Target,
    World,
)

_LOOKS, _BETWEEN = 25, 0.2  # after an order: at most so many looks, so many seconds apart


class ConsumptionParams(ActionParams):
    """Parameters of a pause or a resumption."""

    connection: str = Field(description="A celery connection", examples=["celery"])
    queue: str = Field(description="The queue, by name", examples=["batch.low"], min_length=1)
    workers: list[str] = Field(
        [],
        description="Workers by name; all that answer where left out",
        examples=[["low@node-1"]],
    )


class _Consumption(Change[ConsumptionParams]):
    """What both share: who consumes the queue before, and who is to consume it afterwards."""

    Params = ConsumptionParams
    protection = Protection.CONDITIONAL
    risk = "medium"
    order: ClassVar[str]  # the control message
    back: ClassVar[str]  # the one that takes it back
    consuming: ClassVar[bool]  # whether the workers consume it afterwards

    def targets(self, params: ConsumptionParams) -> Sequence[Target]:
        return (Target(params.connection, params.queue),)

    def grants(self, params: ConsumptionParams) -> Sequence[Grant]:
        return (asks(params.connection),)

    def plan(self, params: ConsumptionParams, world: World) -> Planned:
        client = world.client(params.connection, CeleryClient)
        target = Target(params.connection, params.queue)
        queues = client.ask("active_queues")
        silent = sorted(set(params.workers) - set(queues))
        if silent:
            raise client.failure(Category.TRANSIENT, f"{', '.join(silent)}: no answer")
        if not queues:
            raise client.failure(Category.TRANSIENT, "no worker answers; is one running?")
        seen = _consumers(queues, params.queue)
        for earlier in world.earlier:
            if earlier.target == target and "consumers" in earlier.after:
                seen = list(earlier.after["consumers"])
        asked = set(params.workers or queues)
        after = sorted(set(seen) | asked if self.consuming else set(seen) - asked)
        moved = sorted(set(seen) ^ set(after))
        verb = "take" if self.consuming else "no longer take"
        return Planned(
            action=self.name,
            target=target,
            before={"consumers": seen},
            after={"consumers": after},
            counts={"workers": len(moved)} if moved else {},
            request={"queue": params.queue, "workers": moved},
            summary=f"{len(moved)} workers {verb} messages of {params.queue}",
            notes=("a worker that starts later consumes what it is configured to",)
            if moved
            else (),
        )

    def apply(self, planned: Planned, world: World, key: str) -> Receipt:
        del key  # the order says what is to be, not what is to change: again it changes nothing
        client = world.client(planned.target.connection, CeleryClient)
        _order(client, world, self.order, planned, consuming=self.consuming)
        return _receipt(planned)

    def confirm(
        self, planned: Planned, receipt: Receipt | None, world: World, key: str
    ) -> Confirmation:
        del key
        client = world.client(planned.target.connection, CeleryClient)
        queue, workers = planned.request["queue"], planned.request["workers"]
        queues = client.ask("active_queues", workers)
        taking = _consumers(queues, queue)
        lacking = [name for name in queues if (name in taking) is not self.consuming]
        if lacking:
            return NotApplied() if receipt is None else NotYet(_BETWEEN)
        if workers and not queues:
            return NotYet(1.0) if receipt is not None else NotApplied()
        return Applied(receipt or _receipt(planned))

    def undo(self, planned: Planned, receipt: Receipt, world: World, key: str) -> Receipt:
        del receipt, key
        client = world.client(planned.target.connection, CeleryClient)
        _order(client, world, self.back, planned, consuming=not self.consuming)
        return Receipt(dict(planned.before), dict(planned.counts))


class CeleryPause(_Consumption):
    """Workers take no more messages of a queue; what they hold already they finish, what waits stays.

    The order is the same however often it is given. Undo lets the same workers take messages again. What
    remains: a worker that starts after the plan, or starts anew, consumes what it is configured to.
    """

    name = "celery.pause"
    manual = byhand.pause
    summary = "Let workers take no more messages of a queue"
    order, back, consuming = "cancel_consumer", "add_consumer", False


class CeleryResume(_Consumption):
    """Workers take messages of a queue again, or for the first time.

    Undo stops those that took none before. What remains is as with `celery.pause`.
    """

    name = "celery.resume"
    manual = byhand.resume
    summary = "Let workers take messages of a queue"
    order, back, consuming = "add_consumer", "cancel_consumer", True


def _consumers(queues: Mapping[str, Any], queue: str) -> list[str]:
    return sorted(
        name for name, found in queues.items() if any(one["name"] == queue for one in found or ())
    )


def _order(
    client: CeleryClient, world: World, order: str, planned: Planned, *, consuming: bool
) -> None:
    """Give the order to the plan's workers, and look until those that live have carried it out.

    Raises:
        ActionFailed: (transient) no worker answers, or one does not follow.
    """
    queue, workers = planned.request["queue"], planned.request["workers"]
    if not workers:
        return
    answers = client.ask(order, workers, queue=queue)
    refused = {name: reply["error"] for name, reply in answers.items() if "error" in reply}
    if refused or not answers:
        what = f"{queue}: {refused or 'no worker answers ' + order}"
        message = f"celery connection {planned.target.connection!r}: {what}"
        raise ActionFailed(Category.TRANSIENT, message, effect_possible=True)
    for _ in range(_LOOKS):
        taking = _consumers(client.ask("active_queues", sorted(answers)), queue)
        if all((name in taking) is consuming for name in answers):
            return
        world.clock.sleep(_BETWEEN)
    message = (
        f"celery connection {planned.target.connection!r}: {queue}: {order} is not carried out"
    )
    raise ActionFailed(Category.TRANSIENT, message, effect_possible=True)


def _receipt(planned: Planned) -> Receipt:
    image = {"workers": list(planned.request["workers"])}
    return Receipt(dict(planned.after), dict(planned.counts), image, dict(image))
