"""kubernetes.cronjob_suspend, cronjob_resume and cronjob_set."""

from __future__ import annotations

import math
from typing import Literal, Self

from pydantic import Field, model_validator

from actions.kubernetes import byhand, containers
from actions.kubernetes.client import KubernetesClient
from actions.kubernetes.params import OfKind
from actions.kubernetes.patching import Patch, Patching
from engine.contract.fields import Seconds
from engine.domain.canonical import JsonObject

_RUNNING = "{} of its jobs run now and go on: stop them by themselves where they must not"


class CronJobParams(OfKind):
    """Parameters that name a CronJob."""

    known = "CronJob"


class CronJobSetParams(CronJobParams):
    """Parameters of changing a CronJob. What is not given stays as it is."""

    schedule: str | None = Field(
        None, description="When, as cron says it", examples=["15 */2 * * *"], min_length=1
    )
    time_zone: str | None = Field(
        None, description="Time zone of the schedule", examples=["Etc/UTC"], min_length=1
    )
    concurrency: Literal["Allow", "Forbid", "Replace"] | None = Field(
        None,
        description="What happens when a job is due while another runs",
        examples=["Forbid"],
    )
    keep_succeeded: int | None = Field(
        None, ge=0, description="How many succeeded jobs are kept", examples=[3]
    )
    keep_failed: int | None = Field(
        None, ge=0, description="How many failed jobs are kept", examples=[1]
    )
    start_within: Seconds | None = Field(
        None, gt=0, description="How late a job may still start", examples=["10m"]
    )
    backoff_limit: int | None = Field(
        None, ge=0, description="How often a job's pod is tried again", examples=[2]
    )
    deadline: Seconds | None = Field(
        None, gt=0, description="How long a job may run", examples=["2h"]
    )
    container: str | None = Field(
        None,
        description="Which container env, requests and limits are of; may be missing where there is one",
        examples=["worker"],
    )
    env: dict[str, str | None] = Field(
        {},
        description="Environment variables by name; null takes one away",
        examples=[{"GITHUB_MAX_REPOS": "50"}],
    )
    requests: dict[str, str | None] = Field(
        {}, description="Resource requests; null takes one away", examples=[{"cpu": "500m"}]
    )
    limits: dict[str, str | None] = Field(
        {}, description="Resource limits; null takes one away", examples=[{"memory": "4Gi"}]
    )

    @model_validator(mode="after")
    def _something(self) -> Self:
        head = {"connection", "namespace", "name", "container"}
        if not any(
            getattr(self, name) not in (None, {})
            for name in type(self).model_fields
            if name not in head
        ):
            raise ValueError("say what shall change: schedule, concurrency, env …")
        return self


class KubernetesCronJobSuspend(Patching[CronJobParams]):
    """Lets a CronJob start no more jobs. Jobs that run go on."""

    name = "kubernetes.cronjob_suspend"
    manual = byhand.cronjob_suspend
    summary = "Let a CronJob start no more jobs"
    Params = CronJobParams
    risk = "low"

    def patch_of(self, params: CronJobParams, seen: JsonObject, client: KubernetesClient) -> Patch:
        del params, client
        running = len((seen.get("status") or {}).get("active") or [])
        notes = (_RUNNING.format(running),) if running else ()
        return Patch({"spec": {"suspend": True}}, notes=notes)


class KubernetesCronJobResume(Patching[CronJobParams]):
    """Lets a CronJob start jobs again.

    Where `startingDeadlineSeconds` is not set or long enough, the controller makes up at once for the
    last firing that was missed.
    """

    name = "kubernetes.cronjob_resume"
    manual = byhand.cronjob_resume
    summary = "Let a CronJob start jobs again"
    Params = CronJobParams
    risk = "low"

    def patch_of(self, params: CronJobParams, seen: JsonObject, client: KubernetesClient) -> Patch:
        del params, client
        within = (seen.get("spec") or {}).get("startingDeadlineSeconds")
        late = f"at most {within} s late" if within is not None else "however late it is"
        return Patch(
            {"spec": {"suspend": False}},
            notes=(f"a firing that was missed meanwhile may be made up for at once, {late}",),
        )


class KubernetesCronJobSet(Patching[CronJobSetParams]):
    """Changes a CronJob's schedule, limits, and what its jobs run with. Jobs that run keep what they have."""

    name = "kubernetes.cronjob_set"
    manual = byhand.cronjob_set
    summary = "Change a CronJob's schedule, limits and resources"
    Params = CronJobSetParams

    def patch_of(
        self, params: CronJobSetParams, seen: JsonObject, client: KubernetesClient
    ) -> Patch:
        del client
        spec: JsonObject = _given(
            schedule=params.schedule,
            timeZone=params.time_zone,
            concurrencyPolicy=params.concurrency,
            successfulJobsHistoryLimit=params.keep_succeeded,
            failedJobsHistoryLimit=params.keep_failed,
            startingDeadlineSeconds=_whole(params.start_within),
        )
        job: JsonObject = _given(
            backoffLimit=params.backoff_limit, activeDeadlineSeconds=_whole(params.deadline)
        )
        if params.env or params.requests or params.limits:
            place, container = containers.find(
                containers.pod_spec("CronJob", seen), params.container
            )
            inner = containers.changed(
                container, env=params.env, requests=params.requests, limits=params.limits
            )
            job["template"] = {"spec": {place: [inner]}}
        if job:
            spec["jobTemplate"] = {"spec": job}
        return Patch({"spec": spec})


def _given(**values: object) -> JsonObject:
    return {name: value for name, value in values.items() if value is not None}


def _whole(seconds: float | None) -> int | None:
    return None if seconds is None else math.ceil(seconds)
