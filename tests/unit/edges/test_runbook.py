"""The manual of a playbook: every action says how, nothing of a value becomes a command, no secret is told."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from engine.contract.action import Action
from engine.contract.byhand import ByHand, command, note, secret
from engine.contract.registry import Registry, load_registry
from engine.contract.world import SecretRef
from engine.edges.cli.main import run
from engine.edges.runbook.chapters import Manual
from engine.edges.runbook.filling import known_of
from engine.edges.runbook.written import written
from tests.harness_programs import node, program

ROOT = Path(__file__).parents[3]
EVIL = "a'\"; echo PWNED >&2; $(echo PWNED >&2) `echo PWNED >&2`\necho PWNED >&2 #"
SETTINGS: dict[str, Any] = {
    "postgres": {"dsn": {"env": "A_DSN"}},
    "http": {"url": "https://api.internal/v1", "bearer": {"env": "API_TOKEN"}},
    "prometheus": {
        "url": "http://127.0.0.1:9090",
        "basic": {"username": "u", "password": {"file": "/run/p w"}},
    },
    "kubernetes": {"context": "prod; x"},
    "redis": {"host": "r", "password": {"env": "REDIS_PASSWORD"}, "allow": {"keys": ["*"]}},
    "celery": {"host": "r", "password": {"env": "REDIS_PASSWORD"}, "allow": {"keys": ["*"]}},
    "webhook": {"preset": "pagerduty", "key": {"env": "PAGER_KEY"}, "records": "r"},
}


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_registry()


def settings_of(registry: Registry) -> dict[str, BaseModel]:
    return {
        kind: registry.kinds[kind].Settings.model_validate(given)
        for kind, given in SETTINGS.items()
    }


def test_every_action_says_how_a_person_does_it(registry: Registry) -> None:
    own = {
        name
        for name, action in registry.actions.items()
        if type(action).manual is not Action.manual
    }
    assert own == set(registry.actions)
    assert len(own) > 70


def _filled(action: Action[Any], value: Any) -> dict[str, Any]:
    return dict.fromkeys(action.Params.model_fields, value)


def test_no_value_becomes_a_command_of_its_own(registry: Registry, tmp_path: Path) -> None:
    """Every action's lines are run by a real shell that finds no program: only an injection could speak."""
    lines: list[str] = []
    for action in registry.actions.values():
        kind = action.name.partition(".")[0]
        for value in (EVIL, [EVIL, EVIL], {EVIL: EVIL}):
            given = {**_filled(action, value), "connection": kind}
            hand = action.manual(given, ByHand(settings_of(registry)))
            lines += [*hand.do, *hand.undo]
    assert len(lines) > 300
    script = tmp_path / "script"
    script.write_text("\n".join(lines))
    done = subprocess.run(
        ["/bin/bash", str(script)],
        cwd=tmp_path,
        env={"PATH": "/nonexistent", "REDIS_PASSWORD": "x"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    spoken = [line for line in done.stderr.splitlines() if line == "PWNED"]
    assert spoken == []
    assert "syntax error" not in done.stderr
    assert "unexpected EOF" not in done.stderr


def test_placeholders_may_stand_for_any_parameter(registry: Registry) -> None:
    for action in registry.actions.values():
        hand = action.manual(_filled(action, "<steps.x>"), ByHand())
        assert hand.do, action.name
        assert action.manual({}, ByHand()).do or action.name in {"s3.delete", "s3.quarantine"}


def test_secrets_stand_as_what_holds_them(registry: Registry) -> None:
    hand = ByHand(settings_of(registry))
    actions = registry.actions
    (line,) = actions["http.get"].manual({"connection": "http", "path": "/x"}, hand).do
    assert line == 'curl -fsS -H "Authorization: Bearer ${API_TOKEN}" https://api.internal/v1/x'
    (line,) = (
        actions["prometheus.query"]
        .manual(
            {"connection": "prometheus", "query": 'up{ns="$ns"}', "params": {"ns": 'a"b'}}, hand
        )
        .do
    )
    assert line.startswith("curl -fsS -u u:\"$(cat '/run/p w')\" -G")
    assert 'query=up{ns="a\\"b"}' in line
    assert secret(SecretRef(env="X")) == '"${X}"'
    (line,) = (
        actions["postgres.query"]
        .manual(
            {"connection": "postgres", "sql": "SELECT %(a)s, 5 %% 2", "params": {"a": ["x", "y"]}},
            hand,
        )
        .do
    )
    assert line == (
        "psql \"${A_DSN}\" -X -v ON_ERROR_STOP=1 -v 'a={\"x\",\"y\"}' <<'SQL'\nSELECT :'a', 5 % 2;\nSQL"
    )


def test_words_and_notes() -> None:
    assert command("a", None, ["b c", 1], {"x": True}) == "a 'b c' 1 '{\"x\": true}'"
    assert note("one\n two") == "# one two"


def test_inputs_are_filled_in_and_the_rest_is_named() -> None:
    schema = {"properties": {"ns": {"default": "a"}, "n": {}}}
    known = known_of(schema, {"long": "{{ inputs.ns }}-x", "later": "{{ inputs.n }}"}, {})
    assert known.fill("{{ vars.long }}/{{ inputs.ns }}") == "a-x/a"
    assert known.fill(["{{ steps.rate.value }}", "{{ inputs.n }}"]) == [
        "<steps.rate.value>",
        "<inputs.n>",
    ]
    assert known.fill("x {{ secret('pin') }}") == "x <secret('pin')>"
    assert known.vars["later"] == "<inputs.n>"


LOW = {
    "connection": "http",
    "method": "POST",
    "path": "/p",
    "undo": {"method": "DELETE", "path": "/p"},
}
SAY = {"id": "say", "kind": "manual", "text": "ring <b>up</b>", "role": "sre"}
PLAN = program(
    {"id": "low", "action": "http.request", "with": LOW, "on_failure": "undo"},
    {"id": "ask", "kind": "gate", "role": "sre", "approvals": 2, "within": 1800},
    {
        "id": "way",
        "kind": "switch",
        "switch": "{{ steps.low.output.kind }}",
        "cases": [{"value": "oom", "steps": [SAY]}],
        "default": [{"id": "still", "kind": "wait", "for_": 90}],
    },
    {"id": "back", "kind": "restore", "restore": ["low"]},
    {
        "id": "sure",
        "kind": "wait",
        "query": {"connection": "gone", "query": "up"},
        "becomes": {"op": ">", "value": 0},
        "within": 60,
    },
    rescue=[{"id": "stop", "kind": "end", "end": "failed", "reason": "gave up"}],
    budget={"rows": 5},
)


def test_chapters_branches_gates_and_ways_back(registry: Registry) -> None:
    maker = Manual(registry, {"http": "http"}, settings_of(registry))
    manual = maker.manual(PLAN, {})
    text = written(manual, "text")
    for said in (
        "Never touch more than 5 rows in all",
        "Ask 2 people with the role sre, not yourself, and show what comes next. No answer within 30m: stop.",
        "Where it is oom",
        "It depends on <steps.low.output.kind>:",
        "Wait 1m30s.",
        "Way back:",
        "curl -fsS -X DELETE",
        "Put back what these steps changed, newest first, as each says under “Way back”: low.",
        "# ask gone: up",
        "After a failure",
        "If it fails: take back what was changed so far",
        "ring <b>up</b>",
    ):
        assert said in text, said
    markdown = written(manual, "md")
    assert "ring \\<b\\>up\\</b\\>" in markdown
    assert markdown.count("```sh") == 3
    assert json.loads(json.dumps(manual))["chapters"][0]["steps"][0]["id"] == "low"


def test_a_plugin_that_cannot_say_costs_no_more_than_its_step(registry: Registry) -> None:
    class Odd(type(registry.actions["http.get"])):  # type: ignore[misc]
        name = "odd.get"

        def manual(self, given: Any, at: Any) -> Any:
            raise RuntimeError("no")

    mixed = Registry()
    mixed.add("test", Odd)
    plan = program(node({"id": "a", "action": "odd.get", "with": {"path": "/"}}))
    text = written(Manual(mixed, {}, {}).manual(plan, {}), "text")
    assert "# its plugin cannot say how: RuntimeError" in text


def test_the_shipped_playbook_on_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    out = tmp_path / "runbook.md"
    config = ["--config", "config.example.yaml"]
    asked = ["runbook", "etl/failure-spike", "-i", "namespace=starforge"]
    assert run([*asked, "--format", "md", "--out", str(out), *config]) == 0
    text = out.read_text()
    assert "kubectl" in text
    assert "starforge scale deployment/etl-worker" in text
    assert run([*asked, "--json", *config]) == 0
    capsys.readouterr()
    for arguments, said in (
        (["runbook", "etl/failure-spik"], "near: etl/failure-spike"),
        ([*asked, "--format", "pdf"], "there are md and text"),
        ([*asked, "-i", "namespac=x"], "has no input 'namespac'"),
        ([*asked, "-i", "namespace"], "not of the form name=value"),
    ):
        assert run([*arguments, *config]) == 2
        assert said in capsys.readouterr().err
