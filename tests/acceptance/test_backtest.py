"""A backtest over a real Prometheus with a week of history: alerts, alert rules that were not there, queries."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from engine.edges.cli.main import run
from tests.conftest import need
from worlds.servers import PrometheusServer

pytestmark = pytest.mark.real

STEP = 60  # seconds between samples
RULES = """rules:
  - name: slow
    matchers: ['alertname="Slow"']
    run_per: [shard]
    condition:
      query: {connection: metrics, query: 'load{shard="$shard"}', params: {shard: "{{ trigger.labels.shard }}"}}
      is: "> 5"
    playbook: note
  - name: backlog
    query: {connection: metrics, query: 'backlog', is: "> 100", every: 5m, for: 10m}
    playbook: note
"""
PLAYBOOK = """playbook: note
steps:
  - {id: log, action: log.decision, with: {connection: decisions, fields: {action: note}}}
"""
ALERTS = """groups:
- name: g
  rules:
  - {alert: Slow, expr: load > 2, for: 10m, labels: {severity: page}}
"""


def history(now: datetime) -> str:
    """A week in OpenMetrics: two hours of high load two days ago, an hour of backlog a day ago, `ALERTS` with it."""
    lines = ["# TYPE load gauge"]
    begin = now - timedelta(days=7)
    for minute in range(7 * 24 * 60):
        at = begin + timedelta(minutes=minute)
        hours = (now - at).total_seconds() / 3600
        for shard, high in (("a", 9.0), ("b", 3.0)):
            value = high if 48 <= hours < 50 else 1.0
            lines.append(f'load{{shard="{shard}"}} {value} {int(at.timestamp())}')
    lines.append("# TYPE backlog gauge")
    for minute in range(7 * 24 * 60):
        at = begin + timedelta(minutes=minute)
        hours = (now - at).total_seconds() / 3600
        lines.append(f"backlog {500 if 24 <= hours < 25 else 3} {int(at.timestamp())}")
    lines.append("# TYPE ALERTS gauge")
    for minute in range(10, 120):  # `for: 10m`
        at = now - timedelta(hours=50) + timedelta(minutes=minute)
        labels = 'alertname="Slow",alertstate="firing",shard="a"'
        lines.append(f"ALERTS{{{labels}}} 1 {int(at.timestamp())}")
    return "\n".join([*lines, "# EOF", ""])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrometheusServer]:
    need(PrometheusServer)
    if shutil.which("promtool") is None:
        pytest.skip("needs promtool, of the Debian package prometheus")
    folder = tmp_path_factory.mktemp("history")
    file = folder / "history.txt"
    file.write_text(history(datetime.now(UTC).replace(second=0, microsecond=0)))
    command = [
        "promtool",
        "tsdb",
        "create-blocks-from",
        "openmetrics",
        str(file),
        str(folder / "data"),
    ]
    subprocess.run(command, check=True, capture_output=True)
    with PrometheusServer(folder) as made:
        yield made


@pytest.fixture
def here(tmp_path: Path, server: PrometheusServer, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("STANCH_CONFIG", raising=False)
    for folder, name, text in (("rules", "r", RULES), ("playbooks", "note", PLAYBOOK)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / f"{name}.yaml").write_text(text)
    (tmp_path / "alerts.yaml").write_text(ALERTS)
    config = {"connections": {"metrics": {"kind": "prometheus", "url": server.url}}}
    (tmp_path / "stanch.yaml").write_text(json.dumps(config))
    return tmp_path


def test_a_week_of_alerts_and_metrics(
    here: Path, server: PrometheusServer, capsys: pytest.CaptureFixture[str]
) -> None:
    for source in ("metrics", server.url):
        assert run(["backtest", "--prometheus", source, "--since", "7d", "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        slow, backlog = found["rules"]
        assert (slow["runs"], slow["reasons"]) == (1, {})
        assert backlog["runs"] == 1
        ago = datetime.now(UTC) - datetime.fromisoformat(backlog["first"])
        assert timedelta(hours=24) < ago < timedelta(hours=25)
        assert found["unanswered"] == {}


def test_alert_rules_that_were_not_there_then(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["backtest", "--prometheus", "metrics", "--since", "7d", "--alerts", "alerts.yaml"]
    assert run([*asked, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    slow = found["rules"][0]
    assert found["alerts"] == 4
    assert (slow["runs"], slow["reasons"]) == (1, {"condition": 1}), "shard b is not over 5"


def test_a_prometheus_that_refuses_is_told(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "alerts.yaml").write_text(ALERTS.replace("load > 2", "load >>> 2"))
    assert run(["backtest", "--prometheus", "metrics", "--alerts", "alerts.yaml"]) == 1
    assert "parse error" in capsys.readouterr().err
    assert run(["backtest", "--prometheus", "http://127.0.0.1:1"]) == 1
