"""The kinds that the cluster serves, and where they stand in the API."""

from __future__ import annotations

from dataclasses import dataclass

READ = ("get", "list", "watch")
ALL = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


@dataclass(frozen=True, eq=False)  # each is one of KINDS or REVIEWS: itself, compared as such
class Kind:
    """One served kind.

    Attributes:
        spec_generation: whether a changed spec raises metadata.generation.
        subresources: which of `status`, `scale`, `log`, `eviction`, `exec` it has.
    """

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True
    spec_generation: bool = False
    subresources: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ALL
    short_names: tuple[str, ...] = ()

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def resource(self) -> str:
        """`deployments.apps`, `pods`: how messages name it."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def schema(self) -> str:
        """The name of its type in schema.json."""
        return self.kind


RBAC = "rbac.authorization.k8s.io"
KINDS: tuple[Kind, ...] = (
    Kind("", "v1", "namespaces", "Namespace", namespaced=False, subresources=("status",)),
    Kind("", "v1", "nodes", "Node", namespaced=False, subresources=("status",)),
    Kind(
        "",
        "v1",
        "pods",
        "Pod",
        subresources=("status", "log", "eviction", "exec"),
        short_names=("po",),
    ),
    Kind("", "v1", "configmaps", "ConfigMap", short_names=("cm",)),
    Kind("", "v1", "secrets", "Secret"),
    Kind("", "v1", "services", "Service", subresources=("status",), short_names=("svc",)),
    Kind("", "v1", "serviceaccounts", "ServiceAccount", short_names=("sa",)),
    Kind("", "v1", "events", "Event", short_names=("ev",)),
    Kind(
        "",
        "v1",
        "persistentvolumeclaims",
        "PersistentVolumeClaim",
        subresources=("status",),
        short_names=("pvc",),
    ),
    Kind(
        "apps",
        "v1",
        "deployments",
        "Deployment",
        spec_generation=True,
        subresources=("status", "scale"),
        short_names=("deploy",),
    ),
    Kind(
        "apps",
        "v1",
        "replicasets",
        "ReplicaSet",
        spec_generation=True,
        subresources=("status", "scale"),
        short_names=("rs",),
    ),
    Kind(
        "apps",
        "v1",
        "statefulsets",
        "StatefulSet",
        spec_generation=True,
        subresources=("status", "scale"),
        short_names=("sts",),
    ),
    Kind("apps", "v1", "controllerrevisions", "ControllerRevision"),
    Kind(
        "apps",
        "v1",
        "daemonsets",
        "DaemonSet",
        spec_generation=True,
        subresources=("status",),
        short_names=("ds",),
    ),
    Kind(
        "batch",
        "v1",
        "cronjobs",
        "CronJob",
        spec_generation=True,
        subresources=("status",),
        short_names=("cj",),
    ),
    Kind("batch", "v1", "jobs", "Job", spec_generation=True, subresources=("status",)),
    Kind(
        "policy",
        "v1",
        "poddisruptionbudgets",
        "PodDisruptionBudget",
        spec_generation=True,
        subresources=("status",),
        short_names=("pdb",),
    ),
    Kind(
        "autoscaling",
        "v2",
        "horizontalpodautoscalers",
        "HorizontalPodAutoscaler",
        subresources=("status",),
        short_names=("hpa",),
    ),
    Kind(
        "networking.k8s.io",
        "v1",
        "ingresses",
        "Ingress",
        spec_generation=True,
        subresources=("status",),
        short_names=("ing",),
    ),
    Kind(RBAC, "v1", "roles", "Role"),
    Kind(RBAC, "v1", "rolebindings", "RoleBinding"),
    Kind(RBAC, "v1", "clusterroles", "ClusterRole", namespaced=False),
    Kind(RBAC, "v1", "clusterrolebindings", "ClusterRoleBinding", namespaced=False),
)
# Asked, never stored.
REVIEWS: tuple[Kind, ...] = (
    Kind(
        "authorization.k8s.io",
        "v1",
        "selfsubjectaccessreviews",
        "SelfSubjectAccessReview",
        namespaced=False,
        verbs=("create",),
    ),
)

_BY_PATH = {(kind.group, kind.version, kind.plural): kind for kind in KINDS + REVIEWS}
_BY_NAME = {kind.kind: kind for kind in KINDS + REVIEWS}


def by_path(group: str, version: str, plural: str) -> Kind | None:
    return _BY_PATH.get((group, version, plural))


def by_kind(name: str) -> Kind:
    """Return the kind called `name` ("Deployment").

    Raises:
        KeyError: the cluster serves no such kind.
    """
    return _BY_NAME[name]


def groups() -> dict[str, list[str]]:
    """Return the served versions by group, the core group as ''."""
    found: dict[str, list[str]] = {}
    for kind in KINDS + REVIEWS:
        versions = found.setdefault(kind.group, [])
        if kind.version not in versions:
            versions.append(kind.version)
    return found
