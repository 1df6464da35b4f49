"""CronJobs: a job at each firing of the schedule, within the limits of concurrency, deadline and history."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from engine.domain.canonical import JsonObject
from worlds.cluster.controllers.base import (
    MANAGER,
    Controller,
    condition,
    owner_keys,
    owner_reference,
)
from worlds.cluster.cron import Schedule, parse_schedule
from worlds.cluster.deletion import Deleter
from worlds.cluster.kinds import by_kind
from worlds.cluster.status import ApiError
from worlds.cluster.store import Change, Key
from worlds.cluster.times import read_stamp, stamp
from worlds.cluster.values import clone

SCHEDULED_AT = "batch.kubernetes.io/cronjob-scheduled-timestamp"
_JOB = by_kind("Job")
_COMPONENT = "cronjob-controller"


class CronJobs(Controller):
    kind = by_kind("CronJob")

    def concerns(self, change: Change) -> Iterator[Key]:
        yield from super().concerns(change)
        if change.kind is _JOB:
            yield from owner_keys(change, "CronJob")

    def sync(self, item: JsonObject) -> float | None:
        if item["metadata"].get("deletionTimestamp"):
            return None
        item = clone(item)
        jobs = self.desk.owned("Job", item)
        self._settle(item, jobs)
        self._prune(item, jobs)
        if item["spec"].get("suspend"):
            self.desk.save(self.kind, item)
            return None
        schedule, zone = parse_schedule(item["spec"]["schedule"]), _zone(item)
        now = self.desk.now()
        due = self._missed(item, schedule, zone, now)
        if due is not None:
            self._fire(item, due)
        self.desk.save(self.kind, item)
        following = schedule.after(now, zone)
        return (following - now).total_seconds() if following else None

    def _settle(self, item: JsonObject, jobs: list[JsonObject]) -> None:
        """Bring `status.active` in line with the jobs that are there."""
        status = item["status"]
        known = {each["uid"] for each in status.get("active") or []}
        active = []
        for job in jobs:
            uid, name = job["metadata"]["uid"], job["metadata"]["name"]
            finished = condition(job, "Complete") or condition(job, "Failed")
            if not finished and uid in known:
                active.append(uid)
            elif not finished:
                text = f"Saw a job that the controller did not create or forgot: {name}"
                self.desk.event(item, "UnexpectedJob", text, _COMPONENT, warning=True)
            elif uid in known:
                word = "Complete" if condition(job, "Complete") else "Failed"
                text = f"Saw completed job: {name}, condition: {word}"
                self.desk.event(item, "SawCompletedJob", text, _COMPONENT)
                done = job["status"].get("completionTime")
                if done and word == "Complete":
                    status["lastSuccessfulTime"] = done
        left = [each for each in status.get("active") or [] if each["uid"] in active]
        status.pop("active", None)
        if left:
            status["active"] = left

    def _missed(
        self, item: JsonObject, schedule: Schedule, zone: tzinfo, now: datetime
    ) -> datetime | None:
        """Return the latest firing that is due and was not carried out."""
        last = item["status"].get("lastScheduleTime") or item["metadata"]["creationTimestamp"]
        earliest = read_stamp(last)
        deadline = item["spec"].get("startingDeadlineSeconds")
        if deadline is not None:
            earliest = max(earliest, now - timedelta(seconds=deadline))
        found, moment, number = None, schedule.after(earliest, zone), 0
        while moment is not None and moment <= now:
            found, moment, number = moment, schedule.after(moment, zone), number + 1
        if number > 100:
            text = (
                f"too many missed start times: {number}. Set or decrease "
                ".spec.startingDeadlineSeconds or check clock skew"
            )
            self.desk.event(item, "TooManyMissedTimes", text, _COMPONENT, warning=True)
        return found

    def _fire(self, item: JsonObject, due: datetime) -> None:
        status, policy = item["status"], item["spec"]["concurrencyPolicy"]
        active = status.get("active") or []
        if policy == "Forbid" and active:
            text = "Not starting job because prior execution is running and concurrency policy is Forbid"
            self.desk.event(item, "JobAlreadyActive", text, _COMPONENT)
            return
        if policy == "Replace":
            for reference in active:
                self._delete(item["metadata"]["namespace"], reference["name"])
            status.pop("active", None)
        template = clone(item["spec"]["jobTemplate"])
        name = f"{item['metadata']['name']}-{int(due.timestamp()) // 60}"
        metadata = template.get("metadata") or {}
        body = {
            "metadata": {
                "name": name,
                "labels": metadata.get("labels") or {},
                "annotations": {
                    **(metadata.get("annotations") or {}),
                    SCHEDULED_AT: stamp(due),
                },
                "ownerReferences": [owner_reference(item)],
            },
            "spec": template["spec"],
        }
        try:
            job = self.desk.writer.create(_JOB, item["metadata"]["namespace"], body, MANAGER).item
        except ApiError as error:
            text = f"Error creating job: {error}"
            self.desk.event(item, "FailedCreate", text, _COMPONENT, warning=True)
            return
        self.desk.event(item, "SuccessfulCreate", f"Created job {name}", _COMPONENT)
        status["lastScheduleTime"] = stamp(due)
        reference = {
            "kind": "Job",
            "namespace": job["metadata"]["namespace"],
            "name": name,
            "uid": job["metadata"]["uid"],
            "apiVersion": "batch/v1",
            "resourceVersion": job["metadata"]["resourceVersion"],
        }
        status["active"] = [*(status.get("active") or []), reference]

    def _prune(self, item: JsonObject, jobs: list[JsonObject]) -> None:
        limits = (
            ("Complete", item["spec"].get("successfulJobsHistoryLimit", 3)),
            ("Failed", item["spec"].get("failedJobsHistoryLimit", 1)),
        )
        for kind, limit in limits:
            ended = sorted(
                (job for job in jobs if condition(job, kind)),
                key=lambda job: str(job["status"].get("startTime") or ""),
            )
            for job in ended[: max(0, len(ended) - limit)]:
                name = job["metadata"]["name"]
                self._delete(job["metadata"]["namespace"], name)
                self.desk.event(item, "SuccessfulDelete", f"Deleted job {name}", _COMPONENT)

    def _delete(self, namespace: str, name: str) -> None:
        if self.desk.store.get(_JOB, namespace, name):
            Deleter(self.desk.store, self.desk.now).delete(
                _JOB, namespace, name, {"propagationPolicy": "Background"}, dry_run=False
            )


def _zone(item: JsonObject) -> tzinfo:
    name = item["spec"].get("timeZone")
    return ZoneInfo(name) if name else UTC
