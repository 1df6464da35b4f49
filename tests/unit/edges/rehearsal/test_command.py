"""`stanch rehearse` as people and CI call it."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from engine.edges.cli.main import run
from tests.unit.edges.rehearsal.kit import make_ground
from tests.unit.edges.rehearsal.test_playing import GOOD, SCALE


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    make_ground(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_results_exit_codes_and_the_report_for_ci(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = SCALE.replace("scaled", "not scaled") + "covers: [W6]\nexpect: {run: failed}\n"
    (project / "books" / "scale.rehearsal.yaml").write_text(f"{SCALE}{GOOD}---{bad}")
    assert run(["rehearse", "--jobs", "1", "--json", "--junit", "report.xml"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert [one["ok"] for one in told["results"]] == [True, False]
    assert told["results"][1]["misses"][0]["seen"].startswith("succeeded")
    suite = ET.parse(project / "report.xml").getroot()
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    assert run(["rehearse", "-k", "one.rehearsal.yaml: nothing"]) == 1
    assert run(["rehearse", "--covers", "--json"]) == 0
    assert '"W6"' in capsys.readouterr().out


def test_mistakes_are_shown_before_anything_is_played(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "books" / "scale.rehearsal.yaml").write_text(
        SCALE + "expect: {steps: {skale: changed}}\n"
    )
    assert run(["rehearse"]) == 2
    assert "did you mean 'scale'?" in capsys.readouterr().out
    assert run(["rehearse", "nowhere"]) == 2
    assert "no such file or folder" in capsys.readouterr().out
