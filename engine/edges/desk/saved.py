"""Plans in files: written now, applied later, by somebody else perhaps, and refused when they no longer hold.

A file carries what was planned and the fingerprint that a run must come to. It holds no secret, no sample of
rows and no answer of a read: those may be personal, and none of them is covered by the fingerprint. Its digest
finds damage and edits; it is no signature. What a run does is decided by its own plan, made anew.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from engine.domain.canonical import Json, JsonObject, digest
from engine.domain.clock import format_time
from engine.domain.errors import InvalidInput, Refused
from engine.planning.document import PlanDocument
from engine.planning.drift import differences

KIND, FORMAT = "stanch.plan", 1
_PRIVATE: JsonObject = {"request": {}, "precondition": {}, "sample": []}
_SHOWN = 8  # differences that a refusal names


@dataclass(frozen=True)
class Saved:
    """A plan file, read and found whole."""

    playbook: str
    inputs: JsonObject
    alert: JsonObject | None
    document: PlanDocument
    fingerprint: str
    made_at: str


def version() -> str:
    """The installed version of Stanch."""
    return importlib.metadata.version("stanch")


def saved_plan(
    document: PlanDocument, alert: JsonObject | None, now: datetime, clean: JsonObject
) -> JsonObject:
    """Return the content of a plan file.

    Args:
        clean: the inputs with every known secret taken out; they must be the inputs themselves.

    Raises:
        InvalidInput: an input holds a secret's value, which a file must not.
    """
    wrong = [name for name, value in document.inputs.items() if clean.get(name) != value]
    if wrong:
        raise InvalidInput(
            f"input {wrong[0]!r} holds the value of a secret, and a plan file holds none; "
            f"let the playbook use secret('name') instead"
        )
    body: JsonObject = {
        "kind": KIND,
        "format": FORMAT,
        "stanch": version(),
        "made_at": format_time(now),
        "playbook": document.playbook,
        "inputs": document.inputs,
        "alert": alert,
        "fingerprint": document.fingerprint,
        "document": _bare(document.as_json()),
    }
    return {**body, "digest": digest(body)}


def _bare(document: JsonObject) -> JsonObject:
    steps = []
    for step in document["steps"]:
        bare = {name: value for name, value in step.items() if name != "sample"}
        if bare.get("plan"):
            bare["plan"] = {**bare["plan"], **_PRIVATE}
        if bare["state"] == "read":
            bare["detail"] = {}
        steps.append(bare)
    return {**document, "steps": steps}


def read_saved(body: Json) -> Saved:
    """Read the content of a plan file.

    Raises:
        InvalidInput: it is none, or it was damaged or edited. Refused: another version of Stanch made it.
    """
    if not isinstance(body, Mapping) or body.get("kind") != KIND:
        raise InvalidInput("this is no plan file; stanch plan PLAYBOOK --out FILE makes one")
    if body.get("format") != FORMAT or body.get("stanch") != version():
        made = f"Stanch {body.get('stanch')}, format {body.get('format')}"
        raise Refused(
            f"the plan was made by {made}; this is Stanch {version()}, format {FORMAT}: plan again"
        )
    rest = {name: value for name, value in body.items() if name != "digest"}
    try:
        whole = digest(rest) == body.get("digest")
        document = PlanDocument.from_json(body["document"]) if whole else None
    except (KeyError, TypeError, ValueError, AttributeError):
        document = None
    if document is None or document.fingerprint != body["fingerprint"]:
        raise InvalidInput(
            "the plan file was changed after it was written: its digest does not fit; plan again"
        )
    return Saved(
        playbook=body["playbook"],
        inputs=body["inputs"],
        alert=body["alert"],
        document=document,
        fingerprint=body["fingerprint"],
        made_at=str(body["made_at"]),
    )


def refuse_stale(saved: Saved, fresh: Any) -> None:
    """Refuse a saved plan that is not what would be done now.

    Raises:
        Refused: naming what differs.
    """
    if saved.fingerprint == fresh.fingerprint:
        return
    found = differences(saved.document, fresh)
    if saved.document.revision != fresh.revision:
        text = f"the playbook {saved.playbook} was changed"
        found = [item for item in found if item.address != "plan"]
    else:
        text = "the world is not as it was"
    shown = "; ".join(map(str, found[:_SHOWN]))
    more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    raise Refused(
        f"the plan of {saved.made_at} is stale: {text}{': ' if shown else ''}{shown}{more}; plan again"
    )
