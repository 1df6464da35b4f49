"""openai.results: the failed items of a batch, out of its JSON Lines, one line at a time."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

from pydantic import Field

from actions.http.connection import HttpClient
from actions.providers import byhand
from actions.providers.openai import BATCH, BATCHES, one_batch
from actions.providers.reading import grants, targets, text_of
from engine.contract import ActionFailed, ActionParams, Category, Grant, Read, Target, World
from engine.contract.fields import Bytes
from engine.domain.canonical import Json, JsonObject

_FILE = re.compile(r"[A-Za-z0-9_-]{1,120}\Z")
CONTENT = r"^/[^?#\s]*\{file\}[^?#\s]*$"
LINE = 16 * 2**20
_ASKED_EVERY = 1000
_KNOWN = 200_000  # ids that are told apart; a batch has at most 50,000 requests


class FilesParams(ActionParams):
    """Where the files of batches are."""

    connection: str = Field(
        description="An http connection to OpenAI's API (its url without /v1)", examples=["openai"]
    )
    max_bytes: Bytes = Field(2 * 2**30, gt=0, description="Largest file read", examples=["1Gi"])
    content_path: str = Field(
        "/v1/files/{file}/content",
        description="Where a file's content is; a proxy may have it elsewhere. {file} is the file's id",
        pattern=CONTENT,
        examples=["/v1/files/{file}/content"],
    )


class ResultsParams(FilesParams):
    """Parameters of a look at results."""

    batch: str = Field(description="The batch's id", pattern=BATCH, examples=["batch_abc123"])
    max_items: int = Field(
        1000,
        gt=0,
        le=50_000,
        description="Most failed items listed; all are counted",
        examples=[500],
    )


class OpenaiResults(Read[ResultsParams]):
    """Which items of a batch failed, from its error file and its output file.

    Output: `items` of `{custom_id, status, code, message}`, `ids` (their custom ids), `failed` and
    `succeeded` in all, `by_code`, `unreadable` lines, and `truncated` where more failed than are listed.
    """

    name = "openai.results"
    manual = byhand.results
    summary = "Find the failed items of an OpenAI batch"
    Params = ResultsParams

    def targets(self, params: ResultsParams) -> Sequence[Target]:
        return targets(params.connection, paths(params, params.batch))

    def grants(self, params: ResultsParams) -> Sequence[Grant]:
        return grants(params.connection, paths(params, params.batch))

    def read(self, params: ResultsParams, world: World) -> Json:
        batch = one_batch(world, params.connection, params.batch)
        found = sifted(results_of(params, batch, world), params.max_items)
        files = [name for name in (batch["error_file"], batch["output_file"]) if name]
        return {"status": batch["status"], "files": len(files), **found}


def results_of(params: FilesParams, batch: JsonObject, world: World) -> Iterator[str]:
    """Yield the result lines of a batch, its errors first."""
    files = [name for name in (batch["error_file"], batch["output_file"]) if name]
    return (line for name in files for line in content(params, str(name), world))


def sifted(lines: Iterable[str], limit: int, only: Collection[str] = ()) -> JsonObject:
    """Count the items of result lines and list the failed ones, `limit` at most.

    An item failed where it has an error or its status is not 200. One that both files name counts once.
    With `only`, those of other codes are counted and not listed, and `truncated` tells of those listed.
    """
    items: dict[str, JsonObject] = {}
    known: set[str] = set()
    codes: Counter[str] = Counter()
    failed = succeeded = unreadable = chosen = 0
    for line in lines:
        if not line.strip():
            continue
        item = _item(line)
        if item is None:
            unreadable += 1
        elif item["code"] is None:
            succeeded += 1
        elif item["custom_id"] not in known:
            if len(known) < _KNOWN:
                known.add(item["custom_id"])
            failed += 1
            codes[item["code"]] += 1
            chosen += not only or item["code"] in only
            if len(items) < limit and (not only or item["code"] in only):
                items[item["custom_id"]] = item
    return {
        "items": list(items.values()),
        "ids": list(items),
        "failed": failed,
        "succeeded": succeeded,
        "by_code": dict(codes.most_common(50)),
        "unreadable": unreadable,
        "truncated": chosen > len(items),
    }


def _item(line: str) -> JsonObject | None:
    """Read a line; `code` is None where the item went well. None where it is no result."""
    try:
        found: Any = json.loads(line)
    except ValueError:
        return None
    if not isinstance(found, dict) or not isinstance(found.get("custom_id"), str):
        return None
    response = _object(found.get("response"))
    status = response.get("status_code")
    inner = _object(response.get("body")).get("error") if status != 200 else None
    error = found.get("error") or inner
    item = {"custom_id": found["custom_id"][:512], "status": status, "code": None, "message": ""}
    if error is None and status == 200:
        return item
    detail = error if isinstance(error, dict) else {"message": error}
    code = detail.get("code") or detail.get("type") or (f"status {status}" if status else "unknown")
    return {**item, "code": text_of(code, 80), "message": text_of(detail.get("message"))}


def _object(value: Any) -> JsonObject:
    return value if isinstance(value, dict) else {}


def content(params: FilesParams, name: str, world: World) -> Iterator[str]:
    """Yield the lines of a file.

    Raises:
        ActionFailed: classified; (data) `name` is no file's id.
    """
    if not _FILE.match(name):
        what = f"the batch names the file {text_of(name, 80)!r}, which is no file's id"
        raise ActionFailed(Category.DATA, what, effect_possible=False)
    client = world.client(params.connection, HttpClient)
    path = params.content_path.replace("{file}", name)
    return _minding(client.lines(path, max_bytes=params.max_bytes, max_line=LINE), world)


def _minding(lines: Iterable[str], world: World) -> Iterator[str]:
    """Pass lines on, report progress, and give up when the attempt should."""
    for number, line in enumerate(lines):
        if number % _ASKED_EVERY == 0:
            if world.cancelled():
                what = f"given up after {number} lines"
                raise ActionFailed(Category.TRANSIENT, what, effect_possible=False)
            world.progress(number, None, "lines")
        yield line


def paths(params: FilesParams, batch: str) -> list[str]:
    """Return what reading a batch and its files asks for."""
    return [f"{BATCHES}/{batch}", params.content_path.replace("{file}", "*")]
