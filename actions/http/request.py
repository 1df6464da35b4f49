"""http.request: a request that changes something. Its plan is the request itself, which is not sent."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field

from actions.http import byhand
from actions.http.bodies import Answer, field_of
from actions.http.connection import HttpClient
from actions.http.settings import SAFE_METHODS, StepHeaders, StepPath
from engine.contract import (
    ActionFailed,
    ActionParams,
    Applied,
    CannotTell,
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
from engine.domain.canonical import JsonObject

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
_FIELD = re.compile(r"\{([A-Za-z0-9_]+)\}")
_OUTPUT = 64 * 1024  # the largest answer kept in the output


class ConfirmBy(BaseModel):
    """A GET that tells whether the effect is there."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: StepPath = Field(description="Path to get", examples=["/v1/batches/b-1"])
    query: dict[str, Any] = Field(
        default_factory=dict, description="Query parameters", examples=[{"fields": "state"}]
    )
    present: list[int] = Field([200], description="Statuses that show the effect", examples=[[200]])
    absent: list[int] = Field(
        [404, 410], description="Statuses that show that it is not there", examples=[[404]]
    )
    equals: dict[str, Any] = Field(
        default_factory=dict,
        description="Fields (dotted) of the JSON answer and their values once the effect is there",
        examples=[{"state": "paused"}],
    )


class UndoBy(BaseModel):
    """A request that takes the effect back."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    method: Literal["POST", "PUT", "PATCH", "DELETE"] = Field(
        description="Method", examples=["DELETE"]
    )
    path: StepPath = Field(
        description="Path; {name} stands for a field of the answer to the request",
        examples=["/v1/batches/{id}"],
    )
    body: Any = Field(None, description="JSON to send", examples=[{"reason": "undone"}])
    expect: list[int] = Field(
        default_factory=list, description="Statuses that are no failure", examples=[[404]]
    )


class RequestParams(ActionParams):
    """Parameters of a request that changes something."""

    connection: str = Field(description="An http connection", examples=["batches"])
    method: Method = Field(description="Method; http.get is the read", examples=["POST"])
    path: StepPath = Field(
        description="Path below the connection's URL, starting with /",
        examples=["/v1/batches/b-1/cancel"],
    )
    query: dict[str, Any] = Field(
        default_factory=dict, description="Query parameters", examples=[{"force": "true"}]
    )
    headers: StepHeaders = Field(
        default_factory=dict, description="Headers", examples=[{"X-Reason": "incident"}]
    )
    body: Any = Field(
        None, description="JSON to send, or text of another content_type", examples=[{"size": 10}]
    )
    content_type: str = Field(
        "application/json", description="What body is", examples=["application/json"]
    )
    expect: list[int] = Field(
        default_factory=list,
        description="Statuses that are no failure; default 2xx",
        examples=[[202]],
    )
    idempotency_header: str | None = Field(
        None,
        description="Header whose key the server honours; the connection's own where missing",
        examples=["Idempotency-Key"],
        pattern=r"^[A-Za-z0-9-]+$",
    )
    confirm: ConfirmBy | None = Field(
        None,
        description="How to ask whether the effect is there after a crash",
        examples=[{"path": "/v1/batches/b-1", "equals": {"status": "cancelled"}}],
    )
    undo: UndoBy | None = Field(
        None,
        description="The request that takes the effect back; without it the step is irreversible",
        examples=[{"method": "DELETE", "path": "/v1/batches/{id}"}],
    )


class HttpRequest(Change[RequestParams]):
    """One request that changes something.

    Protected by the provider's key where a header for it is named; otherwise unprotected: never repeated
    by itself, and after a crash only `confirm` can tell what happened.
    """

    name = "http.request"
    manual = byhand.request
    summary = "Send a request that changes something"
    Params = RequestParams
    protection = Protection.UNPROTECTED
    risk = "medium"

    def protection_of(self, planned: Planned) -> Protection:
        named = planned.request.get("idempotency_header")
        return Protection.PROVIDER_KEY if named else Protection.UNPROTECTED

    def targets(self, params: RequestParams) -> Sequence[Target]:
        paths = [f"{params.method} {params.path}"]
        if params.confirm:
            paths.append(f"GET {params.confirm.path}")
        if params.undo:
            paths.append(f"{params.undo.method} {params.undo.path}")
        return tuple(Target(params.connection, path) for path in paths)

    def locks(self, params: RequestParams) -> Sequence[Target]:
        return (Target(params.connection, params.path),)

    def grants(self, params: RequestParams) -> Sequence[Grant]:
        split = [target.path.partition(" ") for target in self.targets(params)]
        return tuple(
            # `{name}` stands for a field of the answer, which nobody knows yet.
            Grant(params.connection, "http", {"method": method, "path": _FIELD.sub("*", path)})
            for method, _, path in split
        )

    def plan(self, params: RequestParams, world: World) -> Planned:
        settings = world.client(params.connection, HttpClient).settings
        header = params.idempotency_header or settings.idempotency_header
        after: JsonObject = {"method": params.method, "path": params.path}
        if params.query:
            after["query"] = params.query
        if params.body is not None:
            after["body"] = params.body
        return Planned(
            action=self.name,
            target=Target(params.connection, f"{params.method} {params.path}"),
            before={},
            after=after,
            counts={"requests": 1},
            request={
                "headers": params.headers,
                "content_type": params.content_type,
                "expect": params.expect,
                "idempotency_header": header,
                "confirm": params.confirm.model_dump() if params.confirm else None,
                "undo": params.undo.model_dump() if params.undo else None,
            },
            summary=f"{params.method} {settings.url.rstrip('/')}{params.path}",
            reversible=params.undo is not None,
            why_irreversible=None if params.undo else "no undo request is declared; declare `undo`",
            notes=_notes(params, header),
        )

    def apply(self, planned: Planned, world: World, key: str) -> Receipt:
        client = world.client(planned.target.connection, HttpClient)
        after, request = planned.after, planned.request
        answer = client.send(
            after["method"],
            after["path"],
            query=after.get("query"),
            headers={**request["headers"], **_key_header(planned, key)},
            body=after.get("body"),
            content_type=request["content_type"],
            expect=request["expect"],
        )
        return Receipt(after=dict(after), counts={"requests": 1}, output=_output(answer))

    def confirm(
        self, planned: Planned, receipt: Receipt | None, world: World, key: str
    ) -> Confirmation:
        del key
        asked = planned.request["confirm"]
        if asked is not None:
            return _confirmed(ConfirmBy(**asked), planned, receipt, world)
        if receipt is not None:
            return Applied(receipt)
        if self.protection_of(planned).retry_safe:
            return NotApplied()  # whether it is there or not: the same key acts once
        return CannotTell(
            f"{planned.summary} was sent or not: the server takes no idempotency key and no `confirm` "
            "request is declared. Look at the target, then retry or mark it done"
        )

    def undo(self, planned: Planned, receipt: Receipt, world: World, key: str) -> Receipt:
        undo = UndoBy(**planned.request["undo"])
        path = _FIELD.sub(lambda match: _filled(match.group(1), receipt), undo.path)
        client = world.client(planned.target.connection, HttpClient)
        answer = client.send(
            undo.method, path, body=undo.body, expect=undo.expect, headers=_key_header(planned, key)
        )
        return Receipt(counts={"requests": 1}, output=_output(answer))


def _notes(params: RequestParams, header: str | None) -> tuple[str, ...]:
    notes = ["the request is shown, not sent: what it changes is known to the server only"]
    if params.method in SAFE_METHODS:
        notes = ["GET should change nothing; use http.get to have its answer in the plan"]
    if header:
        notes.append(f"repeats carry one key in {header}, which the server honours")
    elif params.confirm is None:
        notes.append("unprotected: after a crash in the middle a person decides")
    else:
        notes.append(f"unprotected: after a crash GET {params.confirm.path} decides")
    return tuple(notes)


def _key_header(planned: Planned, key: str) -> dict[str, str]:
    header = planned.request.get("idempotency_header")
    return {header: key} if header else {}


def _output(answer: Answer) -> JsonObject:
    output = answer.as_json()
    if len(str(output["body"])) > _OUTPUT:
        output["body"] = None
        output["truncated"] = True
    return output


def _confirmed(
    asked: ConfirmBy, planned: Planned, receipt: Receipt | None, world: World
) -> Confirmation:
    client = world.client(planned.target.connection, HttpClient)
    answer = client.send(
        "GET", asked.path, query=asked.query, expect=[*asked.present, *asked.absent]
    )
    if answer.status in asked.absent:
        if receipt is None:
            return NotApplied()
        return Wrong(f"GET {asked.path} answers {answer.status} after the request was accepted")
    differing = [
        name for name, value in asked.equals.items() if field_of(answer.body, name) != value
    ]
    if not differing:
        seen = Receipt(dict(planned.after), {"requests": 1}, None, _output(answer))
        return Applied(receipt or seen)
    name = differing[0]
    found = (
        f"GET {asked.path}: {name} is {field_of(answer.body, name)!r}, not {asked.equals[name]!r}"
    )
    return NotApplied() if receipt is None else Wrong(found)


def _filled(name: str, receipt: Receipt) -> str:
    """Return a field of the answer for a path, quoted so that it stays one segment."""
    body = receipt.output.get("body")
    value = body.get(name) if isinstance(body, Mapping) else None
    if not isinstance(value, str | int) or isinstance(value, bool):
        what = f"undo: the answer to the request has no {name!r} to fill the path with"
        raise ActionFailed(Category.DATA, what, effect_possible=False)
    return quote(str(value), safe="")
