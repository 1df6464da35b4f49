"""`stanch grants`, applied as printed: the SQL by psql, the Role in the cluster, the paths as an allow-list;
then the playbook runs as the user that has these rights and no others."""

from __future__ import annotations

import getpass
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.domain.clock import ManualClock
from engine.edges.cli.main import run
from tests.contract.actions.kube_scene import make_cluster
from worlds.cluster import User
from worlds.cluster.server import ClusterServer
from worlds.servers import PostgresServer

pytestmark = pytest.mark.real
PLAYBOOK = """# yaml-language-server: $schema=../schemas/playbook.json
playbook: calm
inputs: {type: object, required: [namespace], properties: {namespace: {type: string}}}
steps:
  - id: pause
    action: postgres.execute
    with:
      connection: db
      sql: UPDATE public.jobs SET state = 'paused' WHERE kind = 'backfill'
      key: [id]
  - id: shrink
    action: kubernetes.configmap_merge
    with:
      connection: cluster
      namespace: "{{ inputs.namespace }}"
      name: batch
      entry: batch.yaml
      merge: {workers: 2}
"""
TOKEN = "robot-token"


@pytest.fixture
def here(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    postgres_server: PostgresServer,
    postgres_dsn: str,
) -> Iterator[Any]:
    import psycopg

    with psycopg.connect(postgres_dsn, autocommit=True) as admin:
        admin.execute(b"CREATE TABLE jobs (id int PRIMARY KEY, kind text, state text)")
        admin.execute(b"INSERT INTO jobs VALUES (1, 'backfill', 'ready'), (2, 'live', 'ready')")
        admin.execute(b"DROP ROLE IF EXISTS applied")
        admin.execute(b"CREATE ROLE applied LOGIN")
    cluster = make_cluster(ManualClock())
    cluster.tokens[TOKEN] = User("applied")
    with ClusterServer(cluster) as server:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("KUBE", TOKEN)
        monkeypatch.setenv("DSN", postgres_dsn.replace("postgres@", "applied@"))
        (tmp_path / "playbooks").mkdir()
        (tmp_path / "playbooks" / "calm.yaml").write_text(PLAYBOOK)
        (tmp_path / "stanch.yaml").write_text(
            json.dumps(
                {
                    "roles": {"sre": [getpass.getuser()]},
                    "connections": {
                        "db": {"kind": "postgres", "dsn": {"env": "DSN"}},
                        "cluster": {
                            "kind": "kubernetes",
                            "server": server.url,
                            "token": {"env": "KUBE"},
                            "allow": {"namespaces": ["starforge"]},
                        },
                    },
                }
            )
        )
        yield cluster, postgres_dsn
    with psycopg.connect(postgres_dsn, autocommit=True) as admin:
        admin.execute(b"DROP OWNED BY applied")
        admin.execute(b"DROP ROLE applied")


def test_a_playbook_runs_with_exactly_what_is_printed(
    here: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster, dsn = here
    assert run(["plan", "calm", "-i", "namespace=starforge"]) == 1
    assert "cannot use stanch.stanch_tokens" in capsys.readouterr().out

    assert run(["grants", "calm"]) == 0
    assert "rights depend on what only a run knows" in capsys.readouterr().err
    assert run(["grants", "calm", "-c", "db", "--user", "applied"]) == 0
    sql = capsys.readouterr().out
    psql = shutil.which("psql")
    assert psql is not None
    subprocess.run(
        [psql, "-q", "-v", "ON_ERROR_STOP=1", dsn],
        input=sql, text=True, check=True, env={**os.environ, "PGCONNECT_TIMEOUT": "5"},
    )  # fmt: skip
    chosen = ["-c", "cluster", "--user", "applied", "-i", "namespace=starforge"]
    assert run(["grants", "calm", *chosen]) == 0
    cluster.load(list(yaml.safe_load_all(capsys.readouterr().out)))

    assert run(["run", "calm", "-i", "namespace=starforge", "--auto", "--json"]) == 0
    detail = json.loads(capsys.readouterr().out)
    assert detail["state"] == "succeeded"
    assert run(["undo", detail["id"], "--plan", "--json"]) == 0


def test_json_names_who_needs_each_right(here: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["grants", "calm", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert [item["connection"] for item in data["items"]] == ["db"]
    assert {(need["by"], need["step"], need["action"]) for need in data["items"][0]["needs"]} == {
        ("calm", "pause", "postgres.execute")
    }
    (shrink,) = data["open"]
    assert shrink["open"] == ["{{ inputs.namespace }}"]
    assert shrink["detail"]["resource"] == "configmaps"
    for bad in (["grants", "clam"], ["grants", "-c", "nope"], ["grants", "-i", "x=1"]):
        assert run(bad) == 2
        capsys.readouterr()
