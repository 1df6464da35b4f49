"""kubernetes.patch: change fields of one object of any kind."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from actions.kubernetes import byhand
from actions.kubernetes.changing import JSON_PATCH, MERGE, STRATEGIC
from actions.kubernetes.client import KubernetesClient
from actions.kubernetes.params import Named
from actions.kubernetes.patching import Patch, Patching
from actions.kubernetes.resources import built_in
from engine.contract import Unplannable
from engine.domain.canonical import Json, JsonObject

_FORMS = {"strategic": STRATEGIC, "merge": MERGE, "json": JSON_PATCH}


class PatchParams(Named):
    """Parameters of a patch."""

    patch: dict[str, Any] | list[dict[str, Any]] = Field(
        description="The patch: an object, or for type json a list of operations",
        examples=[{"spec": {"suspend": True}}],
    )
    type: Literal["strategic", "merge", "json"] | None = Field(
        None,
        description="How the patch is meant: strategic merges lists by their keys (built-in kinds; their "
        "default), merge replaces lists (the default of other kinds), json is RFC 6902",
        examples=["merge"],
    )


class KubernetesPatch(Patching[PatchParams]):
    """Changes fields of one object of any kind."""

    name = "kubernetes.patch"
    manual = byhand.patch
    summary = "Change fields of a Kubernetes object"
    Params = PatchParams

    def patch_of(self, params: PatchParams, seen: JsonObject, client: KubernetesClient) -> Patch:
        del seen, client
        form = _form(params)
        return Patch(_checked(params, form), form)


def _form(params: PatchParams) -> str:
    chosen = params.type
    if chosen is None:
        chosen = (
            "json"
            if isinstance(params.patch, list)
            else ("strategic" if built_in(params.kind, params.api_version) else "merge")
        )
    return _FORMS[chosen]


def _checked(params: PatchParams, form: str) -> Json:
    """Return the patch, once it is one that can be planned.

    Raises:
        Unplannable: it is of the wrong shape, or writes what the server keeps for itself.
    """
    patch = params.patch
    if isinstance(patch, list) != (form == JSON_PATCH):
        wanted = "a list of operations" if form == JSON_PATCH else "an object"
        raise Unplannable(f"a patch of type {params.type} is {wanted}")
    if isinstance(patch, list):
        heads = [str(each.get(name, "")) for each in patch for name in ("path", "from")]
        own = any(
            head.startswith(("/status", "/metadata/resourceVersion", "/metadata/uid"))
            for head in heads
        )
    else:
        metadata = patch.get("metadata") or {}
        own = "status" in patch or bool({"resourceVersion", "uid", "name"} & set(metadata))
    if own:
        raise Unplannable(
            "a patch cannot write status, metadata.name, metadata.uid or metadata.resourceVersion: the "
            "server keeps them; leave them out (the version is checked anyway)"
        )
    return patch
