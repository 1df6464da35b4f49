"""alertmanager.silence: keep alerts quiet for the length of a repair."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from pydantic import Field, model_validator

from actions.alertmanager import byhand
from actions.alertmanager.api import Matcher, Silences, is_live, ordered, paths, same_moment, shown
from engine.contract import (
    ActionFailed,
    ActionParams,
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
from engine.contract.fields import Seconds
from engine.domain.canonical import JsonObject, canonical_json


class SilenceParams(ActionParams):
    """Parameters of a silence."""

    connection: str = Field(description="An http connection to Alertmanager", examples=["alerts"])
    matchers: list[Matcher] = Field(
        description="Which alerts: those that all of these fit",
        examples=[[{"name": "namespace", "value": "starforge"}]],
        min_length=1,
        max_length=20,
    )
    duration: Seconds = Field(
        description="How long from now; at most a week", gt=0, le=7 * 86400, examples=["2h"]
    )
    comment: str = Field(
        "Silenced for the length of a repair",
        description="Why, for who looks at it",
        examples=["Repairing starforge, incident 17"],
        min_length=1,
        max_length=1000,
    )
    created_by: str = Field("stanch", description="Who it is from", examples=["stanch"])

    @model_validator(mode="after")
    def _narrow(self) -> Self:
        if all(matcher.matches_nothing_set() for matcher in self.matchers):
            raise ValueError(
                "these matchers fit every alert; name one label that must have a value"
            )
        return self


class AlertmanagerSilence(Change[SilenceParams]):
    """Sets one silence from now. Its comment ends in the key, by which it is found again.

    Undo ends it, unless others gave it another end since.
    """

    name = "alertmanager.silence"
    manual = byhand.silence
    summary = "Silence alerts for the length of a repair"
    Params = SilenceParams
    protection = Protection.TOKEN
    risk = "medium"

    def targets(self, params: SilenceParams) -> Sequence[Target]:
        return paths(params.connection)

    def locks(self, params: SilenceParams) -> Sequence[Target]:
        matchers = canonical_json(ordered([matcher.as_api() for matcher in params.matchers]))
        return (Target(params.connection, f"silence {matchers}"),)

    def grants(self, params: SilenceParams) -> Sequence[Grant]:
        split = [target.path.partition(" ") for target in self.targets(params)]
        return tuple(
            Grant(params.connection, "http", {"method": method, "path": path})
            for method, _, path in split
        )

    def plan(self, params: SilenceParams, world: World) -> Planned:
        matchers = ordered([matcher.as_api() for matcher in params.matchers])
        wide = [one for one in Silences(world, params.connection).live() if one["matchers"]]
        others = [one["id"] for one in wide if ordered(one["matchers"]) == matchers]
        notes = ["the end counts from the moment it is set"]
        notes += [f"the same alerts are silenced already by {', '.join(others)}"] if others else []
        return Planned(
            action=self.name,
            target=Target(params.connection, "POST /api/v2/silences"),
            before={},
            after={
                "matchers": matchers,
                "seconds": params.duration,
                "comment": params.comment,
                "created_by": params.created_by,
            },
            counts={"silences": 1},
            summary=f"silence {_words(matchers)} for {params.duration:g} s",
            notes=tuple(notes),
        )

    def apply(self, planned: Planned, world: World, key: str) -> Receipt:
        silences = Silences(world, planned.target.connection)
        found = silences.with_note(_note(key))
        if found is None:
            content = {
                "matchers": planned.after["matchers"],
                "comment": planned.after["comment"] + _note(key),
                "createdBy": planned.after["created_by"],
            }
            found = silences.create(content, float(planned.after["seconds"]), None)
        return _receipt(planned, found)

    def confirm(
        self, planned: Planned, receipt: Receipt | None, world: World, key: str
    ) -> Confirmation:
        found = Silences(world, planned.target.connection).with_note(_note(key))
        if found is None:
            if receipt is None:
                return NotApplied()
            return Wrong(f"silence {receipt.output['id']} is no longer there")
        if receipt is not None and not is_live(found):
            return Wrong(f"silence {found['id']} was ended before its time")
        return Applied(receipt or _receipt(planned, found))

    def undo(self, planned: Planned, receipt: Receipt, world: World, key: str) -> Receipt:
        del key  # a silence that has ended stays so
        silences = Silences(world, planned.target.connection)
        image = receipt.before_image
        assert isinstance(image, dict)
        found = silences.one(image["id"])
        if found is not None and is_live(found):
            if not same_moment(found["endsAt"], image["ends"]):
                what = f"silence {image['id']}, endsAt: others changed it since; it was left alone"
                raise ActionFailed(Category.DATA, what, effect_possible=False)
            silences.end(image["id"])
        return Receipt(counts={"silences": 1}, output={"id": image["id"], "ended": True})


def _note(key: str) -> str:
    return f" [{key}]"


def _words(matchers: list[JsonObject]) -> str:
    signs = {(False, True): "=", (False, False): "!=", (True, True): "=~", (True, False): "!~"}
    return (
        "{"
        + ", ".join(
            f'{one["name"]}{signs[one["isRegex"], one["isEqual"]]}"{one["value"]}"'
            for one in matchers
        )
        + "}"
    )


def _receipt(planned: Planned, silence: JsonObject) -> Receipt:
    after = {**planned.after, "matchers": shown(silence)["matchers"]}
    return Receipt(
        after=after,
        counts={"silences": 1},
        before_image={"id": silence["id"], "ends": silence["endsAt"]},
        output={"id": silence["id"], "ends_at": silence["endsAt"]},
    )
