"""statuspage.read: what a provider's status page says. Source: Atlassian Statuspage, API v2."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

from pydantic import Field, field_validator

from actions.http.settings import check_path
from actions.providers import byhand
from actions.providers.reading import fetch, grants, targets, text_of
from engine.contract import ActionParams, Grant, Read, Target, World
from engine.domain.canonical import Json, JsonObject

_SHOWN = 50


class StatusParams(ActionParams):
    """Parameters of a look at a status page."""

    connection: str = Field(
        description="An http connection to the status page", examples=["openai_status"]
    )
    path: str = Field(
        "/api/v2/summary.json",
        description="The page's summary; status.json has no components",
        examples=["/api/v2/summary.json"],
    )
    components: list[str] = Field(
        default_factory=list,
        description="Only these components count, by name, * for any characters; all where missing",
        examples=[["Batch*", "API"]],
    )

    @field_validator("path")
    @classmethod
    def _path(cls, value: str) -> str:
        return check_path(value)


class StatuspageRead(Read[StatusParams]):
    """One look at a status page.

    Output: `indicator` (none, minor, major, critical), `description`, `well` (the indicator is none; with
    `components`: these are all operational), `troubled` components `{name, status}`, open `incidents`
    `{name, status, impact, updated_at}`, and `updated_at`.
    """

    name = "statuspage.read"
    manual = byhand.statuspage
    summary = "Read a provider's status page"
    Params = StatusParams

    def targets(self, params: StatusParams) -> Sequence[Target]:
        return targets(params.connection, [params.path])

    def grants(self, params: StatusParams) -> Sequence[Grant]:
        return grants(params.connection, [params.path])

    def read(self, params: StatusParams, world: World) -> Json:
        body = fetch(world, params.connection, params.path, "status")
        status = body["status"] if isinstance(body["status"], dict) else {}
        indicator = text_of(status.get("indicator")) or "unknown"
        watched = [one for one in _objects(body, "components") if _is_watched(one, params)]
        troubled = [
            {"name": text_of(one.get("name")), "status": text_of(one.get("status"))}
            for one in watched
            if one.get("status") != "operational"
        ]
        well = indicator == "none"
        if params.components:
            well = bool(watched) and not troubled  # a name that is not on the page is not well
        return {
            "indicator": indicator,
            "description": text_of(status.get("description")),
            "well": well,
            "troubled": troubled[:_SHOWN],
            "watched": len(watched),
            "incidents": [
                {
                    name: text_of(one.get(name))
                    for name in ("name", "status", "impact", "updated_at")
                }
                for one in _objects(body, "incidents")[:_SHOWN]
            ],
            "updated_at": text_of(_of(body, "page").get("updated_at")) or None,
        }


def _is_watched(component: JsonObject, params: StatusParams) -> bool:
    if component.get("group") is True:
        return False  # a group repeats what its components say
    name = str(component.get("name", ""))
    return not params.components or any(fnmatchcase(name, one) for one in params.components)


def _objects(body: JsonObject, name: str) -> list[JsonObject]:
    found: Any = body.get(name)
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _of(body: JsonObject, name: str) -> JsonObject:
    found: Any = body.get(name)
    return found if isinstance(found, dict) else {}
