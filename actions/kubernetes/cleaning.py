"""kubernetes.jobs_clean: finished jobs and their pods, by selector and by how they ended."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

from pydantic import Field

from actions.kubernetes import byhand, changing
from actions.kubernetes.client import KubernetesClient
from actions.kubernetes.failures import Refused
from actions.kubernetes.jobstate import FINISHED, ended_at, made_by, state_of
from actions.kubernetes.ownership import latest, others_changes
from actions.kubernetes.params import InCluster, grant
from actions.kubernetes.removing import partly
from actions.kubernetes.resources import Resource, built_in
from engine.contract import (
    ActionFailed,
    Applied,
    Change,
    Confirmation,
    Grant,
    NotApplied,
    Planned,
    Protection,
    Receipt,
    Target,
    World,
)
from engine.contract.fields import Seconds
from engine.domain.canonical import JsonObject
from engine.domain.clock import parse_time

_MOST = 5000
_SHOWN = 10
_WHY = "a deleted job, its pods and their logs cannot be brought back"


class JobsCleanParams(InCluster):
    """Parameters of cleaning up."""

    namespace: str = Field(description="Namespace", examples=["starforge"], min_length=1)
    condition: Literal["Failed", "Complete", "any"] = Field(
        "Failed", description="How they ended; those that run are never taken", examples=["any"]
    )
    labels: str = Field(
        "", description="Label selector; all jobs where empty", examples=["app=scoring"]
    )
    cronjob: str | None = Field(
        None, description="Only jobs that this CronJob made", examples=["github-hourly"]
    )
    older_than: Seconds | None = Field(
        None, ge=0, description="Only those that ended so long ago", examples=["24h"]
    )
    limit: int = Field(
        200, gt=0, le=1000, description="Most jobs taken, those that ended first", examples=[50]
    )


class KubernetesJobsClean(Change[JobsCleanParams]):
    """Deletes finished jobs and their pods: those that the plan lists, by uid, and no others."""

    name = "kubernetes.jobs_clean"
    manual = byhand.jobs_clean
    summary = "Delete finished jobs and their pods"
    Params = JobsCleanParams
    protection = Protection.CONDITIONAL
    risk = "medium"

    def targets(self, params: JobsCleanParams) -> Sequence[Target]:
        return (changing.target_of(params.connection, params.namespace, "Job"),)

    def grants(self, params: JobsCleanParams) -> Sequence[Grant]:
        return (grant(params, "Job", ["list", "delete"]),)

    def plan(self, params: JobsCleanParams, world: World) -> Planned:
        client = changing.client_of(world, params.connection)
        items, more = client.list(_jobs(), params.namespace, labels=params.labels, limit=_MOST)
        now = world.clock.now()
        found = sorted(
            (item for item in items if _taken(params, item, now)),
            key=lambda item: (ended_at(item), item["metadata"]["name"]),
        )
        chosen = found[: params.limit]
        notes = []
        if len(found) > len(chosen):
            notes.append(f"{len(found) - len(chosen)} more are left: limit is {params.limit}")
        if more:
            notes.append(f"only the first {_MOST} jobs were looked at")
        states = {f"Job/{item['metadata']['name']}": _said(item) for item in chosen}
        return Planned(
            action=self.name,
            target=changing.target_of(params.connection, params.namespace, "Job"),
            before=states,
            after=dict.fromkeys(states),
            counts={"objects": len(chosen)} if chosen else {},
            request={
                "connection": params.connection,
                "namespace": params.namespace,
                "labels": params.labels,
                "jobs": [
                    {"name": item["metadata"]["name"], "uid": item["metadata"]["uid"]}
                    for item in chosen
                ],
            },
            summary=f"delete {len(chosen)} finished jobs in {params.namespace}",
            reversible=False,
            why_irreversible=_WHY,
            sample=tuple(
                {"name": item["metadata"]["name"], "state": _said(item), "ended": ended_at(item)}
                for item in chosen[:_SHOWN]
            ),
            notes=tuple(notes),
            fresh_changes=latest(change for item in chosen for change in others_changes(item)),
        )

    def apply(self, planned: Planned, world: World, key: str) -> Receipt:
        del key  # a uid can go only once
        client = changing.client_of(world, planned.request["connection"])
        jobs: list[JsonObject] = planned.request["jobs"]
        for done, job in enumerate(jobs):
            try:
                _delete(client, planned.request["namespace"], job)
            except ActionFailed as error:
                if done:
                    raise partly(error, done, len(jobs)) from None
                raise
            world.progress(done + 1, len(jobs), "jobs deleted")
        return _receipt(planned)

    def confirm(
        self, planned: Planned, receipt: Receipt | None, world: World, key: str
    ) -> Confirmation:
        del key
        client = changing.client_of(world, planned.request["connection"])
        items, _ = client.list(
            _jobs(), planned.request["namespace"], labels=planned.request["labels"], limit=_MOST
        )
        there = {
            item["metadata"]["uid"]
            for item in items
            if not item["metadata"].get("deletionTimestamp")
        }
        if any(job["uid"] in there for job in planned.request["jobs"]):
            return NotApplied()  # applying again finishes what was begun
        return Applied(receipt or _receipt(planned))


def _taken(params: JobsCleanParams, item: JsonObject, now: datetime) -> bool:
    metadata = item["metadata"]
    if metadata.get("deletionTimestamp"):
        return False
    wanted = FINISHED.values() if params.condition == "any" else (FINISHED[params.condition],)
    if state_of(item)["state"] not in wanted:
        return False
    if params.cronjob is not None and not made_by(item, params.cronjob):
        return False
    if params.older_than is None:
        return True
    ended = ended_at(item)
    return bool(ended) and parse_time(ended) <= now - timedelta(seconds=params.older_than)


def _said(item: JsonObject) -> str:
    state = state_of(item)
    return f"{state['state']} ({state['reason']})" if state["reason"] else str(state["state"])


def _delete(client: KubernetesClient, namespace: str, job: JsonObject) -> None:
    options = {"preconditions": {"uid": job["uid"]}, "propagationPolicy": "Background"}
    try:
        client.delete(_jobs().path(namespace, job["name"]), options)
    except Refused as error:
        # Gone already, or another of that name: the planned one is not there any more.
        if error.code not in (404, 409):
            raise


def _receipt(planned: Planned) -> Receipt:
    count = len(planned.request["jobs"])
    return Receipt(after=planned.after, counts=planned.counts, output={"deleted": count})


def _jobs() -> Resource:
    resource = built_in("Job")
    assert resource is not None
    return resource
