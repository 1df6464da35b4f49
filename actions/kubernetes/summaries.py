"""Objects as people want to see them in an incident: short. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine.domain.canonical import JsonObject

_LONGEST = 500  # characters of one message
_HEADS: dict[str, tuple[str, ...]] = {
    "CronJob": ("schedule", "suspend", "concurrencyPolicy"),
    "Job": ("parallelism", "completions", "backoffLimit", "activeDeadlineSeconds"),
    "Pod": ("nodeName", "restartPolicy"),
}
_COUNTS = (
    *("replicas", "readyReplicas", "updatedReplicas", "availableReplicas", "succeeded", "failed"),
    *("active", "desiredNumberScheduled", "numberReady", "phase", "reason", "lastScheduleTime"),
)


def event_line(event: JsonObject) -> JsonObject:
    """Return one event: `at`, `type`, `reason`, `message`, `object`, `count`."""
    about = event.get("involvedObject") or {}
    series = event.get("series") or {}
    at = (
        series.get("lastObservedTime")
        or event.get("lastTimestamp")
        or event.get("eventTime")
        or event["metadata"].get("creationTimestamp")
    )
    return {
        "at": at,
        "type": event.get("type"),
        "reason": event.get("reason"),
        "message": str(event.get("message") or "")[:_LONGEST],
        "object": f"{about.get('kind')}/{about.get('name')}",
        "count": int(series.get("count") or event.get("count") or 1),
    }


def conditions_of(item: JsonObject) -> list[JsonObject]:
    """Return an object's conditions without their times of probing."""
    kept = ("type", "status", "reason", "message", "lastTransitionTime")
    listed: list[JsonObject] = (item.get("status") or {}).get("conditions") or []
    return [{name: each[name] for name in kept if each.get(name)} for each in listed]


def pod_line(pod: JsonObject) -> JsonObject:
    """Return one pod: `name`, `phase`, `ready`, `restarts`, `node`, `reason` (what is wrong, or null)."""
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    states = status.get("containerStatuses") or []
    ready = sum(1 for each in states if each.get("ready"))
    reasons = [
        f"{each['name']}: {why}"
        for each in [*(status.get("initContainerStatuses") or []), *states]
        if (why := _trouble(each))
    ]
    if status.get("reason"):
        reasons.insert(0, str(status["reason"]))
    if pod["metadata"].get("deletionTimestamp"):
        reasons.insert(0, "Terminating")
    return {
        "name": pod["metadata"]["name"],
        "phase": status.get("phase"),
        "ready": f"{ready}/{len(spec.get('containers') or [])}",
        "restarts": sum(int(each.get("restartCount") or 0) for each in states),
        "node": spec.get("nodeName"),
        "reason": "; ".join(reasons) or None,
    }


def _trouble(state: JsonObject) -> str:
    """Return why a container waits, ended badly, or did the time before."""
    now, last = state.get("state") or {}, state.get("lastState") or {}
    if "waiting" in now:
        why = str(now["waiting"].get("reason") or "waiting")
    elif "terminated" in now:
        why = _end(now["terminated"])
    else:
        why = ""
    before = _end(last["terminated"]) if "terminated" in last else ""
    if before:
        why = f"{why} (before: {before})" if why else f"restarted (before: {before})"
    return why


def _end(terminated: JsonObject) -> str:
    code = int(terminated.get("exitCode") or 0)
    return f"{terminated.get('reason') or 'ended'}, exit {code}" if code else ""


def summary_of(
    item: JsonObject, pods: Sequence[JsonObject], events: Sequence[JsonObject]
) -> JsonObject:
    """Return kind, name, labels, what it wants, how it is, its conditions, pods and events."""
    kind, metadata = str(item.get("kind")), item["metadata"]
    spec, status = item.get("spec") or {}, item.get("status") or {}
    wants = {name: spec[name] for name in _HEADS.get(kind, ("replicas",)) if name in spec}
    return {
        "kind": kind,
        "name": metadata["name"],
        "namespace": metadata.get("namespace"),
        "created": metadata.get("creationTimestamp"),
        "labels": metadata.get("labels") or {},
        "owners": [
            f"{each['kind']}/{each['name']}" for each in metadata.get("ownerReferences") or []
        ],
        "wants": wants,
        "images": _images(spec),
        "status": {name: status[name] for name in _COUNTS if name in status},
        "conditions": conditions_of(item),
        "pods": [pod_line(pod) for pod in pods],
        "events": [event_line(event) for event in events],
    }


def _images(spec: Any) -> JsonObject:
    """Return the images of a pod's or a pod template's containers by name."""
    for step in ("jobTemplate", "spec", "template", "spec"):
        if isinstance(spec, dict) and isinstance(spec.get(step), dict):
            spec = spec[step]
    listed = spec.get("containers") if isinstance(spec, dict) else None
    return {each["name"]: each.get("image") for each in listed or []}


def text_of(summary: JsonObject) -> str:
    """Return a summary as a few lines of text."""
    said = (
        ("wants", summary["wants"]),
        ("status", summary["status"]),
        ("images", summary["images"]),
    )
    lines = [
        f"{summary['kind']} {summary['namespace'] or ''}/{summary['name']}",
        *(f"{part}: " + ", ".join(f"{k}={v}" for k, v in of.items()) for part, of in said if of),
        *(
            f"condition {each.get('type')}={each.get('status')} {each.get('message', '')}"
            for each in summary["conditions"]
        ),
        *(
            f"pod {pod['name']} {pod['phase']} {pod['ready']} restarts={pod['restarts']} "
            f"{pod['reason'] or ''}"
            for pod in summary["pods"]
        ),
        *(
            f"{event['at']} {event['type']} {event['reason']}: {event['message']}"
            for event in summary["events"]
        ),
    ]
    return "\n".join(line.rstrip() for line in lines)


def selector_text(selector: JsonObject) -> str:
    """Return an object's own selector as a list takes it; '' selects nothing that could be told."""
    parts = [f"{name}={value}" for name, value in (selector.get("matchLabels") or {}).items()]
    for each in selector.get("matchExpressions") or []:
        listed = f"({','.join(each.get('values') or [])})"
        words = {
            "In": f"{each['key']} in {listed}",
            "NotIn": f"{each['key']} notin {listed}",
            "Exists": str(each["key"]),
            "DoesNotExist": f"!{each['key']}",
        }
        parts.append(words[each["operator"]])
    return ",".join(parts)
