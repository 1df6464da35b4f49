"""kubernetes.logs: what a pod's containers wrote, or all pods' of a selector or a job."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Self

from pydantic import Field, model_validator

from actions.kubernetes import byhand, changing
from actions.kubernetes.client import KubernetesClient
from actions.kubernetes.failures import Refused
from actions.kubernetes.params import InCluster, grant
from actions.kubernetes.resources import built_in
from engine.contract import ActionFailed, Category, Grant, Read, Target, World
from engine.contract.fields import Bytes, Seconds
from engine.domain.canonical import Json, JsonObject

MATCH_WITHIN = 2.0  # seconds for a pattern over all lines


class LogsParams(InCluster):
    """Parameters of reading logs."""

    namespace: str = Field(description="Namespace", examples=["starforge"], min_length=1)
    pod: str | None = Field(None, description="One pod", examples=["etl-worker-7d9f-x2x9z"])
    labels: str | None = Field(
        None,
        description="All pods of a label selector, instead of one",
        examples=["app=etl-worker"],
    )
    job: str | None = Field(
        None,
        description="All pods of a job, instead of one, those that ended too",
        examples=["scoring-1a2b3c4d5e"],
    )
    container: str | None = Field(
        None, description="One container; all of the pod's where missing", examples=["worker"]
    )
    tail: int | None = Field(
        200,
        gt=0,
        le=100_000,
        description="Last lines of each container; null for all",
        examples=[50],
    )
    since: Seconds | None = Field(None, gt=0, description="How far back", examples=["15m"])
    previous: bool = Field(
        False, description="The run of the container before its last restart", examples=[True]
    )
    pattern: str | None = Field(
        None,
        description="Only lines in which this regular expression is found",
        examples=["OOM|Killed"],
    )
    limit: Bytes = Field(
        256 * 1024,
        gt=0,
        le=4 * 2**20,
        description="Most bytes over all containers",
        examples=["64Ki"],
    )

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if [self.pod, self.labels, self.job].count(None) != 2:
            raise ValueError("give pod, labels or job, one of them")
        return self


class KubernetesLogs(Read[LogsParams]):
    """Logs of containers.

    Output: `text` (all lines), `logs` (a list of `{pod, container, lines, error?}`), `count` (lines),
    `matched` (whether there are any), `truncated` (the byte limit was reached).
    """

    name = "kubernetes.logs"
    manual = byhand.logs
    summary = "Read what containers wrote"
    Params = LogsParams

    def targets(self, params: LogsParams) -> Sequence[Target]:
        return (changing.target_of(params.connection, params.namespace, "Pod", params.pod or "*"),)

    def grants(self, params: LogsParams) -> Sequence[Grant]:
        look = "get" if params.pod else "list"
        return (
            grant(params, "Pod", [look]),
            grant(params, "Pod", ["get"], subresource="log"),
        )

    def read(self, params: LogsParams, world: World) -> Json:
        client = changing.client_of(world, params.connection)
        found: list[JsonObject] = []
        left, cut = params.limit, False
        for pod, container in _containers(client, params):
            if left <= 0 or world.cancelled():
                cut = True
                break
            entry, size = _read(client, params, pod, container, left)
            cut |= size >= left
            left -= size
            found.append(entry)
        lines = [line for entry in found for line in entry["lines"]]
        return {
            "text": "\n".join(lines),
            "logs": found,
            "count": len(lines),
            "matched": bool(lines),
            "truncated": cut,
        }


def _containers(client: KubernetesClient, params: LogsParams) -> list[tuple[str, str]]:
    resource = built_in("Pod")
    assert resource is not None
    if params.pod:
        pods = [client.get(resource, params.namespace, params.pod)]
    else:
        labels = params.labels or f"job-name={params.job}"
        pods, _ = client.list(resource, params.namespace, labels=labels, limit=100)
    found = [
        (str(pod["metadata"]["name"]), str(container["name"]))
        for pod in pods
        for container in pod["spec"]["containers"]
        if params.container in (None, container["name"])
    ]
    if pods and not found:
        names = sorted({each["name"] for pod in pods for each in pod["spec"]["containers"]})
        what = f"no container {params.container!r}; there are: {', '.join(names)}"
        raise ActionFailed(Category.PERMANENT, what, effect_possible=False)
    return found


def _read(
    client: KubernetesClient, params: LogsParams, pod: str, container: str, left: int
) -> tuple[JsonObject, int]:
    resource = built_in("Pod")
    assert resource is not None
    query = {"container": container, "limitBytes": str(left)}
    if params.tail is not None:
        query["tailLines"] = str(params.tail)
    if params.since is not None:
        query["sinceSeconds"] = str(math.ceil(params.since))
    if params.previous:
        query["previous"] = "true"
    entry: JsonObject = {"pod": pod, "container": container, "lines": []}
    try:
        text = client.text(resource.path(params.namespace, pod, "log"), query, left)
    except Refused as error:
        # One container that has not started, or has no previous run, does not hide the others; nor does
        # a pod that went since it was listed.
        if error.code != 400 and (error.code != 404 or params.pod):
            raise
        return entry | {"error": str(error)}, 0
    entry["lines"] = _matching(text.splitlines(), params.pattern)
    return entry, len(text.encode())


def _matching(lines: list[str], pattern: str | None) -> list[str]:
    if pattern is None:
        return lines
    import regex

    try:
        compiled: Any = regex.compile(pattern)
    except regex.error as error:
        what = f"pattern {pattern!r} is no regular expression: {error}"
        raise ActionFailed(Category.PERMANENT, what, effect_possible=False) from None
    try:
        return [line for line in lines if compiled.search(line, timeout=MATCH_WITHIN)]
    except TimeoutError:
        what = f"pattern {pattern!r} took longer than {MATCH_WITHIN:g} s; make it simpler"
        raise ActionFailed(Category.PERMANENT, what, effect_possible=False) from None
