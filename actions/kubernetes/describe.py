"""kubernetes.describe and kubernetes.events: how something is, and what happened to it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Literal

from pydantic import Field

from actions.kubernetes import byhand, changing
from actions.kubernetes.client import KubernetesClient
from actions.kubernetes.params import InCluster, Named, grant
from actions.kubernetes.resources import Resource, built_in
from actions.kubernetes.summaries import event_line, selector_text, summary_of, text_of
from engine.contract import Grant, Read, Target, World
from engine.contract.fields import Seconds
from engine.domain.canonical import Json, JsonObject
from engine.domain.clock import parse_time

_WITH_PODS = ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job")
_PLAIN = r"^[^,=!\\]+$"  # what a field selector would take for its own stays out of it
_MOST = 2000  # events or pods looked at


class EventsParams(InCluster):
    """Parameters of reading events."""

    namespace: str = Field(description="Namespace", examples=["starforge"], min_length=1)
    kind: str | None = Field(
        None, description="Only about this kind", examples=["Pod"], pattern=_PLAIN
    )
    name: str | None = Field(
        None,
        description="Only about the object of this name",
        examples=["etl-worker-7d9f-x2x9z"],
        pattern=_PLAIN,
    )
    type: Literal["Normal", "Warning"] | None = Field(
        None, description="Only of this type", examples=["Warning"]
    )
    reason: str | None = Field(
        None, description="Only of this reason", examples=["BackOff"], pattern=_PLAIN
    )
    since: Seconds | None = Field(None, gt=0, description="How far back", examples=["15m"])
    limit: int = Field(100, gt=0, le=_MOST, description="Latest events taken", examples=[20])


class KubernetesEvents(Read[EventsParams]):
    """Events of a namespace or an object, oldest first.

    Output: `events` (`at`, `type`, `reason`, `message`, `object`, `count`), `count`, `truncated`.
    """

    name = "kubernetes.events"
    manual = byhand.events
    summary = "Read what happened to objects"
    Params = EventsParams

    def targets(self, params: EventsParams) -> Sequence[Target]:
        return (changing.target_of(params.connection, params.namespace, "Event"),)

    def grants(self, params: EventsParams) -> Sequence[Grant]:
        return (grant(params, "Event", ["list"]),)

    def read(self, params: EventsParams, world: World) -> Json:
        asked = {
            "involvedObject.kind": params.kind,
            "involvedObject.name": params.name,
            "type": params.type,
            "reason": params.reason,
        }
        client = changing.client_of(world, params.connection)
        found, more = _events(client, params.namespace, asked)
        if params.since is not None:
            oldest = world.clock.now() - timedelta(seconds=params.since)
            found = [each for each in found if each["at"] and parse_time(each["at"]) >= oldest]
        kept = found[-params.limit :]
        return {
            "events": kept,
            "count": len(kept),
            "truncated": more or len(kept) < len(found),
        }


def _events(
    client: KubernetesClient, namespace: str, asked: dict[str, str | None]
) -> tuple[list[JsonObject], bool]:
    selector = ",".join(f"{field}={value}" for field, value in asked.items() if value)
    items, more = client.list(_built_in("Event"), namespace, fields=selector, limit=_MOST)
    lines = [event_line(item) for item in items]
    return sorted(lines, key=lambda each: (each["at"] or "", each["object"])), more


class DescribeParams(Named):
    """Parameters of describing an object."""

    events: int = Field(
        20,
        ge=0,
        le=200,
        description="Latest events of it and its pods that are shown",
        examples=[50],
    )


class KubernetesDescribe(Read[DescribeParams]):
    """How an object is: what it wants, conditions, its pods and what ails them, events.

    Output: `kind`, `name`, `namespace`, `created`, `labels`, `owners`, `wants`, `images`, `status`,
    `conditions`, `pods` (`name`, `phase`, `ready`, `restarts`, `node`, `reason`), `events`, and `text`,
    all of it for people.
    """

    name = "kubernetes.describe"
    manual = byhand.describe
    summary = "Sum up an object, its pods and events"
    Params = DescribeParams

    def targets(self, params: DescribeParams) -> Sequence[Target]:
        place = (params.connection, params.namespace or "")
        pods = (changing.target_of(*place, "Pod"),) if params.kind in _WITH_PODS else ()
        events = (changing.target_of(*place, "Event"),) if _has_events(params) else ()
        return (params.target, *pods, *events)

    def grants(self, params: DescribeParams) -> Sequence[Grant]:
        found = [grant(params, params.kind, ["get"], version=params.api_version)]
        if params.kind in _WITH_PODS:
            found.append(grant(params, "Pod", ["list"]))
        if _has_events(params):
            found.append(grant(params, "Event", ["list"]))
        return found

    def read(self, params: DescribeParams, world: World) -> Json:
        about = params.object
        client = changing.client_of(world, about.connection)
        live = client.get(about.resource(client), about.namespace, about.name)
        pods = _pods(client, about.namespace, live) if params.kind in _WITH_PODS else []
        names = {f"{each['kind']}/{each['metadata']['name']}" for each in (live, *pods)}
        events: list[JsonObject] = []
        if _has_events(params):
            listed, _ = _events(client, about.namespace, {})
            events = [each for each in listed if each["object"] in names][-params.events :]
        summary = summary_of(live, pods, [])
        summary["events"] = events
        return {**summary, "text": text_of(summary)}


def _has_events(params: DescribeParams) -> bool:
    return params.events > 0 and params.namespace is not None


def _pods(client: KubernetesClient, namespace: str, live: JsonObject) -> list[JsonObject]:
    labels = selector_text((live.get("spec") or {}).get("selector") or {})
    if not labels:
        return []
    pods, _ = client.list(_built_in("Pod"), namespace, labels=labels, limit=200)
    return pods


def _built_in(kind: str) -> Resource:
    resource = built_in(kind)
    assert resource is not None
    return resource
