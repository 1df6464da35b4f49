"""Creating and changing one object: decode, default, validate, own, keep."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from engine.domain.canonical import JsonObject
from worlds.cluster import ownership, schema
from worlds.cluster.admission import admit_pod
from worlds.cluster.defaults import apply_defaults
from worlds.cluster.kinds import Kind, by_kind
from worlds.cluster.names import Names
from worlds.cluster.patches import json_patch, merge_patch, strategic_merge
from worlds.cluster.status import (
    already_exists,
    bad_request,
    conflict,
    forbidden,
    go_value,
    invalid_patch,
    not_found,
    unsupported_media_type,
)
from worlds.cluster.store import Store
from worlds.cluster.validation import validate
from worlds.cluster.values import clone

MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
JSON_PATCH = "application/json-patch+json"
APPLY = "application/apply-patch+yaml"
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


def qos_class(spec: JsonObject) -> str:
    """Return the pod's quality of service from its containers' requests and limits."""
    resources = [container.get("resources") or {} for container in spec.get("containers") or []]
    if not any(each.get("limits") or each.get("requests") for each in resources):
        return "BestEffort"
    guaranteed = all(
        {"cpu", "memory"} <= set(each.get("limits") or {})
        and all(
            (each.get("requests") or each["limits"]).get(name) == amount
            for name, amount in each["limits"].items()
        )
        for each in resources
    )
    return "Guaranteed" if guaranteed else "Burstable"


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
        warnings = self._decode(kind, body, terms)
        self._place(namespace, body)
        return Written(self._keep_new(kind, namespace, body, terms), True, warnings)

    def replace(
        self, kind: Kind, namespace: str, name: str, body: Any, *, terms: Terms, part: str = ""
    ) -> Written:
        """Replace an object (PUT); `part` is '' or 'status'."""
        warnings = self._decode(kind, body, terms)
        live = self._live(kind, namespace, name)
        if body["metadata"].get("name", name) != name:
            raise bad_request(
                f"the name of the object ({body['metadata']['name']}) does not match "
                f"the name on the URL ({name})"
            )
        self._place(namespace, body)
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
        warnings = self._read_patched(kind, patched, shown, form, terms)
        return Written(
            self._keep_changed(kind, live, patched, terms=terms, part=part), warnings=warnings
        )

    def _apply(self, kind: Kind, namespace: str, name: str, config: Any, terms: Terms) -> Written:
        warnings = self._decode(kind, config, terms)
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

    # -- reading bodies

    def _decode(self, kind: Kind, body: Any, terms: Terms) -> tuple[str, ...]:
        if not isinstance(body, dict):
            raise bad_request("couldn't get version/kind; json parse error")
        given = body.get("apiVersion", kind.api_version)
        if given != kind.api_version or body.get("kind", kind.kind) != kind.kind:
            raise bad_request(
                f"the API version in the data ({given}) does not match the expected API version "
                f"({kind.api_version})"
                if given != kind.api_version
                else f'{body["kind"]} in version "{kind.version}" cannot be handled as a '
                f'{kind.kind}: no kind "{body["kind"]}" is registered'
            )
        body["kind"], body["apiVersion"] = kind.kind, kind.api_version
        cannot = f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: '
        try:
            schema.check(body, kind.schema)
        except schema.DecodeError as error:
            raise bad_request(cannot + error.as_json_decoder) from error
        if body.get("metadata") is None:
            body["metadata"] = {}
        return self._unknown(kind, body, terms, lambda problem: bad_request(cannot + problem))

    def _unknown(self, kind: Kind, body: Any, terms: Terms, refuse: Any) -> tuple[str, ...]:
        if terms.validation == "Ignore":
            return ()
        found = [f'unknown field "{path}"' for path in schema.unknown(body, kind.schema)]
        if found and terms.validation == "Strict":
            raise refuse(f"strict decoding error: {', '.join(found)}")
        return tuple(found)

    def _read_patched(
        self, kind: Kind, patched: Any, shown: str, form: str, terms: Terms
    ) -> tuple[str, ...]:
        try:
            schema.check(patched, kind.schema)
        except schema.DecodeError as error:
            words = error.as_converter if form == STRATEGIC else error.as_json_decoder
            raise invalid_patch(shown, words) from error
        return self._unknown(kind, patched, terms, lambda problem: invalid_patch(shown, problem))

    def _place(self, namespace: str, body: JsonObject) -> None:
        given = body["metadata"].get("namespace") or namespace
        if given != namespace:
            raise bad_request(
                "the namespace of the provided object does not match the namespace sent on the request"
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


def patch_value(live: JsonObject, patch: Any, form: str, kind: str) -> tuple[Any, str]:
    """Return the patched object and the text by which a refusal shows it.

    Raises:
        ApiError: 400, 415, 422.
    """
    if form == STRATEGIC:
        if not isinstance(patch, dict):
            raise bad_request(
                "cannot unmarshal array into Go value of type map[string]interface {}"
            )
        return strategic_merge(live, patch, kind), go_value(patch)
    if form == MERGE:
        if not isinstance(patch, dict):
            raise bad_request("Invalid JSON Patch")
        patched = merge_patch(live, patch)
    elif form == JSON_PATCH:
        patched = json_patch(live, patch)
    else:
        raise unsupported_media_type()
    return patched, json.dumps(patched, separators=(",", ":"), ensure_ascii=False)
