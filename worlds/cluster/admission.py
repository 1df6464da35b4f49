"""What a new pod gets: the token volume of its service account, its quality of service."""

from __future__ import annotations

from engine.domain.canonical import JsonObject

MOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"


def admit_pod(item: JsonObject, suffix: str) -> None:
    """Mount the service account's token into every container, as the real admission does."""
    spec = item["spec"]
    if spec.get("automountServiceAccountToken") is False:
        return
    name = f"kube-api-access-{suffix}"
    reference = {"apiVersion": "v1", "fieldPath": "metadata.namespace"}
    sources = [
        {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": reference}]}},
    ]
    spec.setdefault("volumes", []).append(
        {"name": name, "projected": {"sources": sources, "defaultMode": 420}}
    )
    for container in [*(spec.get("containers") or []), *(spec.get("initContainers") or [])]:
        mounts = container.setdefault("volumeMounts", [])
        if not any(mount.get("mountPath") == MOUNT for mount in mounts):
            mounts.append({"name": name, "readOnly": True, "mountPath": MOUNT})


def qos_class(spec: JsonObject) -> str:
    """Return the pod's quality of service from its containers' requests and limits."""
    resources = [container.get("resources") or {} for container in spec.get("containers") or []]
    if not any(each.get("limits") or each.get("requests") for each in resources):
        return "BestEffort"
    guaranteed = all(
        {"cpu", "memory"} <= set(each.get("limits") or {})
        and all(
            (each.get("requests") or each["limits"]).get(name) == amount
            for name, amount in each["limits"].items()
        )
        for each in resources
    )
    return "Guaranteed" if guaranteed else "Burstable"
