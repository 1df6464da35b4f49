"""All that the engine would do with an action, its undo included: what rights are measured by."""

from __future__ import annotations

from typing import Any

from engine.contract import Applied, NotYet
from tests.contract.actions.cases import ChangeCase, NotifyCase, ReadCase


def carried_out(case: Any, connections: Any, key: str = "key-1") -> None:
    """Read and check, or plan, apply, confirm and undo, or send."""
    params = case.action.Params.model_validate(case.params)
    if isinstance(case, ReadCase):
        case.check(case.action.read(params, connections.reading()))
        return
    if isinstance(case, NotifyCase):
        case.action.send(params, connections.writing(), key)
        return
    assert isinstance(case, ChangeCase)
    planned = case.action.plan(params, connections.reading())
    receipt = case.action.apply(planned, connections.writing(), key)
    found = case.action.confirm(planned, receipt, connections.reading(), key)
    if case.action.protection_of(planned).retry_safe:
        assert isinstance(found, Applied | NotYet)
    case.action.confirm(planned, None, connections.reading(), key)  # as after a crash
    if planned.reversible:
        case.action.undo(planned, receipt, connections.writing(), f"undo-{key}")
