"""kubernetes.delete_pod and evict: one pod goes, the very one that was planned."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import Generic, TypeVar

from pydantic import Field

from actions.kubernetes import byhand, changing
from actions.kubernetes.changing import Object
from actions.kubernetes.client import KubernetesClient
from actions.kubernetes.failures import Refused
from actions.kubernetes.ownership import others_changes
from actions.kubernetes.params import OfKind, grant
from engine.contract import (
    ActionFailed,
    Applied,
    Category,
    Change,
    Confirmation,
    Grant,
    NotApplied,
    NotYet,
    Planned,
    Protection,
    Receipt,
    Target,
    World,
)
from engine.contract.fields import Seconds
from engine.domain.canonical import JsonObject

_POLL = 2.0
_FIELD = "pod"
_WHY = "a pod that is gone cannot be brought back; its owner makes another"
_ALONE = "no controller owns it: nothing will make another"


class PodParams(OfKind):
    """Parameters of removing a pod."""

    known = "Pod"
    name: str = Field(
        description="The pod's name", examples=["etl-worker-7d9f-x2x9z"], min_length=1
    )
    grace: Seconds | None = Field(
        None,
        ge=0,
        description="Time for it to end by itself; its own where missing",
        examples=["30s"],
    )
    wait: bool = Field(
        True, description="Whether the step ends only once it is gone", examples=[False]
    )


R = TypeVar("R", bound=PodParams)


class _Removing(Change[R], Generic[R]):
    protection = Protection.CONDITIONAL
    risk = "medium"

    def targets(self, params: R) -> Sequence[Target]:
        return (params.target,)

    @abstractmethod
    def remove(self, client: KubernetesClient, planned: Planned, *, dry_run: bool) -> str | None:
        """Remove the pod of the plan's uid; return why a dry run says that it would not go now."""

    def plan(self, params: R, world: World) -> Planned:
        about = params.object
        client = changing.client_of(world, about.connection)
        live = client.get(about.resource(client), about.namespace, about.name)
        owned = [each["kind"] for each in live["metadata"].get("ownerReferences") or []]
        going = bool(live["metadata"].get("deletionTimestamp"))
        phase = str((live.get("status") or {}).get("phase"))
        planned = Planned(
            action=self.name,
            target=about.target,
            before={_FIELD: "going" if going else phase},
            after={_FIELD: "going"},
            counts={} if going else {"pods": 1},
            request={
                "object": about.as_json(),
                "grace": None if params.grace is None else int(params.grace),
                "wait": params.wait,
                "uid": live["metadata"]["uid"],
            },
            summary=f"{self.name.partition('.')[2].replace('_', ' ')} {about.target.path} ({phase})",
            reversible=False,
            why_irreversible=_WHY if owned else f"{_WHY.partition(';')[0]}, and {_ALONE}",
            notes=() if owned else (_ALONE,),
            precondition={"uid": live["metadata"]["uid"]},
            fresh_changes=others_changes(live),
        )
        if going:
            return planned
        refusal = self.remove(client, planned, dry_run=True)
        if refusal:
            planned = replace(planned, notes=(*planned.notes, f"it would not go now: {refusal}"))
        return planned

    def apply(self, planned: Planned, world: World, key: str) -> Receipt:
        del key  # the uid tells which pod is meant, and it can go only once
        client = changing.client_of(world, Object.of(planned).connection)
        if not _gone(_look(client, planned), planned):
            try:
                self.remove(client, planned, dry_run=False)
            except Refused as error:
                if error.code != 404:
                    raise
        return _receipt(planned)

    def confirm(
        self, planned: Planned, receipt: Receipt | None, world: World, key: str
    ) -> Confirmation:
        del key
        client = changing.client_of(world, Object.of(planned).connection)
        live = _look(client, planned)
        if live is not None and not _gone(live, planned):
            return NotApplied()
        there = live is not None and live["metadata"]["uid"] == planned.request["uid"]
        if there and planned.request["wait"]:
            return NotYet(_POLL)
        return Applied(receipt or _receipt(planned))


def _look(client: KubernetesClient, planned: Planned) -> JsonObject | None:
    about = Object.of(planned)
    try:
        return client.get(about.resource(client), about.namespace, about.name)
    except Refused as error:
        if error.code == 404:
            return None
        raise


def _gone(live: JsonObject | None, planned: Planned) -> bool:
    """Whether the planned pod is gone or going. One of its name and another uid is its successor."""
    if live is None or live["metadata"]["uid"] != planned.request["uid"]:
        return True
    return bool(live["metadata"].get("deletionTimestamp"))


def _receipt(planned: Planned) -> Receipt:
    output = {"pod": Object.of(planned).name, "uid": planned.request["uid"]}
    return Receipt(after=planned.after, counts=planned.counts, output=output)


def options_of(planned: Planned) -> JsonObject:
    """Return the DeleteOptions that hold the server to the planned pod."""
    options: JsonObject = {"preconditions": {"uid": planned.request["uid"]}}
    if planned.request["grace"] is not None:
        options["gracePeriodSeconds"] = planned.request["grace"]
    return options


class KubernetesDeletePod(_Removing[PodParams]):
    """Deletes one pod, whatever disruption budgets say; `kubernetes.evict` asks them."""

    name = "kubernetes.delete_pod"
    manual = byhand.delete_pod
    summary = "Delete a pod"
    Params = PodParams

    def grants(self, params: PodParams) -> Sequence[Grant]:
        return (grant(params, "Pod", ["get", "delete"]),)

    def remove(self, client: KubernetesClient, planned: Planned, *, dry_run: bool) -> str | None:
        about = Object.of(planned)
        path = about.resource(client).path(about.namespace, about.name)
        client.delete(path, options_of(planned), dry_run=dry_run)
        return None


class KubernetesEvict(_Removing[PodParams]):
    """Evicts one pod, as far as disruption budgets allow.

    A budget that forbids it answers as a rate limit does: the step is tried again with its retries.
    """

    name = "kubernetes.evict"
    manual = byhand.evict
    summary = "Evict a pod within its disruption budgets"
    Params = PodParams

    def grants(self, params: PodParams) -> Sequence[Grant]:
        return (
            grant(params, "Pod", ["get"]),
            grant(params, "Pod", ["create"], subresource="eviction"),
        )

    def remove(self, client: KubernetesClient, planned: Planned, *, dry_run: bool) -> str | None:
        about = Object.of(planned)
        path = about.resource(client).path(about.namespace, about.name, "eviction")
        options = options_of(planned) | ({"dryRun": ["All"]} if dry_run else {})
        body = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": about.name, "namespace": about.namespace},
            "deleteOptions": options,
        }
        try:
            client.create(path, body, dry_run=dry_run)
        except Refused as error:
            if dry_run and error.code == 429:
                return str(error)
            raise
        return None


def partly(error: ActionFailed, done: int, of: int) -> ActionFailed:
    """Return a failure in the middle of several deletions as one after which something has happened."""
    what = f"{done} of {of} are deleted; then: {error}"
    category: Category = error.category
    return ActionFailed(category, what, retry_after=error.retry_after, effect_possible=True)
