"""The demo as people start it: the real parts of this machine, one alert, one repair, verified."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from worlds.servers import AlertmanagerServer, PostgresServer, PrometheusServer

COVERS = ("E3", "E4", "E5", "E9")
pytestmark = [pytest.mark.real, pytest.mark.timeout(300), pytest.mark.xdist_group("demo")]


def play(folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("STANCH_")}
    return subprocess.run(
        [sys.executable, "-m", "engine.edges.cli", "--json", "demo", "--auto", *more],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    for server in (PostgresServer, PrometheusServer, AlertmanagerServer):
        if server.missing():
            pytest.skip(f"needs {server.missing()}")
    folder = tmp_path_factory.mktemp("demo")
    done = play(folder)
    assert done.returncode == 0, done.stderr[-8000:] + done.stdout[-4000:]
    result: dict[str, Any] = json.loads(done.stdout)
    return result | {"folder": folder / "var" / "demo", "said": done.stderr}


def requests(demo: dict[str, Any]) -> list[dict[str, Any]]:
    text = (demo["folder"] / "cluster" / "requests.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def test_the_alert_was_real_and_the_rate_fell(demo: dict[str, Any]) -> None:
    assert demo["real_alerting"]
    assert demo["rate"]["worst"] > 0.3
    assert demo["rate"]["end"] < 0.01
    assert demo["run"]["state"] == "succeeded"


def test_everything_is_back_to_normal(demo: dict[str, Any]) -> None:
    assert (demo["workers"], demo["backfills"]) == (6, 2)


def test_one_incident_one_run_one_effect(demo: dict[str, Any]) -> None:
    assert [run["id"] for run in demo["incident"]["runs"]] == [demo["run"]["id"]]
    writes = [
        one
        for one in requests(demo)
        if one["method"] in {"PATCH", "PUT"}
        and "/deployments/etl-worker" in one["path"]
        and "dryRun" not in json.dumps(one)
        and one["status"] < 300
    ]
    # Down to the reduced concurrency, half, and all again; the canary finds it reduced already.
    assert len(writes) == 3, writes


def test_the_plan_showed_its_diffs_and_the_exact_command(demo: dict[str, Any]) -> None:
    said = demo["said"]
    assert "backfill_jobs" in said
    assert "paused" in said
    assert "stanch approve gate-" in said
    assert "--fingerprint" in said


def test_the_timeline_and_the_audit_close_it(demo: dict[str, Any]) -> None:
    assert demo["incident"]["timeline"]
    assert demo["audit"]["ok"] is True
    assert "KEY=" in (demo["folder"] / "decisions.log").read_text()


def test_nothing_is_left_running(demo: dict[str, Any]) -> None:
    left = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if str(demo["folder"]) in command:
            left.append(command)
    assert left == []


def test_without_database_and_prometheus_the_rest_is_shown_honestly(tmp_path: Path) -> None:
    done = play(tmp_path, "--stand-ins")
    assert done.returncode == 0, done.stderr[-8000:] + done.stdout[-4000:]
    result = json.loads(done.stdout)
    assert (result["sql"], result["real_alerting"]) == (False, False)
    assert result["rate"]["worst"] > 0.3
    assert result["rate"]["end"] < 0.01
    assert "NOTE no PostgreSQL" in done.stderr
    assert "posted the payload" in done.stderr
    steps = {step["address"]: step["state"] for step in result["run"]["steps"]}
    assert steps["contain.pause_backfills"] == "skipped"
    assert steps["reduce.fewer_workers"] == "succeeded"
    assert steps["full"] == "succeeded"  # put back at the end
