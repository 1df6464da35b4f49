"""kubernetes.job_from_cronjob: one job now, of what a CronJob makes its jobs from."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Sequence

from pydantic import Field

from actions.kubernetes import changing, containers
from actions.kubernetes.changing import Object
from actions.kubernetes.client import KubernetesClient
from actions.kubernetes.failures import Refused
from actions.kubernetes.fields import KEY
from actions.kubernetes.params import OfKind, grant
from actions.kubernetes.resources import Resource, built_in
from engine.contract import (
    ActionFailed,
    Applied,
    Category,
    Change,
    Confirmation,
    Grant,
    NotApplied,
    Planned,
    Protection,
    Receipt,
    Target,
    Unknown,
    World,
    Wrong,
)
from engine.domain.canonical import JsonObject

FROM = "stanch.dev/cronjob"  # the label by which such jobs are found again
_FIELD = "job"
_LONGEST = 52  # characters of a job's name; its pods' names are longer
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


class KubernetesJobFromCronJob(Change[JobFromCronJobParams]):
    """Makes one job from a CronJob's template, also from a suspended one's.

    Its name comes from the step's key, so that a second apply finds it there. It has no owner: the
    CronJob's controller would take it away once it has ended, and the proof that it ran with it.
    """

    name = "kubernetes.job_from_cronjob"
    summary = "Run a CronJob's job once, now"
    Params = JobFromCronJobParams
    protection = Protection.CONDITIONAL
    risk = "medium"

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
        path = _jobs().path(about.namespace)
        client.create(path, named(body, about.name, "plan"), dry_run=True)
        spec = body["spec"]["template"]["spec"]
        images = ", ".join(f"{each['name']}: {each['image']}" for each in spec["containers"])
        return Planned(
            action=self.name,
            target=about.target,
            before={_FIELD: None},
            after={_FIELD: Unknown("a name from the step's key")},
            counts={"objects": 1, "pods": int(body["spec"].get("parallelism") or 1)},
            request={"object": about.as_json(), "job": body},
            summary=f"make a job of {about.target.path} ({images})",
            notes=(_STAYS, _KEPT),
            precondition={"uid": live["metadata"]["uid"]},
        )

    def apply(self, planned: Planned, world: World, key: str) -> Receipt:
        about = Object.of(planned)
        client = changing.client_of(world, about.connection)
        body = named(planned.request["job"], about.name, key)
        try:
            made = client.create(_jobs().path(about.namespace), body)
        except Refused as error:
            if error.reason != "AlreadyExists":
                raise
            made = client.get(_jobs(), about.namespace, body["metadata"]["name"])
            if changing.stamp_of(made) != key:
                raise _foreign(planned, made) from None
        return _receipt(planned, made)

    def confirm(
        self, planned: Planned, receipt: Receipt | None, world: World, key: str
    ) -> Confirmation:
        client = changing.client_of(world, Object.of(planned).connection)
        live = _look(client, planned, key)
        if live is None:
            return Wrong("the job is gone again") if receipt else NotApplied()
        if changing.stamp_of(live) != key:
            return Wrong(str(_foreign(planned, live)))
        return Applied(receipt or _receipt(planned, live))

    def undo(self, planned: Planned, receipt: Receipt, world: World, key: str) -> Receipt:
        del key  # the uid tells which job is meant
        about = Object.of(planned)
        image: JsonObject = receipt.before_image or receipt.output
        client = changing.client_of(world, about.connection)
        path = _jobs().path(about.namespace, image["name"])
        options = {"preconditions": {"uid": image["uid"]}, "propagationPolicy": "Background"}
        try:
            client.delete(path, options)
        except Refused as error:
            if error.code == 409:
                what = f"job {image['name']} was deleted and made anew by somebody else; look at it"
                raise ActionFailed(Category.DATA, what, effect_possible=False) from None
            if error.code != 404:
                raise
        return Receipt(after={_FIELD: None}, counts=planned.counts, output={"name": image["name"]})


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


def named(body: JsonObject, cronjob: str, key: str) -> JsonObject:
    """Return the job with the name and the mark that the step's key gives it."""
    metadata = body["metadata"]
    return {
        **body,
        "metadata": {
            **metadata,
            "name": job_name(cronjob, key),
            "annotations": {**metadata["annotations"], KEY: key},
        },
    }


def job_name(cronjob: str, key: str) -> str:
    """Return the name of the job that the step with `key` makes; at most 52 characters."""
    mark = hashlib.sha256(key.encode()).hexdigest()[:10]
    return f"{cronjob[: _LONGEST - len(mark) - 1].rstrip('-.')}-{mark}"


def _look(client: KubernetesClient, planned: Planned, key: str) -> JsonObject | None:
    about = Object.of(planned)
    try:
        return client.get(_jobs(), about.namespace, job_name(about.name, key))
    except Refused as error:
        if error.code == 404:
            return None
        raise


def _receipt(planned: Planned, made: JsonObject) -> Receipt:
    name, uid = made["metadata"]["name"], made["metadata"]["uid"]
    return Receipt(
        after={_FIELD: name},
        counts=planned.counts,
        before_image={"name": name, "uid": uid},
        output={"name": name, "uid": uid},
    )


def _foreign(planned: Planned, live: JsonObject) -> ActionFailed:
    what = f"{planned.target}: a job named {live['metadata']['name']} is there that this step did not make"
    return ActionFailed(Category.DATA, what, effect_possible=False)


def _jobs() -> Resource:
    resource = built_in("Job")
    assert resource is not None
    return resource
