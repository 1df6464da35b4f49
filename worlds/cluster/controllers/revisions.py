"""ControllerRevisions: the pod templates that a StatefulSet has had, numbered, the newest last."""

from __future__ import annotations

from engine.domain.canonical import JsonObject
from worlds.cluster.controllers.base import MANAGER, Desk, owner_reference
from worlds.cluster.deletion import Deleter
from worlds.cluster.kinds import by_kind
from worlds.cluster.values import clone

_KIND = by_kind("ControllerRevision")


def record(desk: Desk, item: JsonObject, name: str) -> None:
    """Keep the object's template as its newest revision, under `name`, and no more than its history holds."""
    kept = sorted(desk.owned("ControllerRevision", item), key=lambda each: int(each["revision"]))
    newest = kept[-1] if kept else None
    if newest is not None and newest["metadata"]["name"] == name:
        return
    number = int(newest["revision"]) + 1 if newest is not None else 1
    known = next((each for each in kept if each["metadata"]["name"] == name), None)
    if known is not None:  # rolled back to: it becomes the newest
        changed = clone(known)
        changed["revision"] = number
        desk.save(_KIND, changed)
        return
    home = item["metadata"]["namespace"]
    template = {**clone(item["spec"]["template"]), "$patch": "replace"}
    body = {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": {
            "name": name,
            "labels": dict(item["spec"]["selector"].get("matchLabels") or {}),
            "ownerReferences": [owner_reference(item)],
        },
        "data": {"spec": {"template": template}},
        "revision": number,
    }
    desk.writer.create(_KIND, home, body, MANAGER)
    limit = item["spec"].get("revisionHistoryLimit", 10)
    used = {(item.get("status") or {}).get("currentRevision"), name}
    idle = [each for each in kept if each["metadata"]["name"] not in used]
    for each in idle[: max(0, len(idle) - limit)]:
        Deleter(desk.store, desk.now).delete(
            _KIND, home, each["metadata"]["name"], {}, dry_run=False
        )
