"""The command line: exit codes, one JSON document, errors in one line, options anywhere, what people see."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.edges.cli.main import hoist, run
from engine.edges.desk.inputs import typed
from engine.journal.database import Database
from engine.journal.seals import seal
from tests.unit.edges.app import App, served


class Shell:
    """Runs command lines against a real server over HTTP and keeps what they printed."""

    def __init__(self, app: App, url: str, capsys: pytest.CaptureFixture[str]) -> None:
        self.app = app
        self.url = url
        self._capsys = capsys
        self.out = ""
        self.err = ""

    def __call__(self, *arguments: str) -> int:
        self._capsys.readouterr()
        code = run([*arguments, "--server", self.url])
        self.out, self.err = self._capsys.readouterr()
        return code

    def json(self, *arguments: str) -> Any:
        self(*arguments, "--json")
        return json.loads(self.out)


@pytest.fixture
def shell(
    app: App, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Shell]:
    monkeypatch.setenv("STANCH_TOKEN", app.token("alice", "operator", "sre"))
    with served(app) as url:
        yield Shell(app, url, capsys)


# ---------------------------------------------------------------- looking


def test_empty_lists_say_so(shell: Shell) -> None:
    for command, said in (
        ("runs", "no runs"),
        ("incidents", "no incidents"),
        ("alerts", "no alerts"),
        ("approvals", "no open gates"),
        ("brakes", "runs go ahead"),
    ):
        assert shell(command) == 0
        assert said in shell.out


def test_lists_and_items_as_json_are_one_document(shell: Shell) -> None:
    run_id, gate, fingerprint = shell.app.gated_run()
    assert [item["id"] for item in shell.json("runs")["items"]] == [run_id]
    assert shell.json("show", gate)["kind"] == "gate"
    assert shell.json("show", fingerprint[:12])["item"]["fingerprint"] == fingerprint
    assert shell.json("approvals")["items"][0]["id"] == gate


def test_show_prints_what_a_person_needs_at_a_gate(shell: Shell) -> None:
    run_id, gate, fingerprint = shell.app.gated_run()
    assert shell("show", run_id) == 0
    assert f"stanch approve {gate} --fingerprint {fingerprint[:16]}" in shell.out
    assert shell("show", fingerprint[:16]) == 0
    assert "value: 1 → 5" in shell.out
    assert shell("show", run_id, "--timeline") == 0
    assert "run of toys/raise created" in shell.out


def test_pages_tell_how_to_go_on(shell: Shell) -> None:
    ids = [shell.app.engine.start(shell.app.engine.programs["toys/ask"]) for _ in range(3)]
    assert shell("runs", "--limit", "2") == 0
    assert f"stanch runs --before {ids[1]}" in shell.out
    assert shell("runs", "--limit", "2", "--before", ids[1]) == 0
    assert ids[0] in shell.out
    assert ids[2] not in shell.out


# ---------------------------------------------------------------- planning and running


def test_plan_prints_the_diff_and_writes_nothing(shell: Shell) -> None:
    assert shell("plan", "toys/raise", "--input", "to=7") == 0
    assert "value: 1 → 7" in shell.out
    assert shell.app.table.writes == []
    assert shell.json("plan", "toys/raise", "-i", "to=7")["steps"][-1]["after"] == {"value": 7}


def test_plan_takes_inputs_and_alerts_from_files(shell: Shell, tmp_path: Path) -> None:
    inputs = tmp_path / "inputs.yaml"
    inputs.write_text("to: 9\nwhy: on\n")
    assert shell.json("plan", "toys/raise", "--inputs", str(inputs))["inputs"] == {
        "to": 9,
        "why": "on",
    }
    alert = tmp_path / "alert.json"
    alert.write_text(json.dumps({"labels": {"alertname": "XLow", "to": "6"}, "annotations": {}}))
    assert shell.json("plan", "--alert", str(alert))["inputs"] == {"to": 6}


def test_run_follows_to_the_gate_and_exits_4(shell: Shell) -> None:
    shell.app.start_workers()
    try:
        assert shell("run", "toys/raise", "-i", "to=5") == 4
        assert "awaiting_approval" in shell.out
        assert "--fingerprint" in shell.out
        gate = shell.json("approvals")["items"][0]
        # alice asked for it, so another person must decide
        assert shell("approve", gate["id"], "--fingerprint", gate["fingerprint"]) == 3
        assert "another person" in shell.err
    finally:
        shell.app.stop()


def test_run_ends_with_the_runs_own_verdict(shell: Shell) -> None:
    shell.app.start_workers()
    try:
        assert shell("run", "toys/raise", "-i", "to=5", "--auto") == 0
        assert shell.app.table.writes == [("x", 5)]
        assert "succeeded" in shell.out
        assert shell("run", "toys/fail", "--auto") == 1
        assert "failed" in shell.out
        assert shell("run", "toys/raise", "-i", "to=8", "--dry-run") == 0
        detail = shell.json("run", "toys/raise", "-i", "to=8", "--dry-run")
        assert detail["state"] == "planned"
        assert shell("run", "toys/ask", "--auto") == 4
        assert 'call --note "' in shell.out
    finally:
        shell.app.stop()


def test_approve_and_follow(shell: Shell) -> None:
    run_id, gate, fingerprint = shell.app.gated_run()
    shell.app.start_workers()
    try:
        assert shell("approve", gate, "--fingerprint", fingerprint[:16], "--follow") == 0
        assert "alice" in shell.out
        assert "succeeded" in shell.out
        assert shell("undo", run_id) == 0
        assert "undo" in shell.out
    finally:
        shell.app.stop()


def test_approving_without_saying_what_was_seen_is_refused(shell: Shell) -> None:
    _, gate, fingerprint = shell.app.gated_run()
    assert shell("approve", gate) == 2
    assert "--fingerprint" in shell.err
    assert shell("approve", gate, "--fingerprint", "0" * 20) == 3
    assert shell("approve", gate, "--fingerprint", fingerprint[:16]) == 0


def test_steering(shell: Shell) -> None:
    run_id, gate, _ = shell.app.gated_run()
    assert shell("reject", gate, "-m", "no") == 0
    shell.app.settle()
    assert shell("cancel", run_id) == 3
    assert shell("retry", run_id, "-m", "x") == 3
    assert shell("withdraw", gate) == 3
    assert shell("pause", "--reason", "outage") == 0
    assert "ENGAGED" in shell.out
    assert shell("resume") == 0
    assert "released" in shell.out


def test_a_refusal_names_the_missing_role(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    _, gate, fingerprint = shell.app.gated_run()
    monkeypatch.setenv("STANCH_TOKEN", shell.app.token("carol", "dba"))
    assert shell("approve", gate, "--fingerprint", fingerprint) == 3
    assert "role sre" in shell.err
    monkeypatch.setenv("STANCH_TOKEN", "stanch_wrong")
    assert shell("runs") == 3
    assert "token" in shell.err


def test_doctor_asks_the_server(shell: Shell) -> None:
    assert shell("doctor") == 1
    assert "no worker is alive" in shell.out
    shell.app.store.write(lambda tx: tx.workers.beat("w-1", 60.0))
    found = shell.json("doctor")
    assert found["ok"], found


def test_doctor_never_sends_people_to_the_doctor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    (tmp_path / "stanch.yaml").write_text(
        "connections: {prod: {kind: kubernetes, context: prod}}\n"
    )
    for folder in ("rules", "playbooks"):
        (tmp_path / folder).mkdir()
    assert run(["doctor"]) == 1
    lines = capsys.readouterr().out.splitlines()
    (at,) = [n for n, line in enumerate(lines) if line.startswith("FAIL  connection prod")]
    mend = next(line for line in lines[at:] if "mend:" in line)
    assert (
        mend.strip()
        == "mend: mend connections: prod: in the configuration, or the way to that system"
    )


# ---------------------------------------------------------------- usage and errors


def test_errors_are_one_line_and_a_hint(shell: Shell) -> None:
    assert shell("show", "nothing-like-it") == 2
    assert shell.out == ""
    assert shell.err.startswith("error: no run, incident, alert, gate or plan")
    assert "Traceback" not in shell.err


def test_errors_with_json_are_the_one_document(shell: Shell) -> None:
    assert shell("show", "nothing-like-it", "--json") == 2
    assert json.loads(shell.out)["error"]["code"] == "not_found"
    assert shell("approve", "--json") == 2
    assert json.loads(shell.out)["error"]["code"] == "usage"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["runz"], "runs"),
        (["show"], "ID"),
        (["runs", "--limit", "0"], "--limit"),
        (["runs", "--state", "sleeping"], "awaiting_approval"),
        (["plan", "toys/raise", "--input", "to"], "name=value"),
        (["plan", "toys/raise", "--inputs", "/nowhere.yaml"], "cannot be read"),
        (["plan"], "playbook"),
        (["run", "toys/raise", "--auto", "--dry-run"], "exclude"),
        (["run", "toys/raise", "-i", "to=x"], "not of type 'integer'"),
        (["run", "toys/rise", "-i", "to=1"], "toys/raise"),
        (["alerts", "--label", "x"], "name=value"),
        (["pause"], "--reason"),
        (["token", "create", "a b"], "admin"),
        (["token", "create", "bob", "--expires", "soon"], "90d"),
    ],
)
def test_what_is_typed_wrong_is_told(shell: Shell, arguments: list[str], words: str) -> None:
    code = shell(*arguments)
    assert code in {2, 3}
    assert words in shell.err, shell.err
    assert "Traceback" not in shell.err


def test_a_server_that_is_away_fails_with_a_hint(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["runs", "--server", "http://127.0.0.1:1"]) == 1
    assert "does not answer" in capsys.readouterr().err


def test_inputs_files_with_mistakes_are_diagnosed(shell: Shell, tmp_path: Path) -> None:
    file = tmp_path / "inputs.yaml"
    file.write_text("to: 1\nto: 2\n")
    assert shell("plan", "toys/raise", "--inputs", str(file)) == 2
    assert f"{file}:2:1" in shell.out + shell.err


def test_every_command_explains_itself_with_an_example(
    capsys: pytest.CaptureFixture[str],
) -> None:
    import typer

    from engine.edges.cli.main import app as cli

    names = [command.name for command in cli.registered_commands]
    groups = {group.name: group.typer_instance for group in cli.registered_groups}
    lines = [[name] for name in names if name]
    for name, group in groups.items():
        assert isinstance(group, typer.Typer)
        lines += [[str(name), str(command.name)] for command in group.registered_commands]
    assert len(lines) >= 25
    for line in lines:
        assert run([*line, "--help"]) == 0
        shown = capsys.readouterr().out
        assert f"stanch {' '.join(line)}" in shown.split("Examples:")[-1], line


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("stanch 0.")


@pytest.mark.parametrize(
    ("given", "ordered"),
    [
        (["runs", "--json"], ["--json", "runs"]),
        (["runs", "--config", "x", "-n", "3"], ["--config", "x", "runs", "-n", "3"]),
        (["runs", "--server=u"], ["--server=u", "runs"]),
        (["show", "--", "--json"], ["show", "--", "--json"]),
        (["runs", "--config"], ["--config", "runs"]),
    ],
)
def test_common_options_go_anywhere(given: list[str], ordered: list[str]) -> None:
    assert hoist(given) == ordered


@pytest.mark.parametrize(
    ("text", "schema", "value"),
    [
        ("5", {"type": "integer"}, 5),
        ("5", {"type": "string"}, "5"),
        ("5", {"type": ["string", "null"]}, "5"),
        ("5", {}, 5),
        ("0.5", {"type": "number"}, 0.5),
        ("true", {"type": "boolean"}, True),
        ("[1, 2]", {"type": "array"}, [1, 2]),
        ("starforge", {}, "starforge"),
        ("five", {"type": "integer"}, "five"),
    ],
)
def test_inputs_follow_their_schema(text: str, schema: dict[str, Any], value: Any) -> None:
    assert typed(text, schema) == value


def test_a_verification_prints_the_seal_to_hold_the_next_one_against(shell: Shell) -> None:
    assert shell("audit", "verify") == 0
    assert "no seal yet" in shell.out
    shell.app.gated_run()
    store = shell.app.engine.store
    assert isinstance(store, Database)
    seal(store)
    mark = shell.json("audit", "verify")["last_seal"]
    assert shell("audit", "verify", "--seal", mark) == 0
    assert f"last seal  {mark}" in shell.out
    assert "--seal MARK" in shell.out
    assert shell("audit", "verify", "--seal", f"7:{mark[2:]}") == 1
    assert "seal 7: was removed or replaced" in shell.out
    assert shell("audit", "verify", "--seal", "seven") == 2
    assert "an earlier verification printed" in shell.err


def test_a_postmortem_is_made_again_around_what_people_wrote(shell: Shell, tmp_path: Path) -> None:
    from tests.unit.edges.app import sample_alert

    app = shell.app
    app.store.write(lambda tx: tx.alerts.accept(sample_alert(5)))
    app.settle()
    (incident,) = (one["id"] for one in shell.json("incidents")["items"])
    assert shell.json("postmortem", incident)["version"] == 0
    out = tmp_path / "postmortem.md"
    assert shell("postmortem", incident, "--out", str(out)) == 0
    first = out.read_text()
    prose = "The limit was sized for half the load."
    empty = first.partition("<!-- people: root_cause -->\n")[2].partition("\n<!-- /people")[0]
    out.write_text(first.replace(empty, prose, 1))
    assert shell("ack", incident, "--note", "looking at the pool") == 0
    assert shell("postmortem", incident, "--out", str(out)) == 0
    assert "version 1" in shell.out
    second = out.read_text()
    assert prose in second, "what people wrote stays"
    assert "looking at the pool" in second, "what happened since is there"
    assert "looking at the pool" not in first
    assert shell("postmortem", incident, "--out", str(out)) == 0
    assert "version 1" in shell.out, "nobody wrote anything since"
    assert out.read_text().count(f"{prose}\n<!-- /people: root_cause -->") == 1
    out.write_text("# something else\n")
    assert shell("postmortem", incident, "--out", str(out)) == 2
    assert out.read_text() == "# something else\n", "a file that is none of it is left alone"
    assert shell("postmortem", incident, "--template", "nowhere") == 2
    assert "batch-report" in shell.err
