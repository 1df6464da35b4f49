"""What `docs/actions.md` promises to authors: a scaffold that keeps the contract, a package, a folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine.edges.cli.main import run

DOC = Path(__file__).parents[2] / "docs" / "actions.md"


def pytest_in(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "plugins/tests"],
        cwd=folder, capture_output=True, text=True, check=False, timeout=100,
    )  # fmt: skip


BREAKS = {  # what is broken, and how the check names it
    ('"_keys", {}).get(name) == key else None', '"_keys", {}).get(name) == "x" else None'): (
        "others changed it since",
        "acted again",
        "confirm",
    ),
    ("        if not self._writable:\n", "        if False:\n"): (
        "a read-only world let a change through",
    ),
    ('store.swap(name, planned.request["value"], before, key)', "pass"): ("undo did not restore",),
}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("STANCH_CONFIG", "STANCH_SERVER"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "playbooks").mkdir()
    return tmp_path


def test_a_scaffold_passes_at_once_runs_and_fails_when_broken(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["actions", "new", "acme.set_limit"]) == 0
    assert run(["actions", "new", "acme.set_limit"]) == 3  # nothing is overwritten
    assert run(["actions", "new", "Acme"]) == 2
    done = pytest_in(here)
    assert done.returncode == 0, done.stdout

    (here / "values.json").write_text('{"limit": 8}')
    (here / "stanch.yaml").write_text(
        "actions: [plugins]\nconnections: {acme: {kind: acme, path: values.json}}\n"
    )
    (here / "playbooks" / "p.yaml").write_text(
        "playbook: p\nsteps:\n"
        "  - {id: a, action: acme.set_limit, with: {connection: acme, name: limit, value: 4}}\n"
    )
    assert run(["check"]) == 0
    capsys.readouterr()
    assert run(["actions", "show", "acme.set_limit", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["protection"] == "conditional"
    assert run(["plan", "p"]) == 0
    assert json.loads((here / "values.json").read_text()) == {"limit": 8}
    assert run(["grants", "p"]) == 0
    assert "mode=write" in capsys.readouterr().out

    good = (here / "plugins" / "acme.py").read_text()
    for (old, new), words in BREAKS.items():
        assert old in good
        (here / "plugins" / "acme.py").write_text(good.replace(old, new, 1))
        done = pytest_in(here)
        assert done.returncode == 1, done.stdout
        assert any(word in done.stdout for word in words), done.stdout


def test_a_package_written_from_the_docs_is_found_by_its_entry_point(here: Path) -> None:
    """The module stands in the docs; it is installed as installers do, with no registry asked."""
    text = DOC.read_text().split("<!-- package -->")[1].split("```python\n")[1].split("```")[0]
    target = here / "site"
    info = target / "acme_queue-1.0.dist-info"
    info.mkdir(parents=True)
    (target / "acme_queue.py").write_text(text)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-queue\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[stanch.actions]\nacme_queue = acme_queue\n")
    (here / "queue.txt").write_text("a\nb\n")
    (here / "stanch.yaml").write_text("connections: {q: {kind: lines, path: queue.txt}}\n")
    (here / "playbooks" / "p.yaml").write_text(
        "playbook: p\nsteps: [{id: a, action: acme.depth, with: {connection: q}}]\n"
    )

    def stanch(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "engine.edges.cli", *arguments],
            env={**os.environ, "PYTHONPATH": str(target)},
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip

    listed = stanch("actions", "--json")
    (mine,) = [one for one in json.loads(listed.stdout)["items"] if one["name"] == "acme.depth"]
    assert mine["plugin"] == "plugin acme_queue (acme_queue)"
    assert (mine["effect"], mine["risk"], mine["parameters"]) == ("read", "none", ["connection"])
    done = stanch("run", "p", "--json")
    assert json.loads(done.stdout)["state"] == "succeeded", done.stderr
