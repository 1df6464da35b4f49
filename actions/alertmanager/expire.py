"""alertmanager.expire: end a silence before its time."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from actions.alertmanager import byhand
from actions.alertmanager.api import (
    IDENTITY,
    LIST,
    ONE,
    Silences,
    is_live,
    ordered,
    same_moment,
    shown,
)
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
from engine.domain.canonical import JsonObject


class ExpireParams(ActionParams):
    """Parameters of an end."""

    connection: str = Field(description="An http connection to Alertmanager", examples=["alerts"])
    id: str = Field(
        description="The silence's id, such as the `id` that alertmanager.silence gave",
        examples=["4f5cbd1c-9d63-4a6c-8b2a-3f2a1c0d9e11"],
        pattern=IDENTITY,
    )


class AlertmanagerExpire(Change[ExpireParams]):
    """Ends one silence. Undo sets the same again, under a new id, until its old end."""

    name = "alertmanager.expire"
    manual = byhand.expire
    summary = "End a silence"
    Params = ExpireParams
    protection = Protection.CONDITIONAL
    risk = "low"

    def targets(self, params: ExpireParams) -> Sequence[Target]:
        requests = (
            f"GET {LIST}",
            f"POST {LIST}",
            f"GET {ONE}{params.id}",
            f"DELETE {ONE}{params.id}",
        )
        return tuple(Target(params.connection, request) for request in requests)

    def locks(self, params: ExpireParams) -> Sequence[Target]:
        return (Target(params.connection, ONE + params.id),)

    def grants(self, params: ExpireParams) -> Sequence[Grant]:
        # What undo sets again has another id, which Alertmanager gives.
        paths = (("GET", LIST), ("POST", LIST), ("GET", f"{ONE}*"), ("DELETE", ONE + params.id))
        return tuple(
            Grant(params.connection, "http", {"method": method, "path": path})
            for method, path in paths
        )

    def plan(self, params: ExpireParams, world: World) -> Planned:
        found = Silences(world, params.connection).one(params.id)
        if found is None:
            what = f"there is no silence {params.id}"
            raise ActionFailed(Category.PERMANENT, what, effect_possible=False)
        live = is_live(found)
        before = {"silences": live, **shown(found)}
        return Planned(
            action=self.name,
            target=Target(params.connection, f"DELETE {ONE}{params.id}"),
            before=before,
            after={**before, "silences": False},
            counts={"silences": 1} if live else {},
            request={"id": params.id, "ends": found["endsAt"]},
            summary=f"end silence {params.id}"
            if live
            else f"silence {params.id} has ended already",
            notes=("undo sets the same silence again, under a new id",) if live else (),
        )

    def apply(self, planned: Planned, world: World, key: str) -> Receipt:
        del key  # a silence that has ended stays so
        silences = Silences(world, planned.target.connection)
        found = _found(silences, planned)
        if is_live(found):
            if not same_moment(found["endsAt"], planned.request["ends"]):
                what = (
                    f"silence {found['id']}, endsAt: it is no longer what the plan saw; left alone"
                )
                raise ActionFailed(Category.DATA, what, effect_possible=False)
            silences.end(found["id"])
        return _receipt(planned)

    def confirm(
        self, planned: Planned, receipt: Receipt | None, world: World, key: str
    ) -> Confirmation:
        del key
        found = _found(Silences(world, planned.target.connection), planned)
        if not is_live(found):
            return Applied(receipt or _receipt(planned))
        return NotApplied() if receipt is None else Wrong(f"silence {found['id']} is active again")

    def undo(self, planned: Planned, receipt: Receipt, world: World, key: str) -> Receipt:
        del key  # the same silence, set again, is found
        image = receipt.before_image
        assert isinstance(image, dict)
        silences = Silences(world, planned.target.connection)
        there = next((one for one in silences.live() if _is_again(one, image)), None)
        if there is None:
            content = {name: image[name] for name in ("matchers", "comment", "createdBy")}
            there = silences.create(content, None, image["ends"])
        return Receipt(dict(planned.before), {"silences": 1}, None, {"id": there["id"]})


def _found(silences: Silences, planned: Planned) -> JsonObject:
    found = silences.one(planned.request["id"])
    if found is None:
        what = f"silence {planned.request['id']} is gone, as ended ones are after a while"
        raise ActionFailed(Category.DATA, what, effect_possible=False)
    return found


def _receipt(planned: Planned) -> Receipt:
    image = {
        "matchers": planned.before["matchers"],
        "comment": planned.before["comment"],
        "createdBy": planned.before["created_by"],
        "ends": planned.request["ends"],
    }
    output = {"id": planned.request["id"], "ended": True}
    return Receipt(dict(planned.after), dict(planned.counts), image, output)


def _is_again(silence: JsonObject, image: JsonObject) -> bool:
    return (
        ordered(silence["matchers"]) == image["matchers"]
        and silence["comment"] == image["comment"]
        and silence["createdBy"] == image["createdBy"]
        and same_moment(silence["endsAt"], image["ends"])
    )
