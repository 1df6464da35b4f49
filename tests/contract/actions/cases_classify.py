"""The classifier's case."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from actions.classify import ClassifyText, PatternsKind
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


READS = {"classify.text": text}
