"""Silences as Alertmanager's API has them, over an `http` connection. Source: Alertmanager, api/v2."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any, cast
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field, model_validator

from actions.http.connection import HttpClient
from engine.contract import ActionFailed, Category, Target, World
from engine.domain.canonical import JsonObject
from engine.domain.clock import format_time, parse_time

LIST = "/api/v2/silences"
ONE = "/api/v2/silence/"
IDENTITY = r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"
_LIVE = ("active", "pending")


class Matcher(BaseModel):
    """One condition on a label."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(
        description="The label", pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$", examples=["namespace"]
    )
    value: str = Field(description="Its value, or the pattern", examples=["starforge"])
    regex: bool = Field(
        False, description="Whether value is a regular expression, anchored", examples=[True]
    )
    equal: bool = Field(True, description="False: everything that does not match", examples=[False])

    @model_validator(mode="after")
    def _sound(self) -> Matcher:
        if self.regex:
            import re2

            try:
                re2.compile(self.value)
            except re2.error as error:
                raise ValueError(f"{self.value!r} is no regular expression: {error}") from None
        return self

    def matches_nothing_set(self) -> bool:
        """Whether it also holds for alerts without the label, so that it narrows nothing by itself."""
        found = bool(re.fullmatch(self.value, "")) if self.regex else self.value == ""
        return found == self.equal

    def as_api(self) -> JsonObject:
        return {
            "name": self.name,
            "value": self.value,
            "isRegex": self.regex,
            "isEqual": self.equal,
        }


def shown(silence: JsonObject) -> JsonObject:
    """Return what a plan tells of a silence: its content without server times and ids."""
    return {
        "matchers": ordered(silence["matchers"]),
        "comment": silence["comment"],
        "created_by": silence["createdBy"],
    }


def ordered(matchers: list[JsonObject]) -> list[JsonObject]:
    """Return matchers in one order, with the field that old servers leave out."""
    full = [{"isEqual": True, **matcher} for matcher in matchers]
    return sorted(full, key=lambda one: (one["name"], one["value"], one["isRegex"], one["isEqual"]))


class Silences:
    """The silences of one Alertmanager."""

    def __init__(self, world: World, connection: str) -> None:
        self._client = world.client(connection, HttpClient)
        self._world = world

    def one(self, identity: str) -> JsonObject | None:
        """Return a silence by its id, or None.

        Raises:
            ActionFailed: classified.
        """
        answer = self._client.send("GET", ONE + quote(identity, safe=""), expect=(200, 404))
        if answer.status == 404 and _is_api(answer.body):
            return None
        return _silence(answer.body)

    def live(self) -> list[JsonObject]:
        """Return the silences that are active or will be.

        Raises:
            ActionFailed: classified.
        """
        return [one for one in self._all() if is_live(one)]

    def with_note(self, note: str) -> JsonObject | None:
        """Return the silence whose comment ends in `note`, one in force first, or None.

        Raises:
            ActionFailed: classified.
        """
        found = [one for one in self._all() if one["comment"].endswith(note)]
        return next(iter(sorted(found, key=lambda one: not is_live(one))), None)

    def _all(self) -> list[JsonObject]:
        answer = self._client.send("GET", LIST, expect=(200, 404))
        if not isinstance(answer.body, list):
            raise _foreign()
        return [_silence(one) for one in answer.body]

    def create(self, content: JsonObject, seconds: float | None, ends: str | None) -> JsonObject:
        """Create a silence from now, for so long or until then, and return it as the server has it.

        Raises:
            ActionFailed: classified.
        """
        now = self._world.clock.now()
        if ends is None:
            ends = format_time(now + timedelta(seconds=seconds or 0.0))
        body = {**content, "startsAt": format_time(now), "endsAt": ends}
        answer = self._client.send("POST", LIST, body=body, expect=(200,))
        identity = answer.body.get("silenceID") if isinstance(answer.body, dict) else None
        made = self.one(str(identity))
        if made is None:
            what = f"Alertmanager accepted the silence {identity} and does not have it"
            raise ActionFailed(Category.UNCLASSIFIED, what)
        return made

    def end(self, identity: str) -> None:
        """End a silence; one that has ended already stays so.

        Raises:
            ActionFailed: classified.
        """
        self._client.send("DELETE", ONE + quote(identity, safe=""), expect=(200,))


def is_live(silence: JsonObject) -> bool:
    """Whether it silences now or will."""
    return silence["status"]["state"] in _LIVE


def same_moment(one: str, other: str) -> bool:
    """Whether two times are the same to the millisecond, which is all that the server keeps."""
    return abs((parse_time(one) - parse_time(other)).total_seconds()) < 0.001


def paths(connection: str) -> tuple[Target, ...]:
    """Return the requests that setting and ending silences takes."""
    requests = (f"GET {LIST}", f"POST {LIST}", f"GET {ONE}*", f"DELETE {ONE}*")
    return tuple(Target(connection, request) for request in requests)


def _is_api(body: Any) -> bool:
    """Whether a 404 is the API's own (an empty answer), and not that of another path or server."""
    return body is None


def _silence(body: Any) -> JsonObject:
    if isinstance(body, dict) and {"id", "matchers", "comment", "status", "endsAt"} <= set(body):
        return cast(JsonObject, body)
    raise _foreign()


def _foreign() -> ActionFailed:
    what = "the answer is not Alertmanager's API v2; is the connection's url its base URL?"
    return ActionFailed(Category.CONFIGURATION, what, effect_possible=False)
