"""What a pod's status says at each stage of its life. Pure functions."""

from __future__ import annotations

import hashlib
from typing import Any

from engine.domain.canonical import JsonObject

HOST = "127.0.0.1"


def conditions(
    names: list[str], before: JsonObject, now: str, *, ready: bool, ended: bool = False
) -> list[JsonObject]:
    """Return a started pod's conditions; one that keeps its status keeps its transition time."""
    unready = {
        "reason": "ContainersNotReady",
        "message": f"containers with unready status: [{' '.join(names)}]",
    }
    # The node writes reason and message once, when containers start, and leaves them there.
    done = {"reason": "PodCompleted"}
    state = "True" if ready else "False"
    wanted: list[tuple[str, str, JsonObject]] = [
        ("PodReadyToStartContainers", "False" if ended else "True", {}),
        ("Initialized", "True", done if ended else {}),
        ("Ready", state, done if ended else unready),
        ("ContainersReady", state, done if ended else unready),
    ]
    old = {each["type"]: each for each in before.get("conditions") or []}
    found: list[JsonObject] = []
    for kind, status, extra in wanted:
        kept = old.get(kind, {}).get("status") == status
        since = old[kind]["lastTransitionTime"] if kept else now
        found.append(
            {
                "type": kind,
                "status": status,
                "lastProbeTime": None,
                "lastTransitionTime": since,
                **extra,
            }
        )
    if "PodScheduled" in old:
        found.append(old["PodScheduled"])
    return found


def scheduled(now: str, why_not: str = "") -> JsonObject:
    """Return the PodScheduled condition."""
    found: JsonObject = {
        "type": "PodScheduled",
        "status": "False" if why_not else "True",
        "lastProbeTime": None,
        "lastTransitionTime": now,
    }
    if why_not:
        found |= {"reason": "Unschedulable", "message": why_not}
    return found


def addresses(ip: str, now: str) -> JsonObject:
    return {
        "hostIP": HOST,
        "hostIPs": [{"ip": HOST}],
        "podIP": ip,
        "podIPs": [{"ip": ip}],
        "startTime": now,
    }


def container_status(
    container: JsonObject,
    uid: str,
    state: JsonObject,
    *,
    last: JsonObject | None = None,
    ready: bool = False,
    restarts: int = 0,
    pulled: bool = True,
) -> JsonObject:
    """Return one entry of `containerStatuses`."""
    image = container["image"]
    status: JsonObject = {
        "name": container["name"],
        "state": state,
        "lastState": last or {},
        "ready": ready,
        "restartCount": restarts,
        "image": image,
        "imageID": f"fake://sha256:{_hash(image)}" if pulled else "",
    }
    if pulled:
        status["containerID"] = f"fake://{_hash(uid, container['name'], restarts)}"
    status["started"] = "running" in state
    return status


def terminated(code: int, reason: str, started: str, finished: str) -> JsonObject:
    return {
        "terminated": {
            "exitCode": code,
            "reason": reason,
            "startedAt": started,
            "finishedAt": finished,
            "containerID": "fake://0",
        }
    }


def waiting(reason: str, message: str = "") -> JsonObject:
    return {"waiting": {"reason": reason} | ({"message": message} if message else {})}


def crash_loop(pod: JsonObject, container: str, seconds: float) -> JsonObject:
    metadata = pod["metadata"]
    where = f"{metadata['name']}_{metadata['namespace']}({metadata['uid']})"
    wait = f"{int(seconds)}s" if seconds < 60 else f"{int(seconds // 60)}m{int(seconds % 60)}s"
    text = f"back-off {wait} restarting failed container={container} pod={where}"
    return waiting("CrashLoopBackOff", text)


def usual_reason(code: int) -> str:
    """Return the reason that goes with an exit code where nothing else is said."""
    return "Completed" if code == 0 else "Error"


def _hash(*parts: Any) -> str:
    return hashlib.sha256("/".join(map(str, parts)).encode()).hexdigest()
