"""How every change to an object is made: under its resourceVersion, marked with the run's key.

A write carries the annotation `stanch.dev/last-key`, so that after a crash the object itself says
whether the write happened. Controllers raise resourceVersion all the time (status), so a conflict
alone does not fail: the touched fields are compared again, and only a change of theirs does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from actions.kubernetes import fields
from actions.kubernetes.client import KubernetesClient
from actions.kubernetes.failures import Refused
from actions.kubernetes.fields import KEY, Path
from actions.kubernetes.resources import Resource
from engine.contract import (
    ActionFailed,
    Applied,
    Category,
    Confirmation,
    NotApplied,
    Planned,
    Receipt,
    Target,
    Unknown,
    World,
    Wrong,
)
from engine.domain.canonical import JsonObject

MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
JSON_PATCH = "application/json-patch+json"
TRIES = 8  # conflicts with unrelated writes that one attempt bears


@dataclass(frozen=True)
class Object:
    """An object that a change is about, as `Planned.request` keeps it."""

    connection: str
    kind: str
    api_version: str | None
    namespace: str
    name: str

    @property
    def target(self) -> Target:
        return target_of(self.connection, self.namespace, self.kind, self.name)

    def as_json(self) -> JsonObject:
        return dict(vars(self))

    @classmethod
    def of(cls, planned: Planned) -> Object:
        return cls(**planned.request["object"])

    def resource(self, client: KubernetesClient) -> Resource:
        return client.resource(self.kind, self.api_version)


def target_of(connection: str, namespace: str, kind: str, name: str = "*") -> Target:
    """Return the target `namespace/Kind/name`; a name `*` is all of a kind, no namespace the cluster."""
    return Target(connection, f"{namespace}/{kind}/{name}")


def client_of(world: World, connection: str) -> KubernetesClient:
    return world.client(connection, KubernetesClient)


def chained(
    earlier: Sequence[Planned], target: Target, touched: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what `touched` will be once the run's earlier changes of the same object are made."""
    values = dict(touched)
    for planned in earlier:
        if planned.target == target:
            values |= {name: value for name, value in planned.after.items() if name in touched}
    return values


def foreseen(live: JsonObject, earlier: Sequence[Planned], target: Target, kind: str) -> JsonObject:
    """Return the object as the run's earlier changes of it will leave it, as far as they are known."""
    if kind == "Secret":  # plans hold digests of its values only
        return live
    for planned in earlier:
        if planned.target != target or "paths" not in planned.request:
            continue
        paths = touched_paths(planned)
        known = {
            paths[name]: value
            for name, value in planned.after.items()
            if name in paths and not isinstance(value, Unknown)
        }
        live = fields.restored(live, known)
    return live


def pods_of(live: JsonObject, earlier: Sequence[Planned], target: Target) -> int:
    """Return how many pods a workload will want once the run's earlier changes of it are made."""
    wanted = (live.get("spec") or {}).get("replicas")
    if wanted is None:
        wanted = (live.get("status") or {}).get("desiredNumberScheduled", 0)
    values = chained(earlier, target, {"spec.replicas": wanted})
    return int(values["spec.replicas"] or 0)


def keyed(patch: Any, form: str, live: JsonObject, key: str) -> Any:
    """Return the patch with the key annotation and the live object's resourceVersion in it."""
    version = live["metadata"]["resourceVersion"]
    if form == JSON_PATCH:
        head: list[JsonObject] = [
            {"op": "replace", "path": "/metadata/resourceVersion", "value": version}
        ]
        if not live["metadata"].get("annotations"):
            head.append({"op": "add", "path": "/metadata/annotations", "value": {}})
        pointer = "/metadata/annotations/" + KEY.replace("~", "~0").replace("/", "~1")
        return [*head, *patch, {"op": "add", "path": pointer, "value": key}]
    metadata = dict(patch.get("metadata") or {})
    metadata["annotations"] = {**(metadata.get("annotations") or {}), KEY: key}
    metadata["resourceVersion"] = version
    return {**patch, "metadata": metadata}


def stamp_of(live: JsonObject) -> str | None:
    """Return the key of the last change that this engine made to the object."""
    stamp = (live["metadata"].get("annotations") or {}).get(KEY)
    return str(stamp) if stamp is not None else None


def touched_paths(planned: Planned) -> dict[str, Path]:
    """Return the paths of a plan's fields by their text."""
    listed: list[list[Any]] = planned.request["paths"]
    paths = [fields.from_json(steps) for steps in listed]
    return {fields.write(path): path for path in paths}


def values_of(planned: Planned, live: JsonObject, *, veiled: bool = True) -> dict[str, Any]:
    """Return the touched fields as they are in `live`."""
    uid, kind = live["metadata"]["uid"], planned.request["object"]["kind"]
    found = {name: fields.look(live, path) for name, path in touched_paths(planned).items()}
    if not veiled:
        return found
    return {
        name: fields.veil(kind, uid, path, found[name])
        for name, path in touched_paths(planned).items()
    }


def image_of(planned: Planned, live: JsonObject) -> JsonObject:
    """Return the before-image: the touched fields' values, None where a field is not there."""
    found = values_of(planned, live, veiled=False)
    listed = [
        {"path": fields.as_json(path), "value": found[name]}
        for name, path in touched_paths(planned).items()
    ]
    return {"uid": live["metadata"]["uid"], "fields": listed}


def planned_image(planned: Planned) -> JsonObject | None:
    """Rebuild the before-image from the plan, which apply held the object to; not for secrets."""
    if planned.request["object"]["kind"] == "Secret":
        return None
    listed = [
        {"path": fields.as_json(path), "value": planned.before.get(name)}
        for name, path in touched_paths(planned).items()
    ]
    return {"uid": planned.precondition.get("uid"), "fields": listed}


def changed_since(
    wanted: Mapping[str, Any], found: Mapping[str, Any]
) -> tuple[str, Any, Any] | None:
    """Return the first field that is not as `wanted` says: (name, wanted, found)."""
    for name, value in wanted.items():
        if not isinstance(value, Unknown) and found.get(name) != value:
            return name, value, found.get(name)
    return None


def write(
    planned: Planned,
    world: World,
    key: str,
    patch: Any,
    form: str,
) -> tuple[JsonObject, JsonObject | None]:
    """Write under the object's resourceVersion; return (the object now, the one before).

    The one before is None where `key` was written already.

    Raises:
        ActionFailed: (data) a touched field is not as planned, naming it; else as the server answers.
    """
    about = Object.of(planned)
    client = client_of(world, about.connection)
    resource = about.resource(client)
    path = resource.path(about.namespace, about.name)
    for _ in range(TRIES):
        live = client.get_json(path)
        if stamp_of(live) == key:
            return live, None
        _hold(planned, live)
        try:
            return client.patch(path, keyed(patch, form, live, key), form), live
        except Refused as error:
            if error.code != 409:
                raise
    raise ActionFailed(
        Category.TRANSIENT,
        f"{about.target}: others wrote to it {TRIES} times in a row while it was being changed",
        effect_possible=False,
    )


def _hold(planned: Planned, live: JsonObject) -> None:
    """Hold the object to the plan."""
    uid = planned.precondition.get("uid")
    if uid and live["metadata"]["uid"] != uid:
        raise _conflict(planned, "it was deleted and made anew since it was planned")
    found = changed_since(planned.before, values_of(planned, live))
    if found:
        name, then, now = found
        raise _conflict(planned, f"{name} was {then!r} at the plan and is {now!r} now")


def _conflict(planned: Planned, why: str) -> ActionFailed:
    what = f"{planned.target}: {why}; plan again"
    return ActionFailed(Category.DATA, what, effect_possible=False)


def receipt_of(
    planned: Planned, after: JsonObject, before: JsonObject | None, **output: Any
) -> Receipt:
    """Return the receipt of a write; `before` is None where it is rebuilt from the plan."""
    image = image_of(planned, before) if before is not None else planned_image(planned)
    metadata = after["metadata"]
    return Receipt(
        after=values_of(planned, after),
        counts=planned.counts,
        before_image=image,
        output={
            "resourceVersion": metadata["resourceVersion"],
            "generation": metadata.get("generation"),
            **output,
        },
    )


def read_live(planned: Planned, world: World) -> JsonObject | None:
    """Return the object as it is, or None where it is gone.

    Raises:
        ActionFailed: classified, 404 excepted.
    """
    about = Object.of(planned)
    client = client_of(world, about.connection)
    try:
        return client.get(about.resource(client), about.namespace, about.name)
    except Refused as error:
        if error.code == 404:
            return None
        raise


def was_written(
    planned: Planned, receipt: Receipt | None, live: JsonObject, key: str
) -> Confirmation:
    """Return whether the write with `key` is in the object as it is."""
    found = values_of(planned, live)
    if stamp_of(live) != key and receipt is None:
        return NotApplied()
    off = changed_since({**planned.after, **(receipt.after if receipt else {})}, found)
    if off:
        name, wanted, now = off
        return Wrong(f"{name} was set to {wanted!r} and is {now!r}: somebody changed it since")
    return Applied(receipt or receipt_of(planned, live, None))


def restore(planned: Planned, receipt: Receipt, world: World, key: str) -> Receipt:
    """Give the touched fields their values of the before-image back, and nothing else.

    Raises:
        ActionFailed: (data) somebody changed one of them since, naming it; (permanent) it cannot be
            restored any more.
    """
    about, image = Object.of(planned), receipt.before_image
    if image is None:
        what = f"{about.target}: the values before were not kept; restore it by hand"
        raise ActionFailed(Category.PERMANENT, what, effect_possible=False)
    values = {fields.from_json(each["path"]): each["value"] for each in image["fields"]}
    client = client_of(world, about.connection)
    path = about.resource(client).path(about.namespace, about.name)
    ours = {**planned.after, **receipt.after}
    for _ in range(TRIES):
        live = client.get_json(path)
        if stamp_of(live) == key:
            return _undone(planned, live)
        _hold_to_ours(planned, ours, live, image, overriding=world.overriding)
        patch = fields.merge_difference(live, fields.restored(live, values))
        try:
            return _undone(planned, client.patch(path, keyed(patch, MERGE, live, key), MERGE))
        except Refused as error:
            if error.code != 409:
                raise
    what = f"{about.target}: others wrote to it {TRIES} times in a row while it was being restored"
    raise ActionFailed(Category.TRANSIENT, what, effect_possible=False)


def conflicts(planned: Planned, receipt: Receipt, world: World) -> list[str]:
    """Return what others changed of the touched fields since; what newer undos restore first is no conflict."""
    live = read_live(planned, world)
    if live is None:
        return [f"{planned.target} is gone"]
    uid = (receipt.before_image or planned.precondition).get("uid")
    if uid and live["metadata"]["uid"] != uid:
        return [f"{planned.target} was deleted and made anew since it was changed"]
    ours = {**planned.after, **receipt.after}
    found = chained(world.earlier, planned.target, values_of(planned, live))
    return [
        f"{planned.target}: {name} was set to {value!r} and is {found.get(name)!r} now"
        for name, value in ours.items()
        if not isinstance(value, Unknown) and found.get(name) != value
    ]


def _hold_to_ours(
    planned: Planned,
    ours: Mapping[str, Any],
    live: JsonObject,
    image: JsonObject,
    *,
    overriding: bool,
) -> None:
    uid = image.get("uid")
    if uid and live["metadata"]["uid"] != uid:
        raise _conflict(planned, "it was deleted and made anew since it was changed")
    found = changed_since(ours, values_of(planned, live))
    if found and not overriding:
        name, wanted, now = found
        what = (
            f"{planned.target}: {name} was set to {wanted!r} and is {now!r} now: somebody changed it "
            "since; restore it by hand"
        )
        raise ActionFailed(Category.DATA, what, effect_possible=False)


def _undone(planned: Planned, live: JsonObject) -> Receipt:
    return Receipt(
        after=values_of(planned, live),
        counts=planned.counts,
        output={"resourceVersion": live["metadata"]["resourceVersion"]},
    )
