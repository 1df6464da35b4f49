"""kubernetes.configmap_merge: keys of a ConfigMap, also inside the YAML that one of its values holds."""

from __future__ import annotations

from typing import Any, Self

from pydantic import Field, model_validator

from actions.kubernetes import byhand
from actions.kubernetes.changing import MERGE
from actions.kubernetes.client import KubernetesClient
from actions.kubernetes.params import OfKind
from actions.kubernetes.patching import Patch, Patching
from actions.kubernetes.yamltext import CannotMerge, merged_text
from engine.contract import ActionFailed, Category
from engine.domain.canonical import JsonObject

LARGEST = 2**20  # bytes of all keys and values, as the API server counts them


class ConfigMapMergeParams(OfKind):
    """Parameters of merging into a ConfigMap."""

    known = "ConfigMap"
    name: str = Field(description="The ConfigMap's name", examples=["batch-config"], min_length=1)
    data: dict[str, str] = Field(
        {},
        description="Whole values by key; other keys stay",
        examples=[{"GITHUB_MAX_REPOS": "50"}],
    )
    entry: str | None = Field(
        None,
        description="The key whose value is YAML or JSON that `merge` goes into",
        examples=["batch.yaml"],
        min_length=1,
    )
    merge: dict[str, Any] = Field(
        {},
        description="What to set inside it: mappings merge, anything else is replaced, null is written as "
        "null; the rest of the text, comments included, stays as it is",
        examples=[{"workers": 2, "limits": {"per_request": 50}}],
    )
    create_entry: bool = Field(False, description="Whether `entry` may be new", examples=[True])

    @model_validator(mode="after")
    def _something(self) -> Self:
        if (self.entry is None) != (not self.merge):
            raise ValueError("entry and merge go together")
        if not self.data and not self.merge:
            raise ValueError("give data, or entry and merge")
        if self.entry in self.data:
            raise ValueError(f"{self.entry!r} is both in data and the entry to merge into")
        return self


class KubernetesConfigMapMerge(Patching[ConfigMapMergeParams]):
    """Sets keys of a ConfigMap, and keys inside the YAML held by one of its values.

    Pods see it as they mount it: after the kubelet's next sync, and variables only after a restart.
    """

    name = "kubernetes.configmap_merge"
    manual = byhand.configmap_merge
    summary = "Set keys of a ConfigMap, also inside YAML it holds"
    Params = ConfigMapMergeParams

    def patch_of(
        self, params: ConfigMapMergeParams, seen: JsonObject, client: KubernetesClient
    ) -> Patch:
        del client
        if seen.get("immutable"):
            raise _refused(params, "it is immutable: make a new one and let the pods name that")
        there: dict[str, str] = seen.get("data") or {}
        data = dict(params.data)
        if params.entry is not None:
            data[params.entry] = _merged(params, there)
        size = _size({**there, **data}) + _size(seen.get("binaryData") or {})
        if size > LARGEST:
            raise _refused(params, f"it would hold {size} bytes; a ConfigMap holds {LARGEST}")
        return Patch({"data": data}, MERGE)


def _merged(params: ConfigMapMergeParams, there: dict[str, str]) -> str:
    assert params.entry is not None
    if params.entry not in there and not params.create_entry:
        listed = ", ".join(sorted(there)) or "none"
        raise _refused(params, f"it has no key {params.entry!r}; it has: {listed}")
    try:
        return merged_text(there.get(params.entry, ""), params.merge)
    except CannotMerge as error:
        raise _refused(params, f"key {params.entry!r}: {error}") from None


def _size(values: dict[str, str]) -> int:
    return sum(len(name.encode()) + len(value.encode()) for name, value in values.items())


def _refused(params: ConfigMapMergeParams, why: str) -> ActionFailed:
    return ActionFailed(Category.DATA, f"{params.target}: {why}", effect_possible=False)
