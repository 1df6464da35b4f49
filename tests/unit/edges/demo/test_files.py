"""The demo's files: the shipped rules with shorter times and nothing else changed; all of them valid."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import yaml

from engine.edges.checking import check_files
from engine.edges.demo import files
from engine.edges.demo.payload import LABELS, payload
from engine.edges.intake.payload import read_delivery


def test_the_configuration_and_the_rules_are_valid(tmp_path: Path) -> None:
    rules = files.write_rules(tmp_path / "rules", sql=True)
    config = files.write_config(
        tmp_path / "stanch.yaml",
        listen="127.0.0.1:9780",
        rules=rules,
        kubeconfig=tmp_path / "kubeconfig",
        prometheus="http://127.0.0.1:9090",
        dsn="postgresql://nobody@127.0.0.1:9/none",
    )
    assert [str(one) for one in check_files([config, rules, files.shipped("playbooks/etl")])] == []


def test_the_rules_differ_from_the_shipped_ones_in_their_inputs_only(tmp_path: Path) -> None:
    folder = files.write_rules(tmp_path / "rules", sql=False)
    shipped = yaml.safe_load((files.shipped("rules/etl") / "failure-spike.yaml").read_text())
    made = yaml.safe_load((folder / "failure-spike.yaml").read_text())
    assert made["rules"][0]["inputs"]["sql"] is False
    for one in (*shipped["rules"], *made["rules"]):
        one.pop("inputs")
    assert made == shipped


def test_the_alert_rules_are_shorter_and_otherwise_the_same(tmp_path: Path) -> None:
    path = files.write_alert_rules(tmp_path / "alerts.yml")
    rule = yaml.safe_load(path.read_text())["groups"][0]["rules"][0]
    assert rule["alert"] == LABELS["alertname"]
    assert (rule["for"], rule["expr"].count(f"[{files.WINDOW}]")) == ("2s", 2)
    assert "[5m]" not in rule["expr"]


def test_the_payload_is_what_the_intake_takes() -> None:
    import json

    started = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    firing = read_delivery(
        json.dumps(payload("firing", started, 0.7)).encode(), max_alerts=10, drop_labels=frozenset()
    )
    assert [(alert.name, alert.starts_at) for alert in firing.alerts] == [
        ("StarforgeETLFailureRateHigh", started)
    ]
