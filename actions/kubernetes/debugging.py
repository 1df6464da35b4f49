"""kubernetes.debug_pod: a pod of one's own, to look at things from inside the cluster."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from actions.kubernetes import byhand, changing
from actions.kubernetes.making import Making
from actions.kubernetes.params import InCluster, grant
from engine.contract import ActionParams, Grant, Planned, Target, Unknown, World
from engine.contract.fields import Seconds
from engine.domain.canonical import JsonObject

_STAYS = "undo deletes the pod; what it has done elsewhere stays done"
_CONTAINER = "debug"


class SecretKey(ActionParams):
    """One key of a Secret."""

    secret: str = Field(description="The Secret's name", examples=["db-credentials"], min_length=1)
    key: str = Field(description="Its key", examples=["url"], min_length=1)


class DebugPodParams(InCluster):
    """Parameters of a debug pod."""

    namespace: str = Field(description="Namespace", examples=["starforge"], min_length=1)
    name: str = Field(
        "debug",
        description="What its name begins with",
        examples=["check-db"],
        pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
        max_length=40,
    )
    image: str = Field(description="Its image", examples=["postgres:16"], min_length=1)
    command: list[str] = Field(
        description="Program and arguments; no shell reads them",
        examples=[["pg_isready", "-h", "db"]],
        min_length=1,
    )
    env: dict[str, str] = Field(
        {}, description="Environment variables; no secrets", examples=[{"PGCONNECT_TIMEOUT": "5"}]
    )
    secrets: list[str] = Field(
        [], description="Secrets whose keys become variables", examples=[["db-credentials"]]
    )
    secret_env: dict[str, SecretKey] = Field(
        {},
        description="Environment variables that are keys of Secrets; $(NAME) in the command is its value",
        examples=[{"DATABASE_URL": {"secret": "db-credentials", "key": "url"}}],
    )
    config_maps: list[str] = Field(
        [], description="ConfigMaps whose keys become variables", examples=[["batch-config"]]
    )
    service_account: str | None = Field(
        None, description="Its service account; the namespace's own where missing", examples=["etl"]
    )
    limits: dict[str, str] = Field(
        {"cpu": "500m", "memory": "256Mi"},
        description="Resource limits, also requested",
        examples=[{"memory": "1Gi"}],
    )
    lasts: Seconds = Field(
        3600.0, gt=0, le=86400, description="The cluster ends it after that", examples=["15m"]
    )
    wait_for: Literal["made", "running", "ended"] = Field(
        "ended", description="How far the step waits", examples=["running"]
    )


class KubernetesDebugPod(Making[DebugPodParams]):
    """Makes one pod that runs one command. Its name, from the step's key, is in the output.

    Read what it says with `kubernetes.logs`; a command that fails ends the pod, not the step.
    """

    name = "kubernetes.debug_pod"
    manual = byhand.debug_pod
    summary = "Run a command in a pod of its own"
    Params = DebugPodParams
    makes = "Pod"

    def targets(self, params: DebugPodParams) -> Sequence[Target]:
        return (changing.target_of(params.connection, params.namespace, "Pod"),)

    def locks(self, params: DebugPodParams) -> Sequence[Target]:
        return (_target(params),)

    def grants(self, params: DebugPodParams) -> Sequence[Grant]:
        return (grant(params, "Pod", ["get", "create", "delete"]),)

    def plan(self, params: DebugPodParams, world: World) -> Planned:
        client = changing.client_of(world, params.connection)
        body = _pod(params)
        self.try_out(client, params.namespace, params.name, body)
        about = changing.Object(params.connection, "Pod", None, params.namespace, params.name)
        return Planned(
            action=self.name,
            target=_target(params),
            before={self.field: None},
            after={self.field: Unknown("a name from the step's key")},
            counts={"pods": 1},
            request={
                "object": about.as_json(),
                "body": body,
                "prefix": params.name,
                "wait_for": params.wait_for,
            },
            summary=f"make a pod {params.name} of {params.image} that runs {params.command}",
            notes=(_STAYS,),
        )

    def pending(self, planned: Planned, live: JsonObject) -> bool:
        phase = (live.get("status") or {}).get("phase")
        wait_for = planned.request["wait_for"]
        enough = {"Succeeded", "Failed"} | ({"Running"} if wait_for == "running" else set())
        return wait_for != "made" and phase not in enough


def _target(params: DebugPodParams) -> Target:
    return changing.target_of(params.connection, params.namespace, "Pod", f"{params.name}-*")


def _key(of: SecretKey) -> JsonObject:
    return {"secretKeyRef": {"name": of.secret, "key": of.key}}


def _pod(params: DebugPodParams) -> JsonObject:
    container: JsonObject = {
        "name": _CONTAINER,
        "image": params.image,
        "command": params.command,
        "env": [
            *({"name": name, "value": value} for name, value in params.env.items()),
            *({"name": name, "valueFrom": _key(of)} for name, of in params.secret_env.items()),
        ],
        "envFrom": [
            *({"configMapRef": {"name": name}} for name in params.config_maps),
            *({"secretRef": {"name": name}} for name in params.secrets),
        ],
        "resources": {"limits": params.limits, "requests": params.limits},
    }
    spec: JsonObject = {
        "restartPolicy": "Never",
        "activeDeadlineSeconds": math.ceil(params.lasts),
        "containers": [container],
    }
    if params.service_account is not None:
        spec["serviceAccountName"] = params.service_account
    metadata = {"labels": {"stanch.dev/debug": params.name}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
