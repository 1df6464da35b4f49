"""openai.batches and openai.batch: what batches there are and how far. Source: OpenAI API, batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import Field

from actions.providers import byhand
from actions.providers.reading import fetch, grants, targets, text_of, time_of
from engine.contract import ActionFailed, ActionParams, Category, Grant, Read, Target, World
from engine.domain.canonical import Json, JsonObject

BATCHES = "/v1/batches"
BATCH = r"^batch_[A-Za-z0-9_-]{1,100}$"
OF = "stanch_of"  # in the metadata of batches that steps made: whose items they submit again
_PAGE = 100  # what the API gives at most
_STATUSES = (
    "validating, failed, in_progress, finalizing, completed, expired, cancelling or cancelled"
)


class BatchesParams(ActionParams):
    """Parameters of a listing."""

    connection: str = Field(
        description="An http connection to OpenAI's API (its url without /v1)", examples=["openai"]
    )
    statuses: list[str] = Field(
        default_factory=list,
        description=f"Only batches in one of these: {_STATUSES}",
        examples=[["failed", "expired"]],
    )
    max_batches: int = Field(
        200,
        gt=0,
        le=2000,
        description="How many batches are looked at, latest first",
        examples=[200],
    )


class BatchParams(ActionParams):
    """Parameters of a look at one batch."""

    connection: str = Field(
        description="An http connection to OpenAI's API (its url without /v1)", examples=["openai"]
    )
    batch: str = Field(description="The batch's id", pattern=BATCH, examples=["batch_abc123"])


class OpenaiBatches(Read[BatchesParams]):
    """The latest batches.

    Output: `batches` (each as `openai.batch` gives it), `count`, `by_status` of all that were looked at,
    and `truncated` where there are more.
    """

    name = "openai.batches"
    manual = byhand.batches
    summary = "List OpenAI batches"
    Params = BatchesParams

    def targets(self, params: BatchesParams) -> Sequence[Target]:
        return targets(params.connection, [BATCHES])

    def grants(self, params: BatchesParams) -> Sequence[Grant]:
        return grants(params.connection, [BATCHES])

    def read(self, params: BatchesParams, world: World) -> Json:
        listed, more = latest(world, params.connection, params.max_batches)
        seen = [described(one) for one in listed]
        counts: dict[str, int] = {}
        for one in seen:
            counts[one["status"]] = counts.get(one["status"], 0) + 1
        kept = [one for one in seen if not params.statuses or one["status"] in params.statuses]
        return {"batches": kept, "count": len(kept), "by_status": counts, "truncated": more}


class OpenaiBatch(Read[BatchParams]):
    """One batch.

    Output: `id`, `status`, `total`, `completed` and `failed` requests, `created_at`, `expires_at`,
    `ended_at`, `endpoint`, `input_file`, `output_file`, `error_file`, `of` (the batch whose items a step
    submitted again as this one), and up to ten `errors` of `{code, message, line}`.
    """

    name = "openai.batch"
    manual = byhand.batch
    summary = "Look at one OpenAI batch"
    Params = BatchParams

    def targets(self, params: BatchParams) -> Sequence[Target]:
        return targets(params.connection, [f"{BATCHES}/{params.batch}"])

    def grants(self, params: BatchParams) -> Sequence[Grant]:
        return grants(params.connection, [f"{BATCHES}/{params.batch}"])

    def read(self, params: BatchParams, world: World) -> Json:
        return one_batch(world, params.connection, params.batch)


def latest(world: World, connection: str, most: int) -> tuple[list[JsonObject], bool]:
    """Return the latest batches as the API gives them, and whether there are more.

    Raises:
        ActionFailed: classified.
    """
    seen: list[JsonObject] = []
    more, after = True, None
    while more and len(seen) < most:
        query: JsonObject = {"limit": min(_PAGE, most - len(seen))}
        query |= {"after": after} if after else {}
        page = fetch(world, connection, BATCHES, "data", query)
        found = [one for one in page["data"] if described(one)]  # each is a batch, or it raises
        seen += found
        more = bool(page.get("has_more")) and bool(found)
        after = found[-1]["id"] if found else None
    return seen, more


def one_batch(world: World, connection: str, identity: str) -> JsonObject:
    """Get one batch.

    Raises:
        ActionFailed: classified; (permanent) there is none.
    """
    return described(fetch(world, connection, f"{BATCHES}/{identity}", "status"))


def described(batch: Any) -> JsonObject:
    """Return what steps and people need of a batch; fields that it lacks are None."""
    if not isinstance(batch, dict) or not isinstance(batch.get("id"), str):
        what = "the answer is no batch; is the connection's url that of OpenAI's API?"
        raise ActionFailed(Category.CONFIGURATION, what, effect_possible=False)
    counts = batch.get("request_counts") or {}
    ends = ("completed_at", "failed_at", "expired_at", "cancelled_at")
    listed = (batch.get("errors") or {}).get("data") or []
    return {
        "id": batch["id"],
        "status": text_of(batch.get("status")),
        "total": counts.get("total"),
        "completed": counts.get("completed"),
        "failed": counts.get("failed"),
        "created_at": time_of(batch.get("created_at")),
        "expires_at": time_of(batch.get("expires_at")),
        "ended_at": next((time_of(batch[name]) for name in ends if batch.get(name)), None),
        "endpoint": text_of(batch.get("endpoint")),
        "input_file": batch.get("input_file_id"),
        "output_file": batch.get("output_file_id"),
        "error_file": batch.get("error_file_id"),
        "of": (batch.get("metadata") or {}).get(OF),
        "errors": [
            {
                "code": text_of(one.get("code")),
                "message": text_of(one.get("message")),
                "line": one.get("line"),
            }
            for one in listed[:10]
        ],
    }
