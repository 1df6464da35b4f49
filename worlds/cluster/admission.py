"""What admission adds to a new pod: the token volume of its service account."""

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
