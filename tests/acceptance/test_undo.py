"""`stanch undo` of a whole run over real parts: a cluster behind HTTP, PostgreSQL and an S3 server are byte for byte as
before; what somebody else changed since is refused by its field; one step alone goes back; an undo can be undone."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest

from engine.domain.clock import SystemClock
from engine.edges.cli.main import run
from tests.acceptance.test_serve import Place, until
from tests.contract.actions.kube_scene import NAMESPACE, SCENE
from tests.databases import put_database
from worlds.cluster import ADMIN as CLUSTER_ADMIN
from worlds.cluster import Cluster
from worlds.cluster.server import ClusterServer
from worlds.servers import PostgresServer, S3Server
from worlds.servers.s3 import ADMIN

pytestmark = pytest.mark.real
SECRETS = {"KUBE": "robot-token", "S3_KEY": ADMIN.access_key, "S3_SECRET": ADMIN.secret_key}
BOOK = """
playbook: calm
summary: calm the whole of a pipeline down
defaults:
  kubernetes: {connection: cluster, namespace: starforge}
  postgres: {connection: db}
  s3: {connection: files, bucket: BUCKET}
steps:
  - {id: scale, action: kubernetes.scale, with: {kind: Deployment, name: etl-worker, replicas: 0}}
  - id: memory
    action: kubernetes.set_resources
    with: {kind: Deployment, name: etl-worker, container: app, limits: {memory: 256Mi}}
  - {id: pause, action: kubernetes.cronjob_suspend, with: {name: scoring}}
  - id: slower
    action: kubernetes.configmap_merge
    with: {name: batch, entry: batch.yaml, merge: {workers: 1}}
  - id: park
    action: postgres.execute
    with: {sql: "UPDATE jobs SET state = 'parked', note = NULL WHERE state = 'ready'", key: [id]}
  - id: drop
    action: postgres.execute
    with: {sql: DELETE FROM jobs WHERE state = 'broken', key: [id]}
  - {id: mark, action: s3.put, with: {key: control/pause.json, value: {paused: true}}}
  - {id: fresh, action: s3.put, with: {key: control/since, text: today}}
  - {id: clean, action: s3.delete, with: {bucket: BUCKET-kept, prefix: tmp/}}
"""
STEPS = ["scale", "memory", "pause", "slower", "park", "drop", "mark", "fresh", "clean"]
BATCH = "# who tunes this: the batch team\nworkers: 4   # not above 8\nlimits: {per_request: 50}\n"
ROWS = """
CREATE TABLE jobs (id int PRIMARY KEY, state text, note text, amount numeric(8,3), at timestamptz, raw bytea);
INSERT INTO jobs SELECT n, (ARRAY['ready', 'broken', 'done'])[1 + n % 3], 'note ' || n || E'\\t\\u00e9',
  n / 7.0, '2026-03-29 00:59:59.123456+01', decode(lpad(to_hex(n), 4, '0') || 'ff00', 'hex')
  FROM generate_series(1, 40) n
"""
OBJECTS = {"": {"control/pause.json": b'{"paused":\n false}'}, "-kept": {}}
# These go on: which effect came last, so that none happens twice, and how often a controller rolled out.
COUNTERS = ("stanch.dev/last-key", "deployment.kubernetes.io/revision")
OBJECTS["-kept"] = {f"tmp/{n}.bin": bytes(range(n, n + 90)) for n in range(5)} | {"keep": b"kept"}


@dataclass
class Scene:
    """The parts, and Stanch beside them, used by alice and bob."""

    cluster: Cluster
    dsn: str
    boto: Any
    bucket: str
    url: str
    tokens: dict[str, str]

    def seen(self) -> dict[str, Any]:
        """Everything that the playbook may touch, each part as text of its own."""
        found: dict[str, Any] = {}
        for kind, name in (
            ("Deployment", "etl-worker"),
            ("CronJob", "scoring"),
            ("ConfigMap", "batch"),
        ):
            held = self.cluster.object(kind, NAMESPACE, name)
            meta = held["metadata"]
            notes = {k: v for k, v in (meta.get("annotations") or {}).items() if k not in COUNTERS}
            parts = [meta.get("labels"), notes, held.get("spec"), held.get("data")]
            found[kind] = json.dumps(parts, sort_keys=True)
        found["jobs"] = self.sql("SELECT j::text FROM jobs j ORDER BY id")
        for suffix in ("", "-kept"):
            bucket = self.bucket + suffix
            for one in self.boto.list_objects_v2(Bucket=bucket).get("Contents", ()):
                answer = self.boto.get_object(Bucket=bucket, Key=one["Key"])
                found[f"{suffix}/{one['Key']}"] = (answer["Body"].read(), answer["ContentType"])
        return found

    def stanch(self, who: str, *arguments: str, code: int = 0) -> str:
        """Use the command line as somebody, against the server; return what it said."""
        env = {"STANCH_SERVER": self.url, "STANCH_TOKEN": self.tokens[who]}
        return said(*arguments, code=code, **env)

    def sql(self, text: str) -> list[Any]:
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            cursor = connection.execute(text.encode())
            return cursor.fetchall() if cursor.description else []

    def calm(self) -> str:
        """Run the playbook; return the run."""
        detail = json.loads(self.stanch("alice", "run", "calm", "--auto", "--json"))
        states = {step["address"]: step["state"] for step in detail["steps"]}
        assert (detail["state"], states) == ("succeeded", dict.fromkeys(STEPS, "succeeded"))
        return str(detail["id"])

    def undo(self, made: str, *options: str) -> str:
        """Ask for the way back as alice, approve it as bob; return its run, which has ended well."""
        out = self.stanch("alice", "undo", made, *options, "--json")
        undo = str(json.loads(out)["id"])
        detail = json.loads(self.stanch("alice", "follow", undo, "--json", code=4))
        (gate,) = detail["gates"]
        approve = ("approve", gate["id"], "--fingerprint", gate["fingerprint"])
        assert "another person must decide" in self.stanch("alice", *approve, code=3)
        self.stanch("bob", *approve)
        detail = json.loads(self.stanch("bob", "follow", undo, "--json"))
        assert detail["state"] == "succeeded", detail
        return undo


def said(*arguments: str, code: int = 0, **environment: str) -> str:
    """Return what the command line prints, held to its exit code."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        for name, value in environment.items():
            patch.setenv(name, value)
        found = run(arguments)
    text = out.getvalue() + err.getvalue()
    assert found == code, f"{arguments} gave {found}\n{text[:3000]}"
    return text


@pytest.fixture(scope="module")
def scene(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: PostgresServer, s3_server: S3Server
) -> Iterator[Scene]:
    folder, dsn = tmp_path_factory.mktemp("undo"), postgres_server.create_database("undo")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("STANCH_CONFIG", raising=False)
        for name, value in SECRETS.items():
            patch.setenv(name, value)
        yield from _parts(folder, dsn, s3_server)
    postgres_server.drop_database("undo")


def _parts(folder: Path, dsn: str, s3_server: S3Server) -> Iterator[Scene]:
    with psycopg.connect(dsn) as connection:
        connection.execute(ROWS)
    boto, bucket = s3_server.client(), f"undo-{uuid4().hex[:8]}"
    for suffix, objects in OBJECTS.items():
        boto.create_bucket(Bucket=bucket + suffix)
        if suffix:
            kept = {"Status": "Enabled"}
            boto.put_bucket_versioning(Bucket=bucket + suffix, VersioningConfiguration=kept)
        for key, data in objects.items():
            boto.put_object(Bucket=bucket + suffix, Key=key, Body=data, ContentType="text/x-kept")
    cluster = Cluster(SystemClock())
    cluster.tokens[SECRETS["KUBE"]] = CLUSTER_ADMIN
    batch = {"batch.yaml": BATCH, "other": "kept"}
    cluster.load({**one, "data": batch} if one["kind"] == "ConfigMap" else one for one in SCENE)
    with ClusterServer(cluster) as server:
        keys = {"access_key": {"env": "S3_KEY"}, "secret_key": {"env": "S3_SECRET"}}
        connections = {
            "cluster": {"kind": "kubernetes", "server": server.url, "token": {"env": "KUBE"}},
            "db": {"kind": "postgres", "dsn": dsn},
            "files": {"kind": "s3", "endpoint_url": s3_server.url, **keys},
        }
        config = {
            "listen": "127.0.0.1:0",
            "store": "sqlite:///var/stanch.db",
            "roles": {"sre": ["alice", "bob"]},
            "rules": [],
            "brakes": {"fresh_changes": {"within": "0s"}},
            "connections": connections,
        }
        Path("stanch.yaml").write_text(json.dumps(config))
        put_database(folder / "var/stanch.db")
        Path("playbooks").mkdir()
        Path("playbooks/calm.yaml").write_text(BOOK.replace("BUCKET", bucket))
        tokens = {who: _token(who) for who in ("alice", "bob")}
        with Place(folder).serving() as (url, _):
            until(lambda: httpx.get(f"{url}/readyz").status_code == 200)
            yield Scene(cluster, dsn, boto, bucket, url, tokens)


def _token(who: str) -> str:
    made = said("token", "create", who, "-r", "operator", "-r", "sre", "--json")
    return str(json.loads(made)["token"])


def test_a_run_over_three_systems_is_taken_back_byte_for_byte_and_made_again(scene: Scene) -> None:
    before = scene.seen()
    made = scene.calm()
    after = scene.seen()
    assert {name for name in before | after if before.get(name) != after.get(name)} == {
        *("Deployment", "CronJob", "ConfigMap", "jobs", "/control/pause.json", "/control/since"),
        *(f"-kept/tmp/{n}.bin" for n in range(5)),
    }
    undo = scene.undo(made)
    assert scene.seen() == before
    again = scene.undo(undo)  # the undo of the undo
    assert scene.seen() == after
    scene.undo(again)
    assert scene.seen() == before


def test_what_somebody_else_changed_is_refused_by_its_field_and_a_step_goes_back_alone(
    scene: Scene,
) -> None:
    before = scene.seen()
    made = scene.calm()
    scene.boto.put_object(Bucket=scene.bucket, Key="control/pause.json", Body=b"mine")
    scene.sql("UPDATE jobs SET state = 'mine' WHERE id = 3")
    path = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/etl-worker"
    more, merge = {"spec": {"replicas": 5}}, "application/merge-patch+json"
    assert scene.cluster.call("PATCH", path, body=more, content_type=merge).status == 200
    told = scene.stanch("alice", "undo", made, code=3)
    for conflict in (
        "control/pause.json, ETag: others changed it since",
        "public.jobs row id=3, column state: others changed it since",
        "starforge/Deployment/etl-worker: spec.replicas was set to 0 and is 5 now",
    ):
        assert conflict in told
    theirs = scene.seen()
    scene.undo(made, "--step", "slower", "--step", "drop")
    now = scene.seen()
    assert {name for name in now if now[name] != theirs.get(name)} == {"ConfigMap", "jobs"}
    assert now["ConfigMap"] == before["ConfigMap"]
    dropped = [row for row in before["jobs"] if "broken" in row[0]]
    assert [row for row in now["jobs"] if row not in theirs["jobs"]] == dropped
    scene.undo(made, "--override", "ours again")  # what is left of it
    assert scene.seen() == before
