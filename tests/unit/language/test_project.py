"""Whole projects: every construct, sub-playbooks, revisions, cycles."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.language.diagnostics import InvalidProject, formatted
from engine.language.program import ActionNode, CallNode, Program, SwitchNode, WaitNode
from engine.language.project import Project, check_paths, load_project
from tests.unit.language.plugins import CONNECTIONS, ROLES, SECRETS, small_registry

GOOD = Path(__file__).parent / "good"


def load(rules: Path, playbooks: Path) -> Project:
    return load_project([rules], [playbooks], small_registry(), CONNECTIONS, ROLES, SECRETS)


@pytest.fixture(scope="module")
def good() -> Project:
    return load(GOOD / "rules", GOOD / "playbooks")


def step(program: Program, name: str) -> object:
    return next(one for one in program.steps if one.id == name)


def test_every_construct_loads(good: Project) -> None:
    kinds = {one.kind for one in good.playbooks["etl/everything"].steps}
    assert kinds >= {"action", "switch", "group", "parallel", "playbook", "wait", "gate", "manual"}
    assert kinds >= {"restore", "end"}
    assert [rule.name for rule in good.rules] == [
        "etl-failure-spike",
        "weekly",
        "first-sunday",
        "rate",
        "by-hand",
    ]
    assert set(good.conditions) == {"failure_spike"}
    assert not good.warnings


def test_defaults_go_into_what_has_a_field_for_them(good: Project) -> None:
    program = good.playbooks["etl/everything"]
    rate = step(program, "rate")
    assert isinstance(rate, ActionNode)
    assert rate.with_["connection"] == "metrics"
    decide = step(program, "decide")
    assert isinstance(decide, SwitchNode)
    smaller = decide.cases[0].steps[0]
    assert isinstance(smaller, ActionNode)
    assert smaller.with_["namespace"] == "{{ inputs.namespace }}"
    assert smaller.verify is not None
    assert smaller.verify.query.connection == "metrics"
    assert decide.cases[1].value == "403"


def test_every_form_of_wait(good: Project) -> None:
    waits = [one for one in good.playbooks["etl/everything"].steps if isinstance(one, WaitNode)]
    pause, morning, falls, calm, done = waits
    assert pause.for_ == 900.0
    assert morning.until_time == "2026-11-23T03:15:00Z"
    assert falls.becomes is not None
    assert falls.within == 3600.0
    assert calm.stays is not None
    assert calm.for_ == 900.0
    assert (done.read_action, done.until) == ("postgres.query", "result.complete")
    assert done.within == "{{ steps.class.seconds }}"
    assert done.read_with["connection"] == "starforge"


def test_a_schedule_has_the_lowest_priority_and_an_alert_its_own(good: Project) -> None:
    rules = {rule.name: rule for rule in good.rules}
    assert rules["weekly"].priority.default == 1
    assert rules["weekly"].schedule is not None
    assert rules["weekly"].schedule.fields["day_of_week"] == "sun"
    assert rules["rate"].priority.cases == (("P0", True),)
    assert rules["etl-failure-spike"].priority.cases[0][0] == "P0"


def test_a_program_survives_json(good: Project) -> None:
    for program in good.playbooks.values():
        assert Program.model_validate_json(program.model_dump_json(by_alias=True)) == program


SUB = """playbook: {name}
steps:
  - {{id: a, action: log.decision, with: {{text: {text}}}}}
"""
MAIN = """playbook: main
steps:
  - {id: first, playbook: sub}
  - {id: second, playbook: sub}
"""


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)
    return folder


def test_sub_playbooks_are_inlined_and_their_text_is_in_the_revision(tmp_path: Path) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / "p").mkdir()
    write(tmp_path / "p", main=MAIN, sub=SUB.format(name="sub", text="one"))
    first = load(tmp_path / "rules", tmp_path / "p")
    call = first.playbooks["main"].steps[1]
    assert isinstance(call, CallNode)
    assert call.program == first.playbooks["sub"]
    write(tmp_path / "p", sub=SUB.format(name="sub", text="two"))
    second = load(tmp_path / "rules", tmp_path / "p")
    assert first.playbooks["main"].revision != second.playbooks["main"].revision
    assert first.digest != second.digest
    write(tmp_path / "p", other=SUB.format(name="other", text="x"))
    third = load(tmp_path / "rules", tmp_path / "p")
    assert second.playbooks["main"].revision == third.playbooks["main"].revision


def test_a_cycle_is_shown_at_each_of_its_calls(tmp_path: Path) -> None:
    for name, to in (("a", "b"), ("b", "c"), ("c", "a")):
        write(tmp_path, **{name: f"playbook: {name}\nsteps: [{{id: s, playbook: {to}}}]\n"})
    with pytest.raises(InvalidProject) as caught:
        load(tmp_path, tmp_path)
    found = {one.found for one in caught.value.diagnostics}
    assert found == {"a -> b -> c -> a", "b -> c -> a -> b", "c -> a -> b -> c"}


def test_inlining_is_bounded(tmp_path: Path) -> None:
    calls = ", ".join(f"{{id: s{n}, playbook: p{{next}}}}" for n in range(10))
    for level in range(4):
        text = f"playbook: p{level}\nsteps: [{calls}]\n".replace("{next}", str(level + 1))
        write(tmp_path, **{f"p{level}": text})
    write(tmp_path, p4=SUB.format(name="p4", text="x"))
    with pytest.raises(InvalidProject, match="steps once its sub-playbooks"):
        load(tmp_path, tmp_path)


def test_long_chains_of_calls_are_refused_and_do_not_exhaust_the_stack(tmp_path: Path) -> None:
    for level in range(300):
        text = f"playbook: p{level}\nsteps: [{{id: s, playbook: p{level + 1}}}]\n"
        write(tmp_path, **{f"p{level}": text})
    write(tmp_path, p300=SUB.format(name="p300", text="x"))
    with pytest.raises(InvalidProject, match="17 levels deep"):
        load(tmp_path, tmp_path)


def test_all_mistakes_of_all_files_come_in_one_go(tmp_path: Path) -> None:
    write(
        tmp_path,
        one="playbook: one\ntimeout: 5\nsteps:\n  - {id: a, action: log.decisio, retry: {attempts: x}}\n",
        two="rules:\n  - {name: r, manual: true, playbook: oen, firing_for: 5}\n  - 3\n",
        three="a: b: c",
    )
    found = check_paths([tmp_path], small_registry(), CONNECTIONS, ROLES)
    text = formatted(found)
    for part in ("timeout", "log.decision'?", "attempts", "did you mean 'one'?", "firing_for"):
        assert part in text
    assert text.endswith("8 mistakes\n"), text


def test_context_is_known_and_not_reported(tmp_path: Path) -> None:
    (tmp_path / "context").mkdir()
    write(tmp_path / "context", sub=SUB.format(name="sub", text="x"), bad="playbook: 3")
    write(tmp_path, main=MAIN)
    found = check_paths(
        [tmp_path / "main.yaml"],
        small_registry(),
        CONNECTIONS,
        context=[tmp_path / "context"],
    )
    assert not found, formatted(found)


def test_prometheus_rules_beside_ours_are_left_alone(tmp_path: Path) -> None:
    write(tmp_path, alerts="groups: [{name: x, rules: []}]\n")
    assert check_paths([tmp_path], small_registry(), CONNECTIONS) == []


def test_rehearsals_beside_playbooks_are_checked_and_not_loaded(tmp_path: Path) -> None:
    write(tmp_path, main=MAIN, sub=SUB.format(name="sub", text="x"))
    (tmp_path / "main.rehearsal.yaml").write_text("rehearsal: x\nplaybook: mian\nexpect: {}\n")
    found = check_paths([tmp_path], small_registry(), CONNECTIONS)
    assert [one.message for one in found] == ["there is no playbook 'mian'"]
    assert load_project([], [tmp_path], small_registry(), CONNECTIONS).playbooks


def test_mutations_that_cannot_be_read_are_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "main.mutations.yaml").write_text("mutations: [\n")
    (tmp_path / "sub.mutations.yaml").write_text("")
    found = check_paths([tmp_path], small_registry(), CONNECTIONS)
    assert [(Path(one.file).name, one.severity) for one in found] == [
        ("main.mutations.yaml", "error"),
        ("sub.mutations.yaml", "error"),
    ]
    assert found[1].hint == "begin with mutations:, or remove the file"


def test_a_missing_folder_is_a_mistake(tmp_path: Path) -> None:
    found = check_paths([tmp_path / "nowhere"], small_registry(), CONNECTIONS)
    assert "no such file or folder" in found[0].message
