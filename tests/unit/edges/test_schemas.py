"""The schemas that editors read agree with what `check` accepts, and with the files that ship."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from engine.contract.registry import load_registry
from engine.edges.schemas import NAMES, schema, written
from engine.language.projectfiles import kind_of_file
from engine.language.yamlcompose import compose
from tests.unit.language.plugins import small_registry

ROOT = Path(__file__).parents[3]
GOOD = ROOT / "tests" / "unit" / "language" / "good"


@cache
def validator(name: str, *, shipped: bool) -> Draft202012Validator:
    """Made once: there are many files of a kind."""
    return Draft202012Validator(schema(name, load_registry() if shipped else small_registry()))


def problems(name: str, value: Any, *, shipped: bool = False) -> list[str]:
    return [error.message for error in validator(name, shipped=shipped).iter_errors(value)]


@pytest.mark.parametrize("name", NAMES)
def test_a_schema_is_a_schema_and_its_references_lead_somewhere(name: str) -> None:
    found = schema(name, small_registry())
    Draft202012Validator.check_schema(found)

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            reference = value.get("$ref")
            if isinstance(reference, str) and reference.startswith("#/$defs/"):
                assert reference.removeprefix("#/$defs/") in found["$defs"]
            for one in value.values():
                walk(one)
        elif isinstance(value, list):
            for one in value:
                walk(one)

    walk(found)


@pytest.mark.parametrize("name", NAMES)
def test_the_shipped_schemas_are_up_to_date(name: str) -> None:
    """Run `make schemas` when this fails."""
    assert (ROOT / "schemas" / f"{name}.json").read_text() == written(name, load_registry())


def test_unknown_names_are_refused() -> None:
    with pytest.raises(KeyError, match="playbook, rules, conditions"):
        schema("playbooks")


@pytest.mark.parametrize("path", sorted(GOOD.rglob("*.yaml")), ids=lambda path: path.stem)
def test_good_files_fit_their_schema(path: Path) -> None:
    root, _ = compose(path.read_bytes(), path.name)
    assert root is not None
    assert problems(kind_of_file(root) or "", root.value) == []


def test_every_shipped_file_fits_the_schema_that_it_names() -> None:
    seen = 0
    for folder in ("rules", "playbooks"):
        for path in sorted((ROOT / folder).rglob("*.yaml")):
            root, _ = compose(path.read_bytes(), path.name)
            assert root is not None
            kind = kind_of_file(root)
            if kind not in NAMES:
                continue
            line = path.read_text().splitlines()[0]
            assert line.startswith("# yaml-language-server: $schema="), path
            target = os.path.normpath(path.parent / line.rpartition("=")[2])
            assert Path(target).parent == ROOT / "schemas", path
            assert Path(target).stem in NAMES, path
            assert problems(Path(target).stem, root.value, shipped=True) == [], path
            seen += 1
    assert seen >= 5


@pytest.mark.parametrize(
    "step",
    [
        {"id": "a"},
        {"id": "a", "action": "kubernetes.scal"},
        {"id": "a", "action": "kubernetes.scale", "with": {"replicas": "three"}},
        {"id": "a", "action": "kubernetes.scale", "with": {"replica": 3}},
        {"id": "a", "gate": {"role": "sre", "on_timeout": "approve"}},
        {"id": "a", "wait": {"fro": "5m"}},
        {"id": "a", "group": [{"id": "b"}]},
        {"id": "a", "end": "success"},
    ],
)
def test_editors_see_the_same_mistakes(step: dict[str, Any]) -> None:
    assert problems("playbook", {"playbook": "x", "steps": [step]})


def test_a_template_may_stand_for_any_parameter() -> None:
    step = {
        "id": "a",
        "action": "kubernetes.scale",
        "with": {"replicas": "{{ inputs.n }}", "strategy": "{{ inputs.s }}"},
    }
    assert problems("playbook", {"playbook": "x", "steps": [step]}) == []
