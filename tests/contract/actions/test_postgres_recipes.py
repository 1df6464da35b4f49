"""What the queue's building blocks promise beyond the contract."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from actions.postgres import CleanHistory, PostgresHealth, ReleaseOrphans, ResetFailed
from engine.contract import ActionFailed, Applied, Category, NotApplied
from tests.contract.actions.cases_postgres import connections
from tests.contract.actions.conftest import Database
from tests.contract.actions.worlds import Connections, OneWorld

pytestmark = pytest.mark.real

ODD = (
    'CREATE TABLE "odd % table" ("the ""id""" int PRIMARY KEY, "a%s b" text, at timestamptz)',
    """INSERT INTO "odd % table" SELECT n, 'failed', now() - n * interval '1 day'
         FROM generate_series(1, 10) AS n""",
)


class Interrupted(OneWorld):
    """A world that ends an attempt after its first batch."""

    def progress(self, done: int, total: int | None, text: str = "") -> None:
        del total, text
        raise ConnectionAbortedError(done)


def params(action: Any, **given: Any) -> Any:
    whole = {"connection": "db", "table": "odd % table", "key": ['the "id"'], **given}
    return action.Params.model_validate(whole)


@pytest.fixture
def odd(database: Database) -> Database:
    database.run(*ODD)
    return database


def rows(database: Database) -> Any:
    return database.rows('SELECT t::text FROM "odd % table" AS t ORDER BY 1')


@pytest.fixture
def made(odd: Database) -> Connections:
    return connections(odd.recorded)


def test_a_clean_up_broken_off_goes_on_where_it_was(odd: Database, made: Connections) -> None:
    clean, before = CleanHistory(), rows(odd)
    asked = params(clean, time_column="at", older_than="60h", batch=3)
    planned = clean.plan(asked, made.reading())
    assert planned.counts == {"rows": 8}
    assert "8 rows in 3 batches" in planned.summary
    with pytest.raises(ConnectionAbortedError):
        clean.apply(planned, Interrupted(made, True), "key-1")
    assert len(rows(odd)) == 7
    assert isinstance(clean.confirm(planned, None, made.reading(), "key-1"), NotApplied)
    receipt = clean.apply(planned, made.writing(), "key-1")
    assert (receipt.counts, receipt.output["batches"]) == ({"rows": 8}, 3)
    assert len(rows(odd)) == 2
    assert clean.confirm(planned, None, made.reading(), "key-1") == Applied(receipt)
    clean.undo(planned, receipt, made.writing(), "undo-1")
    assert rows(odd) == before


def test_a_clean_up_takes_no_more_than_was_planned(odd: Database, made: Connections) -> None:
    clean = CleanHistory()
    asked = params(clean, time_column="at", older_than="60h", batch=5)
    planned = clean.plan(asked, made.reading())
    odd.run("""INSERT INTO "odd % table" VALUES (99, 'done', now() - interval '61 hours')""")
    assert clean.apply(planned, made.writing(), "key-1").counts == {"rows": 8}
    assert len(rows(odd)) == 3
    tight = params(clean, time_column="at", older_than="1h", batch=2, max_rows=2)
    with pytest.raises(ActionFailed, match=r"3 rows of .* over max_rows 2") as caught:
        clean.plan(tight, made.reading())
    assert caught.value.category is Category.DATA


def test_names_are_quoted_and_a_reset_is_limited(odd: Database, made: Connections) -> None:
    reset = ResetFailed()
    asked = params(reset, state_column="a%s b", limit=4)
    planned = reset.plan(asked, made.reading())
    assert planned.counts == {"rows": 4}
    receipt = reset.apply(planned, made.writing(), "key-1")
    assert [key['the "id"'] for key in receipt.output["keys"]] == ["1", "2", "3", "4"]
    done = odd.rows("""SELECT count(*) FROM "odd % table" WHERE "a%s b" = 'pending'""")
    assert done == [(4,)]


def test_a_reset_can_keep_the_count_of_attempts(odd: Database, made: Connections) -> None:
    odd.run(
        'ALTER TABLE "odd % table" ADD tries int',
        'UPDATE "odd % table" SET tries = "the ""id""" % 5',
    )
    counts = 'SELECT tries FROM "odd % table" ORDER BY 1'
    before = odd.rows(counts)
    asked = params(ResetFailed(), state_column="a%s b", attempts_column="tries", below=3)
    kept = asked.model_copy(update={"keep_attempts": True})
    planned = ResetFailed().plan(kept, made.reading())
    assert planned.counts == {"rows": 6}
    ResetFailed().apply(planned, made.writing(), "key-1")
    assert odd.rows(counts) == before
    assert ResetFailed().plan(asked, made.reading()).counts == {"rows": 0}  # those are pending now


def test_only_what_did_not_move_is_released(odd: Database, made: Connections) -> None:
    release = ReleaseOrphans()
    asked = params(
        release, state_column="a%s b", processing="failed", time_column="at", older_than="84h"
    )
    assert release.plan(asked, made.reading()).counts == {"rows": 7}


def test_who_blocks_whom_and_what_lasts_is_seen(odd: Database, made: Connections) -> None:
    health = PostgresHealth()
    asked = health.Params.model_validate({"connection": "db", "long_transaction": 0.01})
    with psycopg.connect(odd.direct) as holder, psycopg.connect(odd.direct) as waiter:
        holder.execute("UPDATE other SET note = 'held'")
        blocking, waits = holder.info.backend_pid, waiter.info.backend_pid
        waiting = threading.Thread(target=waiter.execute, args=("UPDATE other SET note = 'x'",))
        waiting.start()
        try:
            output = seen(lambda: health.read(asked, made.reading()), {blocking, waits})
        finally:
            holder.rollback()
            waiting.join()
            waiter.rollback()
    (blocked,) = output["blocked"]
    assert (blocked["pid"], blocked["by"]) == (waits, [blocking])
    assert output["connections"]["waiting"] == 1
    # The server's own (autovacuum) has no user.
    long = {one["pid"] for one in output["long_transactions"] if one["user"]}
    assert long == {blocking, waits}


def seen(look: Callable[[], Any], sessions: set[int]) -> Any:
    """Look until one waits for the other and both last long enough; what was seen last, if never."""
    until, output = time.monotonic() + 60, look()
    while time.monotonic() < until:
        lasting = {one["pid"] for one in output["long_transactions"]}
        if output["blocked"] and output["connections"]["waiting"] and sessions <= lasting:
            break
        time.sleep(0.02)
        output = look()
    return output
