"""http.get: a request that changes nothing, and its answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field

from actions.http import byhand
from actions.http.connection import HttpClient
from actions.http.settings import StepHeaders, StepPath
from engine.contract import (
    ActionFailed,
    ActionParams,
    Category,
    Grant,
    Read,
    Target,
    World,
)
from engine.contract.fields import Bytes
from engine.domain.canonical import Json


class GetParams(ActionParams):
    """Parameters of a read."""

    connection: str = Field(description="An http connection", examples=["batches"])
    path: StepPath = Field(
        description="Path below the connection's URL, starting with /", examples=["/v1/batches"]
    )
    method: Literal["GET", "HEAD", "POST"] = Field(
        "GET", description="POST only where the connection lists the path as safe", examples=["GET"]
    )
    query: dict[str, Any] = Field(
        default_factory=dict, description="Query parameters", examples=[{"limit": 20}]
    )
    headers: StepHeaders = Field(
        default_factory=dict, description="Headers", examples=[{"Accept": "application/json"}]
    )
    body: Any = Field(None, description="JSON to send with a safe POST", examples=[{"q": "failed"}])
    expect: list[int] = Field(
        default_factory=list,
        description="Statuses that are no failure; default 2xx",
        examples=[[200, 404]],
    )
    max_bytes: Bytes = Field(2**20, gt=0, description="Largest answer taken", examples=["1Mi"])


class HttpGet(Read[GetParams]):
    """One request by a safe method. Output: `status`, `headers`, `body` (JSON where it is, else text)."""

    name = "http.get"
    manual = byhand.get
    summary = "Get a document over HTTP"
    Params = GetParams

    def targets(self, params: GetParams) -> Sequence[Target]:
        return (Target(params.connection, f"{params.method} {params.path}"),)

    def grants(self, params: GetParams) -> Sequence[Grant]:
        detail = {"method": params.method, "path": params.path}
        return (Grant(params.connection, "http", detail),)

    def read(self, params: GetParams, world: World) -> Json:
        client = world.client(params.connection, HttpClient)
        if not client.settings.is_safe(params.method, params.path):
            what = f"{params.method} {params.path} is not listed as safe by connection "
            what += f"{params.connection!r}; use http.request, or list it under `safe`"
            raise ActionFailed(Category.PERMANENT, what, effect_possible=False)
        answer = client.send(
            params.method,
            params.path,
            query=params.query,
            headers=params.headers,
            body=params.body,
            expect=params.expect,
            max_bytes=params.max_bytes,
        )
        return answer.as_json()
