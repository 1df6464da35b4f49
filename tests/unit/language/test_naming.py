"""What a template may name at each place: as important as the mistakes are the files that are right."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.language.diagnostics import Diagnostic
from engine.language.project import check_paths
from tests.unit.language.plugins import CONNECTIONS, ROLES, SECRETS, small_registry

HEAD = """playbook: x
inputs: {type: object, properties: {n: {type: integer}, repos: {type: array}}}
vars: {w: 5m}
"""


def note(name: str, text: str = "x", more: str = "") -> str:
    return f'{{id: {name}, action: log.decision, with: {{text: "{text}"}}{more}}}'


def check(folder: Path, body: str) -> list[Diagnostic]:
    (folder / "x.yaml").write_text(HEAD + body)
    return check_paths([folder], small_registry(), CONNECTIONS, ROLES, SECRETS)


def steps(*items: str) -> str:
    return "steps:\n" + "".join(f"  - {item}\n" for item in items)


@pytest.mark.parametrize(
    "body",
    [
        steps(note("a"), note("b", "{{ steps.a }}")),
        steps(
            note("a", more=", on_failure: continue"), note("b", more=', when: "steps.a is failed"')
        ),
        steps(note("a", "{{ item }} {{ key }}", ', foreach: "{{ inputs.repos }}"')),
        steps(
            "{id: g, foreach: [1, 2], group: ["
            + note("a", "{{ item }}")
            + ", "
            + note("b", "{{ steps.a }}")
            + "]}"
        ),
        steps(
            '{id: g, foreach: [1], group: [{id: s, switch: "{{ item }}", cases: {one: ['
            + note("a", "{{ key }}")
            + "]}, default: ["
            + note("b", "{{ item }}")
            + "]}]}",
            note("c", "{{ steps.g | length }}"),
        ),
        steps(
            '{id: s, switch: "{{ inputs.n }}", cases: {one: [' + note("a") + "]}}",
            note("b", "{{ steps.a | default('none') }}"),
            note("c", more=', when: "steps.a is skipped"'),
        ),
        steps(
            "{id: p, parallel: [{id: g, group: ["
            + note("a")
            + ", "
            + note("b", "{{ steps.a }}")
            + "]}, "
            + note("c")
            + "]}",
            note("d", "{{ steps.b }} {{ steps.c }}"),
        ),
        steps(note("a"))
        + "rescue:\n  - "
        + note("r", "{{ steps.a }} {{ failure.message }}")
        + "\n",
        steps(note("a"))
        + "rescue:\n  - "
        + note("r")
        + "\nfinally:\n  - "
        + note("f", "{{ steps.r is succeeded }}", ', when: "steps.a is failed"')
        + '\noutputs: {o: "{{ steps.f }}"}\n',
        steps(note("a", "{{ secret('github') }}")),
        steps(
            note(
                "a",
                "{{ alert.labels.x | default('') }} {{ trigger.value }} {{ run.id }} {{ incident }}",
            )
        ),
        steps(note("a", "{{ vars.w | duration }} {{ inputs['n'] }} {{ range(3) }}")),
        steps(note("a", "{{ inputs.repos | map('upper') | list }}")),
        steps('{id: e, when: "inputs.n > 3", end: succeeded}', note("b")),
        steps('{id: w, wait: {for: "{{ vars.w }}"}}', "{id: m, manual: Call, role: admin}"),
        steps(note("a", more=', timeout: "{{ inputs.n }}", name: Say it')),
        steps(
            '{id: q, action: postgres.query, with: {connection: "{{ vars.w }}", sql: "SELECT \'{\' || 1"}}'
        ),
    ],
)
def test_what_is_right_is_left_alone(tmp_path: Path, body: str) -> None:
    assert [str(one) for one in check(tmp_path, body)] == []


@pytest.mark.parametrize(
    ("body", "part"),
    [
        (steps(note("a", more=', when: "steps.a is succeeded"')), "names itself"),
        (
            steps("{id: g, group: [" + note("a") + "]}", note("b", "{{ item }}")),
            "'item' is not known",
        ),
        (steps(note("a", more=', foreach: "{{ item }}"')), "'item' is not known"),
        (steps(note("a"), note("b", "{{ steps['c'] }}")), "no step 'c'"),
        (steps(note("a"), note("b", "{{ [steps.c, 1] | length }}")), "no step 'c'"),
        (steps(note("a", "{{ inputs.m }}")), "no input 'm'"),
        (steps(note("a", "{{ failure.step }}")), "'failure' is not known"),
        (steps(note("a", "{{ result }}")), "'result' is not known"),
        (steps("{id: m, manual: \"{{ secret('github') }}\", role: sre}"), "'secret' is not known"),
        (steps(note("a", "{{ secret('gitlab') }}")), "no secret 'gitlab'"),
        (steps(note("a")) + 'outputs: {o: "{{ steps.b }}"}\n', "no step 'b'"),
        (steps(note("a")) + 'outputs: {o: "{{ item }}"}\n', "'item' is not known"),
        (steps(note("a"), note("b", more=', when: "steps.a is failed"')), "can never hold"),
        (steps("{id: g, group: [{id: e, end: failed}, " + note("b") + "]}"), "never runs"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, body: str, part: str) -> None:
    found = check(tmp_path, body)
    assert len(found) == 1
    assert part in found[0].message
