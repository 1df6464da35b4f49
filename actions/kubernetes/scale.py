"""kubernetes.scale: how many replicas a workload wants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pydantic import Field

from actions.kubernetes import byhand, changing, rollouts
from actions.kubernetes.changing import MERGE, TRIES, Object
from actions.kubernetes.client import KubernetesClient
from actions.kubernetes.failures import Refused
from actions.kubernetes.ownership import others_changes
from actions.kubernetes.params import Named, grant
from engine.contract import (
    ActionFailed,
    Applied,
    Category,
    Change,
    Confirmation,
    Grant,
    NotApplied,
    NotYet,
    Planned,
    Protection,
    Receipt,
    Target,
    World,
    Wrong,
)
from engine.domain.canonical import JsonObject

FIELD = "spec.replicas"
_POLL = 2.0
_WINDOW = (
    "no right to patch the object itself: after a crash the number of replicas alone tells whether "
    "this was done"
)


class ScaleParams(Named):
    """Parameters of scaling."""

    kind: str = Field(
        "Deployment",
        description="A kind that has replicas",
        examples=["Deployment", "StatefulSet"],
        min_length=1,
    )
    replicas: int = Field(description="How many replicas it shall want", ge=0, examples=[1])
    wait: bool = Field(
        True,
        description="Whether the step ends only once the pods are there (or gone)",
        examples=[False],
    )


class KubernetesScale(Change[ScaleParams]):
    """Sets `spec.replicas`.

    Where the connection may patch the object itself, replicas and the annotation `stanch.dev/last-key`
    are written together, and a crash is settled exactly. With the right to `scale` only, the write goes
    through the scale subresource, which carries no annotation: after a crash the number alone tells, so
    somebody else who sets the same number in that moment is taken for this run.
    """

    name = "kubernetes.scale"
    manual = byhand.scale
    summary = "Set how many replicas a workload wants"
    Params = ScaleParams
    protection = Protection.CONDITIONAL
    risk = "medium"

    def targets(self, params: ScaleParams) -> Sequence[Target]:
        return (params.target,)

    def grants(self, params: ScaleParams) -> Sequence[Grant]:
        return (grant(params, params.kind, ["get", "patch"], version=params.api_version),)

    def plan(self, params: ScaleParams, world: World) -> Planned:
        about = params.object
        client = changing.client_of(world, about.connection)
        resource = about.resource(client)
        through = "object" if client.may("patch", resource, about.namespace) else "scale"
        place = "" if through == "object" else "scale"
        path = resource.path(about.namespace, about.name, place)
        live = client.get_json(path)
        dry = client.patch(path, {"spec": {"replicas": params.replicas}}, MERGE, dry_run=True)
        planned = Planned(
            action=self.name,
            target=about.target,
            before={FIELD: _replicas(live)},
            after={FIELD: _replicas(dry)},
            request={
                "object": about.as_json(),
                "replicas": params.replicas,
                "through": through,
                "wait": params.wait,
                "paths": [["spec", "replicas"]],
            },
            precondition={
                "resourceVersion": live["metadata"]["resourceVersion"],
                "uid": live["metadata"]["uid"],
            },
            fresh_changes=others_changes(live),
        )
        before = changing.chained(world.earlier, about.target, planned.before)
        return _filled(planned, before, params.replicas)

    def apply(self, planned: Planned, world: World, key: str) -> Receipt:
        replicas = planned.request["replicas"]
        if planned.request["through"] == "object":
            patch = {"spec": {"replicas": replicas}}
            after, before = changing.write(planned, world, key, patch, MERGE)
            return changing.receipt_of(planned, after, before)
        seen = _write_scale(planned, world, int(planned.before[FIELD]), replicas)
        return _scale_receipt(planned, seen)

    def confirm(
        self, planned: Planned, receipt: Receipt | None, world: World, key: str
    ) -> Confirmation:
        about = Object.of(planned)
        client = changing.client_of(world, about.connection)
        through = planned.request["through"]
        path = about.resource(client).path(
            about.namespace, about.name, "" if through == "object" else "scale"
        )
        try:
            live = client.get_json(path)
        except Refused as error:
            if error.code == 404:
                return Wrong(f"{planned.target} is gone")
            raise
        answer = (
            changing.was_written(planned, receipt, live, key)
            if through == "object"
            else _scale_written(planned, receipt, live)
        )
        if not isinstance(answer, Applied) or not planned.request["wait"]:
            return answer
        return answer if rollouts.scaled(live, through=through) else NotYet(_POLL)

    def undo(self, planned: Planned, receipt: Receipt, world: World, key: str) -> Receipt:
        if planned.request["through"] == "object":
            return changing.restore(planned, receipt, world, key)
        image = receipt.before_image or {}
        before = image.get("replicas", planned.before[FIELD])
        seen = _write_scale(planned, world, int(planned.after[FIELD]), int(before))
        return Receipt(after={FIELD: before}, counts=planned.counts, output=_output(seen))

    def conflicts(self, planned: Planned, receipt: Receipt, world: World) -> Sequence[str]:
        if planned.request["through"] == "object":
            return changing.conflicts(planned, receipt, world)
        about = Object.of(planned)
        client = changing.client_of(world, about.connection)
        path = about.resource(client).path(about.namespace, about.name, "scale")
        live = {FIELD: _replicas(client.get_json(path))}
        now = changing.chained(world.earlier, planned.target, live)[FIELD]
        if now in {planned.after[FIELD], planned.before[FIELD]}:
            return ()
        was = planned.after[FIELD]
        return [f"{planned.target}: {FIELD} was set to {was!r} and is {now!r} now"]


def _replicas(item: JsonObject) -> int:
    return int((item.get("spec") or {}).get("replicas") or 0)


def _filled(planned: Planned, before: dict[str, Any], replicas: int) -> Planned:
    step = abs(replicas - int(before[FIELD]))
    notes: tuple[str, ...] = ()
    if planned.request["through"] == "scale":
        notes = (_WINDOW,)
    return replace(
        planned,
        before=before,
        counts={"pods": step} if step else {},
        summary=f"scale {planned.target.path} from {before[FIELD]} to {replicas}",
        notes=notes,
    )


def _write_scale(planned: Planned, world: World, before: int, after: int) -> JsonObject:
    """Write through the scale subresource under its resourceVersion; already so is done.

    Raises:
        ActionFailed: (data) somebody else scaled it since.
    """
    about = Object.of(planned)
    client: KubernetesClient = changing.client_of(world, about.connection)
    path = about.resource(client).path(about.namespace, about.name, "scale")
    for _ in range(TRIES):
        live = client.get_json(path)
        now = _replicas(live)
        if now == after:
            return live
        if now != before and not world.overriding:
            what = (
                f"{planned.target}: {FIELD} was {before} at the plan and is {now} now; plan again"
            )
            raise ActionFailed(Category.DATA, what, effect_possible=False)
        version = live["metadata"]["resourceVersion"]
        patch = {"metadata": {"resourceVersion": version}, "spec": {"replicas": after}}
        try:
            return client.patch(path, patch, MERGE)
        except Refused as error:
            if error.code != 409:
                raise
    what = f"{planned.target}: others wrote to it {TRIES} times in a row"
    raise ActionFailed(Category.TRANSIENT, what, effect_possible=False)


def _output(live: JsonObject) -> JsonObject:
    return {"resourceVersion": live["metadata"]["resourceVersion"]}


def _scale_receipt(planned: Planned, live: JsonObject) -> Receipt:
    return Receipt(
        after={FIELD: _replicas(live)},
        counts=planned.counts,
        before_image={"uid": live["metadata"]["uid"], "replicas": planned.before[FIELD]},
        output=_output(live),
    )


def _scale_written(planned: Planned, receipt: Receipt | None, live: JsonObject) -> Confirmation:
    now, before, after = _replicas(live), planned.before[FIELD], planned.after[FIELD]
    if now == after:
        return Applied(receipt or _scale_receipt(planned, live))
    if now == before and receipt is None:
        return NotApplied()
    return Wrong(f"{FIELD} was set to {after} and is {now}: somebody changed it since")
