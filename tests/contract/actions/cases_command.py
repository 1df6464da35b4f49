"""The local programs' case."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from actions.command import CommandKind, CommandRun
from engine.contract import Category
from tests.contract.actions.cases import ChangeCase, Fault
from tests.contract.actions.worlds import Connections

SECRET = "c0mmand+secret/=&"


def program(name: str) -> str:
    found = shutil.which(name)
    assert found, f"this machine has no {name}"
    return found


def connections(folder: Path, **settings: Any) -> Connections:
    raw = {
        "programs": {
            "cp": {"path": program("cp"), "arguments": ["-n", f"{folder}/*"]},
            "rm": {"path": program("rm"), "arguments": [f"{folder}/*"]},
            "sh": {"path": program("sh"), "arguments": ["-c", "*"], "timeout": 5},
            "gone": {"path": str(folder / "gone")},
        },
        "records": folder / "records",
        "environment": {"TOKEN": {"env": "TOKEN"}},
        **settings,
    }
    return Connections({"tools": (CommandKind(), raw)}, {"TOKEN": SECRET})


def run(request: pytest.FixtureRequest) -> ChangeCase:
    folder: Path = request.getfixturevalue("tmp_path")
    (folder / "from").write_text("content")
    place = str(folder / "to")
    params = {
        "connection": "tools",
        "program": "sh",
        "arguments": ["-c", f'echo "$TOKEN"; echo ran >> {place}'],
        "undo": {"program": "rm", "arguments": [place]},
    }
    made = connections(folder)
    faults = {
        "not listed": Fault(Category.CONFIGURATION, made, {**params, "program": "bash"}),
        "no such file": Fault(
            Category.CONFIGURATION, made, {**params, "program": "gone", "arguments": []}
        ),
        "argument": Fault(
            Category.CONFIGURATION,
            made,
            {**params, "program": "rm", "arguments": [f"/elsewhere{place}"]},
        ),
        "records": Fault(
            Category.CONFIGURATION, connections(folder, records=folder / "from" / "x"), params
        ),
    }
    return ChangeCase(
        connections(folder),
        params,
        lambda: Path(place).read_text() if Path(place).exists() else None,
        list,
        faults,
        [SECRET],
        action=CommandRun(),
    )


CHANGES = {"command.run": run}
