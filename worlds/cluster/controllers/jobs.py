"""Jobs: pods until enough succeeded, or until too many failed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from engine.domain.canonical import JsonObject
from worlds.cluster.controllers.base import (
    MANAGER,
    Controller,
    condition,
    is_active,
    is_ready,
    owner_keys,
    pod_from,
)
from worlds.cluster.deletion import Deleter
from worlds.cluster.kinds import by_kind
from worlds.cluster.store import Change, Key
from worlds.cluster.times import read_stamp, stamp
from worlds.cluster.values import clone

TRACKED = "batch.kubernetes.io/job-tracking"
LONGEST_BACKOFF = 600.0
_POD = by_kind("Pod")


class Jobs(Controller):
    kind = by_kind("Job")

    def concerns(self, change: Change) -> Iterator[Key]:
        yield from super().concerns(change)
        if change.kind is _POD:
            yield from owner_keys(change, "Job")

    def sync(self, item: JsonObject) -> float | None:
        if item["metadata"].get("deletionTimestamp"):
            return None
        if ended := _end(item):
            return self._expire(item, ended)
        pods = self.desk.owned("Pod", item)
        counted = self._count(pods)
        job = clone(item)
        status, spec, now = job["status"], job["spec"], self.desk.now()
        if spec.get("suspend"):
            self._suspend(job, pods)
            return None
        status.setdefault("startTime", stamp(now))
        # A pod that is gone stays counted.
        succeeded = max(status.get("succeeded", 0), _number(counted, "Succeeded"))
        failed = max(status.get("failed", 0), _number(counted, "Failed"))
        active = [pod for pod in counted if is_active(pod)]
        restarts = sum(_restarts(pod) for pod in active)
        limit = spec.get("activeDeadlineSeconds")
        since = read_stamp(status["startTime"])
        late = limit is not None and (now - since).total_seconds() >= limit
        wanted = spec.get("completions") or 1
        reason = ""
        if late:
            reason, text = "DeadlineExceeded", "Job was active longer than specified deadline"
        elif failed + restarts > spec["backoffLimit"]:
            reason, text = "BackoffLimitExceeded", "Job has reached the specified backoff limit"
        waits: list[float] = []
        if reason:
            failed += len(active)
            self._delete(active)
            self._finish(job, "FailureTarget", "Failed", reason, text)
            active = []
        elif succeeded >= wanted and not active:
            text = "Reached expected number of succeeded pods"
            self._finish(job, "SuccessCriteriaMet", "Complete", "CompletionsReached", text)
        else:
            if limit is not None:
                waits.append((since + timedelta(seconds=limit) - now).total_seconds())
            waits += self._start(job, counted, active, wanted - succeeded, failed)
            active = [pod for pod in self.desk.owned("Pod", item) if is_active(pod)]
        self._report(job, active, succeeded, failed)
        return min(waits) if waits else None

    def _count(self, pods: list[JsonObject]) -> list[JsonObject]:
        """Let go of ended pods, whose end is now counted."""
        found = []
        for pod in pods:
            if not is_active(pod) and pod["metadata"].get("finalizers"):
                pod = clone(pod)  # noqa: PLW2901  the released form takes its place
                del pod["metadata"]["finalizers"]
                if pod["status"].get("phase") not in ("Succeeded", "Failed"):
                    pod["status"]["phase"] = "Failed"
                self.desk.save(_POD, pod)
            found.append(pod)
        return found

    def _suspend(self, job: JsonObject, pods: list[JsonObject]) -> None:
        active = [pod for pod in pods if is_active(pod)]
        self._delete(active)
        job["status"].pop("startTime", None)
        if condition(job, "Suspended") is None:
            self._condition(job, "Suspended", "JobSuspended", "Job suspended")
        self._report(job, [], job["status"].get("succeeded", 0), job["status"].get("failed", 0))

    def _start(
        self,
        job: JsonObject,
        pods: list[JsonObject],
        active: list[JsonObject],
        left: int,
        failed: int,
    ) -> list[float]:
        missing = min(job["spec"]["parallelism"], left) - len(active)
        if missing <= 0:
            return []
        if failed:
            wait = min(self.desk.timing.backoff * 2 ** (failed - 1), LONGEST_BACKOFF)
            ends = [_ended_at(pod) for pod in pods if pod["status"].get("phase") == "Failed"]
            if ends:
                due = read_stamp(max(ends)) + timedelta(seconds=wait)
                if (rest := (due - self.desk.now()).total_seconds()) > 0:
                    return [rest]
        for _ in range(missing):
            name, home = job["metadata"]["name"], job["metadata"]["namespace"]
            body = pod_from(job["spec"]["template"], job, f"{name}-")
            body["metadata"]["finalizers"] = [TRACKED]
            pod = self.desk.writer.create(_POD, home, body, MANAGER).item
            text = f"Created pod: {pod['metadata']['name']}"
            self.desk.event(job, "SuccessfulCreate", text, "job-controller")
        return []

    def _delete(self, pods: list[JsonObject]) -> None:
        deleter = Deleter(self.desk.store, self.desk.now)
        for pod in pods:
            live = self.desk.store.get(_POD, pod["metadata"]["namespace"], pod["metadata"]["name"])
            if live is None:
                continue
            if live["metadata"].get("finalizers"):
                live = clone(live)
                del live["metadata"]["finalizers"]
                self.desk.save(_POD, live)
            home, name = live["metadata"]["namespace"], live["metadata"]["name"]
            deleter.delete(_POD, home, name, {}, dry_run=False)

    def _finish(self, job: JsonObject, first: str, second: str, reason: str, text: str) -> None:
        for kind in (first, second):
            self._condition(job, kind, reason, text)
        if second == "Complete":
            job["status"]["completionTime"] = stamp(self.desk.now())
            self.desk.event(job, "Completed", "Job completed", "job-controller")
        else:
            self.desk.event(job, reason, text, "job-controller", warning=True)

    def _condition(self, job: JsonObject, kind: str, reason: str, text: str) -> None:
        now = stamp(self.desk.now())
        job["status"].setdefault("conditions", []).append(
            {
                "type": kind,
                "status": "True",
                "lastProbeTime": now,
                "lastTransitionTime": now,
                "reason": reason,
                "message": text,
            }
        )

    def _report(
        self, job: JsonObject, active: list[JsonObject], succeeded: int, failed: int
    ) -> None:
        status = job["status"]
        for name, value in (("active", len(active)), ("succeeded", succeeded), ("failed", failed)):
            status.pop(name, None)
            if value:
                status[name] = value
        status["terminating"] = 0
        status["uncountedTerminatedPods"] = {}
        status["ready"] = sum(is_ready(pod) for pod in active)
        self.desk.save(self.kind, job)

    def _expire(self, item: JsonObject, ended: str) -> float | None:
        self._count(self.desk.owned("Pod", item))
        kept = item["spec"].get("ttlSecondsAfterFinished")
        if kept is None:
            return None
        left = (read_stamp(ended) + timedelta(seconds=kept) - self.desk.now()).total_seconds()
        if left > 0:
            return left
        home, name = item["metadata"]["namespace"], item["metadata"]["name"]
        options = {"propagationPolicy": "Background"}
        Deleter(self.desk.store, self.desk.now).delete(
            self.kind, home, name, options, dry_run=False
        )
        return None


def _end(item: JsonObject) -> str | None:
    """Return when the job ended, or None while it has not."""
    for kind in ("Complete", "Failed"):
        found = condition(item, kind)
        if found:
            return str(found["lastTransitionTime"])
    return None


def _number(pods: list[JsonObject], phase: str) -> int:
    return sum(pod["status"].get("phase") == phase for pod in pods)


def _restarts(pod: JsonObject) -> int:
    return sum(each["restartCount"] for each in pod["status"].get("containerStatuses") or [])


def _ended_at(pod: JsonObject) -> str:
    ends = [
        each["state"]["terminated"]["finishedAt"]
        for each in pod["status"].get("containerStatuses") or []
        if "terminated" in each["state"]
    ]
    return str(max(ends, default=pod["metadata"]["creationTimestamp"]))
