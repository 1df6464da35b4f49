"""kubernetes.rollout_undo: a Deployment's pod template as it was in an older revision."""

from __future__ import annotations

import copy
from collections.abc import Sequence

from pydantic import Field

from actions.kubernetes.changing import JSON_PATCH
from actions.kubernetes.client import KubernetesClient
from actions.kubernetes.params import OfKind, grant
from actions.kubernetes.patching import Patch, Patching
from actions.kubernetes.resources import built_in
from engine.contract import ActionFailed, Category, Grant
from engine.domain.canonical import JsonObject

REVISION = "deployment.kubernetes.io/revision"
_HASH = "pod-template-hash"


class RolloutUndoParams(OfKind):
    """Parameters of rolling back."""

    known = "Deployment"
    name: str = Field(description="The Deployment's name", examples=["etl-worker"], min_length=1)
    to_revision: int | None = Field(
        None, ge=1, description="Which revision; the one before where missing", examples=[3]
    )
    wait: bool = Field(
        True, description="Whether the step ends only once the rollout is done", examples=[False]
    )


class KubernetesRolloutUndo(Patching[RolloutUndoParams]):
    """Gives a Deployment the pod template of an older revision, as `kubectl rollout undo` does.

    Only the template goes back: replicas, strategy and ConfigMaps stay. Undo of this step gives the
    template of before back, which is a rollout of its own.
    """

    name = "kubernetes.rollout_undo"
    summary = "Roll a Deployment back to an older revision"
    Params = RolloutUndoParams

    def grants(self, params: RolloutUndoParams) -> Sequence[Grant]:
        return (
            grant(params, "Deployment", ["get", "patch"]),
            grant(params, "ReplicaSet", ["list"]),
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
    resource = built_in("ReplicaSet")
    assert resource is not None
    items, more = client.list(resource, params.namespace or "", limit=5000)
    if more:
        raise _refused(params, "the namespace has more than 5000 replica sets; clean up first")
    found = []
    for item in items:
        metadata = item["metadata"]
        owners = {owner["uid"] for owner in metadata.get("ownerReferences") or []}
        number = (metadata.get("annotations") or {}).get(REVISION, "")
        if seen["metadata"]["uid"] in owners and number.isdigit():
            found.append((int(number), _bare(item["spec"]["template"])))
    return sorted(found, key=lambda each: each[0], reverse=True)


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
