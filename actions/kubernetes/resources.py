"""Where kinds stand in the API, and what a request's path names."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote


@dataclass(frozen=True)
class Resource:
    """A kind and its place. `group` is '' for the core group."""

    kind: str
    group: str
    version: str
    plural: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str, name: str = "", subresource: str = "") -> str:
        """Return the path of a collection, an object or a subresource."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        parts = [root]
        if self.namespaced and namespace:
            parts += ["namespaces", quote(namespace, safe="")]
        parts.append(self.plural)
        if name:
            parts.append(quote(name, safe=""))
        if subresource:
            parts.append(subresource)
        return "/".join(parts)


_RBAC = "rbac.authorization.k8s.io"
_BUILT_IN = (
    Resource("Namespace", "", "v1", "namespaces", namespaced=False),
    Resource("Node", "", "v1", "nodes", namespaced=False),
    Resource("Pod", "", "v1", "pods"),
    Resource("ConfigMap", "", "v1", "configmaps"),
    Resource("Secret", "", "v1", "secrets"),
    Resource("Service", "", "v1", "services"),
    Resource("ServiceAccount", "", "v1", "serviceaccounts"),
    Resource("Event", "", "v1", "events"),
    Resource("PersistentVolumeClaim", "", "v1", "persistentvolumeclaims"),
    Resource("PersistentVolume", "", "v1", "persistentvolumes", namespaced=False),
    Resource("Endpoints", "", "v1", "endpoints"),
    Resource("ResourceQuota", "", "v1", "resourcequotas"),
    Resource("LimitRange", "", "v1", "limitranges"),
    Resource("ReplicationController", "", "v1", "replicationcontrollers"),
    Resource("Deployment", "apps", "v1", "deployments"),
    Resource("ReplicaSet", "apps", "v1", "replicasets"),
    Resource("StatefulSet", "apps", "v1", "statefulsets"),
    Resource("ControllerRevision", "apps", "v1", "controllerrevisions"),
    Resource("DaemonSet", "apps", "v1", "daemonsets"),
    Resource("CronJob", "batch", "v1", "cronjobs"),
    Resource("Job", "batch", "v1", "jobs"),
    Resource("PodDisruptionBudget", "policy", "v1", "poddisruptionbudgets"),
    Resource("HorizontalPodAutoscaler", "autoscaling", "v2", "horizontalpodautoscalers"),
    Resource("Ingress", "networking.k8s.io", "v1", "ingresses"),
    Resource("NetworkPolicy", "networking.k8s.io", "v1", "networkpolicies"),
    Resource("Role", _RBAC, "v1", "roles"),
    Resource("RoleBinding", _RBAC, "v1", "rolebindings"),
    Resource("ClusterRole", _RBAC, "v1", "clusterroles", namespaced=False),
    Resource("ClusterRoleBinding", _RBAC, "v1", "clusterrolebindings", namespaced=False),
    Resource("StorageClass", "storage.k8s.io", "v1", "storageclasses", namespaced=False),
    Resource("Lease", "coordination.k8s.io", "v1", "leases"),
)
_BY_KIND = {resource.kind: resource for resource in _BUILT_IN}
_BY_PLURAL = {(resource.group, resource.plural): resource for resource in _BUILT_IN}


def built_in(kind: str, api_version: str | None = None) -> Resource | None:
    """Return a kind that every cluster has, where its version is the one asked for."""
    resource = _BY_KIND.get(kind)
    if resource is None or api_version not in (None, resource.api_version):
        return None
    return resource


def known_kinds() -> list[str]:
    return sorted(_BY_KIND)


@dataclass(frozen=True)
class Place:
    """What a path names: a collection, an object or a subresource of one."""

    group: str
    version: str
    namespace: str
    plural: str
    name: str = ""
    subresource: str = ""

    @property
    def kind(self) -> str | None:
        """The kind's name, where it is one that every cluster has."""
        resource = _BY_PLURAL.get((self.group, self.plural))
        return resource.kind if resource else None


def read_path(path: str) -> Place | None:
    """Return what an API path names, or None where it names no resource (`/version`, discovery)."""
    parts = [part for part in path.split("/") if part]
    if parts[:1] == ["api"] and len(parts) >= 3:
        group, version, rest = "", parts[1], parts[2:]
    elif parts[:1] == ["apis"] and len(parts) >= 4:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return None
    namespace = ""
    if rest[0] == "namespaces" and len(rest) >= 3 and rest[2] not in ("status", "finalize"):
        namespace, rest = rest[1], rest[2:]
    name = rest[1] if len(rest) > 1 else ""
    return Place(group, version, namespace, rest[0], name, "/".join(rest[2:]))
