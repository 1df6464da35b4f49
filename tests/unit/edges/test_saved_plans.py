"""Plans in files: applied as they were seen, refused when stale, edited or of another version; no secret in them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from engine.domain.canonical import digest
from engine.domain.errors import InvalidInput, Refused
from engine.domain.people import Actor
from engine.edges.cli import files
from engine.edges.cli.main import run
from engine.edges.desk.acting import Desk
from engine.journal.rows import Page
from engine.language.program import Program
from engine.planning.scope import secret_reference
from tests.harness import BOB
from tests.unit.edges.app import RULE, App, served

ALICE = Actor("alice", frozenset({"operator", "sre"}))


def applied(app: App) -> str:
    """Drive a run through its gate to its end; return its id."""
    made, gate, fingerprint = app.gated_run()
    app.commands.approve(gate, ALICE, "", fingerprint)
    app.settle()
    return made


@pytest.fixture
def desk(app: App) -> Desk:
    return Desk(app)


def _saved(desk: Desk, to: int = 5) -> Any:
    return desk.preview(ALICE, "toys/raise", {"to": to}, save=True)["saved"]


def test_a_saved_plan_is_applied_as_it_was_seen(app: App, desk: Desk) -> None:
    saved = _saved(desk)
    line = desk.start(ALICE, None, {}, plan=json.loads(json.dumps(saved)))
    app.settle()
    (gate,) = app.store.read(lambda tx: tx.gates.of_run(line["id"]))
    assert gate.fingerprint == saved["fingerprint"]
    app.commands.approve(gate.id, BOB, "", gate.fingerprint)
    app.settle()
    assert app.table.values["x"] == 5


def test_a_plan_of_an_alert_is_applied_for_that_alert(app: App, desk: Desk) -> None:
    alert = {"labels": {"alertname": "XLow", "to": "8"}, "annotations": {}}
    saved = desk.preview(ALICE, None, {}, alert=alert, save=True)["saved"]
    line = desk.start(ALICE, None, {}, plan=saved)
    app.settle()
    detail = desk.run(line["id"])
    assert detail["trigger"]["labels"]["to"] == "8"
    assert detail["state"] == "awaiting_approval"
    assert RULE.playbook == line["playbook"]


def test_a_stale_plan_is_refused_with_the_difference(app: App, desk: Desk) -> None:
    saved = _saved(desk)
    app.table.values["x"] = 3
    with pytest.raises(
        Refused, match=r"stale: the world is not as it was: up: value \(before\) was 1, is 3"
    ):
        desk.start(ALICE, None, {}, plan=saved)
    assert app.store.read(lambda tx: tx.runs.list(Page())) == []


def test_a_world_that_moves_between_start_and_plan_ends_the_run_before_any_change(
    app: App, desk: Desk
) -> None:
    line = desk.start(ALICE, None, {}, mode="auto", plan=_saved(desk))
    app.table.values["x"] = 3
    app.settle()
    detail = desk.run(line["id"])
    assert detail["state"] == "failed"
    assert "nothing was changed: the saved plan" in detail["reason"]
    assert app.table.writes == []


def test_an_edited_playbook_makes_its_saved_plans_stale(app: App, desk: Desk) -> None:
    saved = _saved(desk)
    text = app.engine.programs["toys/raise"].frozen_text.replace("raise x", "raise y")
    app.engine.programs["toys/raise"] = Program.model_validate_json(text)
    with pytest.raises(Refused, match="the playbook toys/raise was changed"):
        desk.start(ALICE, None, {}, plan=saved)


def test_edits_damage_and_other_versions_are_refused(app: App, desk: Desk) -> None:
    saved = _saved(desk)
    edited = {**saved, "inputs": {"to": 500}}
    with pytest.raises(InvalidInput, match="changed after it was written"):
        desk.start(ALICE, None, {}, plan=edited)
    forged = {**edited, "digest": None}
    forged["digest"] = digest({name: value for name, value in forged.items() if name != "digest"})
    with pytest.raises(Refused, match="stale"):
        desk.start(ALICE, None, {}, plan=forged)
    older = {**saved, "stanch": "0.0.1"}
    with pytest.raises(Refused, match=r"made by Stanch 0\.0\.1.*plan again"):
        desk.start(ALICE, None, {}, plan=older)
    with pytest.raises(InvalidInput, match="no plan file"):
        desk.start(ALICE, None, {}, plan={"a": 1})
    with pytest.raises(InvalidInput, match="give it alone"):
        desk.start(ALICE, "toys/raise", {"to": 5}, plan=saved)
    assert app.table.writes == []


def test_a_plan_file_holds_no_secret_no_sample_and_no_answer(app: App, desk: Desk) -> None:
    app.engine.secrets["pin"] = "hunter22-hunter22"
    app.world.reveal(secret_reference("pin"))  # as a step that uses it does
    (read,) = [one for one in _saved(desk)["document"]["steps"] if one["state"] == "read"]
    assert read["detail"] == {}
    with pytest.raises(InvalidInput, match="'why' holds the value of a secret"):
        desk.preview(ALICE, "toys/raise", {"to": 5, "why": "hunter22-hunter22"}, save=True)


# ---------------------------------------------------------------- the command line


@pytest.fixture
def url(app: App, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("STANCH_TOKEN", app.token("alice", "operator", "sre"))
    with served(app) as found:
        yield found


def test_plan_out_and_run_plan_over_the_api(
    app: App, url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, picture = tmp_path / "a.plan", tmp_path / "a.svg"
    asked = ["plan", "toys/raise", "-i", "to=5", "--out", str(file), "--svg", str(picture)]
    assert run([*asked, "--graph", "--server", url]) == 0
    out, err = capsys.readouterr()
    assert "~ up  toy.set" in out
    assert f"stanch run --plan {file}" in err
    assert file.stat().st_mode & 0o777 == 0o600
    assert picture.read_text().startswith("<svg")
    assert run(["run", "--plan", str(file), "--detach", "--server", url]) == 0
    app.table.values["x"] = 2
    assert run(["run", "--plan", str(file), "--detach", "--server", url]) == 3
    assert "stale" in capsys.readouterr().err


def test_undo_plan_and_override_over_the_api(
    app: App, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    made = applied(app)
    assert run(["undo", made, "--plan", "--server", url]) == 0
    assert "value: 5 → 1" in capsys.readouterr().out
    app.table.values["x"] = 9
    assert run(["undo", made, "--server", url]) == 3
    assert "up: value was set to 5 and is 9 now" in capsys.readouterr().err
    assert run(["undo", made, "--plan", "--server", url]) == 0
    assert "changed since by others: value was set to 5 and is 9 now" in capsys.readouterr().out
    assert run(["undo", made, "--override", "ours wins", "--server", url]) == 0


def test_an_undo_without_its_before_image_is_refused_whatever_is_said(
    app: App, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    made = applied(app)
    later = app.clock.now() + timedelta(days=1)
    assert app.store.write(lambda tx: tx.blobs.prune_images(later)) == 1
    assert run(["undo", made, "--plan", "--server", url]) == 0
    assert "up stays as it is: its before-image is no longer kept" in capsys.readouterr().out
    for more in ([], ["--override", "ours wins"]):
        assert run(["undo", made, *more, "--server", url]) == 3
        assert "up: its before-image is no longer kept" in capsys.readouterr().err
    assert len(app.store.read(lambda tx: tx.runs.list(Page()))) == 1, "nothing was started"
    assert app.table.values["x"] == 5


def test_files_are_written_whole_and_nothing_else_is_overwritten(tmp_path: Path) -> None:
    other = tmp_path / "notes.txt"
    other.write_text("mine")
    with pytest.raises(InvalidInput, match="no plan file; choose another name"):
        files.write_plan(other, {"kind": "stanch.plan"})
    assert other.read_text() == "mine"
    with pytest.raises(InvalidInput, match="cannot be written: No such file"):
        files.write_text(tmp_path / "no" / "such", "x")
    with pytest.raises(InvalidInput, match="is no plan file"):
        files.read_plan(other)
    with pytest.raises(InvalidInput, match="cannot be read"):
        files.read_plan(tmp_path / "absent")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["notes.txt"]
