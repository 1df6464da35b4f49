"""Creating and changing one object: its body is read (`bodies`), defaulted, validated, owned, kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from engine.domain.canonical import JsonObject
from worlds.cluster import ownership, schema
from worlds.cluster.admission import admit_pod, qos_class
from worlds.cluster.bodies import APPLY, check_place, decode, patch_value, read_patched
from worlds.cluster.defaults import apply_defaults
from worlds.cluster.kinds import Kind, by_kind
from worlds.cluster.names import Names
from worlds.cluster.status import (
    already_exists,
    bad_request,
    conflict,
    forbidden,
    not_found,
)
from worlds.cluster.store import Store
from worlds.cluster.validation import validate
from worlds.cluster.values import clone

_KEPT = (
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generation",
    "generateName",
    "managedFields",
)
_ORDER = ("kind", "apiVersion", "metadata", "spec", "data", "status")


@dataclass(frozen=True)
class Terms:
    """How a write is meant: by whom, for real or dry, how strictly. `at`: told as when; None: now."""

    manager: str = "unknown"
    dry_run: bool = False
    validation: str = "Warn"  # Strict | Warn | Ignore
    force: bool = False
    at: str | None = None


@dataclass(frozen=True)
class Written:
    """The object as the server answers it. `created` tells 201 from 200."""

    item: JsonObject
    created: bool = False
    warnings: tuple[str, ...] = ()


def ordered(item: JsonObject) -> JsonObject:
    """Return the object with its head first, as people expect to read it."""
    head = {key: item[key] for key in _ORDER if key in item and key != "status"}
    tail = {"status": item["status"]} if "status" in item else {}
    return head | {key: value for key, value in item.items() if key not in _ORDER} | tail


class Writer:
    """Makes writes to one store. The caller holds the cluster's lock.

    Args:
        now: returns the cluster's time as the server writes it.
    """

    def __init__(self, store: Store, names: Names, now: Any) -> None:
        self._store = store
        self._names = names
        self._now = now

    def create(self, kind: Kind, namespace: str, body: Any, terms: Terms) -> Written:
        """Create an object from a request's body.

        Raises:
            ApiError: 400, 403, 404, 409, 422.
        """
        warnings = decode(kind, body, terms.validation)
        check_place(namespace, body)
        return Written(self._keep_new(kind, namespace, body, terms), True, warnings)

    def replace(
        self, kind: Kind, namespace: str, name: str, body: Any, *, terms: Terms, part: str = ""
    ) -> Written:
        """Replace an object (PUT); `part` is '' or 'status'."""
        warnings = decode(kind, body, terms.validation)
        live = self._live(kind, namespace, name)
        if body["metadata"].get("name", name) != name:
            raise bad_request(
                f"the name of the object ({body['metadata']['name']}) does not match "
                f"the name on the URL ({name})"
            )
        check_place(namespace, body)
        return Written(
            self._keep_changed(kind, live, body, terms=terms, part=part), warnings=warnings
        )

    def patch(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        patch: Any,
        *,
        form: str,
        terms: Terms,
        part: str = "",
    ) -> Written:
        """Patch an object; `form` is the content type.

        Raises:
            ApiError: 404, 409, 415, 422.
        """
        if form == APPLY:
            return self._apply(kind, namespace, name, patch, terms)
        live = self._live(kind, namespace, name)
        patched, shown = patch_value(live, patch, form, kind.schema)
        warnings = read_patched(kind, patched, shown, form, terms.validation)
        return Written(
            self._keep_changed(kind, live, patched, terms=terms, part=part), warnings=warnings
        )

    def _apply(self, kind: Kind, namespace: str, name: str, config: Any, terms: Terms) -> Written:
        warnings = decode(kind, config, terms.validation)
        live = self._store.get(kind, namespace, name)
        config["metadata"].setdefault("name", name)
        now = self._now()
        merged = ownership.apply(kind, live, config, terms.manager, now, force=terms.force)
        if live is None:
            fields = merged["metadata"].pop("managedFields")
            item = self._keep_new(kind, namespace, merged, terms, fields)
            return Written(item, True, warnings)
        fields = merged["metadata"]["managedFields"]
        return Written(
            self._keep_changed(kind, live, merged, terms=terms, fields=fields), warnings=warnings
        )

    def _live(self, kind: Kind, namespace: str, name: str) -> JsonObject:
        live = self._store.get(kind, namespace, name)
        if live is None:
            raise not_found(kind, name)
        return live

    # -- keeping objects

    def _keep_new(
        self,
        kind: Kind,
        namespace: str,
        body: JsonObject,
        terms: Terms,
        fields: list[JsonObject] | None = None,
    ) -> JsonObject:
        self._check_namespace(kind, namespace, body["metadata"].get("name") or "")
        item: JsonObject = clone(body)
        item.pop("status", None)
        item = schema.tidy(item, kind.schema)
        metadata = item.setdefault("metadata", {})
        for key in ("resourceVersion", "selfLink", "managedFields", "deletionTimestamp"):
            metadata.pop(key, None)
        if not metadata.get("name") and metadata.get("generateName"):
            metadata["name"] = metadata["generateName"] + self._names.suffix()
        if kind.namespaced:
            metadata["namespace"] = namespace
        metadata["uid"] = self._names.uid()
        metadata["creationTimestamp"] = self._now()
        if kind.spec_generation:
            metadata["generation"] = 1
        if kind.kind == "Pod" and item.get("spec"):
            admit_pod(item, self._names.suffix())
        self._finish(kind, item, None)
        if kind.kind == "Pod":
            item["status"] = {"phase": "Pending", "qosClass": qos_class(item["spec"])}
        if fields is None:
            ownership.record(kind, None, item, terms.manager, terms.at or self._now())
        else:
            metadata["managedFields"] = fields
        if self._store.get(kind, namespace, metadata["name"]):
            raise already_exists(kind, metadata["name"])
        item = ordered(item)
        return item if terms.dry_run else self._store.put(kind, item)

    def _check_namespace(self, kind: Kind, namespace: str, name: str) -> None:
        if not kind.namespaced:
            return
        home = self._store.get(by_kind("Namespace"), "", namespace)
        if home is None:
            raise not_found(by_kind("Namespace"), namespace)
        if home["metadata"].get("deletionTimestamp"):
            raise forbidden(
                kind,
                name,
                f"unable to create new content in namespace {namespace} "
                "because it is being terminated",
            )

    def _finish(self, kind: Kind, item: JsonObject, before: JsonObject | None) -> None:
        if "spec" in schema.types()[kind.schema]:
            item.setdefault("spec", {})
        _require_shape(kind, item)
        apply_defaults(kind.kind, item)
        validate(kind, item, before)

    def _keep_changed(
        self,
        kind: Kind,
        live: JsonObject,
        new: JsonObject,
        *,
        terms: Terms,
        part: str = "",
        fields: list[JsonObject] | None = None,
    ) -> JsonObject:
        old = live["metadata"]
        _check_preconditions(kind, new.get("metadata") or {}, old)
        item = _replaced(kind, live, new, part)
        metadata = item["metadata"]
        self._finish(kind, item, live)
        metadata["resourceVersion"] = old["resourceVersion"]
        if kind.spec_generation and _generates(kind, item, live):
            metadata["generation"] = old.get("generation", 1) + 1
        if part != "status":
            if fields is None:
                ownership.record(kind, live, item, terms.manager, self._now())
            else:
                metadata["managedFields"] = fields
        item = ordered(item)
        if terms.dry_run:
            return item
        if _same(item, live):
            return live
        if old.get("deletionTimestamp") and not metadata.get("finalizers") and kind.kind != "Pod":
            self._store.put(kind, item)
            return self._store.remove(kind, item)
        return self._store.put(kind, item)


def _check_preconditions(kind: Kind, given: JsonObject, old: JsonObject) -> None:
    version, uid = given.get("resourceVersion"), given.get("uid")
    if version and version != old["resourceVersion"]:
        raise conflict(kind, old["name"])
    if uid and uid != old["uid"]:
        why = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {old['uid']}"
        raise conflict(kind, old["name"], why)


def _replaced(kind: Kind, live: JsonObject, new: JsonObject, part: str) -> JsonObject:
    """Return the new object with what a write of `part` may not change taken from the live one."""
    status = new.get("status")
    if part == "status":
        item = clone({key: value for key, value in live.items() if key != "status"})
    else:
        bare = {key: value for key, value in new.items() if key != "status"}
        item = schema.tidy(clone(bare), kind.schema)
        if "status" in kind.subresources:
            status = live.get("status")
    metadata = item.setdefault("metadata", {})
    for key in (*_KEPT, "name", "namespace"):
        metadata.pop(key, None)
        if key in live["metadata"]:
            metadata[key] = live["metadata"][key]
    if status is not None:
        item["status"] = clone(status)
    item["kind"], item["apiVersion"] = kind.kind, kind.api_version
    return item


def _require_shape(kind: Kind, item: JsonObject) -> None:
    """Make the structures that defaulting walks into exist, so that validation can name what is missing."""
    spec = item.get("spec")
    if kind.kind in ("Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "Job"):
        assert spec is not None
        spec.setdefault("template", {})
    if kind.kind == "CronJob":
        assert spec is not None
        spec.setdefault("jobTemplate", {}).setdefault("spec", {})
    if kind.kind.endswith("RoleBinding"):
        item.setdefault("roleRef", {})


def _generates(kind: Kind, item: JsonObject, live: JsonObject) -> bool:
    if item.get("spec") != live.get("spec"):
        return True
    # A Deployment's annotations reach its replica sets, so they count as a change of what is wanted.
    noted = item["metadata"].get("annotations") != live["metadata"].get("annotations")
    return kind.kind == "Deployment" and noted


def _same(item: JsonObject, live: JsonObject) -> bool:
    def bare(value: JsonObject) -> JsonObject:
        inner = {key: each for key, each in value["metadata"].items() if key != "managedFields"}
        return {**value, "metadata": inner}

    return bare(item) == bare(live)
