"""What every action that leaves one artifact shares: its name, the receipt, confirm and undo."""

from __future__ import annotations

import hashlib
from typing import Any, TypeVar

from pydantic import Field

from actions.artifacts.reference import NAME
from actions.artifacts.store import ArtifactStore, Kept
from engine.contract import (
    ActionFailed,
    ActionParams,
    Applied,
    Category,
    Change,
    Confirmation,
    NotApplied,
    Planned,
    Protection,
    Receipt,
    Target,
    Unknown,
    World,
    Wrong,
)
from engine.domain.canonical import JsonObject


class LeavingParams(ActionParams):
    """Where the artifact goes."""

    artifacts: str = Field(
        description="An artifacts connection, which keeps the file", examples=["artifacts"]
    )
    name: str | None = Field(
        None,
        description="The artifact's name, which must be free; named from the step's key where missing",
        examples=["incident-17/results.jsonl"],
        pattern=NAME,
    )


P = TypeVar("P", bound=ActionParams)


class Leaving(Change[P]):
    """Leaves one artifact, whole or not at all, once a key.

    The name is taken by a link that fails where it is taken already. `request` holds `artifacts` (the
    connection), `name` (or None) and `stem`.
    """

    protection = Protection.CONDITIONAL

    def confirm(
        self, planned: Planned, receipt: Receipt | None, world: World, key: str
    ) -> Confirmation:
        store = world.client(planned.request["artifacts"], ArtifactStore)
        name = named(planned, key)
        found = store.find(name)
        if found is None:
            return Wrong(f"artifact {name} is gone") if receipt else NotApplied()
        if found.key != key:
            return Wrong(f"artifact {name} was put there by others")
        return Applied(receipt or receipt_of(planned, found))

    def undo(self, planned: Planned, receipt: Receipt, world: World, key: str) -> Receipt:
        del key  # a file that is gone was removed before
        image = receipt.before_image
        if not isinstance(image, dict):
            what = f"{planned.target}: it is not known which file was left"
            raise ActionFailed(Category.PERMANENT, what, effect_possible=False)
        store = world.client(planned.request["artifacts"], ArtifactStore)
        left = image["left"]
        store.remove(Kept(left["name"], left["sha256"], left["bytes"], image["key"]))
        return Receipt(dict(planned.before), dict(planned.counts), None, {"removed": left["name"]})


def place(params: LeavingParams, stem: str) -> Target:
    """Return the artifact as a target; `stem-*` where the key will name it."""
    return Target(params.artifacts, params.name or f"{stem}-*")


def leaving(params: LeavingParams, stem: str, world: World) -> tuple[JsonObject, JsonObject]:
    """Return the parts of `after` and `request` that say where the artifact goes.

    Raises:
        ActionFailed: (data) the name is taken.
    """
    if params.name is not None:
        world.client(params.artifacts, ArtifactStore).hold_free(params.name)
    name: Any = params.name or Unknown("named from the step's key")
    return {"artifact": name}, {"artifacts": params.artifacts, "name": params.name, "stem": stem}


def named(planned: Planned, key: str) -> str:
    """Return the artifact's name, made of the key where none was given."""
    given = planned.request["name"]
    if given is not None:
        return str(given)
    stem, _, suffix = str(planned.request["stem"]).partition(".")
    digest = hashlib.sha256(key.encode()).hexdigest()[:20]
    return f"{stem}-{digest}" + (f".{suffix}" if suffix else "")


def receipt_of(planned: Planned, kept: Kept) -> Receipt:
    """Return the receipt of an artifact that is there."""
    reference = kept.reference(planned.request["artifacts"])
    after = {**dict(planned.after), "artifact": kept.name}
    # What was known only by doing it is a fact of the same name by now.
    after |= {
        name: kept.facts[name]
        for name, value in planned.after.items()
        if _is_open(value, name, kept)
    }
    image = {"left": reference, "key": kept.key}
    return Receipt(after, dict(planned.counts), image, {"artifact": reference, **kept.facts})


def _is_open(value: Any, name: str, kept: Kept) -> bool:
    return isinstance(value, Unknown) and name in kept.facts
