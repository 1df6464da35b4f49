"""kubernetes.rollout_undo: a Deployment's or StatefulSet's pod template as it was in an older revision."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from actions.kubernetes import byhand
from actions.kubernetes.changing import JSON_PATCH
from actions.kubernetes.client import KubernetesClient
from actions.kubernetes.params import Named, grant
from actions.kubernetes.patching import Patch, Patching
from actions.kubernetes.resources import built_in
from engine.contract import ActionFailed, Category, Grant
from engine.domain.canonical import JsonObject

REVISION = "deployment.kubernetes.io/revision"
_HASH = "pod-template-hash"
_KEPT_IN = {"Deployment": "ReplicaSet", "StatefulSet": "ControllerRevision"}


class RolloutUndoParams(Named):
    """Parameters of rolling back."""

    kind: Literal["Deployment", "StatefulSet"] = Field(
        "Deployment", description="What is rolled back", examples=["StatefulSet"]
    )
    api_version: Literal["apps/v1"] | None = Field(
        None, description="Its apiVersion, which needs no telling", examples=["apps/v1"]
    )
    to_revision: int | None = Field(
        None, ge=1, description="Which revision; the one before where missing", examples=[3]
    )
    wait: bool = Field(
        True, description="Whether the step ends only once the rollout is done", examples=[False]
    )


class KubernetesRolloutUndo(Patching[RolloutUndoParams]):
    """Gives a Deployment or a StatefulSet the pod template of an older revision, as `kubectl rollout undo` does.

    Only the template goes back: replicas, strategy and ConfigMaps stay. Undo of this step gives the
    template of before back, which is a rollout of its own.
    """

    name = "kubernetes.rollout_undo"
    manual = byhand.rollout_undo
    summary = "Roll a Deployment or a StatefulSet back to an older revision"
    Params = RolloutUndoParams

    def grants(self, params: RolloutUndoParams) -> Sequence[Grant]:
        return (
            grant(params, params.kind, ["get", "patch"]),
            grant(params, _KEPT_IN[params.kind], ["list"]),
        )

    def waits(self, params: RolloutUndoParams) -> bool:
        return params.wait

    def patch_of(
        self, params: RolloutUndoParams, seen: JsonObject, client: KubernetesClient
    ) -> Patch:
        if seen["spec"].get("paused"):
            raise _refused(params, "it is paused: resume it first")
        sets = _revisions(client, params, seen)
        number, template = _chosen(params, seen, sets)
        patch = [{"op": "replace", "path": "/spec/template", "value": template}]
        return Patch(patch, JSON_PATCH, (f"back to revision {number}",))


def _revisions(
    client: KubernetesClient, params: RolloutUndoParams, seen: JsonObject
) -> list[tuple[int, JsonObject]]:
    """Return the kept revisions and their templates, newest first."""
    resource = built_in(_KEPT_IN[params.kind])
    assert resource is not None
    items, more = client.list(resource, params.namespace or "", limit=5000)
    if more:
        what = f"the namespace has more than 5000 {resource.plural}; clean up first"
        raise _refused(params, what)
    found = []
    for item in items:
        owners = {owner["uid"] for owner in item["metadata"].get("ownerReferences") or []}
        kept = _revision(item)
        if seen["metadata"]["uid"] in owners and kept is not None:
            found.append(kept)
    return sorted(found, key=lambda each: each[0], reverse=True)


def _revision(item: JsonObject) -> tuple[int, JsonObject] | None:
    """Return the number and the template of a replica set or a controller revision."""
    if "revision" in item:
        template = copy.deepcopy(item["data"]["spec"]["template"])
        template.pop("$patch", None)  # how the controller writes a whole template as a patch
        return int(item["revision"]), _bare(template)
    number = (item["metadata"].get("annotations") or {}).get(REVISION, "")
    return (int(number), _bare(item["spec"]["template"])) if number.isdigit() else None


def _bare(template: JsonObject) -> JsonObject:
    bare = copy.deepcopy(template)
    labels = (bare.get("metadata") or {}).get("labels") or {}
    labels.pop(_HASH, None)
    (bare.get("metadata") or {}).pop("creationTimestamp", None)
    return bare


def _chosen(
    params: RolloutUndoParams, seen: JsonObject, sets: list[tuple[int, JsonObject]]
) -> tuple[int, JsonObject]:
    now = _bare(seen["spec"]["template"])
    for number, template in sets:
        # The newest revision that is not what the run will find: also after its own earlier changes.
        if number == params.to_revision or (params.to_revision is None and template != now):
            return number, template
    kept = ", ".join(str(number) for number, _ in sets) or "none"
    wanted = "an older revision" if params.to_revision is None else f"revision {params.to_revision}"
    raise _refused(params, f"{wanted} is not kept; kept are: {kept}")


def _refused(params: RolloutUndoParams, why: str) -> ActionFailed:
    return ActionFailed(Category.PERMANENT, f"{params.target}: {why}", effect_possible=False)
