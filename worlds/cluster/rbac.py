"""Who may do what: roles and bindings, evaluated as the RBAC authorizer does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from engine.domain.canonical import JsonObject
from worlds.cluster.kinds import by_kind
from worlds.cluster.messages import Call, User
from worlds.cluster.status import ApiError, forbidden
from worlds.cluster.store import Store

_READ = ["get", "list", "watch"]
# What every cluster is born with, in short form.
BUILT_IN: dict[str, list[JsonObject]] = {
    "cluster-admin": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}],
    "view": [
        {
            "verbs": _READ,
            "apiGroups": ["", "apps", "batch", "policy", "autoscaling", "networking.k8s.io"],
            "resources": [
                *("configmaps", "events", "namespaces", "pods", "pods/log", "services"),
                *("serviceaccounts", "persistentvolumeclaims"),
                *("deployments", "deployments/scale", "replicasets", "replicasets/scale"),
                *("statefulsets", "statefulsets/scale", "daemonsets", "cronjobs", "jobs"),
                *("poddisruptionbudgets", "horizontalpodautoscalers", "ingresses"),
            ],
        }
    ],
}


@dataclass(frozen=True)
class Verdict:
    allowed: bool
    reason: str = ""


class Authorizer:
    """Evaluates the stored roles for one request."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def ask(self, user: User, call: Call) -> Verdict:
        """Return whether `user` may make `call`, and which binding says so."""
        if "system:masters" in user.groups or call.kind.kind == "SelfSubjectAccessReview":
            return Verdict(True)
        for rules, reason in self._granted(user, call.namespace):
            if any(_covers(rule, call) for rule in rules):
                return Verdict(True, reason)
        return Verdict(False)

    def require(self, user: User, call: Call) -> None:
        """Raises ApiError (403) where the user may not."""
        if not self.ask(user, call).allowed:
            raise self.refusal(user, call)

    def refusal(self, user: User, call: Call) -> ApiError:
        where = f'in the namespace "{call.namespace}"' if call.namespace else "at the cluster scope"
        why = (
            f'User "{user.name}" cannot {call.verb} resource "{call.resource}" '
            f'in API group "{call.kind.group}" {where}'
        )
        return forbidden(call.kind, call.name or None, why)

    def _granted(self, user: User, namespace: str) -> Iterator[tuple[list[JsonObject], str]]:
        for binding in self._store.list(by_kind("ClusterRoleBinding")):
            yield from self._bound(binding, user, "")
        if namespace:
            for binding in self._store.list(by_kind("RoleBinding"), namespace):
                yield from self._bound(binding, user, namespace)

    def _bound(
        self, binding: JsonObject, user: User, namespace: str
    ) -> Iterator[tuple[list[JsonObject], str]]:
        subject = next((s for s in binding.get("subjects") or [] if _is(user, s, namespace)), None)
        if subject is None:
            return
        reference = binding["roleRef"]
        kind = by_kind(reference["kind"])
        role = self._store.get(
            kind, namespace if reference["kind"] == "Role" else "", reference["name"]
        )
        name = binding["metadata"]["name"] + (f"/{namespace}" if namespace else "")
        reason = (
            f'RBAC: allowed by {binding["kind"]} "{name}" of {reference["kind"]} '
            f'"{reference["name"]}" to {subject["kind"]} "{subject["name"]}"'
        )
        if role is not None:
            yield role.get("rules") or [], reason


def _is(user: User, subject: JsonObject, namespace: str) -> bool:
    if subject["kind"] == "Group":
        return subject["name"] in user.groups
    if subject["kind"] == "ServiceAccount":
        home = subject.get("namespace") or namespace
        return user.name == f"system:serviceaccount:{home}:{subject['name']}"
    return bool(subject["name"] == user.name)


def _covers(rule: JsonObject, call: Call) -> bool:
    resources = rule.get("resources") or []
    named = (
        "*" in resources
        or call.resource in resources
        or (call.subresource and f"*/{call.subresource}" in resources)
    )
    names = rule.get("resourceNames") or []
    return bool(
        named
        and _listed(rule.get("verbs") or [], call.verb)
        and _listed(rule.get("apiGroups") or [], call.kind.group)
        and (not names or call.name in names)
    )


def _listed(values: list[str], value: str) -> bool:
    return "*" in values or value in values
