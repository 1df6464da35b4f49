"""kubernetes.rollout_wait and job_wait: looking until something is done, failed, or too late."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pydantic import Field

from actions.kubernetes import byhand, changing, rollouts
from actions.kubernetes.changing import Object
from actions.kubernetes.client import KubernetesClient
from actions.kubernetes.failures import Refused
from actions.kubernetes.jobstate import state_of
from actions.kubernetes.logs import KubernetesLogs, LogsParams
from actions.kubernetes.params import OfKind, grant
from actions.kubernetes.rollouts import StatusParams
from engine.contract import ActionFailed, Category, Grant, Read, Target, World
from engine.contract.fields import Seconds
from engine.domain.canonical import Json, JsonObject

_PAUSE = 2.0  # seconds after a look or a watch that failed
_SILENCE = 60.0  # seconds without an answer that a wait bears
_WATCHED = 10.0  # longest watch: whoever gives the attempt up is heard after it
_PASSING = (Category.TRANSIENT, Category.RATE_LIMIT)


class Watched:
    """One object that is looked at, and watched from what was seen of it on.

    `changed` is whether the latest look saw another version than the one before.
    """

    def __init__(self, client: KubernetesClient, about: Object) -> None:
        self._client, self._about = client, about
        self._resource = about.resource(client)
        self._version = ""
        self.changed = True

    def look(self) -> JsonObject:
        """Return it as it is now."""
        live = self._client.get(self._resource, self._about.namespace, self._about.name)
        version = str(live["metadata"]["resourceVersion"])
        self.changed, self._version = version != self._version, version
        return live

    def wait(self, within: float) -> None:
        """Wait until it is another, at most so many seconds; it may also be as it was."""
        if within <= 0:
            return
        place = (self._about.namespace, self._about.name)
        self._client.await_change(self._resource, place, self._version, min(within, _WATCHED))


def until(
    watched: Watched,
    look: Callable[[], JsonObject],
    done: Callable[[JsonObject], bool],
    within: float,
    world: World,
) -> JsonObject:
    """Look at each change until `done`; return what was seen last, with `timed_out` and `waited` (s).

    A watch that ends or breaks off goes on from what was seen last; where the server has forgotten that, the
    object is read anew. A look or watch that fails as what passes does (a reset, a time-out, 429, 503) is
    repeated, for as long as `_SILENCE`: a server that restarts ends no wait.

    Raises:
        ActionFailed: a look failed otherwise, or the server was silent for too long.
    """
    start = heard = world.clock.monotonic()
    while True:
        try:
            seen = look()
        except ActionFailed as error:
            now = world.clock.monotonic()
            silent = now - heard >= _SILENCE or now - start >= within
            if error.category not in _PASSING or silent or world.cancelled():
                raise
            world.clock.sleep(max(_PAUSE, error.retry_after or 0.0))
            continue
        heard = world.clock.monotonic()
        waited = heard - start
        over = waited >= within
        if done(seen) or over or world.cancelled():
            return {**seen, "timed_out": over and not done(seen), "waited": round(waited, 1)}
        if (
            not watched.changed
        ):  # a watch that ended at once, for nothing, is not begun anew at once
            world.clock.sleep(min(_PAUSE, within - waited))
        try:
            watched.wait(start + within - world.clock.monotonic())
        except ActionFailed as error:
            if error.category not in _PASSING:
                raise
            world.clock.sleep(max(_PAUSE, error.retry_after or 0.0))


class RolloutWaitParams(StatusParams):
    """Parameters of waiting for a rollout."""

    within: Seconds = Field(
        300.0,
        gt=0,
        le=7200,
        description="Longest wait; the step's time-out holds too",
        examples=["10m"],
    )


class KubernetesRolloutWait(Read[RolloutWaitParams]):
    """Waits until a rollout is done or stuck.

    Output: as `kubernetes.rollout_status`, and `timed_out`, `waited` (seconds). A rollout that is not
    done in time is an answer, not a failure: let the step's `verify` or a later `when` ask for `complete`.
    """

    name = "kubernetes.rollout_wait"
    manual = byhand.rollout_wait
    summary = "Wait until a rollout is done or stuck"
    Params = RolloutWaitParams

    def targets(self, params: RolloutWaitParams) -> Sequence[Target]:
        return (params.target,)

    def grants(self, params: RolloutWaitParams) -> Sequence[Grant]:
        return (grant(params, params.kind, ["get", "watch"], version=params.api_version),)

    def read(self, params: RolloutWaitParams, world: World) -> Json:
        rollouts.check_kind(params.kind)
        about = params.object
        watched = Watched(changing.client_of(world, about.connection), about)

        def look() -> JsonObject:
            return dict(vars(rollouts.progress_of(watched.look())))

        def done(seen: JsonObject) -> bool:
            return bool(seen["complete"] or seen["stuck"])

        return until(watched, look, done, params.within, world)


class JobWaitParams(OfKind):
    """Parameters of waiting for a job."""

    known = "Job"
    name: str = Field(description="The Job's name", examples=["scoring-1a2b3c4d5e"], min_length=1)
    within: Seconds = Field(
        600.0,
        gt=0,
        le=86400,
        description="Longest wait; the step's time-out holds too",
        examples=["1h"],
    )
    logs: bool = Field(True, description="Whether its pods' logs are read", examples=[False])
    tail: int = Field(
        100, gt=0, le=10_000, description="Last lines of each container", examples=[20]
    )


class KubernetesJobWait(Read[JobWaitParams]):
    """Waits until a job is complete or has failed, and reads its pods' logs.

    Output: `state` (`complete`, `failed`, `running`, `suspended` or `gone`), `reason`, `succeeded`,
    `failed`, `active`, `timed_out`, `waited` (seconds), `logs` (as `kubernetes.logs`, or null).
    """

    name = "kubernetes.job_wait"
    manual = byhand.job_wait
    summary = "Wait for a job's end and read its logs"
    Params = JobWaitParams

    def targets(self, params: JobWaitParams) -> Sequence[Target]:
        pods = changing.target_of(params.connection, params.namespace or "", "Pod")
        return (params.target, pods) if params.logs else (params.target,)

    def grants(self, params: JobWaitParams) -> Sequence[Grant]:
        job = grant(params, "Job", ["get", "watch"])
        if not params.logs:
            return (job,)
        return (
            job,
            grant(params, "Pod", ["list"]),
            grant(params, "Pod", ["get"], subresource="log"),
        )

    def read(self, params: JobWaitParams, world: World) -> Json:
        about = params.object
        watched = Watched(changing.client_of(world, about.connection), about)
        first = state_of(watched.look())

        def look() -> JsonObject:
            try:
                return state_of(watched.look())
            except Refused as error:
                if error.code != 404:
                    raise
                # It was there: its time to live ended, or somebody deleted it.
                return {**first, "state": "gone", "reason": "it was deleted meanwhile"}

        ended = ("complete", "failed", "gone")
        seen = until(watched, look, lambda state: state["state"] in ended, params.within, world)
        return {**seen, "logs": _logs(params, world) if params.logs else None}


def _logs(params: JobWaitParams, world: World) -> Json:
    asked = LogsParams(
        connection=params.connection,
        namespace=params.namespace or "",
        job=params.name,
        tail=params.tail,
    )
    return KubernetesLogs().read(asked, world)
