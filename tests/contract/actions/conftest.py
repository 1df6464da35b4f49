"""Targets of the contract suite, each behind a recorder."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.conftest import need
from tests.contract.actions.bares3 import BareS3, Seen
from tests.contract.actions.pager import Pager
from tests.contract.actions.postbox import Postbox
from tests.contract.actions.recorder import Recorder
from tests.contract.actions.service import Service
from tests.emptied import Emptied
from worlds.iam import IamServer
from worlds.objects import Objects, ObjectsServer
from worlds.servers import (
    AlertmanagerServer,
    CeleryWorker,
    PostgresServer,
    PrometheusServer,
    RedisServer,
    S3Server,
)
from worlds.servers.s3 import ADMIN, boto_client

_NUMBERS = itertools.count(1)
TABLES = """
CREATE TYPE mood AS ENUM ('calm', 'busy');
CREATE TABLE queue_jobs (
    id bigint PRIMARY KEY, kind text NOT NULL, state text NOT NULL, cost numeric(12, 4),
    notes json, extra jsonb, raw bytea, at timestamptz, span interval, mood mood, tags text[],
    fixed char(5), ratio double precision, label text GENERATED ALWAYS AS (kind || '/' || state) STORED
);
INSERT INTO queue_jobs
SELECT n, CASE WHEN n % 2 = 0 THEN 'backfill' ELSE 'live' END, 'ready', n * 1.10,
       '{"b": 1,  "a": [1, 1.50], "a": 2}', '{"b": 1}', decode('00ff5c', 'hex'),
       timestamptz '2026-11-23 03:15:00.123456+02', interval '1 day 02:03', 'busy',
       ARRAY['x', NULL, 'y"z'], 'ab', 'NaN'
  FROM generate_series(1, 10) AS n;
CREATE TABLE other (id int PRIMARY KEY, note text);
INSERT INTO other VALUES (1, 'untouched');
CREATE SEQUENCE counter;
"""


@dataclass
class Database:
    """A fresh database with tables, the direct way in, and the recorded one."""

    direct: str
    recorder: Recorder
    kept: Emptied

    @property
    def recorded(self) -> str:
        name = self.direct.rsplit("/", 1)[1]
        options = "sslmode=disable&gssencmode=disable"
        return f"postgresql://postgres@127.0.0.1:{self.recorder.port}/{name}?{options}"

    @cached_property
    def _connection(self) -> psycopg.Connection[Any]:
        """Kept: that it is opened costs the server more than what is asked through it."""
        return psycopg.connect(self.direct, autocommit=True)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return self._connection.execute(sql.encode()).fetchall()

    def run(self, *statements: str) -> None:
        for statement in statements:
            self._connection.execute(statement.encode())

    def refill(self) -> None:
        """Make it as every test begins."""
        self.close()
        self.direct = self.kept.fresh(f"again_{next(_NUMBERS)}")
        self.run(TABLES)

    def close(self) -> None:
        """Hang up; what follows connects again."""
        self._connection.close()
        del self._connection

    def state(self) -> Any:
        """Every row as PostgreSQL writes it, and the sequence, which no rollback gives back."""
        jobs = self.rows("SELECT j::text FROM queue_jobs AS j ORDER BY id")
        other = self.rows("SELECT o::text FROM other AS o ORDER BY id")
        return jobs, other, self.rows("SELECT last_value, is_called FROM counter")


@pytest.fixture
def database(
    postgres_server: PostgresServer, postgres_dsn: str, emptied_database: Emptied
) -> Iterator[Database]:
    with Recorder(postgres_server.port) as recorder:
        made = Database(postgres_dsn, recorder, emptied_database)
        made.run(TABLES)
        yield made
        made.close()


class Buckets:
    """Two emptied buckets, one that keeps versions, with objects in them.

    `bare` is the cheap way in, `boto` the one that says what went wrong.
    """

    def __init__(self, url: str, plain: str, versioned: str, recorder: Recorder) -> None:
        self.plain, self.versioned, self.recorder = plain, versioned, recorder
        self.bare = BareS3(url)
        self._url = url

    @cached_property
    def boto(self) -> Any:
        return boto_client(self._url, ADMIN)

    def refill(self, *buckets: str) -> None:
        """Empty the buckets, versions too, and put the objects there that every test begins with."""
        for bucket in buckets or (self.plain, self.versioned):
            self.bare.empty(bucket)
            for name in ("tmp/a", "tmp/b", "keep"):
                body = f"{name}\0\xff".encode("latin-1")
                described = {"content_type": "text/csv", "x_amz_meta_owner": "alice"}
                self.bare.put(bucket, name, body, **described)

    def state(self) -> dict[str, Seen]:
        """Every current object with all that a reader of it sees."""
        return {
            f"{bucket}/{key}": self.bare.get(bucket, key)
            for bucket in (self.plain, self.versioned)
            for key in self.bare.keys(bucket)
        }

    def close(self) -> None:
        self.bare.close()
        if "boto" in vars(self):
            self.boto.close()


@pytest.fixture(scope="session")
def two_buckets(s3_server: S3Server) -> tuple[str, str]:
    """Made once: every bucket takes volumes of the server, of which it has few."""
    boto = s3_server.client()
    for bucket in ("stanch-plain", "stanch-versioned"):
        boto.create_bucket(Bucket=bucket)
    boto.put_bucket_versioning(
        Bucket="stanch-versioned", VersioningConfiguration={"Status": "Enabled"}
    )
    return "stanch-plain", "stanch-versioned"


@pytest.fixture
def buckets(s3_server: S3Server, two_buckets: tuple[str, str]) -> Iterator[Buckets]:
    with Recorder(s3_server.port) as recorder:
        made = Buckets(s3_server.url, *two_buckets, recorder)
        made.refill()
        yield made
        made.close()


@pytest.fixture
def memory_buckets() -> Iterator[Buckets]:
    """The same buckets in memory, as rehearsals have them."""
    objects = Objects()
    objects.create("stanch-plain")
    objects.create("stanch-versioned", versioned=True)
    with ObjectsServer(objects) as server, Recorder(server.port) as recorder:
        made = Buckets(server.url, "stanch-plain", "stanch-versioned", recorder)
        made.refill()
        yield made
        made.close()


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    need(RedisServer)
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def broker(redis_server: RedisServer) -> Iterator[Broker]:
    import redis

    client = redis.Redis(port=redis_server.port)
    client.flushall()
    client.rpush("dead:celery", *[f"message {n}\r\n\0\xff".encode("latin-1") for n in (1, 2, 2, 3)])
    client.lpush("celery", b"waits")
    client.lpush("celery\x06\x163", b"urgent", b"urgent too")
    client.hset("unacked", "tag", b"in work")
    with Recorder(redis_server.port) as recorder:
        yield Broker(client, recorder)
    client.close()


@pytest.fixture(scope="session")
def celery_worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CeleryWorker]:
    """A worker with a Redis of its own, that no other test empties."""
    need(RedisServer)
    need(CeleryWorker)
    folder = tmp_path_factory.mktemp("celery")
    with RedisServer(folder) as redis_server, CeleryWorker(folder, redis_server.port) as worker:
        yield worker


@pytest.fixture
def shop(celery_worker: CeleryWorker) -> Iterator[Any]:
    from tests.contract.actions.cases_celery import filled

    yield from filled(celery_worker)


@dataclass
class Broker:
    """A Redis with queues and failed messages, the direct way in, and the recorded one."""

    client: Any
    recorder: Recorder

    def state(self) -> Any:
        """Every list and hash, but for the tokens of steps."""
        keys = sorted(key for key in self.client.scan_iter() if not key.startswith(b"stanch:"))
        return {key: self.client.dump(key) for key in keys}

    def writes(self) -> list[str]:
        reads = {"PING", "LLEN", "LRANGE", "HLEN", "EXISTS", "AUTH", "SELECT", "CLIENT"}
        return [one for one in self.recorder.redis_commands() if one not in reads]


@dataclass
class Served:
    """The HTTP service behind a recorder."""

    service: Service
    recorder: Recorder


@pytest.fixture
def served() -> Iterator[Served]:
    with Service() as service, Recorder(service.port) as recorder:
        yield Served(service, recorder)


@pytest.fixture(scope="session")
def metrics_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrometheusServer]:
    """One Prometheus without targets: the queries of these tests make their own samples."""
    need(PrometheusServer)
    with PrometheusServer(tmp_path_factory.mktemp("metrics")) as server:
        yield server


@pytest.fixture
def metrics(metrics_server: PrometheusServer) -> Iterator[Recorder]:
    with Recorder(metrics_server.port) as recorder:
        yield recorder


@pytest.fixture
def alerts(tmp_path: Path) -> Iterator[Recorder]:
    """A fresh Alertmanager a test: it remembers ended silences, and keys are used once in its life."""
    need(AlertmanagerServer)
    server = AlertmanagerServer(tmp_path / "alerts", webhook="http://127.0.0.1:9/")
    with server, Recorder(server.port) as recorder:
        yield recorder


@pytest.fixture
def iam_server() -> Iterator[IamServer]:
    role = "arn:aws:iam::123456789012:role/etl"
    with IamServer({role: [("s3:Get*", "arn:aws:s3:::b/*")]}) as server:
        yield server


@pytest.fixture
def pager() -> Iterator[Pager]:
    with Pager() as receiver:
        yield receiver


@pytest.fixture
def postbox() -> Iterator[Postbox]:
    with Postbox() as server:
        yield server
