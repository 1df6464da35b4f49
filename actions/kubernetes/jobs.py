"""kubernetes.job_from_cronjob: one job now, of what a CronJob makes its jobs from."""

from __future__ import annotations

import copy
from collections.abc import Sequence

from pydantic import Field

from actions.kubernetes import byhand, changing, containers
from actions.kubernetes.making import Making
from actions.kubernetes.params import OfKind, grant
from engine.contract import Grant, Planned, Target, Unknown, World
from engine.domain.canonical import JsonObject

FROM = "stanch.dev/cronjob"  # the label by which such jobs are found again
_STAYS = "undo deletes the job and its pods; what they have done outside the cluster stays done"
_KEPT = "the CronJob's history limits do not count it: kubernetes.jobs_clean takes such jobs away"


class JobFromCronJobParams(OfKind):
    """Parameters of making a job."""

    known = "CronJob"
    name: str = Field(description="The CronJob's name", examples=["github-hourly"], min_length=1)
    container: str | None = Field(
        None,
        description="Which container env is of; may be missing where there is only one",
        examples=["worker"],
    )
    env: dict[str, str | None] = Field(
        {},
        description="Environment variables of this job only; null takes one away",
        examples=[{"GITHUB_MAX_REPOS": "10"}],
    )


class KubernetesJobFromCronJob(Making[JobFromCronJobParams]):
    """Makes one job from a CronJob's template, also from a suspended one's.

    Its name comes from the step's key, so that a second apply finds it there. It has no owner: the
    CronJob's controller would take it away once it has ended, and the proof that it ran with it.
    """

    name = "kubernetes.job_from_cronjob"
    manual = byhand.job_from_cronjob
    summary = "Run a CronJob's job once, now"
    Params = JobFromCronJobParams
    makes = "Job"

    def targets(self, params: JobFromCronJobParams) -> Sequence[Target]:
        jobs = changing.target_of(params.connection, params.namespace or "", "Job")
        return (params.target, jobs)

    def locks(self, params: JobFromCronJobParams) -> Sequence[Target]:
        return (params.target,)

    def grants(self, params: JobFromCronJobParams) -> Sequence[Grant]:
        return (
            grant(params, "CronJob", ["get"]),
            grant(params, "Job", ["get", "create", "delete"]),
        )

    def plan(self, params: JobFromCronJobParams, world: World) -> Planned:
        about = params.object
        client = changing.client_of(world, about.connection)
        live = client.get(about.resource(client), about.namespace, about.name)
        seen = changing.foreseen(live, world.earlier, about.target, about.kind)
        body = _job(params, seen)
        self.try_out(client, about.namespace, about.name, body)
        spec = body["spec"]["template"]["spec"]
        images = ", ".join(f"{each['name']}: {each['image']}" for each in spec["containers"])
        return Planned(
            action=self.name,
            target=about.target,
            before={self.field: None},
            after={self.field: Unknown("a name from the step's key")},
            counts={"objects": 1, "pods": int(body["spec"].get("parallelism") or 1)},
            request={"object": about.as_json(), "body": body, "prefix": about.name},
            summary=f"make a job of {about.target.path} ({images})",
            notes=(_STAYS, _KEPT),
            precondition={"uid": live["metadata"]["uid"]},
        )


def _job(params: JobFromCronJobParams, seen: JsonObject) -> JsonObject:
    """Return the job, yet without a name."""
    template = copy.deepcopy(seen["spec"]["jobTemplate"])
    metadata = template.get("metadata") or {}
    spec = template["spec"]
    if params.env:
        _, container = containers.find(spec["template"]["spec"], params.container)
        kept = [each for each in container.get("env") or [] if each["name"] not in params.env]
        given = [
            {"name": name, "value": value}
            for name, value in params.env.items()
            if value is not None
        ]
        container["env"] = kept + given
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "labels": {**(metadata.get("labels") or {}), FROM: params.name},
            "annotations": {
                **(metadata.get("annotations") or {}),
                "cronjob.kubernetes.io/instantiate": "manual",
            },
        },
        "spec": spec,
    }
