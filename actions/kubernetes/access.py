"""kubernetes.can_i: whether the connection has a right, before anything depends on it."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from actions.kubernetes import byhand, changing
from actions.kubernetes.params import InCluster
from engine.contract import Read, Target, World
from engine.domain.canonical import Json


class CanIParams(InCluster):
    """Parameters of asking for rights."""

    verbs: list[str] = Field(
        description="What shall be done", examples=[["get", "patch"]], min_length=1, max_length=20
    )
    kind: str = Field(description="With which kind", examples=["Deployment"], min_length=1)
    api_version: str | None = Field(
        None,
        description="Its apiVersion, for kinds that are not built in",
        examples=["argoproj.io/v1alpha1"],
    )
    subresource: str = Field(
        "", description="With which part of it: scale, log, eviction …", examples=["scale"]
    )
    name: str = Field("", description="With which object; all where empty", examples=["etl-worker"])


class KubernetesCanI(Read[CanIParams]):
    """Asks the server by SelfSubjectAccessReview. Output: `allowed` (all of them), `verbs`, `denied`."""

    name = "kubernetes.can_i"
    manual = byhand.can_i
    summary = "Ask whether the connection has a right"
    Params = CanIParams

    def targets(self, params: CanIParams) -> Sequence[Target]:
        place = (params.connection, params.namespace or "*", params.kind)
        return (changing.target_of(*place, params.name or "*"),)

    def read(self, params: CanIParams, world: World) -> Json:
        client = changing.client_of(world, params.connection)
        resource = client.resource(params.kind, params.api_version)
        answers = {
            verb: client.may(
                verb,
                resource,
                params.namespace or "",
                name=params.name,
                subresource=params.subresource,
            )
            for verb in params.verbs
        }
        denied = [verb for verb, allowed in answers.items() if not allowed]
        return {"allowed": not denied, "verbs": answers, "denied": denied}
