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
