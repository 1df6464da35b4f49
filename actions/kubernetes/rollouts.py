"""Rollouts: restarting one, and whether one is done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import Field

from actions.kubernetes import byhand, changing, fields
from actions.kubernetes.changing import STRATEGIC
from actions.kubernetes.ownership import others_changes
from actions.kubernetes.params import Named, grant
from engine.contract import (
    ActionFailed,
    Applied,
    Category,
    Change,
    Confirmation,
    Grant,
    NotYet,
    Planned,
    Protection,
    Read,
    Receipt,
    Target,
    Unknown,
    World,
    Wrong,
)
from engine.domain.canonical import Json, JsonObject

RESTARTED = "kubectl.kubernetes.io/restartedAt"
_PATH: fields.Path = ("spec", "template", "metadata", "annotations", RESTARTED)
_POLL = 2.0
KINDS = ("Deployment", "StatefulSet", "DaemonSet")


@dataclass(frozen=True)
class Progress:
    """How far a rollout is. `reason` says what is awaited, or why it is stuck."""

    complete: bool
    stuck: bool
    reason: str
    desired: int
    updated: int
    ready: int
    available: int


def progress_of(item: JsonObject) -> Progress:
    """Return how far the rollout of a Deployment, StatefulSet or DaemonSet is."""
    spec, status = item.get("spec") or {}, item.get("status") or {}
    if item.get("kind") == "DaemonSet":
        desired = int(status.get("desiredNumberScheduled") or 0)
        updated = int(status.get("updatedNumberScheduled") or 0)
        ready, available = (
            int(status.get("numberReady") or 0),
            int(status.get("numberAvailable") or 0),
        )
        total = int(status.get("currentNumberScheduled") or 0)
    else:
        desired = int(spec.get("replicas", 1))
        updated, ready, available, total = (
            int(status.get(name) or 0)
            for name in ("updatedReplicas", "readyReplicas", "availableReplicas", "replicas")
        )
    reason, stuck = "", False
    for condition in status.get("conditions") or []:
        if condition.get("reason") == "ProgressDeadlineExceeded":
            reason, stuck = str(condition.get("message") or condition["reason"]), True
    if int(status.get("observedGeneration") or 0) < int(item["metadata"].get("generation") or 0):
        # What the status says is of the generation before.
        reason, stuck = "the controller has not seen the change yet", False
    elif not stuck:
        reason = _awaited(desired, updated, available, total)
    return Progress(not reason, stuck, reason, desired, updated, ready, available)


def _awaited(desired: int, updated: int, available: int, total: int) -> str:
    if updated < desired:
        return f"{updated} of {desired} pods are updated"
    if total > updated:
        return f"{total - updated} old pods are still there"
    if available < desired:
        return f"{available} of {desired} pods are available"
    return ""


def scaled(live: JsonObject, *, through: str) -> bool:
    """Return whether the pods of a scaled workload, or what its Scale shows of them, are as many as wanted."""
    spec, status = live.get("spec") or {}, live.get("status") or {}
    wanted = int(spec.get("replicas") or 0)
    if through == "scale":
        return int(status.get("replicas") or 0) == wanted
    seen = int(status.get("observedGeneration") or 0) >= int(
        live["metadata"].get("generation") or 0
    )
    counts = [int(status.get(name) or 0) for name in ("replicas", "availableReplicas")]
    return seen and counts == [wanted, wanted]


class RestartParams(Named):
    """Parameters of a restart."""

    kind: str = Field(
        "Deployment",
        description=f"One of {', '.join(KINDS)}",
        examples=["Deployment"],
        min_length=1,
    )
    wait: bool = Field(
        True, description="Whether the step ends only once the rollout is done", examples=[False]
    )


class KubernetesRolloutRestart(Change[RestartParams]):
    """Replaces a workload's pods, as `kubectl rollout restart` does.

    Confirmed only once the controller has seen it and all pods are updated and available.
    """

    name = "kubernetes.rollout_restart"
    manual = byhand.rollout_restart
    summary = "Replace a workload's pods, a few at a time"
    Params = RestartParams
    protection = Protection.CONDITIONAL
    risk = "medium"

    def targets(self, params: RestartParams) -> Sequence[Target]:
        return (params.target,)

    def grants(self, params: RestartParams) -> Sequence[Grant]:
        return (grant(params, params.kind, ["get", "patch"], version=params.api_version),)

    def plan(self, params: RestartParams, world: World) -> Planned:
        check_kind(params.kind)
        about = params.object
        client = changing.client_of(world, about.connection)
        path = about.resource(client).path(about.namespace, about.name)
        live = client.get_json(path)
        client.patch(path, _patch(world), STRATEGIC, dry_run=True)
        field = fields.write(_PATH)
        desired = changing.pods_of(live, world.earlier, about.target)
        before = changing.chained(world.earlier, about.target, {field: fields.look(live, _PATH)})
        return Planned(
            action=self.name,
            target=about.target,
            before=before,
            after={field: Unknown("the moment of the restart")},
            counts={"pods": desired} if desired else {"objects": 1},
            request={
                "object": about.as_json(),
                "paths": [fields.as_json(_PATH)],
                "wait": params.wait,
            },
            summary=f"restart {about.target.path}: {desired} pods are replaced",
            reversible=False,
            why_irreversible="a restart replaces pods: the old ones cannot be brought back, and an older "
            "pod template would only restart them once more",
            precondition={
                "resourceVersion": live["metadata"]["resourceVersion"],
                "uid": live["metadata"]["uid"],
            },
            fresh_changes=others_changes(live),
        )

    def apply(self, planned: Planned, world: World, key: str) -> Receipt:
        after, before = changing.write(planned, world, key, _patch(world), STRATEGIC)
        return changing.receipt_of(planned, after, before)

    def confirm(
        self, planned: Planned, receipt: Receipt | None, world: World, key: str
    ) -> Confirmation:
        live = changing.read_live(planned, world)
        if live is None:
            return Wrong(f"{planned.target} is gone")
        answer = changing.was_written(planned, receipt, live, key)
        if not isinstance(answer, Applied) or not planned.request["wait"]:
            return answer
        progress = progress_of(live)
        if progress.stuck:
            return Wrong(f"the rollout is stuck: {progress.reason}")
        return answer if progress.complete else NotYet(_POLL)


class StatusParams(Named):
    """Parameters of asking for a rollout."""

    kind: str = Field(
        "Deployment",
        description=f"One of {', '.join(KINDS)}",
        examples=["Deployment"],
        min_length=1,
    )


class KubernetesRolloutStatus(Read[StatusParams]):
    """How far a rollout is.

    Output: `complete`, `stuck`, `reason` (what is awaited), `desired`, `updated`, `ready`, `available`.
    """

    name = "kubernetes.rollout_status"
    manual = byhand.rollout_status
    summary = "See how far a rollout is"
    Params = StatusParams

    def targets(self, params: StatusParams) -> Sequence[Target]:
        return (params.target,)

    def grants(self, params: StatusParams) -> Sequence[Grant]:
        return (grant(params, params.kind, ["get"], version=params.api_version),)

    def read(self, params: StatusParams, world: World) -> Json:
        check_kind(params.kind)
        about = params.object
        client = changing.client_of(world, about.connection)
        live = client.get(about.resource(client), about.namespace, about.name)
        return dict(vars(progress_of(live)))


def check_kind(kind: str) -> None:
    """Raises ActionFailed (permanent) for a kind that has no rollout."""
    if kind not in KINDS:
        what = f"{kind} has no rollout; kinds that have one: {', '.join(KINDS)}"
        raise ActionFailed(Category.PERMANENT, what, effect_possible=False)


def _patch(world: World) -> JsonObject:
    now = world.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"spec": {"template": {"metadata": {"annotations": {RESTARTED: now}}}}}
