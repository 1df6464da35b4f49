"""kubernetes.set_image, set_resources, set_env: what the containers of a workload run with."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from actions.kubernetes import byhand, containers
from actions.kubernetes.client import KubernetesClient
from actions.kubernetes.params import Named
from actions.kubernetes.patching import Patch, Patching
from engine.domain.canonical import JsonObject


class ContainerParams(Named):
    """Parameters of changing a container of a pod template."""

    kind: str = Field(
        "Deployment",
        description=f"One of {', '.join(containers.KINDS)}",
        examples=["CronJob"],
        min_length=1,
    )
    container: str | None = Field(
        None,
        description="Which container; may be missing where there is only one",
        examples=["worker"],
    )
    wait: bool = Field(
        True,
        description="Whether the step ends only once the pods are replaced (not for a CronJob)",
        examples=[False],
    )


class SetImageParams(ContainerParams):
    """Parameters of setting an image."""

    image: str = Field(
        description="The image, best with a tag or digest",
        examples=["registry.example.com/etl:1.4.2"],
        min_length=1,
    )


class SetResourcesParams(ContainerParams):
    """Parameters of setting requests and limits."""

    requests: dict[str, str | None] = Field(
        {},
        description="Amounts by resource; null takes one away, the others stay",
        examples=[{"memory": "2Gi"}],
    )
    limits: dict[str, str | None] = Field(
        {},
        description="Amounts by resource; null takes one away, the others stay",
        examples=[{"memory": "4Gi", "cpu": None}],
    )

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.requests and not self.limits:
            raise ValueError("give requests or limits")
        return self


class SetEnvParams(ContainerParams):
    """Parameters of setting environment variables."""

    env: dict[str, str | None] = Field(
        description="Values by name; null takes a variable away, the others stay. No secrets: they "
        "would stand in the pod template",
        examples=[{"BATCH_SIZE": "50", "DEBUG": None}],
        min_length=1,
    )


def _patch(params: ContainerParams, seen: JsonObject, changes: JsonObject) -> Patch:
    place, container = containers.find(containers.pod_spec(params.kind, seen), params.container)
    patch = containers.changed(container, **changes)
    return Patch(containers.wrapped(params.kind, {place: [patch]}))


class KubernetesSetImage(Patching[SetImageParams]):
    """Sets the image of one container of a workload."""

    name = "kubernetes.set_image"
    manual = byhand.set_image
    summary = "Set a container's image"
    Params = SetImageParams

    def waits(self, params: SetImageParams) -> bool:
        return params.wait

    def patch_of(self, params: SetImageParams, seen: JsonObject, client: KubernetesClient) -> Patch:
        del client
        return _patch(params, seen, {"image": params.image})


class KubernetesSetResources(Patching[SetResourcesParams]):
    """Sets requests and limits of one container of a workload."""

    name = "kubernetes.set_resources"
    manual = byhand.set_resources
    summary = "Set a container's requests and limits"
    Params = SetResourcesParams

    def waits(self, params: SetResourcesParams) -> bool:
        return params.wait

    def patch_of(
        self, params: SetResourcesParams, seen: JsonObject, client: KubernetesClient
    ) -> Patch:
        del client
        return _patch(params, seen, {"requests": params.requests, "limits": params.limits})


class KubernetesSetEnv(Patching[SetEnvParams]):
    """Sets environment variables of one container of a workload."""

    name = "kubernetes.set_env"
    manual = byhand.set_env
    summary = "Set a container's environment variables"
    Params = SetEnvParams

    def waits(self, params: SetEnvParams) -> bool:
        return params.wait

    def patch_of(self, params: SetEnvParams, seen: JsonObject, client: KubernetesClient) -> Patch:
        del client
        return _patch(params, seen, {"env": params.env})
