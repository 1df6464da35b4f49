"""Rights as the Role and RoleBinding that give them."""

from __future__ import annotations

from collections.abc import Sequence

from engine.contract import Grant
from engine.domain.canonical import JsonObject

_API = "rbac.authorization.k8s.io"
NAME = "stanch"


def manifests(grants: Sequence[Grant], user: str) -> list[JsonObject]:
    """Return one Role and RoleBinding a namespace; a ClusterRole where a right is bound to none.

    Args:
        user: a user, or a service account as `system:serviceaccount:NAMESPACE:NAME`.
    """
    spaces: dict[str, dict[tuple[str, str], set[str]]] = {}
    for grant in grants:
        detail = grant.detail
        rights = spaces.setdefault(detail["namespace"], {})
        rights.setdefault((detail["group"], detail["resource"]), set()).update(detail["verbs"])
    found: list[JsonObject] = []
    for namespace, rights in sorted(spaces.items()):
        found += [_role(namespace, rights), _binding(namespace, user)]
    return found


def _role(namespace: str, rights: dict[tuple[str, str], set[str]]) -> JsonObject:
    return {
        "apiVersion": f"{_API}/v1",
        "kind": "Role" if namespace else "ClusterRole",
        "metadata": _named(namespace),
        "rules": [
            {"apiGroups": [group], "resources": [resource], "verbs": sorted(verbs)}
            for (group, resource), verbs in sorted(rights.items())
        ],
    }


def _binding(namespace: str, user: str) -> JsonObject:
    kind = "Role" if namespace else "ClusterRole"
    return {
        "apiVersion": f"{_API}/v1",
        "kind": f"{kind}Binding",
        "metadata": _named(namespace),
        "subjects": [{"apiGroup": _API, "kind": "User", "name": user}],
        "roleRef": {"apiGroup": _API, "kind": kind, "name": NAME},
    }


def _named(namespace: str) -> JsonObject:
    return {"name": NAME, "namespace": namespace} if namespace else {"name": NAME}
