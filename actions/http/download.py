"""http.download: an answer of any size, streamed into an artifact."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal

from pydantic import Field

from actions.artifacts.leaving import Leaving, LeavingParams, leaving, named, place, receipt_of
from actions.artifacts.reference import right
from actions.artifacts.store import ArtifactStore, Draft
from actions.http import byhand
from actions.http.bodies import split
from actions.http.connection import HttpClient
from actions.http.settings import StepHeaders, StepPath
from engine.contract import ActionFailed, Category, Grant, Planned, Receipt, Target, World
from engine.contract.fields import Bytes

_REPORTED = 16 * 2**20  # bytes between two reports of progress


class DownloadParams(LeavingParams):
    """Parameters of a download."""

    connection: str = Field(description="An http connection", examples=["openai"])
    path: StepPath = Field(
        description="Path below the connection's URL, starting with /",
        examples=["/v1/files/file-abc/content"],
    )
    query: dict[str, Any] = Field(
        default_factory=dict, description="Query parameters", examples=[{"format": "jsonl"}]
    )
    headers: StepHeaders = Field(
        default_factory=dict, description="Headers", examples=[{"Accept": "application/jsonl"}]
    )
    expect: list[int] = Field(
        default_factory=list,
        description="Statuses that are no failure; default 2xx",
        examples=[[200]],
    )
    content: Literal["any", "json_lines"] = Field(
        "any",
        description="What it must be: with json_lines every line is read, and one that is no JSON fails it",
        examples=["json_lines"],
    )
    max_bytes: Bytes = Field(2 * 2**30, gt=0, description="Largest answer taken", examples=["1Gi"])
    max_line: Bytes = Field(
        16 * 2**20,
        gt=0,
        le=256 * 2**20,
        description="Longest line of json_lines",
        examples=["16Mi"],
    )


class HttpDownload(Leaving[DownloadParams]):
    """Streams one answer into an artifact, which is there whole or not at all.

    Output: `artifact` (its reference) and `lines`. Undo removes the artifact.
    """

    name = "http.download"
    manual = byhand.download
    summary = "Download a document of any size into an artifact"
    Params = DownloadParams

    def targets(self, params: DownloadParams) -> Sequence[Target]:
        return (Target(params.connection, f"GET {params.path}"), place(params, "download"))

    def locks(self, params: DownloadParams) -> Sequence[Target]:
        return (place(params, "download"),) if params.name else ()

    def grants(self, params: DownloadParams) -> Sequence[Grant]:
        read = Grant(params.connection, "http", {"method": "GET", "path": params.path})
        return (read, right(place(params, "download")))

    def plan(self, params: DownloadParams, world: World) -> Planned:
        settings = world.client(params.connection, HttpClient).settings
        after, request = leaving(params, "download", world)
        source = f"{settings.url.rstrip('/')}{params.path}"
        return Planned(
            action=self.name,
            target=place(params, "download"),
            before={},
            after={"source": source, **after},
            counts={"requests": 1},
            request={
                **request,
                "connection": params.connection,
                "path": params.path,
                "query": params.query,
                "headers": params.headers,
                "expect": params.expect,
                "content": params.content,
                "max_bytes": params.max_bytes,
                "max_line": params.max_line,
            },
            summary=f"download {source}",
            notes=("the size is known to the server only; secrets that it sends are kept as sent",),
        )

    def apply(self, planned: Planned, world: World, key: str) -> Receipt:
        request = planned.request
        store = world.client(request["artifacts"], ArtifactStore)
        name = named(planned, key)
        done = store.of_key(name, key)
        if done is not None:
            return receipt_of(planned, done)
        client = world.client(request["connection"], HttpClient)
        chunks = client.chunks(
            request["path"],
            max_bytes=request["max_bytes"],
            query=request["query"],
            headers=request["headers"],
            expect=request["expect"],
        )
        with store.drafting(name, key) as draft:
            pieces = _minded(chunks, draft, world)
            checked = request["max_line"] if request["content"] == "json_lines" else None
            return receipt_of(planned, draft.keep({"lines": _counted(pieces, checked)}))


def _minded(chunks: Iterable[bytes], draft: Draft, world: World) -> Iterator[bytes]:
    """Write the pieces down and pass them on, report progress, and give up when the attempt should."""
    reported = 0
    for chunk in chunks:
        if world.cancelled():
            raise _failed(Category.TRANSIENT, f"given up after {draft.bytes} bytes; nothing kept")
        draft.write(chunk)
        if draft.bytes - reported >= _REPORTED:
            reported = draft.bytes
            world.progress(draft.bytes, None, "bytes")
        yield chunk


def _counted(chunks: Iterable[bytes], max_line: int | None) -> int:
    """Return how many lines there are, each of which is JSON where they are looked at."""
    import orjson

    if max_line is None:
        return sum(chunk.count(b"\n") for chunk in chunks)
    number = 0
    for number, line in enumerate(split(chunks, max_line), start=1):
        if line is None:
            raise _failed(Category.DATA, f"line {number} is longer than {max_line} bytes")
        if line.strip():
            try:
                orjson.loads(line)
            except orjson.JSONDecodeError as error:
                raise _failed(Category.DATA, f"line {number} is no JSON: {error}") from None
    return number


def _failed(category: Category, what: str) -> ActionFailed:
    return ActionFailed(category, what, effect_possible=False)
