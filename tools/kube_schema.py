"""Write worlds/cluster/schema.json: the field types of the kinds that the in-memory cluster serves.

The facts come from the installed Kubernetes client, so a new release of it needs one run of
`python tools/kube_schema.py`. The file holds names and types only: `{"DeploymentSpec": {"replicas":
"int", "template": "PodTemplateSpec"}}`; `[T]` is a list, `{T}` a map of strings to T.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

ROOTS = (
    "V1Namespace V1Pod V1ConfigMap V1Secret V1Service V1ServiceAccount V1Node CoreV1Event "
    "V1PersistentVolumeClaim V1Deployment V1ReplicaSet V1StatefulSet V1DaemonSet V1CronJob V1Job "
    "V1Role V1RoleBinding V1ClusterRole V1ClusterRoleBinding V1PodDisruptionBudget V1Scale "
    "V1SelfSubjectAccessReview V1Eviction V2HorizontalPodAutoscaler V1Ingress V1DeleteOptions"
)
SIMPLE = {
    "str": "string",
    "int": "int",
    "float": "float",
    "bool": "bool",
    "datetime": "time",
    "object": "any",
    "bytearray": "bytes",
    "bytes": "bytes",
}
# The client says only "int": these are int64 on the server, the others int32.
INT64 = re.compile(
    r"(generation|observedGeneration|activeDeadlineSeconds|tolerationSeconds|startingDeadlineSeconds"
    r"|(termination|deletion)GracePeriodSeconds|gracePeriodSeconds|runAs(User|Group)|fsGroup)$"
)
QUANTITIES = {"limits", "requests", "capacity", "allocatable", "hard", "sizeLimit", "averageValue"}
INT_OR_STRING = {
    "maxSurge",
    "maxUnavailable",
    "minAvailable",
    "targetPort",
    "HTTPGetAction.port",
    "TCPSocketAction.port",
}


def bare(name: str) -> str:
    """Return the server's own name of a model: CoreV1EventSeries is EventSeries."""
    return re.sub(r"^(Core|Events|Apps|Batch|Rbac|Discovery)?V\d+((alpha|beta)\d+)?", "", name)


def spell(owner: str, field: str, text: str, found: list[str]) -> str:
    if field in INT_OR_STRING or f"{owner}.{field}" in INT_OR_STRING:
        return "intstr"
    if field in QUANTITIES and "str" in text:
        return "{quantity}" if text.lower().startswith("dict") else "quantity"
    listed = re.fullmatch(r"[Ll]ist\[(.*)\]", text)
    if listed:
        return f"[{spell(owner, '', listed[1], found)}]"
    mapped = re.fullmatch(r"[Dd]ict[\[(]str, (.*)[\])]", text)
    if mapped:
        return f"{{{spell(owner, '', mapped[1], found)}}}"
    if text == "int" and INT64.match(field):
        return "int64"
    if text in SIMPLE:
        return SIMPLE[text]
    found.append(text)
    return bare(text)


def main() -> None:
    from kubernetes.client import models

    schema: dict[str, dict[str, str]] = {}
    left: list[str] = ROOTS.split()
    while left:
        name = left.pop()
        model: Any = getattr(models, name)
        owner = bare(name)
        if owner in schema:
            continue
        schema[owner] = {
            model.attribute_map[attribute]: spell(owner, model.attribute_map[attribute], kind, left)
            for attribute, kind in model.openapi_types.items()
        }
    path = Path(__file__).parents[1] / "worlds" / "cluster" / "schema.json"
    lines = [
        f"{json.dumps(name)}: {json.dumps(schema[name], sort_keys=True)}" for name in sorted(schema)
    ]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
