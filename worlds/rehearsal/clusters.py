"""A Kubernetes cluster in a rehearsal: the in-memory cluster on the rehearsal's clock."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

import yaml

from engine.domain.canonical import Json, JsonObject
from engine.domain.clock import ManualClock
from engine.domain.errors import InvalidInput
from engine.domain.rehearsed import Message, NetChange, Scene
from worlds.cluster import Cluster, Fate, InProcess, Ran
from worlds.cluster.kinds import KINDS, by_kind
from worlds.cluster.status import ApiError
from worlds.rehearsal.clusterspec import ClusterSpec, FateSpec

MANAGER = "stanch"  # the field manager of the engine's writes
_NOISE = ("deployment.kubernetes.io/", "fake-kubelet/", "stanch")
_MADE_BY_CONTROLLERS = frozenset({"Event", "Lease"})
_WRITTEN = re.compile(r"/(?P<plural>[a-z]+)/(?P<name>[^/]+)(?:/(?:scale|eviction|status))?\Z")
_NAMESPACE = re.compile(r"/namespaces/([^/]+)/")

# As safe as SafeLoader, in C where that is built in.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

Place = tuple[str, str, str]  # namespace, kind, name


class ClusterWorld:
    """The cluster, its beginning, and what differs from it."""

    def __init__(self, spec: ClusterSpec, scene: Scene) -> None:
        self._scene = scene
        self.cluster = _settled(spec, scene)
        self._before = dict(_objects(self.cluster))

    def settings(self) -> Mapping[str, Any]:
        unset = {"kubeconfig": None, "context": None, "in_cluster": None}
        return {"server": "https://cluster.rehearsal.invalid", **unset}

    def transport(self, *, writable: bool) -> Any:
        del writable  # the client's own guard lets no write through
        return InProcess(self.cluster)

    def messages(self) -> Sequence[Message]:
        return ()

    def unanswered(self) -> Sequence[str]:
        return ()

    def unasked(self) -> Sequence[str]:
        return ()

    def close(self) -> None:
        self.cluster.stop()

    def changes(self) -> Sequence[NetChange]:
        self.cluster.run()
        written = self._written()  # a stored object is never changed in place
        after = dict(_objects(self.cluster))
        found: list[NetChange] = []
        for place in sorted({*self._before, *after}):
            old, new = self._before.get(place), after.get(place)
            if old is new or not self._counts(place, old, new, written):
                continue
            target = "/".join(part for part in place if part)
            if old is None:
                found.append(NetChange(target, what="created"))
            elif new is None:
                found.append(NetChange(target, what="deleted"))
            elif fields := _differing(_clean(old), _clean(new)):
                found.append(NetChange(target, fields))
        return found

    def _counts(
        self, place: Place, old: JsonObject | None, new: JsonObject | None, written: set[Place]
    ) -> bool:
        """Tell whether a difference is the engine's: what controllers make and remove is theirs."""
        item = new or old or {}
        if place[1] in _MADE_BY_CONTROLLERS:
            return False
        owned = bool(item["metadata"].get("ownerReferences"))
        if not owned:
            return True
        managers = {entry["manager"] for entry in item["metadata"].get("managedFields") or []}
        return place in written or (old is None and MANAGER in managers)

    def _written(self) -> set[Place]:
        found = set()
        for entry in self.cluster.requests.writes:
            match, namespace = _WRITTEN.search(entry.path), _NAMESPACE.search(entry.path)
            if match is not None:
                kind = _KIND_OF.get(match["plural"], match["plural"])
                found.add((namespace[1] if namespace else "", kind, match["name"]))
        return found


_KEPT = 64
_known: dict[str, Cluster] = {}  # settled clusters by what they were made of, the latest last


def _settled(spec: ClusterSpec, scene: Scene) -> Cluster:
    """Return the cluster as it is after it ran for a while: made once, for it takes as long as the rest of
    a short rehearsal, which chaos and planted faults play again and again."""
    files = list(_texts(spec, scene))
    made_of = json.dumps([spec.model_dump(mode="json"), scene.clock.now().isoformat(), files])
    settled = _known.pop(made_of, None) or _run_in(spec, scene, files)
    _known[made_of] = settled
    while len(_known) > _KEPT:
        del _known[next(iter(_known))]
    cluster = settled.twin(scene.clock)
    for name, fates in {**spec.jobs, **spec.pods}.items():
        cluster.fates.respeak(name, [_fate(fate, scene, cluster) for fate in fates])
    return cluster


def _run_in(spec: ClusterSpec, scene: Scene, files: Sequence[str]) -> Cluster:
    clock = ManualClock(scene.clock.now() - timedelta(seconds=spec.settle))
    cluster = Cluster(clock)
    for name, fates in {**spec.jobs, **spec.pods}.items():
        cluster.script(name, [_fate(fate, scene, cluster) for fate in fates])
    for name, program in spec.programs.items():
        ran = Ran(
            program.exit_code, program.stdout.encode(), program.stderr.encode(), program.seconds
        )
        cluster.programs.add(name, partial(_ended, ran))
    from_files = (item for text in files for item in yaml.load_all(text, Loader=_Loader) if item)
    for item in [*spec.objects, *from_files]:
        _load(cluster, _completed(item, spec.namespace), scene)
    clock.advance(spec.settle)
    cluster.run()
    return cluster


def _ended(ran: Ran, pod: JsonObject, command: list[str]) -> Ran:
    del pod, command
    return ran


def _load(cluster: Cluster, item: JsonObject, scene: Scene) -> None:
    where = f"{item.get('kind')} {item.get('metadata', {}).get('name')}"
    try:
        cluster.load([item])
    except KeyError:
        raise InvalidInput(
            f"world {scene.connection}: the cluster serves no kind {item.get('kind')!r}"
        ) from None
    except ApiError as error:
        raise InvalidInput(f"world {scene.connection}: {where} is refused: {error}") from None


def _texts(spec: ClusterSpec, scene: Scene) -> Iterator[str]:
    for name in spec.files:
        path = scene.folder / name
        if not path.is_file():
            raise InvalidInput(f"world {scene.connection}: there is no file {path}")
        yield path.read_text()


def _completed(item: JsonObject, namespace: str) -> JsonObject:
    """Fill in what Kubernetes wants of everybody: apiVersion, metadata, a workload's selector."""
    made = dict(item)
    name = made.pop("name", None)
    kind = str(made.get("kind", ""))
    metadata = dict(made.get("metadata") or {})
    if name is not None:
        metadata.setdefault("name", name)
    try:
        served = by_kind(kind)
    except KeyError:
        return {**made, "metadata": metadata}
    made.setdefault("apiVersion", served.api_version)
    if served.namespaced:
        metadata.setdefault("namespace", namespace)
    made["metadata"] = metadata
    if kind in ("Deployment", "StatefulSet", "DaemonSet") and "selector" not in made.get(
        "spec", {}
    ):
        made["spec"] = _selected(dict(made.get("spec") or {}), metadata)
    return made


def _selected(spec: JsonObject, metadata: JsonObject) -> JsonObject:
    template = dict(spec.get("template") or {})
    inner = dict(template.get("metadata") or {})
    labels = inner.get("labels") or metadata.get("labels") or {"app": metadata.get("name")}
    template["metadata"] = {**inner, "labels": labels}
    template.setdefault("spec", {"containers": [{"name": "app", "image": "app:1"}]})
    return {**spec, "selector": {"matchLabels": labels}, "template": template}


def _fate(spec: FateSpec, scene: Scene, cluster: Cluster) -> Fate:
    when = None
    if spec.when is not None:
        expression = spec.when

        def when(pod: JsonObject) -> bool:
            return scene.holds(expression, _names(pod, spec.container, cluster))

    values = spec.model_dump(exclude={"when"})
    return Fate(**values, when=when)


def _names(pod: JsonObject, container: str | None, cluster: Cluster) -> JsonObject:
    containers = pod["spec"]["containers"]
    chosen = next((one for one in containers if one["name"] == container), containers[0])
    resources = chosen.get("resources") or {}
    namespace = pod["metadata"]["namespace"]
    env = {one["name"]: _value(one, namespace, cluster) for one in chosen.get("env") or []}
    return {
        "limits": resources.get("limits") or {},
        "requests": resources.get("requests") or {},
        "env": env,
        "image": chosen.get("image", ""),
        "args": chosen.get("args") or [],
        "pod": pod,
    }


def _value(variable: JsonObject, namespace: str, cluster: Cluster) -> str | None:
    """Return what a container is given: the value, or that of a ConfigMap's or a Secret's key."""
    for field, kind in (("configMapKeyRef", "ConfigMap"), ("secretKeyRef", "Secret")):
        reference = (variable.get("valueFrom") or {}).get(field)
        if reference is not None:
            item = cluster.store.get(by_kind(kind), namespace, reference["name"]) or {}
            text: str | None = (item.get("data") or {}).get(reference["key"])
            if kind == "Secret" and text is not None:
                return base64.b64decode(text).decode()
            return text
    return variable.get("value")


# ---- differences ----------------------------------------------------------------------------------

_KIND_OF = {kind.plural: kind.kind for kind in KINDS}


def _objects(cluster: Cluster) -> Iterator[tuple[Place, JsonObject]]:
    with cluster.lock:
        for kind, item in cluster.store.all():
            metadata = item["metadata"]
            yield (metadata.get("namespace", ""), kind.kind, metadata["name"]), item


def _clean(item: JsonObject) -> JsonObject:
    """Leave out what is no one's intent: status, versions, times, the controllers' notes."""
    metadata = item["metadata"]
    notes = {
        name: value
        for name, value in (metadata.get("annotations") or {}).items()
        if not name.startswith(_NOISE)
    }
    kept = {"labels": metadata.get("labels") or {}, "annotations": notes}
    rest = {
        name: value
        for name, value in item.items()
        if name not in ("status", "metadata", "apiVersion", "kind")
    }
    return {**rest, "metadata": kept}


def _differing(old: JsonObject, new: JsonObject) -> dict[str, tuple[Json, Json]]:
    before, after = dict(_leaves("", old)), dict(_leaves("", new))
    return {
        path: (before.get(path), after.get(path))
        for path in sorted({*before, *after})
        if before.get(path) != after.get(path)
    }


def _leaves(path: str, value: Json) -> Iterator[tuple[str, Json]]:
    """Yield each value by its path; items of a list go by their name where they have one."""
    if isinstance(value, Mapping) and value:
        for name, item in value.items():
            yield from _leaves(f"{path}.{name}" if path else str(name), item)
    elif isinstance(value, list) and value and all(isinstance(one, Mapping) for one in value):
        for index, item in enumerate(value):
            yield from _leaves(f"{path}.{item.get('name', index)}", item)
    elif value not in ({}, None):
        yield path, value
