"""The cluster: a store, its API and its controllers on an injected clock."""

from __future__ import annotations

import copy
import heapq
import itertools
import threading
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from engine.domain.canonical import JsonObject
from engine.domain.clock import Clock, SystemClock
from worlds.cluster.api import answer_request
from worlds.cluster.controllers.base import Controller, Desk, Timing
from worlds.cluster.controllers.cronjobs import CronJobs
from worlds.cluster.controllers.daemonsets import DaemonSets
from worlds.cluster.controllers.deployments import Deployments
from worlds.cluster.controllers.housekeeping import Budgets, Events, Garbage, Namespaces
from worlds.cluster.controllers.jobs import Jobs
from worlds.cluster.controllers.pods import NODES, Pods
from worlds.cluster.controllers.replicasets import ReplicaSets
from worlds.cluster.controllers.statefulsets import StatefulSets
from worlds.cluster.deletion import Deleter
from worlds.cluster.fates import Fate, Fates
from worlds.cluster.kinds import by_kind
from worlds.cluster.logs import Logs
from worlds.cluster.messages import ADMIN, OPERATOR, Request, Response, User
from worlds.cluster.names import Names
from worlds.cluster.programs import Programs
from worlds.cluster.rbac import BUILT_IN, Authorizer
from worlds.cluster.requests import Faults, RequestLog
from worlds.cluster.store import Change, Key, Store
from worlds.cluster.times import stamp
from worlds.cluster.writes import Terms, Writer

ADMIN_TOKEN = "admin-token"  # noqa: S105  tokens of a cluster that holds nothing and listens on loopback
OPERATOR_TOKEN = "operator-token"  # noqa: S105
_SYNC_LIMIT = 1_000_000  # one call of `run` stops here: a controller that never rests is a mistake

_BEFORE = timedelta(days=1)  # what a scene begins with is not what somebody has just changed


class Cluster:
    """A Kubernetes cluster in memory.

    Controllers make progress whenever the cluster is asked something or `run` is called, up to the
    clock's time, each at its own moment: hours of a `ManualClock` pass in milliseconds and leave
    the times that they would have left.

    Args:
        clock: where the cluster reads the time.
        timing: how long starts, stops and back-offs take.
        tokens: who each bearer token is; None: `admin-token` (all rights) and `operator-token`
            (none until a Role is bound).
        request_log: file to which each request is appended as a JSON line.
        seed: of generated names and uids.
    """

    def __init__(
        self,
        clock: Clock | None = None,
        *,
        timing: Timing | None = None,
        tokens: Mapping[str, User] | None = None,
        request_log: Path | None = None,
        seed: int = 0,
    ) -> None:
        self.clock: Clock = clock or SystemClock()
        self.lock = threading.RLock()
        self.timing = timing or Timing()
        self.tokens = dict(tokens or {ADMIN_TOKEN: ADMIN, OPERATOR_TOKEN: OPERATOR})
        self.store = Store(self.lock)
        self.names = Names(seed)
        self.fates = Fates()
        self.logs = Logs()
        self.faults = Faults()
        self.programs = Programs()
        self.requests = RequestLog(request_log)
        self.writer = Writer(self.store, self.names, self._stamp)
        self.deleter = Deleter(self.store, self.now)
        self.authorizer = Authorizer(self.store)
        self.stopped = False
        self._instant = self.clock.now()
        self._queue: list[tuple[datetime, int, Controller, Key]] = []
        self._due: dict[tuple[Controller, Key], datetime] = {}
        self._order = itertools.count()
        desk = Desk(
            self.store,
            self.writer,
            self.names,
            fates=self.fates,
            timing=self.timing,
            now=self.now,
        )
        self._pods = Pods(desk, self.logs)
        self._garbage = Garbage(desk)
        # Replica sets come before deployments: a deployment sees what its new set already has.
        makers = (ReplicaSets, Deployments, StatefulSets, DaemonSets, Jobs, CronJobs)
        self._controllers: list[Controller] = [
            Namespaces(desk),
            self._garbage,
            *(make(desk) for make in makers),
            self._pods,
            Budgets(desk),
            Events(desk),
        ]
        self.store.listen(self._noticed)
        self._furnish()

    # -- time

    def now(self) -> datetime:
        """Return the cluster's time: that of the controller at work, else the clock's."""
        return self._instant

    def _stamp(self) -> str:
        return stamp(self.now())

    def run(self) -> None:
        """Let the controllers do what is due by the clock's time."""
        with self.lock:
            until = max(self._instant, self.clock.now())
            for _ in range(_SYNC_LIMIT):
                if not self._queue or self._queue[0][0] > until:
                    break
                due, _, controller, key = heapq.heappop(self._queue)
                if self._due.get((controller, key)) != due:
                    continue  # it was asked to come earlier, and came
                del self._due[controller, key]
                self._instant = max(self._instant, due)
                self._sync(controller, key)
            self._instant = until

    def next_due(self) -> datetime | None:
        """Return when a controller wants to act next."""
        with self.lock:
            return self._queue[0][0] if self._queue else None

    def _sync(self, controller: Controller, key: Key) -> None:
        if controller is self._garbage:
            self._garbage.collect(key)
            return
        item = self.store.get(controller.kind, *key)
        if item is None:
            controller.forget(key)
            return
        wait = controller.sync(item)
        if wait is not None:
            self._enqueue(controller, key, max(wait, 0.001))

    def _noticed(self, change: Change) -> None:
        for controller in self._controllers:
            for key in controller.concerns(change):
                self._enqueue(controller, key, self.timing.latency)

    def _enqueue(self, controller: Controller, key: Key, seconds: float) -> None:
        due = self._instant + timedelta(seconds=seconds)
        known = self._due.get((controller, key))
        if known is not None and known <= due:
            return
        self._due[controller, key] = due
        heapq.heappush(self._queue, (due, next(self._order), controller, key))

    # -- asking

    def handle(self, request: Request) -> Response:
        """Answer one request. Faults of kind reset are the carrier's to carry out."""
        return answer_request(self, request)

    def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        content_type: str = "application/json",
        user: User = ADMIN,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """Ask in process, as a client would over HTTP."""
        import json

        sent = b"" if body is None else json.dumps(body).encode()
        all_headers = dict(headers or {}) | ({"content-type": content_type} if sent else {})
        texts = {key: str(value) for key, value in (query or {}).items()}
        return self.handle(Request(method, path, texts, all_headers, sent, user))

    # -- setting the scene

    def load(self, objects: Iterable[JsonObject]) -> None:
        """Create objects as the administrator; a namespace that is missing is made.

        Their fields were set a day ago by kubectl, or as the first of their `managedFields` says.

        Raises:
            ApiError: an object is refused.
            KeyError: a kind is not served.
        """
        with self.lock:
            self.run()
            for body in objects:
                kind = by_kind(body["kind"])
                namespace = ""
                if kind.namespaced:
                    namespace = body.get("metadata", {}).get("namespace") or "default"
                    if self.store.get(by_kind("Namespace"), "", namespace) is None:
                        made = {"metadata": {"name": namespace}}
                        self.writer.create(by_kind("Namespace"), "", made, Terms())
                self.writer.create(kind, namespace, {**body}, self._written(body))

    def _written(self, body: JsonObject) -> Terms:
        told = (body.get("metadata", {}).get("managedFields") or [{}])[0]
        before = stamp(self.now() - _BEFORE)
        return Terms(manager=told.get("manager", "kubectl"), at=told.get("time", before))

    def script(self, owner: str, fates: list[Fate]) -> None:
        """Set what happens to pods that start from now on under `owner` (a CronJob, Job or Deployment)."""
        with self.lock:
            self.fates.script(owner, fates)

    def log(self, namespace: str, pod: str, text: str, container: str = "") -> None:
        """Let a container of a running pod write.

        Raises:
            KeyError: there is no such pod.
        """
        with self.lock:
            self.run()
            item = self.store.get(by_kind("Pod"), namespace, pod)
            if item is None:
                raise KeyError(f"{namespace}/{pod}")
            name = container or item["spec"]["containers"][0]["name"]
            self.logs.write(item["metadata"]["uid"], name, self.now(), text)

    def object(self, kind: str, namespace: str, name: str) -> JsonObject:
        """Return a stored object as it is now.

        Raises:
            KeyError: there is no such object.
        """
        with self.lock:
            self.run()
            item = self.store.get(by_kind(kind), namespace, name)
            if item is None:
                raise KeyError(f"{kind} {namespace}/{name}")
            return item

    def objects(self, kind: str, namespace: str) -> list[JsonObject]:
        """Return all objects of a kind in a namespace as they are now."""
        with self.lock:
            self.run()
            return list(self.store.list(by_kind(kind), namespace))

    def twin(self, clock: Clock) -> Cluster:
        """Return a cluster of its own that stands as this one does, and goes on by `clock`.

        It shares what nobody changes in place (stored objects, past changes), so that a scene which took
        long to settle is there again in no time. It has met no request and no fault. A fate's `when` still
        asks the cluster that it was made for: speak it anew (`Fates.respeak`).
        """
        with self.lock:
            lock = threading.RLock()
            memo: dict[int, Any] = {id(one): one for one in self.store.unchanging()}
            memo[id(self.clock)] = clock
            memo[id(self.lock)] = lock
            memo[id(self.store.changed)] = threading.Condition(lock)
            memo[id(self.requests)] = RequestLog(None)
            memo[id(self.faults)] = Faults()
            return copy.deepcopy(self, memo)

    def stop(self) -> None:
        """End watches."""
        with self.lock:
            self.stopped = True
            self.store.changed.notify_all()

    def _furnish(self) -> None:
        with self.lock:
            for name in ("default", "kube-node-lease", "kube-public", "kube-system"):
                self.writer.create(by_kind("Namespace"), "", {"metadata": {"name": name}}, Terms())
            for name in NODES:
                body = {"metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}}}
                self.writer.create(by_kind("Node"), "", body, Terms())
            for name, rules in BUILT_IN.items():
                role = {"metadata": {"name": name}, "rules": rules}
                self.writer.create(by_kind("ClusterRole"), "", role, Terms())
