"""Batches and series through every door: API, `stanch top`, `stanch metrics`."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from engine.domain.run import RunMode
from engine.edges.cli.local import LocalBackend
from engine.edges.cli.overview import overview
from engine.edges.cli.render.measures import measured
from engine.edges.cli.render.style import plain
from engine.edges.cli.render.top import top
from engine.running.warming import Warmer
from tests.harness import BOB
from tests.harness_programs import program
from tests.unit.edges.app import App
from tests.unit.edges.test_api import get, post

COVERS = ("C2", "C3", "C4", "C5", "C6")

EACH = program(
    {
        "id": "each",
        "kind": "group",
        "foreach": {"items": "{{ range(4) | list }}", "concurrency": 2},
        "steps": [{"id": "rest", "kind": "wait", "for_": 60.0}],
    },
    playbook="toys/each",
)
FAILS = {"id": "up", "action": "toy.set", "with": {"name": "{{ item }}", "value": 2}}


def run_all(app: App, *playbooks: str) -> list[str]:
    app.engine.programs["toys/each"] = EACH
    runs = [app.commands.start(one, {}, requester=BOB, mode=RunMode.AUTO) for one in playbooks]
    app.settle()
    return runs


def test_a_batch_under_way_is_told_by_the_api_and_by_top(app: App) -> None:
    (run,) = run_all(app, "toys/each")
    app.engine.pass_time(60, step=60)
    (batch,) = get(app, "/api/v1/batches").json()["items"]
    assert (batch["run"], batch["step"], batch["playbook"]) == (run, "each", "toys/each")
    assert (batch["total"], batch["done"], batch["under_way"]) == (4, 2, 2)
    assert (batch["progress"], batch["eta"]) == (0.5, 60.0)
    text = plain(top(overview(LocalBackend(app), app.clock.now())))
    assert "batches under way" in text
    assert "2/4 (50%)" in text
    app.engine.pass_time(60, step=60)
    assert get(app, "/api/v1/batches").json()["items"] == []


def test_series_are_told_by_the_api_and_shown(app: App) -> None:
    run_all(app, "toys/fail", "toys/fail", "toys/each")
    found: Any = get(app, "/api/v1/metrics", params={"since": 3600, "every": 60}).json()
    assert found["stages"]["toy.set"]["failed"] == 2
    assert [one["stage"] for one in found["patterns"]] == ["toy.set"]
    assert LocalBackend(app).metrics(3600, 60) == found
    assert found["stages"]["toy.set"]["cpu_seconds"] > 0
    text = plain(measured(found))
    assert f"{found['stages']['toy.set']['peak_memory'] / 2**20:.0f} MiB" in text
    assert "process_cpu_seconds_total" in app.metrics.text().decode()
    assert "failures that keep coming back" in text
    assert "3 runs started, 2 ended, 0.0% well" in text


def test_a_recovery_is_started_through_the_api_and_the_command_line(app: App) -> None:
    each = {**FAILS, "foreach": {"items": ["stuck", "x"], "key": "{{ item }}", "tolerate": "1"}}
    app.engine.programs["toys/some"] = program(each, playbook="toys/some")
    first, second = run_all(app, "toys/some", "toys/some")
    made = post(app, f"/api/v1/runs/{first}/recover", {"step": "up"}).json()
    assert (made["playbook"], made["state"]) == ("toys/some", "queued")
    detail = get(app, f"/api/v1/runs/{made['id']}").json()
    assert detail["inputs"]["recovered_items"] == ["stuck"]
    again = post(app, f"/api/v1/runs/{first}/recover", {})
    assert again.status_code == 403
    assert "just now" in again.text
    line = LocalBackend(app).recover(second, None)
    assert line["id"] not in (first, second, made["id"])


def test_warm_up_is_told_by_the_api_by_metrics_and_by_top(app: App) -> None:
    assert get(app, "/api/v1/warmup").json() == {"state": "off"}
    assert "stanch_warmup" not in app.metrics.text().decode()
    assert "warm-up" not in plain(top(overview(LocalBackend(app), app.clock.now())))
    run_all(app, "toys/fail", "toys/fail")
    app.warmer = Warmer(app.services, app.engine.worker.programs, lambda: app.project.playbooks)
    app.warmer.warm(threading.Event())
    run_all(app, "toys/fail")
    found: Any = get(app, "/api/v1/warmup").json()
    assert (found["state"], found["fetched"]["connection"]) == ("done", 2)
    assert found["uses"]["playbook"] == {"hits": 2, "misses": 1, "rate": 0.6667}
    text = app.metrics.text().decode()
    assert 'stanch_kept_uses_total{found="yes",what="playbook"} 2.0' in text
    assert 'stanch_kept_uses_total{found="no",what="playbook"} 1.0' in text
    assert 'stanch_warmup_fetched{what="connection"} 2.0' in text
    assert f"stanch_warmup_memory_bytes {float(found['memory']['grown'])}" in text
    assert "playbook 67% of 3" in plain(top(overview(LocalBackend(app), app.clock.now())))


@pytest.mark.parametrize(("since", "every"), [(8 * 86400, 3600), (3600, 7200), (86400, 1), (0, 1)])
def test_windows_that_are_not_kept_are_refused(app: App, since: float, every: float) -> None:
    answer = get(app, "/api/v1/metrics", params={"since": since, "every": every})
    assert answer.status_code == 422
