"""The decisions log's case."""

from __future__ import annotations

from pathlib import Path

import pytest

from actions.log import DecisionsKind, LogDecision
from engine.contract import Category
from tests.contract.actions.cases import Fault, NotifyCase
from tests.contract.actions.worlds import Connections


def connections(path: Path) -> Connections:
    return Connections({"decisions": (DecisionsKind(), {"path": path})})


def decision(request: pytest.FixtureRequest) -> NotifyCase:
    folder: Path = request.getfixturevalue("tmp_path")
    path = folder / "logs" / "decisions.log"
    (folder / "file").write_text("")
    params = {"fields": {"operator": "alice", "action": "a | b\nc", "rows": 3, "ok": True}}
    faults = {
        "a folder": Fault(Category.CONFIGURATION, connections(folder), params),
        "below a file": Fault(Category.CONFIGURATION, connections(folder / "file" / "x"), params),
    }
    return NotifyCase(
        connections(path),
        params,
        lambda: path.read_text() if path.exists() else None,
        list,
        faults,
        action=LogDecision(),
    )


NOTIFIES = {"log.decision": decision}
