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


def test_a_failure_shows_what_was_expected_what_was_seen_and_what_happened(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "books" / "scale.rehearsal.yaml").write_text(
        SCALE
        + """expect:
  run: failed
  changes: [{target: shop/Deployment/web, set: {replicas: [6, 4]}}]
"""
    )
    assert run(["rehearse", "--jobs", "1"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("FAIL  scaled  books/scale.rehearsal.yaml:2")
    assert lines[1:7] == [
        "  books/scale.rehearsal.yaml:10: the run",
        "      expected  failed",
        "      seen      succeeded: all steps done",
        "  books/scale.rehearsal.yaml:11: the change of shop/Deployment/web",
        "      expected  replicas: [6, 4]",
        "      seen      replicas: 6 -> 2",
    ]
    assert lines[7] == "  what happened:"
    happened = [line.split(maxsplit=1) for line in lines[8:-1]]
    assert ["+0s", "scale.started  scale shop/Deployment/web from 6 to 2"] in happened
    came_to = next(text for at, text in happened if at == "+2s" and text.startswith("scale  "))
    assert came_to.startswith('scale  succeeded, changed: {"after":{"spec.replicas":2},"before":')
    assert ["+10m2s", "run.ended  succeeded: all steps done"] in happened
    assert lines[-1].startswith("1 rehearsal, 1 failed, ")


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


FORGIVING = """
playbook: shop/forgiving
steps:
  - id: scale
    on_failure: continue
    action: kubernetes.scale
    with: {connection: cluster, namespace: shop, kind: Deployment, name: web, replicas: 2}
"""


def test_chaos_names_what_led_to_a_success_over_another_world(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The playbook says of a change that matters that the run may go on without it."""
    make_ground(tmp_path, {"shop/forgiving": FORGIVING})
    monkeypatch.chdir(tmp_path)
    (tmp_path / "books" / "forgiving.rehearsal.yaml").write_text(
        """
rehearsal: forgiving
playbook: shop/forgiving
world: {cluster: {namespace: shop, objects: [{kind: Deployment, name: web, spec: {replicas: 6}}]}}
expect: {run: succeeded}
"""
    )
    asked = ["rehearse", "--chaos", "--jobs"]
    assert run([*asked, "1", "--json"]) == 1
    (one,) = json.loads(capsys.readouterr().out)["results"]
    assert one["same"] > 20
    assert [found["trouble"] for found in one["differing"]] == [
        "plan of scale fails for ever",
        "before of scale fails for ever",
    ]
    assert "missing:" in one["differing"][0]["why"]
    assert "shop/Deployment/web" in one["differing"][0]["why"]
    assert run([*asked, "2"]) == 1
    told = capsys.readouterr().out
    assert "FAIL  forgiving" in told
    counted = f"{one['same']} the same, {one['honest']} stopped for a person, 2 differ"
    assert counted in told
    assert "fails for ever: the world differs, missing: " in told
