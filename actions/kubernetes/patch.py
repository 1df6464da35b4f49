"""kubernetes.patch: change fields of one object of any kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

from pydantic import Field

from actions.kubernetes import changing, fields
from actions.kubernetes.changing import JSON_PATCH, MERGE, STRATEGIC
from actions.kubernetes.params import Named, grant
from actions.kubernetes.resources import built_in
from engine.contract import (
    Applied,
    Change,
    Confirmation,
    Grant,
    Planned,
    Protection,
    Receipt,
    Target,
    Unplannable,
    World,
    Wrong,
)
from engine.domain.canonical import Json

_FORMS = {"strategic": STRATEGIC, "merge": MERGE, "json": JSON_PATCH}
# Kinds whose pod template is rolled out: a change of it replaces their pods.
_ROLLED = {"Deployment", "StatefulSet", "DaemonSet"}


class PatchParams(Named):
    """Parameters of a patch."""

    patch: dict[str, Any] | list[dict[str, Any]] = Field(
        description="The patch: an object, or for type json a list of operations",
        examples=[{"spec": {"suspend": True}}],
    )
    type: Literal["strategic", "merge", "json"] | None = Field(
        None,
        description="How the patch is meant: strategic merges lists by their keys (built-in kinds; their "
        "default), merge replaces lists (the default of other kinds), json is RFC 6902",
        examples=["merge"],
    )


class KubernetesPatch(Change[PatchParams]):
    """Changes fields of one object, under its resourceVersion.

    The plan is the server's own dry run. Apply marks the object with the annotation
    `stanch.dev/last-key`, by which a crash between effect and outcome is settled exactly. Undo gives
    the touched fields, and only those, their old values back.
    """

    name = "kubernetes.patch"
    summary = "Change fields of a Kubernetes object"
    Params = PatchParams
    protection = Protection.CONDITIONAL
    risk = "medium"

    def targets(self, params: PatchParams) -> Sequence[Target]:
        return (params.target,)

    def grants(self, params: PatchParams) -> Sequence[Grant]:
        return (grant(params, params.kind, ["get", "patch"], version=params.api_version),)

    def plan(self, params: PatchParams, world: World) -> Planned:
        form = _form(params)
        patch = _checked(params, form)
        about = params.object
        client = changing.client_of(world, about.connection)
        path = about.resource(client).path(about.namespace, about.name)
        live = client.get_json(path)
        result = client.patch(path, patch, form, dry_run=True)
        named = fields.pointed_paths if form == JSON_PATCH else fields.patched_paths
        touched = sorted(
            named(patch, live, result) | fields.differing(live, result), key=fields.write
        )
        planned = Planned(
            action=self.name,
            target=about.target,
            before={},
            after={},
            request={
                "object": about.as_json(),
                "patch": patch,
                "form": form,
                "paths": [fields.as_json(path) for path in touched],
            },
            precondition={
                "resourceVersion": live["metadata"]["resourceVersion"],
                "uid": live["metadata"]["uid"],
            },
        )
        before = changing.chained(world.earlier, about.target, changing.values_of(planned, live))
        after = changing.values_of(planned, result)
        pods = changing.pods_of(live, world.earlier, about.target)
        return _filled(planned, before, after, pods)

    def apply(self, planned: Planned, world: World, key: str) -> Receipt:
        patch, form = planned.request["patch"], planned.request["form"]
        after, before = changing.write(planned, world, key, patch, form)
        return changing.receipt_of(planned, after, before)

    def confirm(
        self, planned: Planned, receipt: Receipt | None, world: World, key: str
    ) -> Confirmation:
        live = changing.read_live(planned, world)
        if live is None:
            return Wrong(f"{planned.target} is gone")
        answer = changing.was_written(planned, receipt, live, key)
        return Applied(receipt) if isinstance(answer, Applied) and receipt else answer

    def undo(self, planned: Planned, receipt: Receipt, world: World, key: str) -> Receipt:
        return changing.restore(planned, receipt, world, key)


def _form(params: PatchParams) -> str:
    chosen = params.type
    if chosen is None:
        chosen = (
            "json"
            if isinstance(params.patch, list)
            else ("strategic" if built_in(params.kind, params.api_version) else "merge")
        )
    return _FORMS[chosen]


def _checked(params: PatchParams, form: str) -> Json:
    """Return the patch, once it is one that can be planned.

    Raises:
        Unplannable: it is of the wrong shape, or writes what the server keeps for itself.
    """
    patch = params.patch
    if isinstance(patch, list) != (form == JSON_PATCH):
        wanted = "a list of operations" if form == JSON_PATCH else "an object"
        raise Unplannable(f"a patch of type {params.type} is {wanted}")
    if isinstance(patch, list):
        heads = [str(each.get(name, "")) for each in patch for name in ("path", "from")]
        own = any(
            head.startswith(("/status", "/metadata/resourceVersion", "/metadata/uid"))
            for head in heads
        )
    else:
        metadata = patch.get("metadata") or {}
        own = "status" in patch or bool({"resourceVersion", "uid", "name"} & set(metadata))
    if own:
        raise Unplannable(
            "a patch cannot write status, metadata.name, metadata.uid or metadata.resourceVersion: the "
            "server keeps them; leave them out (the version is checked anyway)"
        )
    return patch


def _filled(planned: Planned, before: dict[str, Any], after: dict[str, Any], pods: int) -> Planned:
    changed = sorted(name for name in after if before[name] != after[name])
    counts: dict[str, int] = {}
    kind = planned.request["object"]["kind"]
    if changed:
        counts["objects"] = 1
        if kind in _ROLLED and any(name.startswith("spec.template") for name in changed):
            counts["pods"] = pods
    shown = ", ".join(f"{name}: {before[name]!r} → {after[name]!r}" for name in changed[:3])
    more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
    notes: list[str] = []
    if "pods" in counts:
        notes.append(f"the pod template changes: {counts['pods']} pods are replaced")
    if kind == "Secret":
        notes.append(
            "a crash between effect and outcome loses the old values: undo is then by hand"
        )
    return replace(
        planned,
        before=before,
        after=after,
        counts=counts,
        summary=f"{kind} {planned.target.path}: {shown or 'nothing changes'}{more}",
        notes=tuple(notes),
    )
