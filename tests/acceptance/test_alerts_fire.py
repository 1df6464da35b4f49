"""One alert of each pack fires for real: scripted exporter, Prometheus, Alertmanager, `stanch serve`, a finished run.

The packs' own alert rules are used, with their pending times cut to a second; the metrics say what they say in
production, so thresholds and expressions are the shipped ones. The rules, playbooks and conditions are the
shipped ones, too, schedules left out. The etl pack's alert is played by the demo (`test_demo`).
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
import yaml

from engine.edges.cli.remote import RemoteBackend
from engine.edges.demo.stage import HOOK, ClusterProcess, StanchProcess
from tests.conftest import need
from tests.databases import put_database
from worlds.cluster.cluster import ADMIN_TOKEN
from worlds.exporter import Scripted
from worlds.servers import (
    AlertmanagerServer,
    PostgresServer,
    PrometheusServer,
    RedisServer,
    free_port,
)

ROOT = Path(__file__).parents[2]
PATIENCE = 240.0  # seconds; generous, since the machine may be busy
COVERS = ("B9", "B13", "W1", "W14", "D2", "D16")
ENDS = {"succeeded", "failed", "undone", "cancelled", "expired", "needs_human"}

pytestmark = [pytest.mark.real, pytest.mark.timeout(600), pytest.mark.xdist_group("alerts")]


@dataclass(frozen=True)
class Case:
    """One alert: what the exporter shows, and whose run must succeed."""

    pack: str
    alert: str
    rule: str
    metrics: Callable[[float], str]


def batch_metrics(now: float) -> str:
    del now
    return (
        'openai_batch_oldest_seconds{profile="document_extraction",priority="normal"} 75600\n'
        'openai_batch_sla_hours{profile="document_extraction"} 24\n'
    )


def worker_metrics(now: float) -> str:
    job = 'namespace="deeptech",job_name="scoring-daily-1"'
    return (
        f"kube_job_status_start_time{{{job}}} {now - 5400:.0f}\n"
        f"kube_job_status_active{{{job}}} 1\n"
        f'kube_job_owner{{{job},owner_kind="CronJob",owner_name="scoring-daily"}} 1\n'
    )


def queue_metrics(now: float) -> str:
    del now
    pod = 'namespace="rpa",pod="rpa-processor-1"'
    return (
        f"container_memory_working_set_bytes{{{pod}}} 950000000\n"
        f'kube_pod_container_resource_limits{{resource="memory",{pod}}} 1000000000\n'
    )


def pipeline_metrics(now: float) -> str:
    """A batch that was mended meanwhile: its run finds that nothing of it failed."""
    del now
    return 'batch_failed_tasks{group="2026-11-27-evening"} 3\n'


CASES = [
    Case("batch", "PrimarchBatchSlaAtRisk", "batch-sla", batch_metrics),
    Case("workers", "WorkerJobLong", "workers-job-long", worker_metrics),
    Case("queue", "RpaContainersHot", "queue-containers-hot", queue_metrics),
    Case("pipeline", "CeleryBatchFailed", "pipeline-batch-failed", pipeline_metrics),
]

WORKLOADS = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: rpa-processor, namespace: rpa}
spec:
  replicas: 2
  selector: {matchLabels: {app: rpa-processor}}
  template:
    metadata: {labels: {app: rpa-processor}}
    spec: {containers: [{name: processor, image: "rpa:1"}]}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: scoring-daily, namespace: deeptech}
spec:
  schedule: "0 3 * * *"
  jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: scoring, image: "scoring:1"}]}}}}
"""
SPACES = "".join(
    f"---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}}}\n"
    for name in ("primarch", "deeptech", "rpa")
)


@dataclass
class Town:
    """Everything that was started."""

    backend: RemoteBackend
    prometheus: PrometheusServer
    cluster: ClusterProcess
    dsns: Mapping[str, str]

    def run_of(self, rule: str) -> dict[str, Any]:
        """Wait for the rule's run to end, and approve at its gates as a person would."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            for gate in self.backend.list("approvals")["items"]:
                run = self.backend.run(gate["run"])
                if run["rule"] == rule:
                    self.backend.approve(gate["id"], gate["fingerprint"], "as planned")
            mine = [run for run in self.backend.list("runs")["items"] if run["rule"] == rule]
            if mine and mine[0]["state"] in ENDS:
                return dict(self.backend.run(mine[0]["id"]))
            time.sleep(0.5)
        runs = [(run["rule"], run["state"]) for run in self.backend.list("runs")["items"]]
        raise AssertionError(f"no run of {rule} came to its end; there are {runs}")


def write_alert_rules(folder: Path) -> list[Path]:
    """The shipped alert rules, pending for a second."""
    folder.mkdir()
    paths = []
    for pack in {case.pack for case in CASES}:
        text = (ROOT / "rules" / "alerts" / f"{pack}.yaml").read_text()
        paths.append(folder / f"{pack}.yaml")
        paths[-1].write_text(re.sub(r"(?m)^(\s*)for: \S+$", r"\1for: 1s", text))
    return paths


def write_rules(folder: Path) -> Path:
    """The shipped rules that wait for alerts; the clock's own would come in between."""
    for pack in {case.pack for case in CASES}:
        for path in (ROOT / "rules" / pack).glob("*.yaml"):
            data = yaml.safe_load(path.read_text())
            if "rules" in data:
                data["rules"] = [rule for rule in data["rules"] if "matchers" in rule]
            if data.get("rules") or data.get("conditions"):
                target = folder / pack / path.name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(yaml.safe_dump(data, sort_keys=False))
    return folder


def write_config(folder: Path, port: int, parts: Mapping[str, Mapping[str, Any]]) -> Path:
    """The example's connections and roles, its addresses replaced by those of the parts that run."""
    example = yaml.safe_load((ROOT / "config.example.yaml").read_text())
    connections = {name: _offline(given) for name, given in example["connections"].items()}
    for name, part in parts.items():
        connections[name] = {**connections[name], **part}
    config = {
        "store": f"sqlite:///{folder / 'stanch.db'}",
        "listen": f"127.0.0.1:{port}",
        "rules": [str(write_rules(folder / "rules"))],
        "playbooks": [str(ROOT / "playbooks")],
        "connections": connections,
        "secrets": {name: {"env": "HOME"} for name in example["secrets"]},
        "roles": {role: ["local"] for role in example["roles"]},
        "decisions_log": str(folder / "decisions.log"),
    }
    path = folder / "stanch.yaml"
    path.write_text(json.dumps(config))
    put_database(folder / "stanch.db")
    return path


def _offline(given: Any) -> Any:
    """A connection that is never opened: its secrets are of any value that there is."""
    if isinstance(given, dict):
        return (
            {"env": "HOME"} if set(given) == {"env"} else {k: _offline(v) for k, v in given.items()}
        )
    return given


@pytest.fixture(scope="module")
def town(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: PostgresServer
) -> Iterator[Town]:
    need(PrometheusServer)
    need(AlertmanagerServer)
    need(RedisServer)
    folder = tmp_path_factory.mktemp("town")
    objects = folder / "objects.yaml"
    processor = (ROOT / "playbooks/batch/processor.manifest").read_text()
    objects.write_text(f"{SPACES}---\n{processor}\n---\n{WORKLOADS}")
    dsns = {
        name: postgres_server.create_database(f"alerts_{name}") for name in ("primarch", "queue")
    }
    with psycopg.connect(dsns["queue"]) as connection:
        connection.execute((ROOT / "playbooks/queue/table.sql").read_bytes())
    with psycopg.connect(dsns["primarch"]) as connection:
        connection.execute((ROOT / "playbooks/batch/batch_jobs.sql").read_bytes())
        connection.execute(
            "INSERT INTO batch_jobs (batch_id, profile, status, created_at) VALUES"
            " ('b-1', 'document_extraction', 'queued', now() - interval '21 hours'),"
            " ('b-2', 'invoice_processing', 'queued', now() - interval '1 hour')"
        )
    port = free_port()
    with ExitStack() as stack:
        redis = stack.enter_context(RedisServer(folder / "redis"))
        cluster = stack.enter_context(ClusterProcess(folder / "cluster", objects))
        exporter = stack.enter_context(
            Scripted(lambda: "".join(case.metrics(time.time()) for case in CASES))
        )
        manager = stack.enter_context(
            AlertmanagerServer(
                folder / "alertmanager",
                webhook=f"http://127.0.0.1:{port}{HOOK}",
                group_by=["alertname"],
            )
        )
        prometheus = PrometheusServer(
            folder / "prometheus",
            targets={"scripted": [exporter.address]},
            rules=write_alert_rules(folder / "alerts"),
            alertmanagers=[manager.address],
        )
        parts: dict[str, dict[str, Any]] = {
            "cluster": {"kubeconfig": str(cluster.kubeconfig), "context": "admin"},
            "metrics": {"url": prometheus.url},
            "pipeline": {"host": "127.0.0.1", "port": redis.port},
            **{name: {"dsn": dsn} for name, dsn in dsns.items()},
        }
        config = write_config(folder, port, parts)
        stack.enter_context(StanchProcess(folder, config, port))
        stack.enter_context(prometheus)
        backend = RemoteBackend(f"http://127.0.0.1:{port}", None)
        yield Town(backend, prometheus, cluster, dsns)
    for name in dsns:
        postgres_server.drop_database(f"alerts_{name}")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.pack)
def test_alert_fires_and_its_run_ends(town: Town, case: Case) -> None:
    run = town.run_of(case.rule)
    assert run["state"] == "succeeded", run["reason"]
    incident = town.backend.show(run["incident"])["item"]
    assert any(alert["labels"]["alertname"] == case.alert for alert in incident["alerts"])
    firing = httpx.get(f"{town.prometheus.url}/api/v1/alerts").json()["data"]["alerts"]
    assert case.alert in {alert["labels"]["alertname"] for alert in firing}


def test_the_batch_run_did_what_its_plan_says(town: Town) -> None:
    town.run_of("batch-sla")
    with psycopg.connect(town.dsns["primarch"]) as connection:
        rows = connection.execute("SELECT batch_id, priority FROM batch_jobs ORDER BY 1").fetchall()
    assert rows == [("b-1", "high"), ("b-2", "normal")]
    url = f"{town.cluster.url}/api/v1/namespaces/primarch/configmaps/batch-config"
    seen = httpx.get(url, headers={"Authorization": f"Bearer {ADMIN_TOKEN}"}).json()
    assert "scheduling_algorithm: priority_fifo" in seen["data"]["batch_processor.yaml"]
    assert "# people set this in emergencies" in seen["data"]["batch_processor.yaml"]
