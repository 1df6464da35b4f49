"""The queue pack over a real PostgreSQL queue: workers are processes of their own, and two of them are killed."""

from __future__ import annotations

import getpass
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from engine.edges.cli.main import run
from tests.databases import put_database
from worlds.servers import PostgresServer

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]
COVERS = ("D1", "D2", "D3", "D4")
ROOT = Path(__file__).parents[2]
PACK = ROOT / "playbooks" / "queue"
WORKER = Path(__file__).with_name("queue_worker.py")
CONFIG = """
store: sqlite:///stanch.db
roles: {{approver: ["{user}"], sre: [alice], dba: [carol]}}
playbooks: [{playbooks}]
connections:
  queue:
    kind: postgres
    dsn: "{dsn}"
    allow: {{tables: [public.processing_queue, pg_catalog.pg_stat_activity]}}
  classes: {{kind: patterns}}
  artifacts: {{kind: artifacts, folder: artifacts}}
  cluster: {{kind: kubernetes, server: "http://127.0.0.1:1", allow: {{namespaces: [rpa]}}}}
  metrics: {{kind: prometheus, url: "http://127.0.0.1:1"}}
"""
LOG = """
CREATE TABLE public.flow_execution_logs
  (id bigint GENERATED ALWAYS AS IDENTITY, record_id bigint NOT NULL, flow_instance_id text NOT NULL)
"""


@dataclass
class Queue:
    """The queue, who works on it, and Stanch beside it."""

    dsn: str
    folder: Path

    def sql(self, text: str) -> list[Any]:
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            cursor = connection.execute(text.encode())
            return cursor.fetchall() if cursor.description else []

    def states(self) -> dict[str, int]:
        return dict(self.sql("SELECT status, count(*) FROM processing_queue GROUP BY 1"))

    def worker(self, name: str, what: str = "work") -> subprocess.Popen[str]:
        command = [sys.executable, str(WORKER), self.dsn, name, "10", what]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def work(self, *names: str) -> None:
        """Let workers work side by side until nothing waits."""
        workers = [self.worker(name) for name in names]
        assert [worker.wait(120) for worker in workers] == [0] * len(workers)

    def kill_while_holding(self, *names: str) -> None:
        for worker in [self.worker(name, "hold") for name in names]:
            assert worker.stdout is not None
            assert worker.stdout.readline() == "holding\n"
            worker.kill()
            worker.wait(60)
            worker.stdout.close()

    def stanch(self, capsys: Any, playbook: str, *inputs: str) -> str:
        given = [part for one in inputs for part in ("-i", one)]
        code = run(
            ["--config", str(self.folder / "stanch.yaml"), "run", playbook, "--auto", *given]
        )
        said = capsys.readouterr()
        assert code == 0, said.out[-3000:] + said.err[-3000:]
        return str(said.out)


@pytest.fixture
def queue(postgres_server: PostgresServer, tmp_path: Path) -> Iterator[Queue]:
    dsn = postgres_server.create_database("rpa_queue")
    made = Queue(dsn, tmp_path)
    made.sql((PACK / "table.sql").read_text())
    made.sql(LOG)
    text = CONFIG.format(playbooks=PACK, dsn=dsn, user=getpass.getuser())
    (tmp_path / "stanch.yaml").write_text(text)
    put_database(tmp_path / "stanch.db")
    yield made
    postgres_server.drop_database("rpa_queue")


def facts(report: str) -> dict[str, str]:
    """The lines of a report that name a value, by their name; a later one of the same name wins."""
    parts = (line.strip().split("  ", 1) for line in report.splitlines() if "  " in line.strip())
    return {name: value.strip() for name, value in parts}


def test_records_of_killed_workers_are_found_given_back_and_done_once(
    queue: Queue, capsys: Any
) -> None:
    queue.sql(
        """INSERT INTO processing_queue (flow_name, payload) SELECT 'surveys', CASE WHEN n % 20 = 0
        THEN '{"error": "HTTP 503: service unavailable"}' ELSE jsonb_build_object('n', n) END
        FROM generate_series(1, 120) AS n"""
    )
    queue.kill_while_holding("dead-1", "dead-2")
    queue.sql(
        "UPDATE processing_queue SET claimed_at = now() - interval '3 hours' WHERE status = 'processing'"
    )
    queue.work("rpa-1", "rpa-2", "rpa-3")
    # Side by side, and none took a record of another: each one was worked on once.
    assert queue.sql("SELECT count(*), count(DISTINCT record_id) FROM flow_execution_logs") == [
        (100, 100)
    ]
    assert queue.states() == {"completed": 95, "failed": 5, "processing": 20}

    report = queue.stanch(capsys, "queue/health-check", "containers=false")
    found = facts(report)
    assert found["Health"] == "warning"
    assert "WARNING: Orphaned records 20 (> 10): Run the cleanup (queue/release-orphans)" in report
    assert "20 records are orphaned, held by 2 containers" in report
    assert (found["Processing"], found["Failed"], found["Total"]) == ("20", "5", "120")
    assert found["Success rate percent"] == "95"
    assert "HTTP 503: service unavailable" in report
    assert "5 failures come from external services" in report
    assert queue.states() == {"completed": 95, "failed": 5, "processing": 20}  # it only looked

    # One more worker is at work on a fresh record: it is none of theirs.
    queue.sql(
        "INSERT INTO processing_queue (flow_name, payload) VALUES ('surveys', '{\"n\": 121}')"
    )
    queue.kill_while_holding("at-work")
    released = facts(queue.stanch(capsys, "queue/release-orphans"))
    assert (released["Counted"], released["Records cleaned"]) == ("20", "20")
    assert queue.states() == {"completed": 95, "failed": 5, "pending": 20, "processing": 1}

    queue.work("rpa-4", "rpa-5")
    assert queue.states() == {"completed": 114, "failed": 6, "processing": 1}
    done = "SELECT count(*), count(DISTINCT record_id) FROM flow_execution_logs"
    assert queue.sql(done) == [(120, 120)]

    # What failed gets another chance and keeps its count, so that it runs out of retries.
    reset = facts(queue.stanch(capsys, "queue/reset-failed"))
    assert (reset["Records reset"], reset["Failed left"]) == ("6", "0")
    queue.work("rpa-6")
    counts = "SELECT retry_count, count(*) FROM processing_queue WHERE status = 'failed' GROUP BY 1"
    assert queue.sql(counts) == [(2, 6)]
