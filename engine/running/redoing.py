"""The undo of an undo: what was taken back is made again, planned anew on the world as it is now.

The parameters are those that the first run's steps had been given, after their templates; they stand in
the plan that was in force when the step began, or in its intent where it was known only later. They are
handed over as inputs, so that no text of theirs is ever read as a template.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from engine.domain.canonical import Json, JsonObject
from engine.domain.errors import Refused
from engine.domain.plan import Planned, from_json
from engine.journal.rows import RunRow
from engine.journal.store import Tx
from engine.language.program import ActionNode, Program
from engine.planning.progress import ChangeState

REDO_PLAYBOOK = "redo"
_SECRET = re.compile("\u2063secret:([^\u2063]+)\u2063")


@dataclass(frozen=True)
class _Made:
    """One change that an undo took back."""

    change: ChangeState
    params: JsonObject


def taken_back(tx: Tx, undo: RunRow) -> list[str]:
    """Return the keys of the effects that the undo run took back."""
    entries = tx.journal.read(undo.id)
    return [
        str(entry.body["of"])
        for entry in entries
        if entry.kind == "undo.outcome" and entry.body["state"] == "undone"
    ]


def redo_program(
    tx: Tx, undo: RunRow, changes: Sequence[ChangeState], steps: Sequence[str]
) -> tuple[Program, JsonObject]:
    """Return the program, with its inputs, that makes again what the run `undo` took back.

    Args:
        changes: those of the run that was undone, in the order of their receipts.
        steps: addresses in that run; none: all.

    Raises:
        Refused: it took nothing back, or parameters of a step are no longer known.
    """
    assert undo.parent is not None, "an undo run has the run that it undoes"
    keys = set(taken_back(tx, undo))
    chosen = [
        change
        for change in changes
        if change.key in keys and (not steps or change.address in steps)
    ]
    if not chosen:
        raise Refused(f"run {undo.id} took nothing back, so there is nothing to make again")
    known = _parameters(tx, undo.parent)
    made = []
    for change in chosen:
        if change.key not in known:
            raise Refused(
                f"{change.address}: the parameters of this step are not known any more; run the "
                "playbook again instead"
            )
        made.append(_Made(change, known[change.key]))
    nodes = tuple(_node(number, item) for number, item in enumerate(made))
    program = Program(
        playbook=REDO_PLAYBOOK,
        summary=f"Make again what {undo.id} took back of {undo.parent}",
        steps=nodes,
        revision=undo.id,
    )
    return program, {"changes": [_without_secrets(item.params) for item in made]}


def _parameters(tx: Tx, run_id: str) -> dict[str, JsonObject]:
    """Return {key: parameters} of the run's intents."""
    found: dict[str, JsonObject] = {}
    lines: dict[str, JsonObject] = {}
    for entry in tx.journal.read(run_id):
        body = entry.body
        if entry.kind == "run.planned" or (
            entry.kind == "gate.closed" and body["state"] == "approved"
        ):
            plan: Any = tx.blobs.plan(run_id, body["fingerprint"])
            lines |= {line["address"]: line for line in (plan or {}).get("steps", ())}
        elif entry.kind == "step.intent":
            given = body.get("params")
            if given is None:
                given = lines.get(body["address"], {}).get("params")
            if isinstance(given, dict):
                found[body["key"]] = from_json(given)
    return found


def _node(number: int, made: _Made) -> ActionNode:
    planned = Planned.from_json(made.change.planned)
    given = {
        name: _template(value, f"inputs.changes[{number}][{name!r}]")
        for name, value in made.params.items()
    }
    return ActionNode.model_validate(
        {
            "id": f"redo_{number + 1}",
            "name": made.change.address,
            "action": planned.action,
            "with": given,
        }
    )


def _template(value: Json, path: str) -> Json:
    """Return a template that yields `value`: a reference to the inputs, secrets by name."""
    if not _SECRET.search(repr(value).replace("\\u2063", "\u2063")):
        return f"{{{{ {path} }}}}"
    if isinstance(value, dict):
        return {name: _template(item, f"{path}[{name!r}]") for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_template(item, f"{path}[{place}]") for place, item in enumerate(value)]
    match = _SECRET.fullmatch(str(value))
    if match is None:
        raise Refused(
            "a parameter mixes a secret with other text, which cannot be made again from the record; "
            "run the playbook again instead"
        )
    return f"{{{{ secret({match[1]!r}) }}}}"


def _without_secrets(value: Json) -> Json:
    if isinstance(value, dict):
        return {name: _without_secrets(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_secrets(item) for item in value]
    return None if isinstance(value, str) and _SECRET.search(value) else value
