"""Changes made in batches: each a transaction with a token of its own, so that none is made twice."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TypeVar

from actions.postgres import tokens
from actions.postgres.client import PostgresClient, Work
from actions.postgres.recipes import EXECUTE, Recipe, RowsParams
from engine.contract import (
    ActionFailed,
    Applied,
    Category,
    Confirmation,
    NotApplied,
    NotYet,
    Planned,
    Receipt,
    World,
    Wrong,
)
from engine.domain.canonical import Json, JsonObject, digest

_RETRIED = (Category.TRANSIENT, Category.RESOURCE, Category.RATE_LIMIT)

R = TypeVar("R", bound=RowsParams)
Batch = tuple[Planned, JsonObject]


class Batched(Recipe[R]):
    """One statement of `postgres.execute`, made batch by batch, no more rows in all than were planned.

    The token of a batch names the plan that it belongs to. After a crash the step is planned anew, and
    what earlier plans of it did is part of its receipt and of its undo, but not of the new plan's count.
    """

    @abstractmethod
    def next_batch(self, planned: Planned, made: Sequence[Receipt]) -> Batch | None:
        """Return the statement of the batch after those made, and what its token is to note; None at the end."""

    def apply(self, planned: Planned, world: World, key: str) -> Receipt:
        made = _made(planned, world, key)
        try:
            while (batch := self.next_batch(planned, made)) is not None:
                part, notes = batch
                if world.cancelled():
                    what = "given up between two batches"
                    raise ActionFailed(Category.TRANSIENT, what, effect_possible=False)
                notes = {"plan": plan_id(planned), **notes}
                name = f"{key}/{len(made) + 1}"
                made.append(EXECUTE.apply_noted(part, world, name, notes))
                world.progress(rows_of(made), _total(planned, made), "rows")
        except ActionFailed as error:
            if not made:
                raise
            raise _broken_off(planned, made, world, key, error) from None
        return _receipt(planned, made)

    def confirm(
        self, planned: Planned, receipt: Receipt | None, world: World, key: str
    ) -> Confirmation:
        client = world.client(planned.target.connection, PostgresClient)
        made = _made(planned, world, key)
        with client.reading(role="write") as work:
            if tokens.in_flight(work, f"{key}/{len(made) + 1}"):
                return NotYet(0.5)
            stopped = tokens.find(work, client, f"{key}/stopped/{len(made)}")
        if stopped is not None:
            return Wrong(str(stopped.receipt["output"]["reason"]))
        if not made or self.next_batch(planned, made) is not None:
            return NotApplied()  # the batches that were made are not made again
        return Applied(receipt or _receipt(planned, made))


def plan_id(planned: Planned) -> str:
    """Return what tells one plan of a step from a later one."""
    return digest([planned.request, dict(planned.counts)])[:16]


def of_plan(planned: Planned, made: Sequence[Receipt]) -> list[Receipt]:
    """Return the batches that belong to this very plan."""
    identity = plan_id(planned)
    return [one for one in made if one.output["plan"] == identity]


def rows_of(made: Sequence[Receipt]) -> int:
    """Return how many rows the batches changed."""
    return sum(receipt.counts["rows"] for receipt in made)


def _total(planned: Planned, made: Sequence[Receipt]) -> int:
    return rows_of(made) - rows_of(of_plan(planned, made)) + int(planned.counts["rows"])


def _made(planned: Planned, world: World, key: str) -> list[Receipt]:
    """Return the batches that stand at the target, in order."""
    client = world.client(planned.target.connection, PostgresClient)
    with client.reading(role="write") as work:
        return list(_tokens(work, client, key))


def _tokens(work: Work, client: PostgresClient, key: str) -> Iterator[Receipt]:
    number = 1
    while (token := tokens.find(work, client, f"{key}/{number}")) is not None:
        yield Receipt.from_json(token.receipt, token.image)
        number += 1


def _receipt(planned: Planned, made: Sequence[Receipt]) -> Receipt:
    images = [one.before_image for one in made if isinstance(one.before_image, dict)]
    image: Json = None
    if images:
        image = {**images[0], "rows": [row for one in images for row in one["rows"]]}
    count = rows_of(made)
    keys = [one for receipt in made for one in receipt.output.get("keys", [])][:100]
    output: JsonObject = {"rows": count, "batches": len(made)}
    if keys:
        output["keys"] = keys
    return Receipt(dict(planned.after), {"rows": count}, image, output)


def _broken_off(
    planned: Planned, made: Sequence[Receipt], world: World, key: str, error: ActionFailed
) -> ActionFailed:
    """Say what stands; where no retry can mend it, leave that at the target too, for a person."""
    what = f"after {rows_of(made)} of {_total(planned, made)} rows in {len(made)} batches, which stay: "
    what += str(error)
    if error.category not in _RETRIED:
        client = world.client(planned.target.connection, PostgresClient)
        receipt = Receipt(output={"reason": what}).as_json()
        name = f"{key}/stopped/{len(made)}"
        with client.writing() as work:
            tokens.hold(work, name)
            if tokens.find(work, client, name) is None:
                tokens.keep(work, client, name, tokens.Token(receipt, None))
    return ActionFailed(error.category, what, retry_after=error.retry_after)


def part_of(planned: Planned, **values: Json) -> Planned:
    """Return the plan of one batch: the same statement with these values."""
    params = {**planned.request["params"], **values}
    return replace(planned, request={**planned.request, "params": params})
