"""Every file of `config/bad` gives exactly the text beside it; every good file of the repository gives none."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.contract.registry import load_registry
from engine.edges.checking import check_files
from engine.language.diagnostics import formatted
from tests.unit.language.bad_files import BAD, FILES, ROOT, inside, messages
from tests.unit.language.plugins import small_registry


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_bad_file_gives_exactly_its_messages(path: Path) -> None:
    said = messages(path)
    assert said == path.with_suffix(".expected").read_text()
    assert said


def test_there_are_many_and_none_is_left_over() -> None:
    assert len(FILES) >= 80
    assert {path.stem for path in FILES} == {path.stem for path in BAD.glob("*.expected")}


def test_no_message_names_more_of_the_machine_than_the_file() -> None:
    for path in BAD.glob("*.expected"):
        assert str(ROOT) not in path.read_text()


def test_what_the_bad_files_name_is_good() -> None:
    with inside(BAD):
        found = check_files(
            ["context/playbooks/etl/pause.yaml", "context/rules"],
            config_path="context/stanch.yaml",
            registry=small_registry(),
        )
    assert formatted(found) == ""


def test_every_shipped_rule_and_playbook_is_clean() -> None:
    with inside(ROOT):
        found = check_files(
            ["rules", "playbooks"], config_path="config.example.yaml", registry=load_registry()
        )
    assert formatted(found) == ""


@pytest.mark.parametrize(
    "name", ["unknown-action", "promql-template", "sql-clock", "yaml-tab-indentation"]
)
def test_the_shipped_actions_give_messages_at_the_same_places(name: str) -> None:
    with inside(BAD):
        found = check_files(
            [f"{name}.yaml"], config_path=ROOT / "config.example.yaml", registry=load_registry()
        )
    places = [
        line.split(" error: ")[0] for line in formatted(found).splitlines() if " error: " in line
    ]
    expected = (BAD / f"{name}.expected").read_text().splitlines()
    assert {line.split(" error: ")[0] for line in expected if " error: " in line} <= set(places)
