"""A dry run does nothing: what cannot be rehearsed is refused, and a recorder at the target proves it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
import pytest

from actions.http import HttpGet, HttpRequest
from actions.postgres import PostgresExecute, PostgresQuery
from actions.s3.connection import S3Client
from engine.contract import ActionFailed, Unplannable
from tests.contract.actions import cases_http, cases_postgres, cases_s3
from tests.contract.actions.conftest import Buckets, Database, Served

pytestmark = pytest.mark.real

REFUSED = [
    "UPDATE queue_jobs SET state = 'x'; DELETE FROM queue_jobs",
    "UPDATE queue_jobs SET state = 'x'; COMMIT",
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity",
    "DELETE FROM queue_jobs WHERE (SELECT bool_or(pg_terminate_backend(pid)) FROM pg_stat_activity)",
    "UPDATE queue_jobs SET cost = setval('counter', 900)",
    "INSERT INTO other SELECT 2, lo_export(1, '{file}')::text",
    "COPY other TO PROGRAM 'touch {file}'",
    "COPY other TO '{file}'",
    "DO $$ BEGIN DELETE FROM queue_jobs; COMMIT; END $$",
    "VACUUM queue_jobs",
    "CREATE INDEX CONCURRENTLY i ON queue_jobs (kind)",
    "EXPLAIN ANALYZE DELETE FROM queue_jobs",
    "SET SESSION AUTHORIZATION postgres",
]


@pytest.mark.parametrize("sql", REFUSED)
@pytest.mark.parametrize("action", [PostgresExecute(), PostgresQuery()])
def test_sql_that_no_rollback_takes_back_never_reaches_the_server(
    database: Database, tmp_path: Path, sql: str, action: Any
) -> None:
    file = tmp_path / "written"
    before, victim = database.state(), psycopg.connect(database.direct, autocommit=True)
    connections = cases_postgres.connections(database.recorded)
    params = action.Params.model_validate(
        {"connection": "db", "sql": sql.replace("{file}", str(file))}
    )
    # A change that cannot be rehearsed is Unplannable; a read that is none fails for good.
    if isinstance(action, PostgresExecute):
        with pytest.raises(Unplannable):
            action.plan(params, connections.reading())
    else:
        with pytest.raises(ActionFailed, match="sql refused"):
            action.read(params, connections.reading())
    assert database.recorder.statements() == []
    assert not file.exists()
    assert database.state() == before
    victim.execute("SELECT 1")  # nobody ended it
    victim.close()


def test_a_volatile_function_of_others_is_refused_unless_it_is_allowed(database: Database) -> None:
    database.run(
        "CREATE FUNCTION sneak(n bigint) RETURNS text LANGUAGE sql VOLATILE AS "
        "$$ SELECT setval('counter', n)::text $$",
        "CREATE FUNCTION harmless() RETURNS text LANGUAGE sql VOLATILE AS $$ SELECT 'x' $$",
    )
    before = database.state()
    execute = PostgresExecute()

    def plan(call: str, allowed: list[str]) -> Any:
        allow = {"schemas": ["public"], "functions": allowed}
        connections = cases_postgres.connections(database.recorded, allow=allow)
        sql = f"UPDATE queue_jobs SET state = {call} WHERE id = 1"
        params = execute.Params.model_validate({"connection": "db", "sql": sql})
        return execute.plan(params, connections.reading())

    with pytest.raises(Unplannable, match=r"public\.harmless\(\) is volatile"):
        plan("harmless()", [])
    assert plan("harmless()", ["public.harmless"]).counts == {"rows": 1}
    with pytest.raises(Unplannable, match=r"calls setval\(\)"):
        plan("sneak(900)", ["public.sneak"])
    assert database.state() == before


def test_a_trigger_that_acts_outside_is_found(database: Database) -> None:
    database.run(
        "CREATE FUNCTION bump() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN PERFORM setval('counter', 900); RETURN NEW; END $$",
        "CREATE TRIGGER bumps BEFORE UPDATE ON queue_jobs FOR EACH ROW EXECUTE FUNCTION bump()",
    )
    before = database.state()
    params = {"connection": "db", "sql": "UPDATE queue_jobs SET state = 'x'"}
    connections = cases_postgres.connections(database.recorded)
    with pytest.raises(Unplannable, match=r"trigger bumps of public\.queue_jobs calls setval"):
        PostgresExecute().plan(PostgresExecute.Params.model_validate(params), connections.reading())
    assert database.state() == before


def test_the_server_itself_refuses_writes_of_a_query(database: Database) -> None:
    """Should the parser ever be wrong, the transaction is still read-only."""
    connections = cases_postgres.connections(database.recorded)
    client = connections.client("db", writable=True)
    for sql in ("DELETE FROM queue_jobs", "SELECT nextval('counter')", "CREATE TABLE x ()"):
        with pytest.raises(ActionFailed, match="read-only"), client.reading() as work:
            work.run(sql)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_http_writes_are_planned_and_not_sent(served: Served, method: str) -> None:
    connections = cases_http.connections(served.recorder.url)
    params = {"connection": "api", "method": method, "path": "/v1/pauses", "body": {"a": 1}}
    request = HttpRequest()
    planned = request.plan(request.Params.model_validate(params), connections.reading())
    assert planned.after == {"method": method, "path": "/v1/pauses", "body": {"a": 1}}
    with pytest.raises(ActionFailed, match="read-only"):
        connections.client("api", writable=False).send(method, "/v1/pauses")
    assert served.recorder.requests() == []
    assert served.service.pauses == {}


def test_a_read_sends_a_post_only_where_the_connection_calls_it_safe(served: Served) -> None:
    params = {"connection": "api", "method": "POST", "path": "/v1/search", "body": {"q": 1}}
    get = HttpGet()
    plain = cases_http.connections(served.recorder.url)
    for world in (plain.reading(), plain.writing()):
        with pytest.raises(ActionFailed, match="not listed as safe"):
            get.read(get.Params.model_validate(params), world)
    assert served.recorder.requests() == []
    safe = cases_http.connections(served.recorder.url, safe=["POST /v1/search"])
    output = get.read(get.Params.model_validate(params), safe.reading())
    assert output["body"] == {"found": '{"q": 1}'}


def test_s3_writes_are_stopped_inside_the_client(buckets: Buckets) -> None:
    connections = cases_s3.connections(buckets.recorder.url)
    before = buckets.state()
    client: S3Client = connections.client("s3", writable=False)
    bucket = {"Bucket": buckets.plain}
    calls: dict[str, dict[str, Any]] = {
        "put_object": {**bucket, "Key": "x", "Body": b""},
        "delete_object": {**bucket, "Key": "keep"},
        "delete_objects": {**bucket, "Delete": {"Objects": [{"Key": "keep"}]}},
        "copy_object": {**bucket, "Key": "x", "CopySource": f"{buckets.plain}/keep"},
        "create_bucket": bucket,
        "delete_bucket": bucket,
        "put_bucket_versioning": {**bucket, "VersioningConfiguration": {"Status": "Suspended"}},
        "create_multipart_upload": {**bucket, "Key": "x"},
    }
    for name, arguments in calls.items():
        with pytest.raises(ActionFailed, match="not sent"), client.calling() as boto:
            getattr(boto, name)(**arguments)
    writable: S3Client = connections.client("s3", writable=True)
    with pytest.raises(ActionFailed, match="no operation of these"), writable.calling() as boto:
        boto.delete_bucket(**bucket)
    assert buckets.recorder.requests() == []
    assert buckets.state() == before
