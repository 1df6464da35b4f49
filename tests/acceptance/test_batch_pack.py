"""The batch pack on real parts: from an alert that fires to the report, and 100,000 results streamed."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import uvicorn
from starlette.applications import Starlette

from engine.domain.people import Actor
from engine.edges.config import load_config
from engine.edges.desk.acting import Desk
from engine.edges.intake.endpoint import PATH
from engine.edges.wiring import build
from engine.journal.rows import Page
from tests.acceptance.batch_scene import (
    BUCKET,
    FAILED,
    HOOK,
    ITEMS,
    PACK,
    PREFIX,
    SECRETS,
    Metrics,
    Scene,
    configuration,
    scene,
    until,
    write_alert_rules,
)
from tests.databases import put_database
from worlds.batches import BatchProvider
from worlds.servers import AlertmanagerServer, PrometheusServer, S3Server, free_port

pytestmark = pytest.mark.real
COVERS = ("B1", "B2", "B3", "B5", "B6", "B8", "B9", "B11", "B12", "B13")
ALICE = Actor("alice", frozenset({"operator", "sre"}))
BOB = Actor("bob", frozenset({"operator", "sre"}))
JOBS = """
INSERT INTO batch_jobs (batch_id, tenant_id, profile, status, priority, item_count, error_code, created_at, failed_at)
VALUES ('batch_1', 't1', 'document_extraction', 'failed', 'high', 6, 'export_failed',
        now() - interval '1 hour', now() - interval '10 minutes'),
       ('batch_big', 't1', 'document_extraction', 'failed', 'low', 100000, 'rate_limit_exceeded',
        now() - interval '9 hours', now() - interval '8 hours');
INSERT INTO batch_jobs (batch_id, tenant_id, profile, status, created_at, completed_at)
VALUES ('batch_2', 't1', 'document_extraction', 'completed', now() - interval '3 hours', now() - interval '20 minutes');
INSERT INTO batch_jobs (batch_id, tenant_id, profile, status, created_at)
VALUES ('batch_3', 't2', 'document_extraction', 'in_progress', now() - interval '20 hours');
"""


@pytest.fixture
def place(s3_server: S3Server) -> Iterator[Scene]:
    with scene(s3_server) as made:
        yield made


@pytest.fixture
def metrics() -> Iterator[Metrics]:
    with Metrics() as made:
        yield made


@pytest.fixture
def desk(
    place: Scene,
    metrics: Metrics,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    postgres_dsn: str,
    s3_server: S3Server,
    prometheus_server_factory: Callable[..., PrometheusServer],
    alertmanager_server_factory: Callable[..., AlertmanagerServer],
) -> Iterator[Desk]:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    with psycopg.connect(postgres_dsn, autocommit=True) as admin:
        admin.execute((PACK / "batch_jobs.sql").read_bytes())
        admin.execute(JOBS.encode())
    port = free_port()
    alertmanager = alertmanager_server_factory(
        webhook=f"http://127.0.0.1:{port}{PATH}", bearer=HOOK, group_interval="1s"
    )
    prometheus = prometheus_server_factory(
        targets={"processor": [metrics.address]},
        rules=[write_alert_rules(tmp_path / "alerts.yaml")],
        alertmanagers=[alertmanager.address],
        interval=0.5,
    )
    monkeypatch.chdir(tmp_path)
    (tmp_path / "stanch.yaml").write_text(configuration(place, postgres_dsn, s3_server, prometheus))
    put_database(tmp_path / "var/stanch.db")
    app = build(load_config(tmp_path / "stanch.yaml"))
    app.start_workers()
    routes = Starlette(routes=[app.intake_route()])
    options = uvicorn.Config(
        routes, host="127.0.0.1", port=port, log_level="warning", lifespan="off"
    )
    server = uvicorn.Server(options)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield Desk(app)
    finally:
        server.should_exit = True
        thread.join(30)
        app.stop()


def peak() -> int:
    """Bytes of memory that this process has held at most since `begin`."""
    status = Path("/proc/self/status").read_text().splitlines()
    (found,) = (int(line.split()[1]) for line in status if line.startswith("VmHWM:"))
    return found * 1024


def begin() -> int:
    """Let the peak start anew, and return what is held now."""
    Path("/proc/self/clear_refs").write_text("5")
    return peak()


def resting(desk: Desk, run: str) -> Any:
    """Return the run once it waits for an approval or for people, or has ended."""
    seen: list[Any] = []

    def rests() -> bool:
        seen.append(desk.run(run))
        if seen[-1]["state"] == "awaiting_approval":  # as it does for a moment after an approval
            return any(gate["state"] == "open" and gate["missing"] for gate in seen[-1]["gates"])
        return seen[-1]["state"] not in ("queued", "planning", "running", "waiting", "verifying")

    until(rests)
    return seen[-1]


def test_an_export_failure_is_repaired_and_what_failed_goes_again(
    place: Scene, metrics: Metrics, desk: Desk, postgres_dsn: str
) -> None:
    until(lambda: _ready(place))
    pods = [pod["metadata"]["name"] for pod in place.cluster.objects("Pod", "primarch")]
    place.cluster.log("primarch", pods[0], "export of batch_2 failed: AccessDenied\n")
    metrics.slow = True

    # The shipped alert rule fires in Prometheus, Alertmanager hands it in, and the shipped rule starts a run.
    until(lambda: desk.runs(Page())["items"])
    run = desk.runs(Page())["items"][0]["id"]
    waiting = resting(desk, run)
    assert (waiting["playbook"], waiting["trigger"]["labels"]["alertname"]) == (
        "batch/failure",
        "PrimarchBatchSlow",
    )
    approve(desk, waiting, "plan")
    # Nothing is deleted before somebody agrees to just that.
    waiting = resting(desk, run)
    assert place.scripts == ["retry_exports.py", "validate_exports.py"]
    assert len(place.keys(f"{PREFIX}corrupted/")) == 2
    approve(desk, waiting, "exports.anew.agreed")
    ended = resting(desk, run)
    assert ended["state"] == "succeeded", ended["reason"]
    assert len(desk.runs(Page())["items"]) == 1
    assert ended["outputs"]["cause"] == "export"
    assert ended["outputs"]["severity"] == "P0"  # corrupted exports are lost data
    assert ended["outputs"]["sla"] == "AT_RISK"
    assert place.scripts[2:] == ["reprocess_exports.py", "validate_exports.py"]
    assert place.iam.calls == ["SimulatePrincipalPolicy"]

    # The bucket: what was corrupted is gone, what was missing is there, and versions would bring it back.
    assert place.keys() == [f"{PREFIX}batch_1/out.jsonl", f"{PREFIX}batch_2/out.jsonl"]
    versions = place.boto.list_object_versions(Bucket=BUCKET, Prefix=f"{PREFIX}corrupted/")
    assert len(versions["DeleteMarkers"]) == len(versions["Versions"]) == 2

    provider = place.provider.provider
    assert submitted(provider, "batch_made1") == ["item-2", "item-5"]
    assert recorded(postgres_dsn, "batch_made1") == ("t1", "document_extraction", "high", 2)
    log = Path("var/decisions.log").read_text()
    assert "CHAPTER=38 | ACTION=resolve_batch_failure" in log
    assert "CAUSE=export: export_failed | BATCHES_AFFECTED=1 | SLA_BREACH=AT_RISK" in log

    # 100,000 results, 60 MB of them, are read line by line: the first 1,000 that failed go again.
    held = begin()
    line = desk.start(ALICE, "batch/retry-failed", {"batch": "batch_big"}, mode="auto")
    ended = resting(desk, line["id"])
    grown = peak() - held
    assert ended["state"] == "succeeded", ended["reason"]
    assert ended["outputs"]["by_code"] == {"rate_limit_exceeded": FAILED}
    assert (ended["outputs"]["retried"], ended["outputs"]["left"]) == (1000, FAILED - 1000)
    names = submitted(provider, "batch_made2")
    assert (len(names), names[0]) == (1000, f"i{ITEMS - FAILED}")
    assert recorded(postgres_dsn, "batch_made2") == ("t1", "document_extraction", "low", 1000)
    assert grown < 40 * 2**20, f"{grown / 2**20:.0f} MB more than before"


def approve(desk: Desk, waiting: Any, address: str) -> None:
    """Approve the one open gate, which is at `address`."""
    assert waiting["state"] == "awaiting_approval", waiting["reason"]
    (gate,) = (one for one in waiting["gates"] if one["state"] == "open")
    assert gate["address"] == address
    desk.approve(BOB, gate["id"], gate["fingerprint"], "looked at it")


def submitted(provider: BatchProvider, batch: str) -> list[str]:
    """Return the items of a batch that was made."""
    lines = provider.lines(provider.batch(batch).input_file)
    return [json.loads(line)["custom_id"] for line in lines]


def recorded(dsn: str, batch: str) -> Any:
    """Return what the processor knows of a batch."""
    with psycopg.connect(dsn) as admin:
        return admin.execute(
            "SELECT tenant_id, profile, priority, item_count FROM batch_jobs"
            " WHERE batch_id = %s AND status = 'submitted'",
            [batch],
        ).fetchone()


def _ready(place: Scene) -> bool:
    found = place.cluster.object("Deployment", "primarch", "batch-processor")
    return bool((found.get("status") or {}).get("readyReplicas") == 2)
