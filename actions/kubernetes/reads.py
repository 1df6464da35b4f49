"""kubernetes.get and kubernetes.list."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from actions.kubernetes import byhand, changing, fields
from actions.kubernetes.failures import Refused
from actions.kubernetes.params import InCluster, Named, grant
from engine.contract import ActionFailed, Category, Grant, Read, Target, World
from engine.domain.canonical import Json, canonical_json

MAX_OUTPUT = 4 * 2**20  # bytes of JSON that one read may put into the journal


class GetParams(Named):
    """Parameters of reading one object."""

    optional: bool = Field(
        False,
        description="Whether an object that is not there is an answer, not a failure",
        examples=[True],
    )


class KubernetesGet(Read[GetParams]):
    """One object. Output: `found`, `object` (without managedFields; of a Secret only the keys)."""

    name = "kubernetes.get"
    manual = byhand.get
    summary = "Read a Kubernetes object"
    Params = GetParams

    def targets(self, params: GetParams) -> Sequence[Target]:
        return (params.target,)

    def grants(self, params: GetParams) -> Sequence[Grant]:
        return (grant(params, params.kind, ["get"], version=params.api_version),)

    def read(self, params: GetParams, world: World) -> Json:
        about = params.object
        client = changing.client_of(world, about.connection)
        try:
            live = client.get(about.resource(client), about.namespace, about.name)
        except Refused as error:
            if error.code == 404 and params.optional:
                return {"found": False, "object": None}
            raise
        return _bounded({"found": True, "object": fields.masked(live)})


class ListParams(InCluster):
    """Parameters of listing objects."""

    kind: str = Field(description="The objects' kind", examples=["Pod"], min_length=1)
    api_version: str | None = Field(
        None,
        description="Their apiVersion, for kinds that are not built in",
        examples=["argoproj.io/v1alpha1"],
    )
    labels: str = Field("", description="Label selector", examples=["app=etl,tier in (a,b)"])
    fields: str = Field("", description="Field selector", examples=["status.phase=Running"])
    limit: int = Field(
        500, gt=0, le=5000, description="Most objects taken; more are left out", examples=[500]
    )


class KubernetesList(Read[ListParams]):
    """Objects of a kind. Output: `items`, `names`, `count`, `truncated` (there are more)."""

    name = "kubernetes.list"
    manual = byhand.listed
    summary = "List Kubernetes objects by labels and fields"
    Params = ListParams

    def targets(self, params: ListParams) -> Sequence[Target]:
        return (changing.target_of(params.connection, params.namespace or "*", params.kind),)

    def grants(self, params: ListParams) -> Sequence[Grant]:
        return (grant(params, params.kind, ["list"], version=params.api_version),)

    def read(self, params: ListParams, world: World) -> Json:
        client = changing.client_of(world, params.connection)
        resource = client.resource(params.kind, params.api_version)
        items, more = client.list(
            resource,
            params.namespace or "",
            labels=params.labels,
            fields=params.fields,
            limit=params.limit,
        )
        return _bounded(
            {
                "items": [fields.masked(item) for item in items],
                "names": [item["metadata"]["name"] for item in items],
                "count": len(items),
                "truncated": more,
            }
        )


def _bounded(output: Json) -> Json:
    if len(canonical_json(output)) > MAX_OUTPUT:
        what = f"the answer is larger than {MAX_OUTPUT} bytes; use labels, fields or a lower limit"
        raise ActionFailed(Category.DATA, what, effect_possible=False)
    return output
