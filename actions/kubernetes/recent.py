"""kubernetes.recent_changes: what people and controllers last changed on objects."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from pydantic import Field

from actions.kubernetes import byhand, changing
from actions.kubernetes.failures import Refused
from actions.kubernetes.ownership import others_changes
from actions.kubernetes.params import InCluster, grant, object_of
from engine.contract import ActionParams, Grant, Read, Target, World
from engine.contract.fields import Seconds
from engine.domain.canonical import Json


class Which(ActionParams):
    """One object that is looked at."""

    kind: str = Field(description="Its kind", examples=["ConfigMap"], min_length=1)
    name: str = Field(description="Its name", examples=["deeptech-config"], min_length=1)


class RecentChangesParams(InCluster):
    """Parameters of reading recent changes."""

    objects: list[Which] = Field(
        description="The objects; those that are not there are left out",
        examples=[[{"kind": "ConfigMap", "name": "deeptech-config"}]],
        min_length=1,
        max_length=50,
    )
    since: Seconds = Field(604800.0, gt=0, description="How far back", examples=["2d"])


class KubernetesRecentChanges(Read[RecentChangesParams]):
    """What field managers other than Stanch last set on objects, newest first.

    Output: `changes` (`object` as KIND/NAME, `by`, `at`, `fields`), `count`. From managedFields, which
    keep the last write of each manager only and name fields, never values; status is left out.
    """

    name = "kubernetes.recent_changes"
    manual = byhand.recent_changes
    summary = "See what others changed lately"
    Params = RecentChangesParams

    def targets(self, params: RecentChangesParams) -> Sequence[Target]:
        place = (params.connection, params.namespace or "")
        return tuple(changing.target_of(*place, each.kind, each.name) for each in params.objects)

    def grants(self, params: RecentChangesParams) -> Sequence[Grant]:
        kinds = dict.fromkeys(each.kind for each in params.objects)
        return tuple(grant(params, kind, ["get"]) for kind in kinds)

    def read(self, params: RecentChangesParams, world: World) -> Json:
        client = changing.client_of(world, params.connection)
        oldest = world.clock.now() - timedelta(seconds=params.since)
        found = []
        for each in params.objects:
            about = object_of(params, each.kind, each.name)
            try:
                live = client.get(about.resource(client), about.namespace, about.name)
            except Refused as error:
                if error.code != 404:
                    raise
                continue
            found += [
                (change.at, f"{each.kind}/{each.name}", change)
                for change in others_changes(live)
                if change.at >= oldest
            ]
        changes = [
            {"object": name, "by": change.by, "at": at.isoformat(), "fields": change.what}
            for at, name, change in sorted(found, key=lambda one: one[:2], reverse=True)
        ]
        return {"changes": changes, "count": len(changes)}
