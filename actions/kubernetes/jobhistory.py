"""kubernetes.cronjob_history: what became of a CronJob's latest jobs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from pydantic import Field

from actions.kubernetes import byhand, changing
from actions.kubernetes.jobstate import ended_at, made_by, state_of
from actions.kubernetes.params import OfKind, grant
from actions.kubernetes.resources import Resource, built_in
from engine.contract import Grant, Read, Target, World
from engine.domain.canonical import Json, JsonObject
from engine.domain.clock import parse_time

_MOST = 2000  # jobs of the namespace looked at
_ENDED = ("complete", "failed")


class HistoryParams(OfKind):
    """Parameters of reading a CronJob's history."""

    known = "CronJob"
    limit: int = Field(20, gt=0, le=200, description="Latest jobs shown", examples=[10])


class KubernetesCronJobHistory(Read[HistoryParams]):
    """A CronJob and its latest jobs, newest first, those made by hand among them.

    Output: `schedule`, `suspended`, `active` (jobs that run now), `last_scheduled` and `last_succeeded`
    (times, or null), `blocked` (seconds since the last success, or since the CronJob was made), `jobs`
    (`name`, `state`, `reason`, `created`, `ended`, `seconds`, `images`, `backoff_limit`, `deadline`),
    `failing_for` (seconds since the first of the failures in a row was made, 0 where the last job succeeded),
    `consecutive_failures` (of the jobs that ended last, as far as `failedJobsHistoryLimit` keeps them),
    `latest` and `latest_failed` (a job's name, or null), `image_change` (`{before, after, since}` where
    the failing jobs run other images than the last one that succeeded, else null), `variables` (of its
    containers: name to `{kind, name, key}` of the Secret or ConfigMap it comes from), `truncated` (more
    jobs than could be looked at).
    """

    name = "kubernetes.cronjob_history"
    manual = byhand.cronjob_history
    summary = "Sum up a CronJob's latest jobs"
    Params = HistoryParams

    def targets(self, params: HistoryParams) -> Sequence[Target]:
        place = (params.connection, params.namespace or "")
        return (params.target, changing.target_of(*place, "Job"))

    def grants(self, params: HistoryParams) -> Sequence[Grant]:
        return (grant(params, "CronJob", ["get"]), grant(params, "Job", ["list"]))

    def read(self, params: HistoryParams, world: World) -> Json:
        about = params.object
        client = changing.client_of(world, about.connection)
        cronjob = client.get(about.resource(client), about.namespace, about.name)
        items, more = client.list(_jobs(), about.namespace, limit=_MOST)
        lines = sorted(
            (_line(item) for item in items if made_by(item, params.name)),
            key=lambda line: (line["created"], line["name"]),
            reverse=True,
        )
        spec, status = cronjob["spec"], cronjob.get("status") or {}
        ended = [line for line in lines if line["state"] in _ENDED]
        failed = [line for line in lines if line["state"] == "failed"]
        succeeded = [line for line in ended if line["state"] == "complete"]
        last = status.get("lastSuccessfulTime") or (succeeded[0]["ended"] if succeeded else None)
        since = parse_time(last or cronjob["metadata"]["creationTimestamp"])
        return {
            "schedule": spec["schedule"],
            "suspended": bool(spec.get("suspend")),
            "active": len(status.get("active") or []),
            "last_scheduled": status.get("lastScheduleTime"),
            "last_succeeded": last,
            "failing_for": _failing_for(ended, world.clock.now()),
            "blocked": max(0.0, (world.clock.now() - since).total_seconds()),
            "jobs": lines[: params.limit],
            "consecutive_failures": _in_a_row(ended),
            "latest": lines[0]["name"] if lines else None,
            "latest_failed": failed[0]["name"] if failed else None,
            "image_change": _image_change(ended),
            "variables": _variables(cronjob),
            "truncated": more,
        }


def _line(job: JsonObject) -> JsonObject:
    state = state_of(job)
    created, ended = str(job["metadata"]["creationTimestamp"]), ended_at(job)
    pod = job["spec"]["template"]["spec"]
    return {
        "name": job["metadata"]["name"],
        "state": state["state"],
        "reason": state["reason"],
        "created": created,
        "ended": ended or None,
        "seconds": (parse_time(ended) - parse_time(created)).total_seconds() if ended else None,
        "images": [container.get("image") for container in pod["containers"]],
        "backoff_limit": job["spec"].get("backoffLimit"),
        "deadline": job["spec"].get("activeDeadlineSeconds"),
    }


def _in_a_row(ended: Sequence[JsonObject]) -> int:
    for count, line in enumerate(ended):
        if line["state"] != "failed":
            return count
    return len(ended)


def _failing_for(ended: Sequence[JsonObject], now: datetime) -> float:
    count = _in_a_row(ended)
    if not count:
        return 0.0
    return max(0.0, (now - parse_time(ended[count - 1]["created"])).total_seconds())


def _image_change(ended: Sequence[JsonObject]) -> Json:
    count = _in_a_row(ended)
    if not 0 < count < len(ended):
        return None  # nothing fails, or nothing is known to have succeeded
    good, first = ended[count], ended[count - 1]
    if good["images"] == first["images"]:
        return None
    return {"before": good["images"], "after": first["images"], "since": first["created"]}


def _variables(cronjob: JsonObject) -> JsonObject:
    """Return where containers' variables come from, those that are taken from a Secret or ConfigMap."""
    pod = cronjob["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    sources = {"secretKeyRef": "Secret", "configMapKeyRef": "ConfigMap"}
    return {
        variable["name"]: {"kind": kind, "name": found.get("name"), "key": found.get("key")}
        for container in pod["containers"]
        for variable in container.get("env") or []
        for field, kind in sources.items()
        if isinstance(found := (variable.get("valueFrom") or {}).get(field), Mapping)
    }


def _jobs() -> Resource:
    resource = built_in("Job")
    assert resource is not None
    return resource
