"""What README and docs tell people to type exists: commands, options, make targets, files, links."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml

from engine.edges.checking import check_files
from engine.edges.cli.main import app, run

ROOT = Path(__file__).parents[2]
DOCS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
COMMAND = re.compile(r"(?:\.venv/bin/|`)stanch ([^`\n#]+)")
TARGET = re.compile(r"(?m)(?:^ {4}|`)make ([a-z]+)")
LINK = re.compile(r"\]\(([^)#:]+)\)")


def found(pattern: re.Pattern[str]) -> list[tuple[str, str]]:
    return [
        (path.name, match)
        for path in DOCS
        for match in dict.fromkeys(pattern.findall(path.read_text()))
    ]


@cache
def whole() -> Any:
    return typer.main.get_command(app)


def leaf(words: list[str]) -> tuple[Any, list[str]]:
    command = whole()
    rest = list(words)
    while (known := getattr(command, "commands", None)) and rest and not rest[0].startswith("-"):
        assert rest[0] in known, f"there is no command {rest[0]!r}; there are {sorted(known)}"
        command = known[rest.pop(0)]
    return command, rest


@pytest.mark.parametrize(("file", "text"), found(COMMAND))
def test_commands_and_their_options_exist(file: str, text: str) -> None:
    command, rest = leaf(shlex.split(text))
    options = {name for parameter in command.params for name in parameter.opts}
    everywhere = {"--json", "--config", "--server", "--debug", "--help"}
    for word in rest:
        if word.startswith("-"):
            assert word.partition("=")[0] in options | everywhere, f"{file}: stanch {text}"


@pytest.mark.parametrize(("file", "target"), found(TARGET))
def test_make_targets_exist(file: str, target: str) -> None:
    assert re.search(rf"(?m)^{target}:", (ROOT / "Makefile").read_text()), f"{file}: make {target}"


@pytest.mark.parametrize(("file", "link"), found(LINK))
def test_links_lead_somewhere(file: str, link: str) -> None:
    folder = next(path for path in DOCS if path.name == file).parent
    assert (folder / link).exists(), f"{file}: {link}"


def test_enough_was_found_to_be_worth_testing() -> None:
    assert len(found(COMMAND)) >= 12
    assert len(found(TARGET)) >= 6


def snippets() -> Iterator[tuple[str, str]]:
    for path in DOCS:
        for block in re.findall(r"(?ms)^ *```yaml\n(.*?)^ *```", path.read_text()):
            yield path.name, block


@pytest.mark.parametrize(("file", "text"), list(snippets()))
def test_yaml_snippets_can_be_read(file: str, text: str) -> None:
    assert isinstance(yaml.safe_load(text), dict), file


def test_the_readmes_configuration_is_all_that_its_packs_need(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As in a fresh clone: the snippet saved as stanch.yaml, then the README's next command."""
    text = next(text for _, text in snippets() if "listen:" in text)
    (tmp_path / "stanch.yaml").write_text(text)
    for folder in ("rules", "playbooks"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("STANCH_CONFIG", raising=False)
    assert run(["check"]) == 0, capsys.readouterr().out
    (tmp_path / "stanch.yaml").write_text(text.replace("quarantine:", "elsewhere:"))
    assert run(["check"]) == 2, "the packs that it names were read"
    assert "there is no connection 'quarantine'" in capsys.readouterr().out


def test_who_has_no_configuration_yet_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "playbooks").symlink_to(ROOT / "playbooks" / "etl")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("STANCH_CONFIG", raising=False)
    for command in (["check"], ["rehearse", "playbooks"], ["plan", "etl/failure-spike"]):
        assert run(command) == 2
        assert "there is no stanch.yaml here" in capsys.readouterr().err
    (tmp_path / "stanch.yaml").write_text("connections: {}\n")
    assert run(["check"]) == 2
    assert "there is no stanch.yaml" not in capsys.readouterr().err


def test_the_readmes_packs_can_be_tried_on_the_example_configuration(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its other commands are rehearsals and faults of packs, which the scenarios run whole."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("STANCH_CONFIG", "config.example.yaml")
    table = re.findall(r"(?m)^\| \[.*`stanch ([^`]+)` \|$", (ROOT / "README.md").read_text())
    assert len(table) == 5
    for command in table:
        if not command.startswith("rehearse"):
            assert run(shlex.split(command)) == 0, capsys.readouterr().err


def test_the_example_configuration_and_the_shipped_packs_are_valid() -> None:
    example = ROOT / "config.example.yaml"
    paths = [example, ROOT / "rules", ROOT / "playbooks"]
    assert [str(one) for one in check_files(paths)] == []
