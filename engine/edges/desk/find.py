"""Finds a thing by what people type: a whole id, its unique beginning or end, or a plan's fingerprint."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from engine.domain.errors import InvalidInput, NotFound
from engine.journal.rows import GateRow, Page, RunRow
from engine.journal.store import Tx

_RECENT = 500
_SHORTEST = 3
_FINGERPRINT = re.compile(r"[0-9a-f]{6,64}\Z")


@dataclass(frozen=True)
class Found:
    """What was meant. `kind` is run, incident, alert, gate or plan; a plan's `id` is its run's."""

    kind: str
    id: str
    fingerprint: str | None = None

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"


def find(tx: Tx, text: str) -> Found:
    """Return the one thing that `text` names.

    Raises:
        InvalidInput: too short, or several things; the message lists them.
        NotFound: nothing.
    """
    exact = _exact(tx, text)
    if exact is not None:
        return exact
    if len(text) < _SHORTEST:
        raise InvalidInput(f"{text!r} is too short; give at least {_SHORTEST} characters of an id")
    found = list(dict.fromkeys([*_by_id(tx, text), *_plans(tx, text)]))
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(str(item) for item in found[:10])
        raise InvalidInput(f"{text!r} may be any of these; write more of it: {names}")
    recent = tuple(row.id for row in tx.runs.list(Page(limit=3)))
    raise NotFound(f"no run, incident, alert, gate or plan is called {text!r}", near=recent)


def find_run(tx: Tx, text: str) -> RunRow:
    """Return the run that `text` names.

    Raises:
        InvalidInput: several. NotFound: none.
    """
    row = tx.runs.get(text)
    if row is not None:
        return row
    rows = tx.runs.find(text) if len(text) >= _SHORTEST else ()
    if len(rows) == 1:
        return rows[0]
    if rows:
        names = ", ".join(item.id for item in rows)
        raise InvalidInput(f"{text!r} may be any of these runs; write more of it: {names}")
    raise NotFound(
        f"no run is called {text!r}", near=tuple(r.id for r in tx.runs.list(Page(limit=3)))
    )


def find_gate(tx: Tx, text: str) -> GateRow:
    """Return the gate that `text` names: a gate's id, or a run's, whose one open gate it then is.

    Raises:
        InvalidInput: several, or the run has no open gate. NotFound: none.
    """
    found = find(tx, text)
    if found.kind == "gate":
        row = tx.gates.get(found.id)
        assert row is not None
        return row
    if found.kind not in {"run", "plan"}:
        raise InvalidInput(f"{found} has no gate; name a gate or a run")
    gates = tx.gates.of_run(found.id)
    opened = [gate for gate in gates if gate.state == "open"]
    if len(opened) == 1:
        return opened[0]
    if opened:
        names = ", ".join(gate.id for gate in opened)
        raise InvalidInput(f"run {found.id} has several open gates; name one: {names}")
    raise InvalidInput(f"run {found.id} has no open gate")


def _exact(tx: Tx, text: str) -> Found | None:
    if tx.runs.get(text) is not None:
        return Found("run", text)
    if tx.incidents.get(text) is not None:
        return Found("incident", text)
    if tx.gates.get(text) is not None:
        return Found("gate", text)
    if tx.alerts.get(text) is not None:
        return Found("alert", text)
    return None


def _by_id(tx: Tx, text: str) -> Iterator[Found]:
    """Runs over all history, the others among the newest: people name what they have just seen."""
    page = Page(limit=_RECENT)
    yield from (Found("run", row.id) for row in tx.runs.find(text))
    ids = [("incident", row.id) for row in tx.incidents.list(page)]
    ids += [("gate", row.id) for row in tx.gates.list(open_only=False)]
    ids += [("alert", row.id) for row in tx.alerts.list(page)]
    yield from (Found(kind, id_) for kind, id_ in ids if id_.startswith(text) or id_.endswith(text))


def _plans(tx: Tx, text: str) -> Iterator[Found]:
    if not _FINGERPRINT.match(text):
        return
    seen: set[str] = set()
    for gate in tx.gates.list(open_only=False):
        if gate.fingerprint.startswith(text):
            seen.add(gate.run_id)
            yield Found("plan", gate.run_id, gate.fingerprint)
    for row in tx.runs.list(Page(limit=100)):
        plan = None if row.id in seen else tx.blobs.plan(row.id)
        if plan and plan["fingerprint"].startswith(text):
            yield Found("plan", row.id, plan["fingerprint"])
