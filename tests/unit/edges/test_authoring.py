"""From an empty folder to a tried rule: new files are valid, nothing is overwritten, the tutorial's commands work."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.domain.clock import ManualClock
from engine.domain.errors import InvalidInput
from engine.domain.run import RunMode
from engine.edges.cli.main import COMPLETION, run
from engine.edges.cli.overview import overview
from engine.edges.cli.render.style import plain
from engine.edges.cli.render.top import top
from engine.edges.cli.session import Session
from engine.edges.cli.watching import watch
from engine.edges.scaffold.making import checked_name, filled
from tests.harness import BOB
from tests.unit.edges.app import App

TUTORIAL = Path(__file__).parents[3] / "docs" / "authoring.md"
_BLOCK = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("STANCH_CONFIG", raising=False)
    monkeypatch.delenv("STANCH_SERVER", raising=False)
    # No cluster of the machine that runs the tests, and none that answers late.
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    return tmp_path


def _commands(text: str) -> Iterator[tuple[str, int]]:
    for line in text.splitlines():
        command, _, said = line.partition("#")
        code = re.search(r"exit (\d)", said)
        if command.strip():
            yield command.strip(), int(code[1]) if code else 0


def test_every_command_of_the_tutorial_does_what_it_says(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = 0
    for language, file, text in _BLOCK.findall(TUTORIAL.read_text()):
        if file:
            Path(file).write_text(text)
        elif language == "sh":
            for command, expected in _commands(text):
                words = shlex.split(command)
                if words[0] == "cd":
                    monkeypatch.chdir(words[1])
                elif words[0] == "rm":
                    Path(words[1]).unlink()
                else:
                    assert words[0] == "stanch"
                    capsys.readouterr()
                    code = run(words[1:])
                    out, err = capsys.readouterr()
                    assert code == expected, f"{command}\n{out}\n{err}"
                    ran += 1
    assert ran > 18
    assert Path("past.svg").read_text().startswith("<svg")
    assert "kubectl" in Path("runbook.md").read_text()


def test_the_tutorial_shows_the_message_that_check_gives(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run(["init", "."])
    text = TUTORIAL.read_text()
    typo = next(body for _, file, body in _BLOCK.findall(text) if file.endswith("typo.yaml"))
    Path("playbooks/web/typo.yaml").write_text(typo)
    capsys.readouterr()
    assert run(["check"]) == 2
    said = capsys.readouterr().out
    shown = re.findall(r"^    (playbooks/web/typo.*)\n    (  hint:.*)$", text, re.MULTILINE)
    assert shown
    for line in shown[0]:
        assert line in said


def test_nothing_is_overwritten(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "README.md").write_text("mine")
    assert run(["init", "."]) == 2
    assert "README.md; nothing was written" in capsys.readouterr().err
    assert [path.name for path in here.iterdir()] == ["README.md"]
    (here / "README.md").unlink()
    assert run(["init", "."]) == 0
    assert run(["new", "playbook", "web/more-replicas"]) == 2
    assert "is there already; it was left alone" in capsys.readouterr().err


def test_bad_names_and_unknown_playbooks_are_told(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("../up", "/etc/x", "Web", "web/", "a b", ""):
        with pytest.raises(InvalidInput, match="is no name"):
            checked_name(name)
    assert run(["init", "."]) == 0
    assert run(["new", "playbook", "../up"]) == 2
    assert run(["new", "rule", "web/down", "--playbook", "web/more"]) == 2
    assert "near: web/more-replicas" in capsys.readouterr().err
    assert run(["new", "rehearsal", "nobody"]) == 2
    assert run(["completion", "tcsh"]) == 2
    assert "there are bash, zsh" in capsys.readouterr().err
    assert filled("@A@ @B@", {"A": "@B@", "B": "x"}) == "@B@ x"


def test_a_folder_that_cannot_be_written_is_told(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "file").write_text("")
    assert run(["init", "file/below"]) == 2
    assert "cannot be written" in capsys.readouterr().err


# ---------------------------------------------------------------- watching


class Waking(ManualClock):
    """A clock whose sleeps are the moments in which a person saves a file, or has enough."""

    def __init__(self, *saves: tuple[Path, str] | None) -> None:
        super().__init__()
        self.saves = list(saves)

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        if not self.saves:
            raise KeyboardInterrupt
        save = self.saves.pop(0)
        if save is not None:
            path, text = save
            path.write_text(text)
            stamp = 1_700_000_000 + len(self.saves)
            os.utime(path, (stamp, stamp))


def test_a_watch_goes_again_after_changes_only_and_survives_mistakes(here: Path) -> None:
    file = here / "a.yaml"
    file.write_text("a")
    seen: list[str] = []

    def once() -> None:
        seen.append(file.read_text())
        if seen[-1] == "bad":
            raise InvalidInput("not like this")

    clock = Waking(None, (file, "bad"), None, (here / "other.txt", "x"), (file, "good"))
    assert watch(Session(), [here], once, clock) == 0
    assert seen == ["a", "bad", "good"]


# ---------------------------------------------------------------- top, completion


def test_the_overview_counts_what_is_under_way_and_what_went_well(app: App) -> None:
    from engine.edges.cli.local import LocalBackend

    waiting, _, _ = app.gated_run()
    for playbook, inputs in (("toys/fail", {}), ("toys/raise", {"to": 1})):
        app.commands.start(playbook, inputs, requester=BOB, mode=RunMode.AUTO)
    app.settle()
    backend = LocalBackend(app)
    found = overview(backend, app.clock.now())
    assert [run["id"] for run in found["active"]] == [waiting]
    assert found["states"] == {"awaiting_approval": 1}
    assert found["recent"]["ended"] == 2
    assert found["recent"]["success"] == 0.5
    assert found["gates"][0]["run"] == waiting
    text = plain(top(found))
    assert "under way: 1 awaiting approval" in text
    assert "last 24 h: 2 ended, 50% well" in text
    assert [run["playbook"] for run in found["recent"]["errors"]] == ["toys/fail"]
    assert "recent errors" in text
    assert found["batches"] == []
    json.dumps(found)


def test_a_shell_gets_completions(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(["completion", "bash"]) == 0
    assert COMPLETION in capsys.readouterr().out
    monkeypatch.setenv(COMPLETION, "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "stanch back")
    monkeypatch.setenv("COMP_CWORD", "1")
    with pytest.raises(SystemExit) as ended:
        run([])
    assert ended.value.code == 0
    assert capsys.readouterr().out.strip() == "backtest"


# ---------------------------------------------------------------- stores


def test_migrate_makes_the_tables_and_a_plan_makes_none(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("stanch.yaml").write_text(
        "connections: {api: {kind: http, url: 'http://127.0.0.1:9'}}\n"
        "budgets: {requests: {limit: 5, within: 1h}}\n"
    )
    Path("playbooks").mkdir()
    step = "{id: a, action: http.request, with: {connection: api, method: POST, path: /x}}"
    Path("playbooks/post.yaml").write_text(f"playbook: post\nsteps: [{step}]\n")
    assert run(["plan", "post"]) == 0
    assert "budget requests of all runs: 1 of 5" in capsys.readouterr().out
    assert not Path("var/stanch.db").exists()
    assert run(["migrate"]) == 0
    assert "the tables are of version" in capsys.readouterr().out
    assert Path("var/stanch.db").exists()
    assert run(["migrate"]) == 0


def test_a_worker_works_on_what_others_started_and_ends_when_told(here: Path) -> None:
    assert run(["init", "."]) == 0
    step = "{id: a, action: log.decision, with: {connection: decisions, fields: {a: b}}}"
    Path("playbooks/web/note.yaml").write_text(f"playbook: web/note\nsteps: [{step}]\n")
    assert run(["run", "web/note", "--detach"]) == 0
    command = [sys.executable, "-m", "engine.edges.cli", "worker"]
    environment = {**os.environ, "PYTHONPATH": str(TUTORIAL.parents[1])}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
    ) as process:
        deadline = time.monotonic() + 30
        log = Path("var/decisions.log")
        while not log.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=30)
    assert log.exists()
    assert process.returncode == 0
    assert out.decode().splitlines()[-1] == "stopped"
