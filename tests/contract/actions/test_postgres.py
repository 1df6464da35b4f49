"""What postgres.execute promises beyond the contract: exact counts, allow-lists, keys, locks, tokens."""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from actions.postgres import PostgresExecute, PostgresKind, PostgresQuery, tokens
from engine.contract import (
    ActionFailed,
    Applied,
    Category,
    NotApplied,
    NotYet,
    Planned,
    Receipt,
    Target,
    Unplannable,
)
from tests.contract.actions.cases_postgres import connections
from tests.contract.actions.conftest import Database
from tests.contract.actions.worlds import Connections
from worlds.servers import PostgresServer

pytestmark = pytest.mark.real
execute, query = PostgresExecute(), PostgresQuery()


@pytest.fixture
def db(database: Database) -> Iterator[Connections]:
    made = connections(database.direct, lock_timeout="300ms")
    yield made
    made.close()


def params(sql: str, **more: Any) -> Any:
    return execute.Params.model_validate({"connection": "db", "sql": sql, **more})


def plan(made: Connections, sql: str, earlier: list[Planned] | None = None, **more: Any) -> Planned:
    return execute.plan(params(sql, **more), made.reading(earlier or ()))


def test_later_statements_are_counted_after_the_earlier_ones(db: Connections) -> None:
    first = plan(db, "UPDATE queue_jobs SET kind = 'live' WHERE kind = 'backfill'")
    assert first.counts == {"rows": 5}
    then = "UPDATE queue_jobs SET state = 'paused' WHERE kind = 'live'"
    assert plan(db, then).counts == {"rows": 5}
    second = plan(db, then, [first], key=["id"])
    assert second.counts == {"rows": 10}
    third = plan(db, "DELETE FROM queue_jobs WHERE state = 'paused'", [first, second])
    assert third.counts == {"rows": 10}
    assert plan(db, "DELETE FROM queue_jobs", [first, second, third]).is_no_op


def test_what_earlier_steps_wrote_does_not_make_a_step_irreversible(db: Connections) -> None:
    first = plan(db, "UPDATE other SET note = 'seen'", key=["id"])
    second = plan(db, "UPDATE queue_jobs SET state = 'paused'", [first], key=["id"])
    assert second.reversible, second.why_irreversible


def test_the_plan_shows_what_changes(db: Connections) -> None:
    planned = plan(
        db,
        "UPDATE queue_jobs SET state = %(to)s, cost = cost + 1 WHERE id <= 7",
        params={"to": "paused"},
        key=["id"],
    )
    assert planned.target == Target("db", "public.queue_jobs")
    assert (dict(planned.before), dict(planned.after)) == ({}, {"state": "paused"})
    assert planned.summary == "UPDATE public.queue_jobs: 7 rows"
    assert len(planned.sample) == 5
    assert planned.sample[0] == {
        "key": {"id": "1"},
        "before": {"state": "ready", "cost": "1.1000", "label": "live/ready"},
        "after": {"state": "paused", "cost": "2.1000", "label": "live/paused"},
    }
    nothing = plan(db, "UPDATE queue_jobs SET state = 'paused' WHERE id > 99", key=["id"])
    assert nothing.is_no_op


@pytest.mark.parametrize(
    ("sql", "key", "why"),
    [
        ("UPDATE queue_jobs SET state = 'x'", [], "declare `key`"),
        ("UPDATE queue_jobs SET id = id + 100", ["id"], "changes the key itself"),
        (
            "INSERT INTO other VALUES (1, 'b') ON CONFLICT (id) DO UPDATE SET note = 'b'",
            ["id"],
            "ON CONFLICT DO UPDATE",
        ),
        (
            "MERGE INTO other USING queue_jobs q ON q.id = other.id WHEN MATCHED THEN DELETE",
            ["id"],
            "MERGE",
        ),
        ("DELETE FROM parent", ["id"], "carries it into child"),
        ("UPDATE audited SET note = 'x'", ["id"], "also write public.audit"),
    ],
)
def test_what_cannot_be_restored_says_why(
    database: Database, db: Connections, sql: str, key: list[str], why: str
) -> None:
    database.run(
        "CREATE TABLE parent (id int PRIMARY KEY)",
        "CREATE TABLE child (id int REFERENCES parent ON DELETE CASCADE)",
        "INSERT INTO parent VALUES (1)",
        "CREATE TABLE audited (id int PRIMARY KEY, note text)",
        "CREATE TABLE audit (note text)",
        "INSERT INTO audited VALUES (1, 'a')",
        "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN INSERT INTO audit VALUES (OLD.note); RETURN NULL; END $$",
        "CREATE TRIGGER notes AFTER UPDATE ON audited FOR EACH ROW EXECUTE FUNCTION note()",
    )
    planned = plan(db, sql, key=key)
    assert not planned.reversible
    assert why in (planned.why_irreversible or "")
    receipt = execute.apply(planned, db.writing(), "k")
    assert receipt.before_image is None
    assert receipt.counts == planned.counts


def test_the_allow_list_holds_for_triggers_and_functions_too(database: Database) -> None:
    database.run(
        "CREATE FUNCTION spread() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN UPDATE other SET note = 'spread'; RETURN NULL; END $$",
        "CREATE FUNCTION peek() RETURNS text LANGUAGE sql STABLE AS $$ SELECT note FROM other $$",
        "CREATE TRIGGER spreads AFTER DELETE ON queue_jobs EXECUTE FUNCTION spread()",
    )
    before = database.state()
    narrow = connections(database.direct, allow={"tables": ["public.queue_jobs"]})
    with pytest.raises(ActionFailed, match=r"also writes to public\.other") as caught:
        plan(narrow, "DELETE FROM queue_jobs WHERE id = 1")
    assert caught.value.category is Category.CONFIGURATION
    with pytest.raises(ActionFailed, match=r"also reads public\.other"):
        plan(narrow, "UPDATE queue_jobs SET state = peek()")
    asked = {"connection": "db", "sql": "SELECT peek()"}
    with pytest.raises(ActionFailed, match=r"also reads public\.other"):
        query.read(query.Params.model_validate(asked), narrow.reading())
    assert plan(narrow, "UPDATE queue_jobs SET state = 'x'").counts == {"rows": 10}
    # The check is made again at apply, before the commit, whatever was planned.
    wide = connections(database.direct)
    planned = plan(wide, "DELETE FROM queue_jobs WHERE id = 1")
    with pytest.raises(ActionFailed, match=r"also writes to public\.other"):
        execute.apply(planned, narrow.writing(), "k")
    assert database.state() == before


def test_a_foreign_key_may_look_at_its_other_table(database: Database) -> None:
    database.run(
        "CREATE TABLE item (id int PRIMARY KEY, job bigint REFERENCES queue_jobs)",
    )
    narrow = connections(database.direct, allow={"tables": ["public.item"]})
    assert plan(narrow, "INSERT INTO item VALUES (1, 1)", key=["id"]).reversible


def test_the_kind_refuses_tables_beyond_its_list() -> None:
    kind = PostgresKind()
    settings = kind.Settings.model_validate(
        {"dsn": "dbname=x", "allow": {"schemas": ["etl_*"], "tables": ["public.queue_*"]}}
    )
    assert kind.refuses(settings, Target("db", "etl_7.any")) is None
    assert kind.refuses(settings, Target("db", "public.queue_jobs")) is None
    assert "public.users" in (kind.refuses(settings, Target("db", "public.users")) or "")


@pytest.mark.parametrize(
    ("sql", "more", "category", "message"),
    [
        (
            "UPDATE queue_jobs SET state = 'x'",
            {"max_rows": 9},
            Category.DATA,
            "10 rows, over max_rows 9",
        ),
        (
            "UPDATE queue_jobs SET state = 'x'",
            {"key": ["kind"]},
            Category.PERMANENT,
            "unique keys are id",
        ),
        (
            "UPDATE queue_jobs SET state = 'x'",
            {"key": ["nope"]},
            Category.PERMANENT,
            "no column 'nope'",
        ),
        ("UPDATE queue_jobs SET state = NULL", {}, Category.DATA, "not-null"),
        ("INSERT INTO other VALUES (1, 'twice')", {}, Category.DATA, "already exists"),
        ("UPDATE queue_jobs SET cost = 1 / 0", {}, Category.DATA, "division by zero"),
        ("UPDATE queue_jobs SET nope = 1", {}, Category.PERMANENT, "nope"),
        ("DELETE FROM no_such_table", {}, Category.PERMANENT, "no_such_table"),
        (
            "UPDATE queue_jobs SET state = 'x' WHERE id = %(id)s",
            {"params": {"id": "abc"}},
            Category.DATA,
            'invalid input syntax for type bigint: "abc"',
        ),
        (
            "UPDATE queue_jobs SET state = 'x' WHERE kind = 1",
            {},
            Category.PERMANENT,
            "operator does not exist: text = integer; No operator matches",
        ),
        (
            "UPDATE queue_jobs SET at = 1",
            {},
            Category.PERMANENT,
            "is of type timestamp with time zone but expression is of type integer; You will need",
        ),
        (
            "UPDATE queue_jobs SET state = 'x' FROM generate_series(1, 100000000)",
            {"statement_timeout": "100ms"},
            Category.TRANSIENT,
            "statement timeout",
        ),
    ],
)
def test_what_the_plan_runs_into(
    db: Connections, sql: str, more: dict[str, Any], category: Category, message: str
) -> None:
    with pytest.raises(ActionFailed, match=message) as caught:
        plan(db, sql, **more)
    assert caught.value.category is category
    assert not caught.value.effect_possible


def test_of_people_an_error_quotes_no_row(database: Database, db: Connections) -> None:
    own = replace(db, personal=True, _open={})
    for made, shown in ((db, True), (own, False)):
        for sql, given in (
            ("INSERT INTO other VALUES (1, 'twice')", {}),
            ("UPDATE queue_jobs SET state = 'x' WHERE id = %(id)s", {"id": "ada"}),
        ):
            with pytest.raises(ActionFailed) as caught:
                plan(made, sql, params=given)
            told = str(caught.value)
            assert ("(1)" in told or "ada" in told) is shown
            assert "duplicate key" in told or "invalid input syntax" in told
    own.close()


def test_deferred_constraints_are_checked_in_the_plan(database: Database, db: Connections) -> None:
    database.run(
        "CREATE TABLE late (id int PRIMARY KEY, job bigint REFERENCES queue_jobs "
        "DEFERRABLE INITIALLY DEFERRED)"
    )
    with pytest.raises(ActionFailed, match="foreign key") as caught:
        plan(db, "INSERT INTO late VALUES (1, 999)")
    assert caught.value.category is Category.DATA


def test_the_declared_table_is_held_to(db: Connections) -> None:
    with pytest.raises(
        Unplannable, match=r"table is public\.other, but sql writes public\.queue_jobs"
    ):
        plan(db, "UPDATE queue_jobs SET state = 'x'", table="public.other")
    assert plan(db, "UPDATE queue_jobs SET state = 'x'", table="queue_jobs").counts == {"rows": 10}


def test_a_lock_held_by_others_is_transient(database: Database, db: Connections) -> None:
    with psycopg.connect(database.direct) as other:
        other.execute("UPDATE queue_jobs SET state = 'taken' WHERE id = 1")
        with pytest.raises(ActionFailed, match="another session holds the rows") as caught:
            plan(db, "UPDATE queue_jobs SET state = 'x'")
        other.rollback()
    assert caught.value.category is Category.TRANSIENT


def test_another_sessions_uncommitted_change_is_told(database: Database, db: Connections) -> None:
    with psycopg.connect(database.direct, application_name="psql") as other:
        other.execute("UPDATE queue_jobs SET state = 'taken' WHERE id = 1")
        quick = plan(db, "UPDATE queue_jobs SET state = 'x' WHERE id = 2")
        assert quick.fresh_changes == ()  # programs do this all the time
        other.execute("SELECT pg_sleep(5.1)")
        found = plan(db, "UPDATE queue_jobs SET state = 'x' WHERE id = 2").fresh_changes
        other.rollback()
    (change,) = found
    assert "(psql)" in change.by
    assert change.what.startswith("public.queue_jobs, not committed yet, session ")
    assert plan(db, "UPDATE queue_jobs SET state = 'x' WHERE id = 2").fresh_changes == ()


def test_a_constraint_at_apply_leaves_no_token(database: Database, db: Connections) -> None:
    planned = plan(db, "INSERT INTO other VALUES (2, 'b')", key=["id"])
    database.run("INSERT INTO other VALUES (2, 'others')")
    with pytest.raises(ActionFailed) as caught:
        execute.apply(planned, db.writing(), "k")
    assert (caught.value.category, caught.value.effect_possible) == (Category.DATA, False)
    assert execute.confirm(planned, None, db.reading(), "k") == NotApplied()


def test_one_key_in_many_threads_acts_once(database: Database) -> None:
    made = connections(database.direct, lock_timeout="5s", max_connections=8)
    planned = plan(made, "UPDATE queue_jobs SET cost = cost + 1", key=["id"])
    receipts: list[Receipt] = []
    workers = [
        threading.Thread(
            target=lambda: receipts.append(execute.apply(planned, made.writing(), "same"))
        )
        for _ in range(6)
    ]
    made.client("db", writable=True)
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(receipts) == 6
    assert all(receipt == receipts[0] for receipt in receipts)
    assert database.rows("SELECT cost::text FROM queue_jobs WHERE id = 1") == [("2.1000",)]
    assert database.rows("SELECT count(*) FROM stanch.stanch_tokens") == [(1,)]
    made.close()


def test_a_key_in_flight_is_asked_again_later(database: Database, db: Connections) -> None:
    planned = plan(db, "DELETE FROM queue_jobs WHERE id = 1", key=["id"])
    client = db.client("db", writable=True)
    with client.writing() as work:
        tokens.hold(work, "k")
        assert isinstance(execute.confirm(planned, None, db.reading(), "k"), NotYet)
    assert execute.confirm(planned, None, db.reading(), "k") == NotApplied()
    receipt = execute.apply(planned, db.writing(), "k")
    assert execute.confirm(planned, None, db.reading(), "k") == Applied(receipt)


def test_rows_that_others_free_meanwhile_are_not_lost(database: Database, db: Connections) -> None:
    """The rows locked are those that the statement touches, or nothing is done at all."""
    planned = plan(db, "UPDATE queue_jobs SET state = 'x' WHERE state = 'ready'", key=["id"])
    database.run("UPDATE queue_jobs SET state = 'gone' WHERE id <= 3")
    receipt = execute.apply(planned, db.writing(), "k")
    assert receipt.counts == {"rows": 7}
    execute.undo(planned, receipt, db.writing(), "u")
    states = database.rows("SELECT state, count(*) FROM queue_jobs GROUP BY 1 ORDER BY 1")
    assert states == [("gone", 3), ("ready", 7)]


def test_conflicts_are_named_before_an_undo_and_overridden_on_a_persons_word(
    database: Database, db: Connections
) -> None:
    planned = plan(db, "UPDATE queue_jobs SET state = 'paused' WHERE id IN (2, 3)", key=["id"])
    receipt = execute.apply(planned, db.writing(), "k")
    assert execute.conflicts(planned, receipt, db.reading()) == []
    database.run("UPDATE queue_jobs SET state = 'theirs' WHERE id = 2")
    named = "public.queue_jobs row id=2, column state: others changed it since the step left it"
    found = execute.conflicts(planned, receipt, db.reading())
    assert named in found
    assert all("row id=2" in text for text in found), "a trigger may have touched more of it"
    with pytest.raises(ActionFailed, match="column state"):
        execute.undo(planned, receipt, db.writing(), "u")
    execute.undo(planned, receipt, replace(db.writing(), overriding=True), "u2")
    rows = database.rows("SELECT id, state FROM queue_jobs WHERE id IN (2, 3) ORDER BY 1")
    assert rows == [(2, "ready"), (3, "ready")]


def test_conflicts_are_told_from_what_newer_changes_of_the_table_will_restore(
    database: Database, db: Connections
) -> None:
    """In the order of the undo; nothing of it is done yet."""
    statements = (
        "UPDATE queue_jobs SET state = 'paused' WHERE id < 5",
        "UPDATE queue_jobs SET state = 'parked', cost = 0 WHERE id IN (2, 3)",
        "DELETE FROM queue_jobs WHERE id IN (3, 4)",
        "INSERT INTO queue_jobs (id, kind, state) VALUES (4, 'live', 'anew')",
    )
    made = []
    for number, sql in enumerate(statements):
        planned = plan(db, sql, key=["id"])
        made.append((planned, execute.apply(planned, db.writing(), f"k{number}")))

    def found() -> list[list[str]]:
        back: list[Planned] = []
        texts = []
        for planned, receipt in reversed(made):
            world = replace(db.reading(), earlier=tuple(back))
            texts.append(list(execute.conflicts(planned, receipt, world)))
            back.append(replace(planned, request={"before_image": receipt.before_image}))
        return texts

    assert found() == [[], [], [], []]
    database.run("UPDATE queue_jobs SET cost = 77 WHERE id = 2")  # of the second change alone
    database.run("UPDATE queue_jobs SET state = 'theirs' WHERE id = 1")  # of the first alone
    _, _, second, first = found()
    assert any(text.startswith("public.queue_jobs row id=2, column cost") for text in second)
    assert any(text.startswith("public.queue_jobs row id=1, column state") for text in first)
    assert all("row id=2" in text for text in second), second


def test_a_row_that_others_deleted_cannot_be_restored_by_any_word(
    database: Database, db: Connections
) -> None:
    planned = plan(db, "UPDATE queue_jobs SET state = 'paused' WHERE id = 2", key=["id"])
    receipt = execute.apply(planned, db.writing(), "k")
    database.run("DELETE FROM queue_jobs WHERE id = 2")
    with pytest.raises(ActionFailed, match="is gone: others deleted it"):
        execute.undo(planned, receipt, replace(db.writing(), overriding=True), "u")


def test_undo_leaves_others_work_in_other_columns(database: Database, db: Connections) -> None:
    planned = plan(db, "UPDATE queue_jobs SET state = 'paused' WHERE id = 2", key=["id"])
    receipt = execute.apply(planned, db.writing(), "k")
    database.run("UPDATE queue_jobs SET cost = 77 WHERE id = 2")
    execute.undo(planned, receipt, db.writing(), "u")
    assert database.rows("SELECT state, cost::int FROM queue_jobs WHERE id = 2") == [("ready", 77)]


def test_a_role_without_rights_learns_what_to_grant(
    database: Database, postgres_server: PostgresServer
) -> None:
    name = database.direct.rsplit("/", 1)[1]
    role = f"plain_{name}"
    database.run(f"CREATE ROLE {role} LOGIN", f"GRANT SELECT, UPDATE ON queue_jobs TO {role}")
    made = connections(postgres_server.dsn_of(name, user=role))
    with pytest.raises(ActionFailed, match="Let an administrator run") as caught:
        plan(made, "UPDATE queue_jobs SET state = 'x'")
    assert caught.value.category is Category.CONFIGURATION
    script = str(caught.value).split("administrator run: ")[1]
    database.run(*[part for part in script.split(";") if part.strip()])
    planned = plan(made, "UPDATE queue_jobs SET state = 'x'", key=["id"])
    execute.apply(planned, made.writing(), "k")
    with pytest.raises(ActionFailed, match="permission denied") as caught:
        plan(made, "DELETE FROM queue_jobs")
    assert caught.value.category is Category.CONFIGURATION
    made.close()
    database.run(f"DROP OWNED BY {role}", f"DROP ROLE {role}")


def test_tokens_are_prepared_and_pruned(database: Database, db: Connections) -> None:
    client = db.client("db", writable=True)
    tokens.prepare(client)
    tokens.prepare(client)
    planned = plan(db, "DELETE FROM queue_jobs WHERE id = 1")
    execute.apply(planned, db.writing(), "old")
    assert tokens.prune(client, days=1) == 0
    database.run("UPDATE stanch.stanch_tokens SET applied_at = now() - interval '2 days'")
    assert tokens.prune(client, days=1) == 1


def test_a_connection_that_died_while_idle_is_replaced(database: Database, db: Connections) -> None:
    assert plan(db, "DELETE FROM other").counts == {"rows": 1}
    database.run(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE pid <> pg_backend_pid() AND datname = current_database()"
    )
    assert plan(db, "DELETE FROM other").counts == {"rows": 1}


def test_a_query_over_its_limits_fails_and_says_so(db: Connections) -> None:
    def read(sql: str, **more: Any) -> Any:
        asked = {"connection": "db", "sql": sql, **more}
        return query.read(query.Params.model_validate(asked), db.reading())

    with pytest.raises(ActionFailed, match="more than max_rows 9"):
        read("SELECT id FROM queue_jobs", max_rows=9)
    with pytest.raises(ActionFailed, match="over max_bytes 64"):
        read("SELECT id, state FROM queue_jobs", max_bytes=64)
    assert read("SELECT id FROM queue_jobs WHERE id > 99") == {"rows": [], "row": None, "count": 0}
    assert read("SELECT 12345678901234567890.5::numeric AS n")["row"] == {
        "n": "12345678901234567890.5"
    }


def test_a_wrong_password_is_a_configuration_mistake(tmp_path: Path) -> None:
    # Outside pytest's folders, which the server's own user may not enter.
    shared = Path(tempfile.mkdtemp(prefix="stanch-hba-"))
    shared.chmod(0o755)
    hba = shared / "hba.conf"
    hba.write_text(
        "host all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n"
    )
    if PostgresServer.missing():
        pytest.skip(f"needs {PostgresServer.missing()}")
    with PostgresServer(tmp_path / "pg", settings={"hba_file": str(hba)}) as server:
        with psycopg.connect(server.dsn, autocommit=True) as admin:
            admin.execute("CREATE ROLE keen LOGIN PASSWORD 'right'")
        secret = "wrong pa$$/word"
        made = connections(server.dsn_of("postgres", user="keen"), password={"env": "PASSWORD"})
        made = Connections(made.settings, {**made.secrets, "PASSWORD": secret})
        with pytest.raises(ActionFailed, match="password authentication failed") as caught:
            plan(made, "DELETE FROM x")
        assert caught.value.category is Category.CONFIGURATION
        assert secret not in str(caught.value)
        with psycopg.connect(server.dsn, autocommit=True) as admin:
            admin.execute("ALTER ROLE keen VALID UNTIL '2020-01-01'")
        expired = connections(server.dsn_of("postgres", user="keen"), password={"env": "PASSWORD"})
        expired = Connections(expired.settings, {**expired.secrets, "PASSWORD": "right"})
        with pytest.raises(ActionFailed, match="password authentication failed") as caught:
            plan(expired, "DELETE FROM x")
        assert caught.value.category is Category.CONFIGURATION
    shutil.rmtree(shared)


def test_a_password_in_plain_settings_is_refused() -> None:
    for dsn in ("postgresql://a:b@h/d", "host=h password=b"):
        with pytest.raises(ValueError, match="holds a password"):
            PostgresKind.Settings.model_validate({"dsn": dsn})
