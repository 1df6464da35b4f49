"""Every example of the guide is what it says: whole rehearsals are played, parts are read."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from engine.edges.rehearsal import planting, suite
from engine.edges.rehearsal.services import Servers
from engine.edges.rehearsal.stage import Ground
from engine.edges.rehearsal.worlds import read_world
from engine.language.diagnostics import Report
from engine.language.mutations import read_mutations
from engine.language.rehearsalreading import read_rehearsals
from engine.language.yamlcompose import compose

ROOT = Path(__file__).parents[2]
BLOCKS = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs/rehearsals.md").read_text(), re.DOTALL)
KINDS = {
    "cluster": "kubernetes",
    "metrics": "prometheus",
    "starforge": "postgres",
    "objects": "s3",
    "service": "http",
    "warehouse": "postgres",
}


def blocks(first: str) -> list[str]:
    found = [block for block in BLOCKS if block.startswith(first)]
    assert found, f"no example begins with {first}"
    return found


def test_whole_rehearsals_are_as_expected(tmp_path: Path, ground: Ground, servers: Servers) -> None:
    for number, text in enumerate(blocks("rehearsal:")):
        path = tmp_path / f"guide{number}.rehearsal.yaml"
        path.write_text(text)
        (rehearsal,) = suite.find([path])
        result = suite.play(ground, rehearsal, servers.service)
        assert result.ok, (result.error, result.misses)


@pytest.mark.parametrize("text", blocks("world:"))
def test_worlds_can_be_read(text: str) -> None:
    root, found = compose(text, "guide")
    assert root is not None
    assert not found
    for name, entry in root.value["world"].items():
        read_world(KINDS[name], name, entry)


@pytest.mark.parametrize("key", ["faults:", "people:", "expect:", "rule:"])
def test_parts_can_be_read(tmp_path: Path, key: str) -> None:
    whole: dict[str, Any] = {"expect:": "", "rule:": "expect: {run: succeeded}\n"}
    more = whole.get(key, "expect: {run: succeeded}\n")
    start = "" if key == "rule:" else "playbook: etl/re-enable\n"
    for text in blocks(key):
        path = tmp_path / "part.rehearsal.yaml"
        path.write_text(f"rehearsal: part\n{start}{more}{text}")
        report = Report()
        read_rehearsals(path, "guide", report)
        assert not report.diagnostics, [str(one) for one in report.diagnostics]


def test_faults_to_plant_are_noticed(tmp_path: Path, ground: Ground, servers: Servers) -> None:
    for text in blocks("mutations:"):
        root, found = compose(text, "guide")
        assert root is not None
        assert not found
        report = Report()
        mutations = read_mutations(root, tmp_path / "guide.mutations.yaml", report)
        assert not report.diagnostics
        rehearsals = suite.find([ROOT / "playbooks"])
        for mutation in mutations:
            assert planting.plant(ground, mutation, rehearsals, servers.service).ok
