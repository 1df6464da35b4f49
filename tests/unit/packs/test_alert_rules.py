"""The packs' Prometheus alert rules, judged by promtool itself."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ALERTS = Path(__file__).parents[3] / "rules" / "alerts"
FILES = sorted(path for path in ALERTS.glob("*.yaml") if not path.name.endswith(".test.yaml"))


def promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    if shutil.which("promtool") is None:
        pytest.skip("needs the Debian package prometheus (promtool)")
    return subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False)


@pytest.mark.real
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_rules_are_valid(path: Path) -> None:
    done = promtool("check", "rules", str(path))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.real
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_rules_fire_when_they_should(path: Path) -> None:
    tests = sorted(map(str, ALERTS.glob(f"{path.stem}.*test.yaml")))
    assert tests, f"{path.name} has no unit tests beside it"
    done = promtool("test", "rules", *tests)
    assert done.returncode == 0, done.stdout + done.stderr
