"""What SQL is let through, judged on PostgreSQL's own parse tree and without any server."""

from __future__ import annotations

from typing import Any

import pytest

from actions.postgres.parsing import Table, parse
from actions.postgres.refusals import outside_calls, refuse_change, refuse_query, unknown_functions
from engine.contract import Unplannable

CHANGE_REFUSED = {
    "UPDATE q SET a = 1; DELETE FROM q": "2 statements",
    "UPDATE q SET a = 1; SELECT pg_terminate_backend(1)": "2 statements",
    "": "no statement",
    "-- nothing": "no statement",
    "SELECT 1": "use postgres.query",
    "SELECT pg_terminate_backend(7)": "pg_terminate_backend",
    'DELETE FROM q WHERE "pg_catalog"."pg_terminate_backend"(7)': "pg_terminate_backend",
    "DELETE FROM q WHERE PG_Cancel_Backend(7)": "pg_cancel_backend",
    'DELETE FROM q WHERE U&"pg\\005Fterminate_backend"(7)': "pg_terminate_backend",
    "DELETE FROM q WHERE pg_terminate_backend /* x */ (7)": "pg_terminate_backend",
    "UPDATE q SET a = setval('s', 9)": "setval",
    "UPDATE q SET a = (SELECT setval('s', 9))": "setval",
    "WITH x AS (SELECT lo_export(1, '/tmp/x')) UPDATE q SET a = 1 FROM x": "lo_export",
    "INSERT INTO q SELECT * FROM dblink('host=x', 'select 1') AS t(a int)": "dblink",
    "INSERT INTO q SELECT * FROM ext.dblink_exec('x', 'delete')": "dblink_exec",
    "UPDATE q SET a = pg_read_file('/etc/passwd')": "pg_read_file",
    "UPDATE q SET a = 1 WHERE pg_advisory_lock(1) IS NULL": "pg_advisory_lock",
    "UPDATE q SET a = pg_reload_conf()::int": "pg_reload_conf",
    "UPDATE q SET a = 1 RETURNING lo_unlink(5)": "lo_unlink",
    "UPDATE q SET a = query_to_xml('delete from q', true, false, '')": "query_to_xml",
    "COPY q TO PROGRAM 'touch /tmp/x'": "COPY",
    "COPY q FROM '/etc/passwd'": "COPY",
    "COPY (DELETE FROM q RETURNING *) TO STDOUT": "COPY",
    "CREATE INDEX CONCURRENTLY i ON q (a)": "CONCURRENTLY",
    "REINDEX TABLE CONCURRENTLY q": "CONCURRENTLY",
    "DROP INDEX CONCURRENTLY i": "Drop",
    "VACUUM q": "VACUUM",
    "ANALYZE q": "ANALYZE",
    "TRUNCATE q": "DELETE FROM",
    "CREATE DATABASE d": "CREATE DATABASE",
    "ALTER SYSTEM SET fsync = off": "ALTER SYSTEM",
    "ALTER TABLE q ADD b int": "AlterTable",
    "DO $$ BEGIN PERFORM 1; END $$": "DO block",
    "CALL p()": "CALL",
    "COMMIT": "transaction control",
    "BEGIN": "transaction control",
    "SAVEPOINT s": "transaction control",
    "PREPARE TRANSACTION 'x'": "transaction control",
    "EXPLAIN ANALYZE DELETE FROM q": "EXPLAIN ANALYZE",
    "SET ROLE postgres": "settings",
    "RESET ALL": "settings",
    "LOCK TABLE q": "locks",
    "LISTEN x": "sessions",
    "NOTIFY x": "messaging",
    "LOAD 'x'": "LOAD",
    "PREPARE p AS DELETE FROM q": "prepared",
    "EXECUTE p": "prepared",
    "GRANT ALL ON q TO x": "Grant",
    "UPDATE q SET a = 1 RETURNING a": "RETURNING",
    "WITH d AS (DELETE FROM q RETURNING *) INSERT INTO r SELECT * FROM d": "inside WITH",
    "DELETE FROM pg_catalog.pg_class": "catalogue",
    "DELETE FROM pg_class": "catalogue",
    "UPDATE q SET": "not valid PostgreSQL",
}


@pytest.mark.parametrize(("sql", "message"), CHANGE_REFUSED.items())
def test_a_change_that_a_rollback_would_not_take_back_is_refused(sql: str, message: str) -> None:
    with pytest.raises(Unplannable, match=message):
        refuse_change(parse(sql, {}))


@pytest.mark.parametrize(
    ("sql", "message"),
    {
        "UPDATE q SET a = 1": "use postgres.execute",
        "SELECT 1; SELECT 2": "2 statements",
        "WITH d AS (DELETE FROM q RETURNING *) SELECT * FROM d": "WITH holds a DELETE",
        "SELECT * INTO t FROM q": "INTO",
        "SELECT * INTO t FROM q UNION SELECT * FROM q": "INTO",
        "SELECT * FROM q FOR UPDATE": "FOR UPDATE",
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity": "pg_terminate_backend",
        "SELECT nextval('s'), setval('s', 1)": "setval",
        "SELECT pg_sleep(1000)": "pg_sleep",
        "EXPLAIN ANALYZE SELECT 1": "EXPLAIN",
        "COPY q TO STDOUT": "COPY",
        "SHOW ALL": "one SELECT",
    }.items(),
)
def test_a_query_lets_only_a_plain_select_through(sql: str, message: str) -> None:
    with pytest.raises(Unplannable, match=message):
        refuse_query(parse(sql, {}))


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE q SET a = 1;",
        "WITH x AS (SELECT 1 AS a) UPDATE q SET a = x.a FROM x",
        "DELETE FROM q WHERE note = 'pg_terminate_backend(1); drop'",
        "INSERT INTO q VALUES (1) ON CONFLICT DO NOTHING",
        "MERGE INTO q USING r ON q.id = r.id WHEN MATCHED THEN DELETE",
    ],
)
def test_plain_changes_pass(sql: str) -> None:
    refuse_change(parse(sql, {}))


def test_the_text_is_numbered_and_trimmed_as_it_is_sent() -> None:
    statement = parse(
        "UPDATE é SET a = %(a)s, b = %(b)s WHERE c LIKE '1%%' AND d = %(a)s ; ", {"a": 1, "b": "x"}
    )
    assert statement.text == "UPDATE é SET a = $1, b = $2 WHERE c LIKE '1%' AND d = $1"
    assert statement.values == (1, "x")
    assert statement.constants == {"a": 1, "b": "x"}


def test_percent_signs_without_params_are_left_alone() -> None:
    assert parse("SELECT 1 WHERE 'a' LIKE '%a%%'", {}).text == "SELECT 1 WHERE 'a' LIKE '%a%%'"


@pytest.mark.parametrize(
    ("sql", "params", "message"),
    [
        ("SELECT %(a)s", {}, "params is empty"),
        ("SELECT %(a)s", {"b": 1}, r"no value for %\(a\)s"),
        ("SELECT 1", {"b": 1}, r"params\.b is not used"),
        ("SELECT '%(a)s'", {"a": 1}, "inside quotes"),
        ("SELECT 1 -- %(a)s", {"a": 1}, "inside quotes or a comment"),
        ("SELECT %s, %(a)s", {"a": 1}, "lone %"),
        ("SELECT %(a)s %", {"a": 1}, "lone %"),
    ],
)
def test_parameters_that_do_not_fit(sql: str, params: dict[str, Any], message: str) -> None:
    with pytest.raises(Unplannable, match=message):
        parse(sql, params)


@pytest.mark.parametrize(
    ("sql", "named"),
    [
        ("SELECT * FROM a JOIN s.b ON true", {"public.a", "s.b"}),
        ("SELECT * FROM pg_class", {"pg_catalog.pg_class"}),
        ("WITH a AS (SELECT * FROM b) SELECT * FROM a", {"public.b"}),
        # A plain WITH query does not see itself: inside, the name is the real table's.
        ("WITH a AS (SELECT * FROM a) SELECT * FROM a", {"public.a"}),
        ("WITH RECURSIVE a AS (SELECT 1 UNION SELECT * FROM a) SELECT * FROM a", set()),
        ("WITH a AS (SELECT 1) SELECT * FROM public.a", {"public.a"}),
        ("SELECT (WITH a AS (SELECT 1) SELECT * FROM a), (SELECT max(x) FROM a)", {"public.a"}),
        ('SELECT * FROM "Odd.Name"', {"public.Odd.Name"}),
        ("UPDATE a SET x = (SELECT max(y) FROM b)", {"public.a", "public.b"}),
        (
            "DELETE FROM a USING c WHERE EXISTS (SELECT FROM d)",
            {"public.a", "public.c", "public.d"},
        ),
    ],
)
def test_every_relation_that_is_named_is_found(sql: str, named: set[str]) -> None:
    assert {str(table) for table in parse(sql, {}).tables} == named


def test_only_constants_are_known_after_an_update() -> None:
    sql = "UPDATE q SET a = 'x', b = b + 1, c = true, d = NULL, e = 1.50, f = 3::int, g = now(), h[1] = 2"
    statement = parse(sql, {})
    assert statement.constants == {"a": "x", "c": True, "d": None, "e": "1.50", "f": 3}
    assert statement.assigned == set("abcdefgh")


def test_volatile_functions_are_unknown_unless_listed() -> None:
    found = ["pg_catalog.random", "pg_catalog.pg_new_thing", "public.random", "public.mine"]
    assert unknown_functions(found, ["public.mine"]) == ["pg_catalog.pg_new_thing", "public.random"]


def test_bodies_are_searched_for_calls_that_act_outside() -> None:
    assert outside_calls("BEGIN PERFORM Dblink_exec ('x'); END") == "Dblink_exec"
    assert outside_calls("BEGIN NEW.note := 'setvalue'; RETURN NEW; END") is None


def test_tables_are_quoted_whole() -> None:
    assert Table("public", 'a"b').quoted == '"public"."a""b"'
