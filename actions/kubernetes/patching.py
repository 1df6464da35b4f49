"""What every action shares that changes fields of one object by a patch."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from actions.kubernetes import changing, fields, rollouts
from actions.kubernetes.changing import JSON_PATCH, STRATEGIC
from actions.kubernetes.client import KubernetesClient
from actions.kubernetes.ownership import others_changes
from actions.kubernetes.params import Named, OfKind, grant
from engine.contract import (
    Applied,
    Change,
    Confirmation,
    Grant,
    NotYet,
    Planned,
    Protection,
    Receipt,
    Target,
    World,
    Wrong,
)
from engine.domain.canonical import Json, JsonObject

Q = TypeVar("Q", bound=Named | OfKind)
# Kinds whose pod template is rolled out: a change of it replaces their pods.
_ROLLED = set(rollouts.KINDS)
_POLL = 2.0


@dataclass(frozen=True)
class Patch:
    """A patch and how it is meant. `notes` go into the plan."""

    body: Json
    form: str = STRATEGIC
    notes: tuple[str, ...] = ()


class Patching(Change[Q], Generic[Q]):
    """Changes fields of one object, under its resourceVersion.

    The plan is the server's own dry run. Apply marks the object with the annotation
    `stanch.dev/last-key`, by which a crash between effect and outcome is settled exactly. Undo gives
    the touched fields, and only those, their old values back.
    """

    protection = Protection.CONDITIONAL
    risk = "medium"

    @abstractmethod
    def patch_of(self, params: Q, seen: JsonObject, client: KubernetesClient) -> Patch:
        """Return the patch; `seen` is the object as the run's earlier changes will leave it.

        Raises:
            ActionFailed, Unplannable: it cannot be made for this object.
        """

    def waits(self, params: Q) -> bool:
        """Whether the step ends only once the rollout is done."""
        del params
        return False

    def targets(self, params: Q) -> Sequence[Target]:
        return (params.target,)

    def grants(self, params: Q) -> Sequence[Grant]:
        return (grant(params, params.kind, ["get", "patch"], version=params.api_version),)

    def plan(self, params: Q, world: World) -> Planned:
        about = params.object
        client = changing.client_of(world, about.connection)
        path = about.resource(client).path(about.namespace, about.name)
        live = client.get_json(path)
        made = self.patch_of(
            params, changing.foreseen(live, world.earlier, about.target, about.kind), client
        )
        result = client.patch(path, made.body, made.form, dry_run=True)
        named = fields.pointed_paths if made.form == JSON_PATCH else fields.patched_paths
        touched = sorted(
            named(made.body, live, result) | fields.differing(live, result), key=fields.write
        )
        planned = Planned(
            action=self.name,
            target=about.target,
            before={},
            after={},
            request={
                "object": about.as_json(),
                "patch": made.body,
                "form": made.form,
                "paths": [fields.as_json(path) for path in touched],
                "wait": self.waits(params) and about.kind in _ROLLED,
            },
            precondition={
                "resourceVersion": live["metadata"]["resourceVersion"],
                "uid": live["metadata"]["uid"],
            },
            notes=made.notes,
            fresh_changes=others_changes(live),
        )
        before = changing.chained(world.earlier, about.target, changing.values_of(planned, live))
        after = changing.values_of(planned, result)
        pods = changing.pods_of(live, world.earlier, about.target)
        return _filled(planned, before, after, pods)

    def apply(self, planned: Planned, world: World, key: str) -> Receipt:
        patch, form = planned.request["patch"], planned.request["form"]
        after, before = changing.write(planned, world, key, patch, form)
        return changing.receipt_of(planned, after, before)

    def confirm(
        self, planned: Planned, receipt: Receipt | None, world: World, key: str
    ) -> Confirmation:
        live = changing.read_live(planned, world)
        if live is None:
            return Wrong(f"{planned.target} is gone")
        answer = changing.was_written(planned, receipt, live, key)
        if not isinstance(answer, Applied) or not planned.request.get("wait"):
            return answer
        progress = rollouts.progress_of(live)
        if progress.stuck:
            return Wrong(f"the rollout is stuck: {progress.reason}")
        return answer if progress.complete else NotYet(_POLL)

    def undo(self, planned: Planned, receipt: Receipt, world: World, key: str) -> Receipt:
        return changing.restore(planned, receipt, world, key)

    def conflicts(self, planned: Planned, receipt: Receipt, world: World) -> Sequence[str]:
        return changing.conflicts(planned, receipt, world)


def _filled(
    planned: Planned, before: Mapping[str, Any], after: Mapping[str, Any], pods: int
) -> Planned:
    changed = sorted(name for name in after if before[name] != after[name])
    counts: dict[str, int] = {}
    kind = planned.request["object"]["kind"]
    if changed:
        counts["objects"] = 1
        if kind in _ROLLED and any(name.startswith("spec.template") for name in changed):
            counts["pods"] = pods
    shown = ", ".join(f"{name}: {before[name]!r} → {after[name]!r}" for name in changed[:3])
    more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
    notes = list(planned.notes)
    if "pods" in counts:
        notes.append(f"the pod template changes: {counts['pods']} pods are replaced")
    if kind == "Secret":
        notes.append(
            "a crash between effect and outcome loses the old values: undo is then by hand"
        )
    return replace(
        planned,
        before=before,
        after=after,
        counts=counts,
        summary=f"{kind} {planned.target.path}: {shown or 'nothing changes'}{more}",
        notes=tuple(notes),
    )
