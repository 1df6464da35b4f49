"""Scale, logs, evictions and access reviews."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from engine.domain.canonical import JsonObject
from worlds.cluster import schema
from worlds.cluster.bodies import patch_value
from worlds.cluster.kinds import Kind, by_kind, by_path
from worlds.cluster.logs import render
from worlds.cluster.messages import Call, Response, User
from worlds.cluster.parts import Parts
from worlds.cluster.selectors import object_selector, selector_text
from worlds.cluster.status import (
    Cause,
    bad_request,
    conflict,
    failure,
    invalid,
    invalid_patch,
    not_found,
)
from worlds.cluster.times import read_stamp
from worlds.cluster.values import clone
from worlds.cluster.writes import Terms

SCALE = Kind("autoscaling", "v1", "scales", "Scale")
_PULLING = "trying and failing to pull image"


def scale_of(item: JsonObject) -> JsonObject:
    """Return the Scale that stands for a workload."""
    metadata = item["metadata"]
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    replicas = item["spec"].get("replicas", 0)
    status: JsonObject = {"replicas": (item.get("status") or {}).get("replicas", 0)}
    text = selector_text(item["spec"].get("selector"))
    if text:
        status["selector"] = text
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {name: metadata[name] for name in kept if name in metadata},
        "spec": {"replicas": replicas} if replicas else {},
        "status": status,
    }


def rescale(
    cluster: Parts,
    kind: Kind,
    item: JsonObject,
    body: Any,
    *,
    form: str,
    terms: Terms,
    verb: str,
) -> JsonObject:
    """Write a workload's replicas through its Scale and return the Scale.

    Raises:
        ApiError: 400, 409, 422.
    """
    name, shown = item["metadata"]["name"], ""
    wanted = body
    if verb == "patch":
        wanted, shown = patch_value(scale_of(item), body, form, "Scale")
    try:
        schema.check(wanted, "Scale")
    except schema.DecodeError as error:
        if verb == "patch":
            raise invalid_patch(shown, error.as_json_decoder) from error
        raise bad_request(error.as_json_decoder) from error
    replicas = (wanted.get("spec") or {}).get("replicas") or 0
    if replicas < 0:
        cause = Cause(
            "spec.replicas", f"Invalid value: {replicas}: must be greater than or equal to 0"
        )
        raise invalid(SCALE, name, [cause])
    version = (wanted.get("metadata") or {}).get("resourceVersion")
    if version and version != item["metadata"]["resourceVersion"]:
        raise conflict(kind, name)
    changed = clone(item)
    changed["spec"]["replicas"] = replicas
    home = item["metadata"]["namespace"]
    return scale_of(cluster.writer.replace(kind, home, name, changed, terms=terms).item)


def pod_log(cluster: Parts, namespace: str, name: str, query: Mapping[str, str]) -> Response:
    """Answer a pod's log.

    Raises:
        ApiError: 404 for a missing pod; 400 where a container must be named, is not valid or has no log.
    """
    pod = cluster.store.get(by_kind("Pod"), namespace, name)
    if pod is None:
        raise not_found(by_kind("Pod"), name)
    names = [container["name"] for container in pod["spec"]["containers"]]
    container = query.get("container") or ""
    if not container:
        if len(names) > 1:
            raise bad_request(
                f"a container name must be specified for pod {name}, "
                f"choose one of: [{' '.join(names)}]"
            )
        container = names[0]
    if container not in names:
        raise bad_request(f"container {container} is not valid for pod {name}")
    log = cluster.logs.of(pod["metadata"]["uid"], container)
    if query.get("previous") in ("true", "1"):
        if log.previous is None:
            raise bad_request(
                f'previous terminated container "{container}" in pod "{name}" not found'
            )
        lines = log.previous
    else:
        _check_started(pod, container)
        lines = log.current
    since = None
    if query.get("sinceSeconds"):
        since = cluster.now() - timedelta(seconds=_positive(query, "sinceSeconds"))
    elif query.get("sinceTime"):
        since = read_stamp(query["sinceTime"])
    text = render(
        lines,
        since=since,
        tail=_positive(query, "tailLines") if query.get("tailLines") else None,
        limit=_positive(query, "limitBytes") if query.get("limitBytes") else None,
        timestamps=query.get("timestamps") in ("true", "1"),
    )
    return Response(200, text, {"Content-Type": "text/plain"})


def _positive(query: Mapping[str, str], name: str) -> int:
    text = query[name]
    if not text.isdigit():
        raise bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax')
    return int(text)


def _check_started(pod: JsonObject, container: str) -> None:
    name = pod["metadata"]["name"]
    status = next(
        (
            each
            for each in pod["status"].get("containerStatuses") or []
            if each["name"] == container
        ),
        None,
    )
    waiting = (status or {}).get("state", {}).get("waiting") if status else {}
    if waiting is None or (status and status["restartCount"]) or (status and status["lastState"]):
        return
    reason = waiting.get("reason", "ContainerCreating")
    why = _PULLING if reason in ("ImagePullBackOff", "ErrImagePull") else reason
    raise bad_request(f'container "{container}" in pod "{name}" is waiting to start: {why}')


def evict(cluster: Parts, namespace: str, name: str, body: JsonObject, terms: Terms) -> JsonObject:
    """Evict a pod as far as the disruption budgets allow.

    Raises:
        ApiError: 404 for a missing pod, 429 where a budget forbids it.
    """
    kind = by_kind("Pod")
    pod = cluster.store.get(kind, namespace, name)
    if pod is None:
        raise not_found(kind, name)
    options = body.get("deleteOptions") or {}
    dry = terms.dry_run or bool(options.get("dryRun"))
    labels = pod["metadata"].get("labels") or {}
    for budget in cluster.store.list(by_kind("PodDisruptionBudget"), namespace):
        if not object_selector(budget["spec"].get("selector"))(labels):
            continue
        status = budget["status"]
        if status.get("disruptionsAllowed", 0) <= 0:
            text = (
                f"The disruption budget {budget['metadata']['name']} needs "
                f"{status.get('desiredHealthy', 0)} healthy pods and has "
                f"{status.get('currentHealthy', 0)} currently"
            )
            raise failure(
                429,
                "TooManyRequests",
                "Cannot evict pod as it would violate the pod's disruption budget.",
                {"causes": [{"reason": "DisruptionBudget", "message": text}]},
            )
        if not dry:
            taken = clone(budget)
            taken["status"]["disruptionsAllowed"] -= 1
            cluster.store.put(by_kind("PodDisruptionBudget"), taken)
    cluster.deleter.delete(kind, namespace, name, options, dry_run=dry)
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "code": 201,
    }


def access_review(cluster: Parts, user: User, body: JsonObject) -> JsonObject:
    """Answer whether the asking user may do what the review names."""
    attributes = (body.get("spec") or {}).get("resourceAttributes") or {}
    group, plural = attributes.get("group", ""), attributes.get("resource", "")
    kind = next(
        (
            found
            for version in ("v1", "v2")
            if (found := by_path(group, version, plural)) is not None
        ),
        Kind(group, "v1", plural, plural),
    )
    call = Call(
        kind,
        attributes.get("verb", ""),
        attributes.get("namespace", ""),
        attributes.get("name", ""),
        attributes.get("subresource", ""),
    )
    verdict = cluster.authorizer.ask(user, call)
    status: JsonObject = {"allowed": verdict.allowed}
    if verdict.reason:
        status["reason"] = verdict.reason
    return {
        "kind": "SelfSubjectAccessReview",
        "apiVersion": "authorization.k8s.io/v1",
        "metadata": {"creationTimestamp": None},
        "spec": body.get("spec") or {},
        "status": status,
    }
