"""The classifiers' cases."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from actions.classify import ClassifyLevels, ClassifyText, PatternsKind
from engine.contract import Category
from tests.contract.actions.cases import Fault, ReadCase
from tests.contract.actions.worlds import Connections


def connections(*files: Path, **settings: Any) -> Connections:
    return Connections({"classes": (PatternsKind(), {"files": list(files), **settings})})


def text(request: pytest.FixtureRequest) -> ReadCase:
    folder: Path = request.getfixturevalue("tmp_path")
    own, bad = folder / "own.yaml", folder / "bad.yaml"
    own.write_text("patterns:\n- {class: moon, category: data, text: ['full moon']}\n")
    bad.write_text("patterns:\n- {class: moon, category: data, text: ['(']}\n")
    params = {
        "connection": "classes",
        "text": "all well\nOOMKilled\nat FULL moon, a\nOOMKilled\nfull moon, b\nall well\n",
    }

    def check(output: Any) -> None:
        assert (output["class"], output["category"], output["known"]) == ("moon", "data", True)
        assert (output["line"], output["pattern"]) == ("full moon, b", "full moon")
        assert output["counts"] == {"moon": 2, "memory": 2}

    faults = {
        "missing": Fault(Category.CONFIGURATION, connections(folder / "none.yaml"), params),
        "bad pattern": Fault(Category.CONFIGURATION, connections(bad), params),
    }
    return ReadCase(
        connections(own),
        params,
        lambda: sorted(path.name for path in folder.iterdir()),
        list,
        faults,
        action=ClassifyText(),
        check=check,
    )


def levels(request: pytest.FixtureRequest) -> ReadCase:
    del request
    failed = {"metric": "Failed records", "warning": 50, "critical": 100, "action": "Look at them"}
    rate = {"metric": "Success rate", "unit": "%", "worse": "below", "warning": 90, "critical": 80}
    params = {
        "measures": {
            "failed": {**failed, "value": 100.5},
            "on_the_line": {**failed, "value": 50},
            "rate": {**rate, "value": 80},
            "unknown": {**rate, "value": None},
        }
    }

    def check(output: Any) -> None:
        found = {"failed": "critical", "on_the_line": "ok", "rate": "warning", "unknown": "unknown"}
        assert (output["level"], output["levels"]) == ("critical", found)
        assert output["unmeasured"] == ["unknown"]
        assert output["alerts"] == [
            "CRITICAL: Failed records 100.5 (> 100): Look at them",
            "WARNING: Success rate 80 % (< 90 %)",
        ]
        assert [row["value"] for row in output["rows"]] == ["100.5", "50", "80 %", "not measured"]

    odd = {"measures": {"failed": {**failed, "value": 1, "critical": 10}}}
    faults = {"disorder": Fault(Category.CONFIGURATION, Connections({}), odd)}
    return ReadCase(
        Connections({}), params, lambda: 0, list, faults, action=ClassifyLevels(), check=check
    )


READS = {"classify.levels": levels, "classify.text": text}
