"""Plugins by others: what can be used is used, what cannot is named and takes no other down."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from engine.contract.registry import load_registry
from engine.edges.cli.main import run

GOOD = '''
from pydantic import Field
from engine.contract import ActionParams, Read

class Params(ActionParams):
    name: str = Field(description="Whom", examples=["alice"])

class Greet(Read[Params]):
    """Greets."""
    name = "acme.greet"
    summary = "Greet somebody"
    Params = Params

    def read(self, params, world):
        return {"said": f"hello {params.name}"}

DECLARATIONS = (Greet,)
'''
RENAMED = GOOD.replace("acme.greet", "acme.wave")
CONNECTION = """
from pydantic import BaseModel
from engine.contract import ConnectionKind

class Kind(ConnectionKind):
    kind = "acme"
    Settings = BaseModel
    def open(self, opening): return object()
    def refuses(self, settings, target): return None

raise RuntimeError("the licence\\nhas expired")
DECLARATIONS = (Kind,)
"""
BROKEN = {
    "syntax": (RENAMED.replace("def read(self,", "def read(self"), "SyntaxError", 14),
    "imports": ("import nowhere_to_be_found\n" + RENAMED, "No module named", 1),
    "raises": (CONNECTION, "RuntimeError: the licence has expired", 11),
    "exits": ("import sys\nsys.exit(3)\n", "SystemExit: 3", 2),
    "nothing": ("x = 1\n", "no DECLARATIONS", 1),
    "not_listed": (RENAMED.replace("(Greet,)", "Greet"), "no DECLARATIONS", 1),
    "instance": (RENAMED.replace("(Greet,)", "(Greet(),)"), "is no class", 1),
    "two_mistakes": (
        RENAMED.replace("acme.wave", "wave").replace("(Greet,)", "(Greet, 17)"),
        "not of the form system.verb; 17: is no class",
        1,
    ),
    "undescribed": (RENAMED.replace('description="Whom", ', ""), "no description: name", 1),
    "unwritten": (RENAMED.replace("def read(", "def look("), "does not implement read", 1),
    "risky": (RENAMED.replace('summary = "', 'risk = "some"; summary = "'), "its risk 'some'", 1),
    "takes_a_name": (GOOD.replace("acme.greet", "http.get"), "exists already, in plugin http", 1),
    "kind_again": (CONNECTION.replace("raise Run", "Run").replace('"acme"', '"http"'), "'http'", 1),
    "kind_unwritten": (
        CONNECTION.replace("raise Run", "Run").replace("def open", "def opens"),
        "does not implement open",
        1,
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_plugin_is_named_and_the_others_are_there(tmp_path: Path, name: str) -> None:
    text, reason, line = BROKEN[name]
    file = tmp_path / f"a_{name}.py"
    file.write_text(text)
    (tmp_path / "good.py").write_text(GOOD)
    registry = load_registry([tmp_path])
    assert {"acme.greet", "http.get"} <= set(registry.actions)
    assert "acme.wave" not in registry.actions
    (broken,) = registry.broken
    assert reason in broken.reason
    assert "\n" not in broken.reason
    assert (broken.file, broken.line) == (str(file), line)
    assert str(file) in broken.plugin


def test_one_bad_declaration_leaves_the_whole_plugin_out(tmp_path: Path) -> None:
    (tmp_path / "half.py").write_text(GOOD.replace("(Greet,)", "(Greet, object)"))
    registry = load_registry([tmp_path])
    assert "acme.greet" not in registry.actions
    assert registry.why_missing("acme.greet") == str(registry.broken[0])
    assert registry.why_missing("acme.other") is None


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    (broken,) = load_registry([tmp_path / "plugins"]).broken
    assert "no such folder" in broken.reason


def install(target: Path, name: str, module: str, text: str) -> None:
    """Install a package of one module as installers do, without asking any registry."""
    (target / f"{module}.py").write_text(text)
    info = target / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[stanch.actions]\n{name} = {module}\n")


def test_an_installed_package_cannot_take_a_shipped_name_nor_break_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, "aaa", "aaa_actions", GOOD.replace("acme.greet", "http.get"))
    install(tmp_path, "acme", "acme_actions", GOOD)
    install(tmp_path, "bad", "bad_actions", RENAMED + "\n1 / 0\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    registry = load_registry()
    assert registry.plugin_of("http.get") == "plugin http (actions.http)"
    assert registry.plugin_of("acme.greet") == "plugin acme (acme_actions)"
    assert [one.plugin.split()[1] for one in registry.broken] == ["aaa", "bad"]
    why = registry.why_missing("acme.wave")
    assert why is not None
    assert "division by zero" in why
    for module in ("aaa_actions", "acme_actions", "bad_actions"):
        sys.modules.pop(module, None)


PLAYBOOK = """playbook: wave
steps:
  - {id: a, action: acme.wave, with: {name: alice}}
"""
GREET = """playbook: greet
steps:
  - {id: a, action: acme.greet, with: {name: alice}}
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("STANCH_CONFIG", raising=False)
    monkeypatch.delenv("STANCH_SERVER", raising=False)
    for name in ("plugins", "playbooks", "rules"):
        (tmp_path / name).mkdir()
    (tmp_path / "stanch.yaml").write_text("actions: [plugins]\n")
    (tmp_path / "plugins" / "good.py").write_text(GOOD)
    (tmp_path / "plugins" / "bad.py").write_text(RENAMED + "\n1 / 0\n")
    (tmp_path / "playbooks" / "greet.yaml").write_text(GREET)
    return tmp_path


def test_the_command_line_names_it_everywhere_and_goes_on(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["run", "greet", "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["state"] == "succeeded"
    assert "left out: plugin plugins/bad.py: cannot be imported: ZeroDivisionError" in err
    assert run(["check"]) == 2
    assert "plugins/bad.py:19:1: error: the plugin cannot be used" in capsys.readouterr().out
    assert run(["doctor", "--json"]) == 1
    found = {one["name"]: one for one in json.loads(capsys.readouterr().out)["checks"]}
    assert not found["plugin plugins/bad.py"]["ok"]
    assert found["rules and playbooks"]["ok"]
    assert run(["actions", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert [one["file"] for one in shown["broken"]] == ["plugins/bad.py"]
    assert "acme.greet" in [one["name"] for one in shown["items"]]
    assert run(["actions"]) == 0
    assert "left out: plugin plugins/bad.py" in capsys.readouterr().err
    assert run(["actions", "show", "acme.wave"]) == 2
    assert "division by zero" in capsys.readouterr().err


def test_a_playbook_says_which_plugin_its_action_is_missing_from(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "playbooks" / "wave.yaml").write_text(PLAYBOOK)
    (here / "plugins" / "bad.py").write_text(RENAMED + CONNECTION)
    (here / "stanch.yaml").write_text("actions: [plugins]\nconnections: {one: {kind: acme}}\n")
    assert run(["check"]) == 2
    said = capsys.readouterr().out
    assert "wave.yaml:3:21: error: the action acme.wave is missing, since its plugin" in said
    assert "stanch.yaml:2:27: error: the connection kind acme is missing, since its plugin" in said
    assert said.count("found:    plugin plugins/bad.py: cannot be imported: RuntimeError") == 2
