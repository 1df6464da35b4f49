"""The starters start real servers, end them, and say what is missing or went wrong."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import psycopg
import pytest

from worlds.servers import (
    AlertmanagerServer,
    Identity,
    PostgresServer,
    PrometheusServer,
    S3Server,
    ServerFailed,
)
from worlds.servers.process import die_with_parent

pytestmark = pytest.mark.real


def test_postgres_gives_each_test_a_fresh_database(postgres_dsn: str) -> None:
    with psycopg.connect(postgres_dsn) as connection:
        connection.execute("CREATE TABLE t (id int primary key)")
        row = connection.execute("SELECT count(*) FROM pg_tables WHERE tablename = 't'").fetchone()
    assert row == (1,)


def test_postgres_refuses_a_database_name_that_needs_quoting(
    postgres_server: PostgresServer,
) -> None:
    with pytest.raises(ValueError, match="plain database name"):
        postgres_server.create_database('x"; DROP DATABASE postgres')


def test_postgres_keeps_committed_rows_over_an_immediate_shutdown(
    postgres_server: PostgresServer, tmp_path: Path
) -> None:
    with PostgresServer(tmp_path / "pg", fsync=True) as server:
        with psycopg.connect(server.dsn) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 7 AS n")
        server.kill()
        server.start()
        with psycopg.connect(server.dsn) as connection:
            assert connection.execute("SELECT n FROM kept").fetchone() == (7,)


def test_s3_checks_rights_by_prefix(tmp_path: Path) -> None:
    from botocore.exceptions import ClientError

    if S3Server.missing():
        pytest.skip(f"needs {S3Server.missing()}")
    admin = Identity("admin", "a-key", "a-secret")
    writer = Identity("w", "w-key", "w-secret", ("Read:box", "List:box", "Write:box/tmp/*"))
    with S3Server(tmp_path / "s3", identities=[admin, writer]) as server:
        server.client().create_bucket(Bucket="box")
        limited = server.client(writer)
        limited.put_object(Bucket="box", Key="tmp/a", Body=b"1")
        with pytest.raises(ClientError, match="AccessDenied"):
            limited.put_object(Bucket="box", Key="kept/a", Body=b"1")
        assert limited.list_objects_v2(Bucket="box")["KeyCount"] == 1


def test_prometheus_sends_an_alert_to_alertmanager(
    prometheus_server_factory: Callable[..., PrometheusServer],
    alertmanager_server_factory: Callable[..., AlertmanagerServer],
    tmp_path: Path,
) -> None:
    rules = tmp_path / "rules.yml"
    rules.write_text("groups: [{name: g, rules: [{alert: Always, expr: vector(1)}]}]")
    manager = alertmanager_server_factory(webhook="http://127.0.0.1:9/none")
    prometheus_server_factory(rules=[rules], alertmanagers=[manager.address], interval=0.2)
    until = time.monotonic() + 15
    names: list[str] = []
    while time.monotonic() < until and not names:
        alerts = httpx.get(f"{manager.url}/api/v2/alerts").json()
        names = [alert["labels"]["alertname"] for alert in alerts]
        time.sleep(0.1)
    assert names == ["Always"]


def test_a_server_that_cannot_start_shows_its_own_words(tmp_path: Path) -> None:
    if AlertmanagerServer.missing():
        pytest.skip(f"needs {AlertmanagerServer.missing()}")
    broken = AlertmanagerServer(tmp_path, config={"route": {"receiver": "nobody"}})
    with pytest.raises(ServerFailed, match=r"(?s)ended with code 1.*nobody"):
        broken.start()


def test_a_child_ends_with_its_parent(tmp_path: Path) -> None:
    if die_with_parent() is None:
        pytest.skip("needs Linux")
    script = tmp_path / "parent.py"
    script.write_text(
        "import subprocess, sys, time\n"
        "from worlds.servers.process import die_with_parent\n"
        "child = subprocess.Popen(['sleep', '600'], preexec_fn=die_with_parent())\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, cwd=Path(__file__).parents[3]
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    until = time.monotonic() + 5
    while time.monotonic() < until and _runs(child):
        time.sleep(0.02)
    assert not _runs(child)
    parent.stdout.close()


def _runs(pid: int) -> bool:
    try:
        # An ended child that nobody has waited for yet is a zombie, not a running process.
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
    finally:
        os.sched_yield()
