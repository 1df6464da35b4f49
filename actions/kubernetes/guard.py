"""Which requests a client lets through. Pure decisions: None, or the reason for the refusal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from actions.kubernetes.resources import Place, read_path

# They run commands or open tunnels: nothing about them can be planned, so no request names them.
# `KubernetesClient.run` alone runs commands: those of the allow-list, in a writable client.
NEVER = {"exec", "attach", "portforward", "proxy"}
_DRY_WRITES = {"", "scale"}
_READS = {"", "log", "scale", "status"}
_REVIEWS = {"selfsubjectaccessreviews", "selfsubjectrulesreviews"}
_DISCOVERY = ("/version", "/api", "/apis", "/healthz", "/readyz", "/livez")


class Allow(BaseModel):
    """What a connection may touch. A list that is missing allows everything of its sort."""

    model_config = ConfigDict(extra="forbid")

    namespaces: list[str] | None = Field(
        None,
        description="Namespaces, `*` matches any text",
        examples=[["starforge", "primarch-*"]],
    )
    kinds: list[str] | None = Field(
        None, description="Kinds", examples=[["Deployment", "ConfigMap", "Pod"]]
    )
    commands: list[str] = Field(
        [],
        description="Commands that kubernetes.exec may run, none where missing: words as shell patterns, "
        "and `...` at the end for any more words",
        examples=[["redis-cli LLEN *", "python -m tools.requeue ..."]],
    )


def refuse_write(method: str, path: str, query: Mapping[str, str], body: Any = None) -> str | None:
    """Return why a read-only client does not send this request.

    Let through are reads, logs, writes with `dryRun=All`, an eviction's own dry run, and access reviews.
    """
    place = read_path(path)
    if place is None:
        plain = path.rstrip("/")
        known = any(plain == root or plain.startswith(f"{root}/") for root in _DISCOVERY)
        if method == "GET" and known:
            return None
        return f"{method} {path} is not on the list of what a read-only client may ask"
    if place.subresource.split("/")[0] in NEVER:
        return refuse_always(path)
    if method == "GET":
        known = place.subresource in _READS
        return None if known else f"reading the subresource {place.subresource!r} is not allowed"
    dry = query.get("dryRun") == "All"
    if method == "POST" and place.plural in _REVIEWS:
        return None
    if place.subresource == "eviction" and method == "POST":
        asked = isinstance(body, dict) and (body.get("deleteOptions") or {}).get("dryRun")
        if dry or asked == ["All"]:
            return None
        return "an eviction without dryRun=All would evict the pod"
    if method in ("POST", "PUT", "PATCH", "DELETE") and place.subresource in _DRY_WRITES and dry:
        return None
    return f"{method} {path} would write; a read-only client writes with dryRun=All only"


def refuse_always(path: str) -> str | None:
    """Return why no client sends this request, read-only or not."""
    place = read_path(path)
    if place is not None and place.subresource.split("/")[0] in NEVER:
        return f"{place.subresource.split('/')[0]} is never allowed"
    return None


def refuse_command(allow: Allow, command: Sequence[str]) -> str | None:
    """Return why the allow-list forbids to run `command`. It is compared word by word, never as one text."""
    for pattern in allow.commands:
        words = pattern.split()
        more = words[-1:] == ["..."]
        fixed = words[:-1] if more else words
        enough = len(command) >= len(fixed) if more else len(command) == len(fixed)
        if fixed and enough and all(map(fnmatchcase, command, fixed)):
            return None
    listed = ", ".join(allow.commands) or "(none)"
    return f"the command {command[0]!r} is not in the connection's allow.commands: {listed}"


def refuse_target(allow: Allow, path: str, kinds: Mapping[tuple[str, str], str]) -> str | None:
    """Return why the connection's allow-list forbids what `path` names.

    Args:
        kinds: kinds by (group, plural) that discovery has found beyond the built-in ones.
    """
    place = read_path(path)
    if place is None or place.plural in _REVIEWS:
        return None
    kind = place.kind or kinds.get((place.group, place.plural))
    namespace = place.namespace
    if kind == "Namespace":
        namespace = place.name  # a namespace is its own place
    return refuse_place(allow, namespace, kind or place.plural, namespaced=_namespaced(place))


def _namespaced(place: Place) -> bool:
    from actions.kubernetes.resources import built_in

    resource = built_in(place.kind) if place.kind else None
    if place.kind == "Namespace":
        return True
    return resource.namespaced if resource else True


def refuse_place(allow: Allow, namespace: str, kind: str, *, namespaced: bool = True) -> str | None:
    """Return why the allow-list forbids `kind` in `namespace` ('' or '*' is all namespaces)."""
    if allow.kinds is not None and kind not in allow.kinds:
        return f"kind {kind} is not in the connection's allow.kinds: {', '.join(allow.kinds)}"
    if allow.namespaces is None or not namespaced:
        return None
    if any(
        pattern == "*" or (namespace and fnmatchcase(namespace, pattern))
        for pattern in allow.namespaces
        if namespace != "*" or pattern == "*"
    ):
        return None
    listed = ", ".join(allow.namespaces) or "(none)"
    where = namespace if namespace not in ("", "*") else "(all namespaces)"
    return f"namespace {where} is not in the connection's allow.namespaces: {listed}"
