"""`check_files`: which configuration holds, and that its mistakes are not blamed on others."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.edges.checking import check_files
from engine.language.diagnostics import Diagnostic
from tests.unit.language.plugins import small_registry

CONFIG = """connections:
  metrics: {kind: prometheus, url: "http://127.0.0.1:9090"}
roles: {sre: [alice]}
"""
PLAYBOOK = """playbook: up
steps:
  - {id: a, action: prometheus.query, with: {connection: metrics, query: up}}
  - {id: b, gate: {role: sre}}
"""
RULES = "rules: [{name: r, manual: true, playbook: up}]\n"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("STANCH_CONFIG", raising=False)
    (tmp_path / "rules").mkdir()
    (tmp_path / "playbooks").mkdir()
    (tmp_path / "stanch.yaml").write_text(CONFIG)
    (tmp_path / "playbooks" / "up.yaml").write_text(PLAYBOOK)
    (tmp_path / "rules" / "r.yaml").write_text(RULES)
    return tmp_path


def check(*paths: str, config: str | None = None) -> list[tuple[str, int]]:
    found = check_files(paths, config_path=config, registry=small_registry())
    assert all(isinstance(one, Diagnostic) for one in found)
    return [(one.file, one.line) for one in found]


def test_without_paths_all_that_the_configuration_names_is_checked(here: Path) -> None:
    assert check() == []
    (here / "rules" / "r.yaml").write_text(RULES.replace("up", "down"))
    (here / "playbooks" / "up.yaml").write_text(PLAYBOOK.replace("sre", "dba"))
    assert check() == [("playbooks/up.yaml", 4), ("rules/r.yaml", 1)]


def test_one_file_is_checked_against_the_others_alone(here: Path) -> None:
    (here / "playbooks" / "up.yaml").write_text(PLAYBOOK.replace("sre", "dba"))
    assert check("rules/r.yaml") == []


def test_a_broken_configuration_is_told_and_its_connections_are_still_known(here: Path) -> None:
    (here / "stanch.yaml").write_text(CONFIG.replace("url", "ulr"))
    assert check("playbooks") == [("stanch.yaml", 2), ("stanch.yaml", 2)]
    assert check() == [("stanch.yaml", 2), ("stanch.yaml", 2)]


def test_a_configuration_among_the_paths_comes_first(here: Path) -> None:
    (here / "other.yaml").write_text(CONFIG.replace("metrics", "numbers"))
    assert check("other.yaml", "playbooks/up.yaml") == [("playbooks/up.yaml", 3)]
    assert check("playbooks/up.yaml", config="other.yaml") == [("playbooks/up.yaml", 3)]


def test_a_configuration_that_is_not_there_is_told(here: Path) -> None:
    assert ("nowhere.yaml", 1) in check("playbooks/up.yaml", config="nowhere.yaml")


def test_no_configuration_at_all(here: Path) -> None:
    (here / "stanch.yaml").unlink()
    assert check() == [("playbooks/up.yaml", 3)]  # nothing says what metrics is
