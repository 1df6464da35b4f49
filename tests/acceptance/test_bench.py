"""The benchmarks run. Their figures are judged by people, on a quiet machine, never here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


def measured(module: str, *arguments: str) -> Any:
    """Return the document that a benchmark prints."""
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments, "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=170,
    )
    assert done.returncode == 0, done.stderr[-6000:]
    return json.loads(done.stdout)


@pytest.mark.timeout(180)
@pytest.mark.xdist_group("bench")
def test_a_quick_run_measures_everything() -> None:
    lines = measured("bench", "--quick")
    assert len(lines) >= 14
    assert all(line["value"] > 0 for line in lines), lines


@pytest.mark.timeout(180)
def test_the_cost_of_actions_over_bare_calls_is_measured() -> None:
    costs = {cost["action"]: cost for cost in measured("bench.actions", "--rounds", "3")}
    assert {"kubernetes.scale", "s3.put", "http.request"} <= set(costs)
    assert all(cost[name] > 0 for cost in costs.values() for name in ("bare", "plan", "apply"))


@pytest.mark.timeout(180)
def test_what_authors_wait_for_is_measured() -> None:
    figures = {one["name"]: one for one in measured("bench.authoring", "--quick")}
    assert {"check", "a rehearsal of a playbook of an hour", "chaos over 1 steps"} <= set(figures)
    assert all(one["seconds"] > 0 < one["processor"] for one in figures.values()), figures


@pytest.mark.timeout(180)
@pytest.mark.xdist_group("bench")
def test_what_history_costs_is_measured() -> None:
    lines = measured("bench.journal", "--quick")
    assert len(lines) == 6
    assert all(line["value"] > 0 for line in lines), lines
