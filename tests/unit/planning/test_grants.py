"""Rights gathered from playbooks and rules: what is settled, what only a run knows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine.contract.registry import load_registry
from engine.language.project import load_project
from engine.planning.grants import Found, grants_needed

KINDS = {"cluster": "kubernetes", "db": "postgres", "objects": "s3", "metrics": "prometheus"}
INNER = """playbook: inner
inputs: {type: object, properties: {namespace: {type: string}, size: {type: integer, default: 2}}}
steps:
  - id: scale
    action: kubernetes.scale
    with: {connection: cluster, namespace: "{{ inputs.namespace }}", name: web, replicas: "{{ inputs.size }}"}
"""
OUTER = """playbook: outer
inputs: {type: object, properties: {namespace: {type: string}, bucket: {type: string}}}
vars: {folder: "{{ inputs.bucket }}-tmp", fixed: tmp}
steps:
  - id: pick
    switch: "{{ inputs.namespace }}"
    cases:
      a: [{id: sub, playbook: inner, with: {namespace: "{{ inputs.namespace }}"}}]
    default:
      - id: put
        action: s3.put
        with: {connection: objects, bucket: "{{ vars.folder }}", key: "{{ vars.fixed }}/x", text: y}
  - id: wait
    wait: {query: {connection: metrics, query: up}, becomes: "> 0", within: 1m}
  - id: rows
    action: postgres.query
    with:
      connection: db
      sql: SELECT 1 FROM public.jobs WHERE id = %(id)s
      params: {id: "{{ run.id }}"}
"""
RULES = """rules:
  - name: one
    matchers: [alertname=Down]
    playbook: outer
    inputs: {namespace: "{{ alert.labels.namespace }}", bucket: reports}
    condition: {query: {connection: metrics, query: up}, is: "> 0"}
"""


@pytest.fixture
def files(tmp_path: Path) -> Path:
    for name, text in (("inner", INNER), ("outer", OUTER), ("rules", RULES)):
        (tmp_path / f"{name}.yaml").write_text(text)
    return tmp_path


def gathered(files: Path, *, rules: bool = False, **given: Any) -> Found:
    registry = load_registry()
    books = [files / "inner.yaml", files / "outer.yaml"]
    project = load_project([files / "rules.yaml"], books, registry, KINDS)
    chosen = [project.playbooks["outer"]]
    return grants_needed(chosen, project.rules if rules else (), registry, KINDS, given)


def details(found: Found, connection: str) -> list[Any]:
    return [one.grant.detail for one in found.needs if one.grant.connection == connection]


def test_what_only_a_run_knows_stays_open(files: Path) -> None:
    found = gathered(files)
    (scale,) = [one for one in found.needs if one.grant.connection == "cluster"]
    assert (scale.owner, scale.step, scale.action) == ("outer", "sub.scale", "kubernetes.scale")
    assert scale.grant.detail["namespace"] == "{{ inputs.namespace }}"
    assert scale.open == ("{{ inputs.namespace }}",)
    puts = [one for one in found.needs if one.step == "put"]
    assert {one.open for one in puts} == {("{{ vars.folder }}",)}
    assert puts[0].grant.detail["resource"] == "arn:aws:s3:::{{ vars.folder }}/tmp/x"
    assert details(found, "db") == [{"privilege": "SELECT", "on": "public.jobs"}]
    assert details(found, "metrics") == [{"path": "/api/v1/query"}]
    assert found.undetermined == []


def test_given_inputs_settle_it(files: Path) -> None:
    found = gathered(files, namespace="starforge", bucket="reports")
    assert not any(one.open for one in found.needs)
    assert details(found, "cluster")[0]["namespace"] == "starforge"
    assert details(found, "objects")[0]["resource"] == "arn:aws:s3:::reports-tmp/tmp/x"


def test_a_rules_constant_inputs_count_and_its_own_queries(files: Path) -> None:
    found = gathered(files, rules=True)
    assert details(found, "objects")[0]["resource"] == "arn:aws:s3:::reports-tmp/tmp/x"
    assert details(found, "cluster")[0]["namespace"] == "{{ inputs.namespace }}"
    assert [one.owner for one in found.needs if one.grant.connection == "metrics"] == [
        "outer",
        "rule one",
    ]
