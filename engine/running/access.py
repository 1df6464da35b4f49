"""What runs of the last days used: which playbooks, and through them which connections, how often."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from engine.contract.registry import Registry
from engine.domain.canonical import JsonObject
from engine.domain.plan import Effect
from engine.journal.rows import Page
from engine.journal.store import Tx
from engine.language.program import Program
from engine.planning.uses import Use, scope_of, uses

WITHIN = timedelta(days=7)
LOOKED_AT = 500  # runs, the newest


@dataclass
class Access:
    """One connection, for reading or for writing: how many runs used it, and with which parameters."""

    connection: str
    writable: bool
    uses: int = 0
    params: list[JsonObject] = field(default_factory=list)


@dataclass(frozen=True)
class Pattern:
    """Playbooks and connections with the number of runs that used them, the most used first."""

    playbooks: tuple[tuple[str, int], ...]
    connections: tuple[Access, ...]


def past(
    tx: Tx,
    playbooks: Mapping[str, Program],
    registry: Registry,
    kinds: Mapping[str, str],
) -> Pattern:
    """Return what the newest runs of the last week used, as far as it is still loaded and configured.

    Args:
        playbooks: the loaded ones; of others nothing will be needed again.
        kinds: each configured connection's kind, by its name.
    """
    since = tx.now() - WITHIN
    rows = [row for row in tx.runs.list(Page(limit=LOOKED_AT)) if row.created_at >= since]
    counts = Counter(row.playbook for row in rows if row.playbook in playbooks)
    newest = {row.playbook: row for row in reversed(rows)}
    found: dict[tuple[str, bool], Access] = {}
    for name, number in counts.most_common():
        program = playbooks[name]
        # What stood in the inputs of its newest run will stand there again: a connection's name, a kind.
        scope = scope_of(program, newest[name].inputs, {})
        used: set[tuple[str, bool]] = set()
        for use in uses(program, kinds, scope):
            for key in _keys(use, registry, kinds):
                found.setdefault(key, Access(*key)).params.append(use.params)
                used.add(key)
        for key in used:
            found[key].uses += number
    order = sorted(found.values(), key=lambda one: (-one.uses, one.connection, one.writable))
    return Pattern(tuple(counts.most_common()), tuple(order))


def _keys(use: Use, registry: Registry, kinds: Mapping[str, str]) -> list[tuple[str, bool]]:
    """The clients that a use needs: what changes is planned by one that only reads, then applied."""
    action = registry.actions.get(use.action)
    if action is None:
        return []
    field = action.Params.model_fields.get("connection")
    name = use.params.get("connection", None if field is None else field.get_default())
    if not isinstance(name, str) or name not in kinds:
        return []
    return [(name, False)] if action.effect is Effect.READ else [(name, False), (name, True)]
