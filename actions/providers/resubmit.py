"""openai.retry_batch, openai.split_batch and openai.cancel_batch."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from actions.http.connection import HttpClient
from actions.providers import byhand
from actions.providers.openai import BATCH, BATCHES, BatchParams, one_batch
from actions.providers.results import FilesParams, content, results_of, sifted
from actions.providers.submitting import ENDED, Submitting, cancel, submission
from engine.contract import (
    ActionFailed,
    Applied,
    Category,
    Change,
    Confirmation,
    Grant,
    NotApplied,
    Planned,
    Protection,
    Receipt,
    Target,
    World,
    Wrong,
)


class RetryParams(FilesParams):
    """Parameters of a retry."""

    batch: str = Field(description="The batch's id", pattern=BATCH, examples=["batch_abc123"])
    max_items: int = Field(
        1000, gt=0, le=50_000, description="Most failed items submitted again", examples=[500]
    )
    codes: list[str] = Field(
        default_factory=list,
        description="Only items that failed with one of these codes, as `openai.results` shows them",
        examples=[["rate_limit_exceeded", "server_error"]],
    )


class SplitParams(FilesParams):
    """Parameters of a split."""

    batch: str = Field(description="The batch's id", pattern=BATCH, examples=["batch_abc123"])
    chunk: int = Field(5000, gt=0, le=50_000, description="Items of one new batch", examples=[5000])
    max_items: int = Field(
        100_000,
        gt=0,
        le=1_000_000,
        description="Most items in all; more is an error",
        examples=[50_000],
    )


class OpenaiRetryBatch(Submitting[RetryParams]):
    """Submits failed items of an ended batch again, as one new batch of at most `max_items`.

    Output: `batch` (the new one's id), `batches`. Undo cancels it, as long as it has not ended.
    """

    name = "openai.retry_batch"
    manual = byhand.retry_batch
    summary = "Submit the failed items of an OpenAI batch again"
    Params = RetryParams

    def plan(self, params: RetryParams, world: World) -> Planned:
        batch = one_batch(world, params.connection, params.batch)
        if batch["status"] not in ENDED:
            what = f"batch {params.batch} is {batch['status']}; wait until it has ended"
            raise ActionFailed(Category.DATA, what, effect_possible=False)
        found = sifted(results_of(params, batch, world), params.max_items, params.codes)
        ids = found["ids"]
        return submission(self.name, params, batch, len(ids), max(1, len(ids)), ids=sorted(ids))


class OpenaiSplitBatch(Submitting[SplitParams]):
    """Submits the whole input of an ended batch again, as new batches of `chunk` items.

    Output: `batches` (their ids). Undo cancels those that have not ended.
    """

    name = "openai.split_batch"
    manual = byhand.split_batch
    summary = "Submit a large OpenAI batch again in smaller ones"
    Params = SplitParams

    def plan(self, params: SplitParams, world: World) -> Planned:
        batch = one_batch(world, params.connection, params.batch)
        if batch["status"] not in ENDED:
            what = (
                f"batch {params.batch} is {batch['status']}; cancel it, or wait until it has ended"
            )
            raise ActionFailed(Category.DATA, what, effect_possible=False)
        items = 0
        if batch["input_file"]:
            for line in content(params, str(batch["input_file"]), world):
                items += bool(line.strip())
                if items > params.max_items:
                    what = f"the input has more than max_items {params.max_items} items"
                    raise ActionFailed(Category.DATA, what, effect_possible=False)
        return submission(self.name, params, batch, items, params.chunk)


class OpenaiCancelBatch(Change[BatchParams]):
    """Cancels a batch that has not ended; what it did so far is kept by the provider. Irreversible."""

    name = "openai.cancel_batch"
    manual = byhand.cancel_batch
    summary = "Cancel an OpenAI batch"
    Params = BatchParams
    protection = Protection.CONDITIONAL
    risk = "medium"

    def targets(self, params: BatchParams) -> Sequence[Target]:
        path = f"{BATCHES}/{params.batch}"
        names = (f"GET {path}", f"POST {path}/cancel")
        return tuple(Target(params.connection, name) for name in names)

    def locks(self, params: BatchParams) -> Sequence[Target]:
        return (Target(params.connection, f"{BATCHES}/{params.batch}"),)

    def grants(self, params: BatchParams) -> Sequence[Grant]:
        return tuple(
            Grant(params.connection, "http", {"method": method, "path": path})
            for method, _, path in (one.path.partition(" ") for one in self.targets(params))
        )

    def plan(self, params: BatchParams, world: World) -> Planned:
        batch = one_batch(world, params.connection, params.batch)
        status = batch["status"]
        if status in ENDED and status != "cancelled":
            what = f"batch {params.batch} has {status} already; there is nothing to cancel"
            raise ActionFailed(Category.DATA, what, effect_possible=False)
        done = status in ("cancelling", "cancelled")
        return Planned(
            action=self.name,
            target=Target(params.connection, f"{BATCHES}/{params.batch}"),
            before={"cancelled": done},
            after={"cancelled": True},
            counts={} if done else {"requests": 1},
            request={"batch": params.batch},
            summary=f"cancel {params.batch}: {batch['completed']} of {batch['total']} are done",
            reversible=False,
            why_irreversible="a cancelled batch does not go on; openai.retry_batch submits its rest again",
        )

    def apply(self, planned: Planned, world: World, key: str) -> Receipt:
        del key  # what is cancelled already is not cancelled again
        connection, identity = planned.target.connection, planned.request["batch"]
        world.client(connection, HttpClient)
        status = one_batch(world, connection, identity)["status"]
        if status not in ("cancelling", "cancelled"):
            cancel(world, connection, identity)
        return _cancelled(planned)

    def confirm(
        self, planned: Planned, receipt: Receipt | None, world: World, key: str
    ) -> Confirmation:
        del key
        identity = planned.request["batch"]
        status = one_batch(world, planned.target.connection, identity)["status"]
        if status in ("cancelling", "cancelled"):
            return Applied(receipt or _cancelled(planned))
        if status in ENDED:
            return Wrong(f"{identity} has {status} before it was cancelled")
        return (
            Wrong(f"{identity} is {status} although it was cancelled") if receipt else NotApplied()
        )


def _cancelled(planned: Planned) -> Receipt:
    output = {"batch": planned.request["batch"]}
    return Receipt(dict(planned.after), dict(planned.counts), None, output)
