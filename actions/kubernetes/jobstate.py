"""What became of a job. Pure functions."""

from __future__ import annotations

from engine.domain.canonical import JsonObject

FINISHED = {"Complete": "complete", "Failed": "failed"}


def state_of(job: JsonObject) -> JsonObject:
    """Return `state`, `reason`, and how many of its pods `succeeded`, `failed`, are `active`."""
    status = job.get("status") or {}
    state, reason = "running", ""
    if (job.get("spec") or {}).get("suspend"):
        state = "suspended"
    for condition in status.get("conditions") or []:
        if condition.get("status") == "True" and condition.get("type") in FINISHED:
            state = FINISHED[condition["type"]]
            said = [str(condition.get(part) or "") for part in ("reason", "message")]
            reason = ": ".join(text for text in said if text)
    pods = {name: int(status.get(name) or 0) for name in ("succeeded", "failed", "active")}
    return {"state": state, "reason": reason, **pods}


def made_by(job: JsonObject, cronjob: str) -> bool:
    """Return whether a CronJob made the job, by its schedule or by hand."""
    metadata = job["metadata"]
    owners = [(each["kind"], each["name"]) for each in metadata.get("ownerReferences") or []]
    ours = (metadata.get("labels") or {}).get("stanch.dev/cronjob") == cronjob
    return ours or ("CronJob", cronjob) in owners


def ended_at(job: JsonObject) -> str:
    """Return when the job was complete or failed, as the server wrote it; empty while it is neither."""
    status = job.get("status") or {}
    times = [
        str(each.get("lastTransitionTime") or "")
        for each in status.get("conditions") or []
        if each.get("type") in FINISHED and each.get("status") == "True"
    ]
    return str(status.get("completionTime") or "") or max(times, default="")
