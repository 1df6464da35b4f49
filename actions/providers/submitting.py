"""What submits items of a batch again: chunks of its input, each a new batch that carries the step's key.

OpenAI honours no idempotency key, so the key stands in the new batch's metadata, by which it is found.
"""

from __future__ import annotations

import itertools
import json
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, BinaryIO, TypeVar, cast

from actions.http.connection import HttpClient
from actions.providers.openai import BATCHES, OF, described, latest, one_batch
from actions.providers.results import FilesParams, content
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
    Unknown,
    World,
)
from engine.domain.canonical import JsonObject

KEY = "stanch_key"
ENDED = ("completed", "failed", "expired", "cancelled")
_FILES = "/v1/files"
_LOOKED_AT = 1000  # latest batches among which those of a key are looked for
_LARGEST = 200 * 10**6  # bytes of an input file that the API takes

P = TypeVar("P", bound=FilesParams)


class Submitting(Change[P]):
    """Submits items of a batch's input again. Undo cancels the new batches that have not ended."""

    protection = Protection.TOKEN
    risk = "medium"

    def targets(self, params: P) -> Sequence[Target]:
        return tuple(Target(params.connection, path) for path in asked(params))

    def locks(self, params: P) -> Sequence[Target]:
        return (Target(params.connection, f"{BATCHES}/{_batch(params)}"),)

    def grants(self, params: P) -> Sequence[Grant]:
        own = f"GET {BATCHES}/{_batch(params)}"  # one of all batches, which it asks after as well
        found = [path.partition(" ") for path in asked(params) if path != own]
        return tuple(
            Grant(params.connection, "http", {"method": method, "path": path})
            for method, _, path in found
        )

    def apply(self, planned: Planned, world: World, key: str) -> Receipt:
        there = _submitted(planned, world, key)
        try:
            for number, chunk in enumerate(_chunks(planned, world), start=1):
                if number in there:
                    continue
                if world.cancelled():
                    what = "given up between two batches"
                    raise ActionFailed(Category.TRANSIENT, what, effect_possible=False)
                there[number] = _submit(planned, world, f"{key}/{number}", chunk)
                world.progress(number, planned.request["batches"], "batches")
        except ActionFailed as error:
            if not there:
                raise
            raise _broken_off(planned, there, error) from None
        return _receipt(planned, there)

    def confirm(
        self, planned: Planned, receipt: Receipt | None, world: World, key: str
    ) -> Confirmation:
        there = _submitted(planned, world, key)
        if len(there) < planned.request["batches"]:
            return NotApplied()  # those that are there are not submitted again
        return Applied(receipt or _receipt(planned, there))

    def undo(self, planned: Planned, receipt: Receipt, world: World, key: str) -> Receipt:
        del key  # a batch that is cancelled stays so
        connection = planned.target.connection
        cancelled: list[str] = []
        for identity in receipt.output["batches"]:
            batch = one_batch(world, connection, identity)
            status = batch["status"]
            if status == "failed" and not batch["completed"]:
                continue  # refused as a whole: nothing of it ran, so nothing is to be stopped
            if status in ENDED and status != "cancelled":
                what = f"{identity} has {status} already; what it did stands"
                raise ActionFailed(Category.DATA, what, effect_possible=bool(cancelled))
            if status not in ("cancelling", "cancelled"):
                cancel(world, connection, identity)
            cancelled.append(identity)
        return Receipt(dict(planned.before), dict(planned.counts), None, {"cancelled": cancelled})


def asked(params: FilesParams) -> list[str]:
    """Return the requests that it makes, as targets and rights name them."""
    batch = f"{BATCHES}/{_batch(params)}"
    files = params.content_path.replace("{file}", "*")
    made = f"{BATCHES}/*"
    reads = [f"GET {path}" for path in (BATCHES, batch, files, made)]
    return [*reads, f"POST {_FILES}", f"POST {BATCHES}", f"POST {made}/cancel"]


def _batch(params: FilesParams) -> str:
    return str(getattr(params, "batch"))  # noqa: B009  every subclass has one


def cancel(world: World, connection: str, identity: str) -> JsonObject:
    """Ask for a batch to be cancelled and return it.

    Raises:
        ActionFailed: classified.
    """
    client = world.client(connection, HttpClient)
    return described(client.send("POST", f"{BATCHES}/{identity}/cancel").body)


def submission(
    action: str, params: FilesParams, batch: JsonObject, items: int, chunk: int, **request: Any
) -> Planned:
    """Return the plan of submitting `items` lines of a batch's input, `chunk` a new batch.

    Raises:
        ActionFailed: (data) the batch names no input or endpoint.
    """
    if not batch["input_file"] or not batch["endpoint"]:
        what = f"batch {batch['id']} names no input file and endpoint, so nothing can be submitted again"
        raise ActionFailed(Category.DATA, what, effect_possible=False)
    batches = -(-items // chunk)
    after: JsonObject = {"items": items, "endpoint": batch["endpoint"], "of": batch["id"]}
    after["batches"] = Unknown("named by the provider")
    return Planned(
        action=action,
        target=Target(params.connection, f"{BATCHES}/{batch['id']}"),
        before={},
        after=after if items else {},
        counts={"requests": items},
        request={
            "files": FilesParams(
                connection=params.connection,
                max_bytes=params.max_bytes,
                content_path=params.content_path,
            ).model_dump(),
            "of": batch["id"],
            "input_file": batch["input_file"],
            "endpoint": batch["endpoint"],
            "chunk": chunk,
            "batches": batches,
            "items": items,
            "ids": None,
            **request,
        },
        summary=f"submit {items} items of {batch['id']} again, in {batches} batches",
        notes=(
            "the new batches cost what their items cost; undo cancels those that have not ended",
            "a crash between a file's upload and its batch leaves a file that no batch names",
        ),
    )


def _chunks(planned: Planned, world: World) -> Iterator[BinaryIO]:
    """Yield each new batch's input as a file on this machine's disk."""
    request = planned.request
    files = FilesParams.model_validate(request["files"])
    wanted = None if request["ids"] is None else set(request["ids"])
    lines = _picked(content(files, request["input_file"], world), wanted)
    left = int(request["items"])
    while left > 0:
        due = min(left, int(request["chunk"]))
        with tempfile.TemporaryFile() as file:
            size = found = 0
            for line in itertools.islice(lines, due):
                size += file.write(line)
                found += 1
            if found < due:
                what = (
                    f"{request['input_file']} lacks {due - found} of the {request['items']} items"
                )
                raise ActionFailed(Category.DATA, what, effect_possible=left < request["items"])
            if size > _LARGEST:
                what = f"{due} items are {size} bytes; a file has at most {_LARGEST}"
                raise ActionFailed(Category.DATA, what, effect_possible=left < request["items"])
            file.seek(0)
            yield cast(BinaryIO, file)
        left -= due


def _picked(lines: Iterable[str], wanted: set[str] | None) -> Iterator[bytes]:
    for line in lines:
        if line.strip() and (wanted is None or _identity(line) in wanted):
            yield line.strip().encode() + b"\n"


def _identity(line: str) -> str | None:
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found.get("custom_id") if isinstance(found, dict) else None


def _submit(planned: Planned, world: World, key: str, file: BinaryIO) -> str:
    client = world.client(planned.target.connection, HttpClient)
    name = f"{planned.request['of']}-again.jsonl"
    uploaded = client.upload(_FILES, file, name, {"purpose": "batch"}).body
    if not isinstance(uploaded, dict) or not isinstance(uploaded.get("id"), str):
        what = (
            f"POST {_FILES}: the answer is no file; is the connection's url that of OpenAI's API?"
        )
        raise ActionFailed(Category.CONFIGURATION, what)
    body = {
        "input_file_id": uploaded["id"],
        "endpoint": planned.request["endpoint"],
        "completion_window": "24h",
        "metadata": {KEY: key, OF: planned.request["of"]},
    }
    return str(described(client.send("POST", BATCHES, body=body).body)["id"])


def _submitted(planned: Planned, world: World, key: str) -> dict[int, str]:
    """Return the batches that carry the key, by their number."""
    there: dict[int, str] = {}
    for batch in latest(world, planned.target.connection, _LOOKED_AT)[0]:
        name = str((batch.get("metadata") or {}).get(KEY, ""))
        owner, _, number = name.rpartition("/")
        if owner == key and number.isdigit():
            there[int(number)] = batch["id"]
    return there


def _broken_off(planned: Planned, there: dict[int, str], error: ActionFailed) -> ActionFailed:
    """Say which batches stand: a later attempt leaves them and submits the rest."""
    names = ", ".join(there[number] for number in sorted(there))
    what = (
        f"after {len(there)} of {planned.request['batches']} batches, which stay ({names}): {error}"
    )
    return ActionFailed(error.category, what, retry_after=error.retry_after)


def _receipt(planned: Planned, there: dict[int, str]) -> Receipt:
    batches = [there[number] for number in sorted(there)]
    after = {**dict(planned.after), "batches": batches}
    return Receipt(after, dict(planned.counts), None, {"batches": batches, "batch": batches[0]})
