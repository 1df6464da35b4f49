"""Containers of a workload's pod template: finding one, and the patch that changes it. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.contract import ActionFailed, Category
from engine.domain.canonical import JsonObject

_TEMPLATES: dict[str, tuple[str, ...]] = {
    "Deployment": ("spec", "template"),
    "StatefulSet": ("spec", "template"),
    "DaemonSet": ("spec", "template"),
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
}
KINDS = tuple(_TEMPLATES)


def wrapped(kind: str, inner: JsonObject) -> JsonObject:
    """Return a patch of a workload whose pod template's spec is patched by `inner`.

    Raises:
        ActionFailed: (permanent) the kind has no pod template that may change.
    """
    patch: JsonObject = {"spec": inner}
    for step in reversed(_place(kind)):
        patch = {step: patch}
    return patch


def pod_spec(kind: str, item: JsonObject) -> JsonObject:
    """Return the spec of a workload's pod template.

    Raises:
        ActionFailed: as `wrapped`.
    """
    value: Any = item
    for step in (*_place(kind), "spec"):
        value = value.get(step) or {}
    found: JsonObject = value
    return found


def _place(kind: str) -> tuple[str, ...]:
    if kind not in _TEMPLATES:
        what = (
            f"{kind} has no pod template that can be changed; kinds that have: {', '.join(KINDS)}"
        )
        raise ActionFailed(Category.PERMANENT, what, effect_possible=False)
    return _TEMPLATES[kind]


def find(spec: JsonObject, name: str | None) -> tuple[str, JsonObject]:
    """Return (list's name, container) of a pod spec; no name is right where there is only one container.

    Raises:
        ActionFailed: (permanent) there is none of that name, or one must be chosen.
    """
    listed = [
        (place, container)
        for place in ("containers", "initContainers")
        for container in spec.get(place) or []
    ]
    if name is None:
        main = [each for each in listed if each[0] == "containers"]
        if len(main) == 1:
            return main[0]
    for place, container in listed:
        if container.get("name") == name:
            return place, container
    names = ", ".join(str(each.get("name")) for _, each in listed)
    what = (
        f"give container: there is more than one: {names}"
        if name is None
        else f"no container {name!r}; there are: {names}"
    )
    raise ActionFailed(Category.PERMANENT, what, effect_possible=False)


def env_patch(container: JsonObject, env: Mapping[str, str | None]) -> list[JsonObject]:
    """Return the strategic patch of a container's variables; None takes one away.

    A variable that is not there and shall go is left out: the server refuses to delete it.
    """
    there = {each["name"]: each for each in container.get("env") or []}
    patch: list[JsonObject] = []
    for name, value in env.items():
        if value is None:
            if name in there:
                patch.append({"name": name, "$patch": "delete"})
            continue
        entry: JsonObject = {"name": name, "value": value}
        if "valueFrom" in there.get(name, {}):
            entry["valueFrom"] = None  # a variable has one source
        patch.append(entry)
    return patch


def changed(
    container: JsonObject,
    *,
    image: str | None = None,
    env: Mapping[str, str | None] | None = None,
    requests: Mapping[str, str | None] | None = None,
    limits: Mapping[str, str | None] | None = None,
) -> JsonObject:
    """Return the strategic patch of one container."""
    patch: JsonObject = {"name": container["name"]}
    if image is not None:
        patch["image"] = image
    if env:
        entries = env_patch(container, env)
        if entries:
            patch["env"] = entries
    resources = {
        name: dict(amounts)
        for name, amounts in (("requests", requests), ("limits", limits))
        if amounts
    }
    if resources:
        patch["resources"] = resources
    return patch
