"""Scheduler and nodes in one: pods are bound, start, become ready, end as their fate says, restart, stop."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from engine.domain.canonical import JsonObject
from worlds.cluster.controllers import podstatus
from worlds.cluster.controllers.base import Controller, Desk
from worlds.cluster.fates import Fate
from worlds.cluster.kinds import by_kind
from worlds.cluster.logs import Logs
from worlds.cluster.store import Change, Key
from worlds.cluster.times import stamp
from worlds.cluster.values import clone

NODES = ("fake-node-0", "fake-node-1")
LONGEST_BACKOFF = 300.0
UNSCHEDULABLE = "0/2 nodes are available: 2 Insufficient memory."


@dataclass
class Life:
    """What the node remembers of one pod; times are the cluster's."""

    uid: str
    bound: datetime | None = None
    fate: Fate = field(default_factory=Fate)
    started: datetime | None = None  # of the current run of its containers
    running: bool = False
    restarts: int = 0
    crashes: int = 0
    resume: datetime | None = None
    stopping: datetime | None = None


class Pods(Controller):
    kind = by_kind("Pod")

    def __init__(self, desk: Desk, logs: Logs) -> None:
        super().__init__(desk)
        self.logs = logs
        self._lives: dict[Key, Life] = {}
        self._bound = 0
        self._address = 1

    def concerns(self, change: Change) -> Iterator[Key]:
        if change.kind is self.kind:
            yield change.after["metadata"]["namespace"], change.after["metadata"]["name"]

    def forget(self, key: Key) -> None:
        life = self._lives.pop(key, None)
        if life:
            self.logs.forget(life.uid)

    def sync(self, item: JsonObject) -> float | None:
        metadata = item["metadata"]
        key = (metadata["namespace"], metadata["name"])
        life = self._lives.get(key)
        if life is None or life.uid != metadata["uid"]:
            life = self._lives[key] = Life(metadata["uid"])
        if metadata.get("deletionTimestamp"):
            return self._stop(item, life)
        if item["status"].get("phase") in ("Succeeded", "Failed"):
            return None
        if not item["spec"].get("nodeName"):
            return self._bind(item, life)
        if life.bound is None:
            life.bound = self.desk.now()
        return self._live(item, life)

    # -- binding

    def _bind(self, item: JsonObject, life: Life) -> float | None:
        life.fate = self.desk.fates.of(item, self._owners(item))
        now, pod = stamp(self.desk.now()), clone(item)
        if life.fate.state == "Unschedulable":
            pod["status"]["conditions"] = [podstatus.scheduled(now, UNSCHEDULABLE)]
            if not item["status"].get("conditions"):
                self.desk.save(self.kind, pod)
                self._event(item, "FailedScheduling", UNSCHEDULABLE, warning=True)
            return None
        node = NODES[self._bound % len(NODES)]
        self._bound += 1
        pod["spec"]["nodeName"] = node
        pod["status"]["conditions"] = [podstatus.scheduled(now)]
        life.bound = self.desk.now()
        self.desk.save(self.kind, pod)
        where = f"{item['metadata']['namespace']}/{item['metadata']['name']}"
        self.desk.scheduled(item, f"Successfully assigned {where} to {node}")
        return self.desk.timing.start

    def _owners(self, item: JsonObject) -> list[str]:
        """Return the names of the pod's owners, nearest first: Job then CronJob (also one that it
        was made from by hand), ReplicaSet then Deployment."""
        names: list[str] = []
        here: JsonObject | None = item
        while here is not None:
            reference = next((ref for ref in here["metadata"].get("ownerReferences") or []), None)
            if reference is None:
                names.extend(_made_from(here))
                break
            names.append(reference["name"])
            home = item["metadata"]["namespace"]
            here = self.desk.store.get(by_kind(reference["kind"]), home, reference["name"])
        return names

    def _event(self, item: JsonObject, reason: str, text: str, *, warning: bool = False) -> None:
        host = item["spec"].get("nodeName", "")
        component = "kubelet" if host else "default-scheduler"
        self.desk.event(item, reason, text, component, warning=warning, host=host)

    # -- living

    def _live(self, item: JsonObject, life: Life) -> float | None:
        now, timing = self.desk.now(), self.desk.timing
        if life.started is None:
            assert life.bound is not None
            if (wait := _left(life.bound, timing.start, now)) > 0:
                return wait
            return self._start(item, life)
        if life.resume is not None:
            if (wait := (life.resume - now).total_seconds()) > 0:
                return wait
            life.restarts += 1
            life.resume = None
            return self._start(item, life)
        return self._go_on(item, life)

    def _start(self, item: JsonObject, life: Life) -> float | None:
        now = self.desk.now()
        if life.fate.state == "ImagePullBackOff":
            self._unpullable(item, life, now)
            return None
        life.started, life.running = now, True
        for container in item["spec"]["containers"]:
            name = container["name"]
            if life.crashes:
                self.logs.turn(life.uid, name)
            where = f"{item['metadata']['namespace']}/{item['metadata']['name']}"
            text = f"fake-kubelet: container {name} of {where} ({container['image']}) started"
            self.logs.write(life.uid, name, now, text)
            pulled = f'Container image "{container["image"]}" already present on machine'
            self._event(item, "Pulled", pulled)
            self._event(item, "Created", f"Created container: {name}")
            self._event(item, "Started", f"Started container {name}")
        return self._go_on(item, life)

    def _unpullable(self, item: JsonObject, life: Life, now: datetime) -> None:
        life.started = now
        statuses = [
            podstatus.container_status(
                container,
                life.uid,
                podstatus.waiting(
                    "ImagePullBackOff", f'Back-off pulling image "{container["image"]}"'
                ),
                pulled=False,
            )
            for container in item["spec"]["containers"]
        ]
        for container in item["spec"]["containers"]:
            text = f'Back-off pulling image "{container["image"]}"'
            self._event(item, "BackOff", text, warning=True)
        self._write(item, "Pending", statuses, ready=False)

    def _go_on(self, item: JsonObject, life: Life) -> float | None:
        """Show running containers, and end them when their time has come."""
        now, fate = self.desk.now(), life.fate
        if fate.state == "ImagePullBackOff":
            return None
        assert life.started is not None
        end = self._runs_for(item, fate)
        if end is not None and (wait := _left(life.started, end, now)) <= 0:
            return self._end(item, life)
        delay = fate.ready_after + max(
            (
                float((container.get("readinessProbe") or {}).get("initialDelaySeconds") or 0)
                for container in item["spec"]["containers"]
            ),
            default=0.0,
        )
        ready_in = _left(life.started, delay, now)
        ready = ready_in <= 0 and fate.state != "NotReady"
        self._show(item, life, ready=ready)
        waits = [] if end is None else [wait]
        if not ready and fate.state != "NotReady":
            waits.append(ready_in)
        return min(waits) if waits else None

    def _runs_for(self, item: JsonObject, fate: Fate) -> float | None:
        once = item["spec"]["restartPolicy"] != "Always"
        if fate.exit_code is None and not once:
            return fate.after
        return fate.after if fate.after is not None else (self.desk.timing.run if once else 0.0)

    def _show(self, item: JsonObject, life: Life, *, ready: bool) -> None:
        assert life.started is not None
        last = {
            each["name"]: each.get("lastState")
            for each in item["status"].get("containerStatuses") or []
        }
        statuses = [
            podstatus.container_status(
                container,
                life.uid,
                {"running": {"startedAt": stamp(life.started)}},
                last=last.get(container["name"]),
                ready=ready,
                restarts=life.restarts,
            )
            for container in item["spec"]["containers"]
        ]
        self._write(item, "Running", statuses, ready=ready)

    def _end(self, item: JsonObject, life: Life) -> float | None:
        now, fate = self.desk.now(), life.fate
        assert life.started is not None
        life.running = False
        code = fate.exit_code or 0
        reason = fate.reason or podstatus.usual_reason(code)
        ended = podstatus.terminated(code, reason, stamp(life.started), stamp(now))
        for container in item["spec"]["containers"]:
            if fate.logs and fate.ends(container["name"]):
                self.logs.write(life.uid, container["name"], now, fate.logs)
        policy = item["spec"]["restartPolicy"]
        if policy == "Never" or (policy == "OnFailure" and code == 0):
            statuses = [
                podstatus.container_status(container, life.uid, ended, restarts=life.restarts)
                for container in item["spec"]["containers"]
            ]
            phase = "Succeeded" if code == 0 else "Failed"
            self._write(item, phase, statuses, ready=False, ended=True)
            return None
        return self._crash(item, life, ended)

    def _crash(self, item: JsonObject, life: Life, ended: JsonObject) -> float:
        """Restart at once the first time, then after a wait that doubles."""
        life.crashes += 1
        wait = 0.0
        if life.crashes > 1:
            wait = min(self.desk.timing.backoff * 2 ** (life.crashes - 2), LONGEST_BACKOFF)
        life.resume = self.desk.now() + timedelta(seconds=wait)
        statuses = []
        for container in item["spec"]["containers"]:
            name = container["name"]
            hit = life.fate.ends(name)
            state = podstatus.crash_loop(item, name, wait) if wait else ended
            statuses.append(
                podstatus.container_status(
                    container,
                    life.uid,
                    state if hit else {"running": {"startedAt": stamp(self.desk.now())}},
                    last=ended if hit else None,
                    ready=not hit,
                    restarts=life.restarts if hit else 0,
                )
            )
            if hit and wait:
                text = (
                    f"Back-off restarting failed container {name} in pod {item['metadata']['name']}"
                )
                self._event(item, "BackOff", text, warning=True)
        self._write(item, "Running", statuses, ready=False)
        return wait

    def _write(
        self,
        item: JsonObject,
        phase: str,
        statuses: list[JsonObject],
        *,
        ready: bool,
        ended: bool = False,
    ) -> None:
        pod = clone(item)
        status, now = pod["status"], stamp(self.desk.now())
        names = [each["name"] for each in item["spec"]["containers"]]
        status["phase"] = phase
        status["conditions"] = podstatus.conditions(
            names, item["status"], now, ready=ready, ended=ended
        )
        if "podIP" not in status:
            self._address += 1
            ip = f"10.244.{self._address >> 8 & 255}.{self._address & 255}"
            status.update(podstatus.addresses(ip, now))
        quality = status.pop("qosClass", "BestEffort")
        status["containerStatuses"] = statuses
        status["qosClass"] = quality
        self.desk.save(self.kind, pod)

    # -- stopping

    def _stop(self, item: JsonObject, life: Life) -> float | None:
        now = self.desk.now()
        if life.stopping is None:
            life.stopping = now
            for container in item["spec"]["containers"]:
                if life.running:
                    self._event(item, "Killing", f"Stopping container {container['name']}")
        grace = item["metadata"].get("deletionGracePeriodSeconds", 30)
        wait = _left(life.stopping, min(self.desk.timing.stop, grace), now)
        if wait > 0:
            return wait
        if item["metadata"].get("finalizers"):
            return 0.5  # whoever set them lets go first
        self.desk.store.remove(self.kind, item)
        return None


def _made_from(job: JsonObject) -> list[str]:
    """Return the CronJob of a job that somebody made by hand from it and that it does not own."""
    metadata = job["metadata"]
    by_hand = (metadata.get("annotations") or {}).get("cronjob.kubernetes.io/instantiate")
    cronjob = (metadata.get("labels") or {}).get("stanch.dev/cronjob")
    return [cronjob] if by_hand == "manual" and cronjob else []


def _left(start: datetime, seconds: float, now: datetime) -> float:
    return (start + timedelta(seconds=seconds) - now).total_seconds()
