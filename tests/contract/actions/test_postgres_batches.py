"""Batches that are broken off go on where they were, and none is made twice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from actions.postgres import CleanHistory, ExecuteBatches
from engine.contract import ActionFailed, Applied, Category, NotApplied, Unplannable, Wrong
from tests.contract.actions.cases_postgres import connections
from tests.contract.actions.conftest import Database
from tests.contract.actions.recorder import Recorder
from tests.contract.actions.test_postgres_recipes import Interrupted
from tests.contract.actions.worlds import Connections, OneWorld

pytestmark = pytest.mark.real
batches = ExecuteBatches()


@pytest.fixture
def jobs(database: Database) -> Database:
    database.run(
        "CREATE TABLE jobs (day date, n int, state text, cost int CHECK (cost < 90), "
        "PRIMARY KEY (day, n))",
        "INSERT INTO jobs SELECT date '2026-11-20' + n / 10, n, 'failed', n FROM generate_series(1, 25) n",
    )
    return database


@pytest.fixture
def made(jobs: Database) -> Connections:
    return connections(jobs.recorded)


def asked(**given: Any) -> Any:
    whole = {
        "connection": "db",
        "table": "jobs",
        "key": ["day", "n"],
        "set": "cost = cost + 1",
        "where": "state = 'failed'",
        "batch": 4,
    }
    return batches.Params.model_validate({**whole, **given})


def costs(database: Database) -> list[int]:
    return [cost for (cost,) in database.rows("SELECT cost FROM jobs ORDER BY n")]


def test_a_change_that_still_fits_is_made_once_to_each_row(
    jobs: Database, made: Connections
) -> None:
    planned = batches.plan(asked(), made.reading())
    assert planned.counts == {"rows": 25}
    assert "25 rows in 7 batches" in planned.summary
    with pytest.raises(ConnectionAbortedError):
        batches.apply(planned, Interrupted(made, True), "key")
    assert costs(jobs) == [n + (n <= 4) for n in range(1, 26)]
    assert batches.confirm(planned, None, made.reading(), "key") == NotApplied()
    again = batches.plan(asked(), made.reading())  # as the engine does after a crash
    receipt = batches.apply(again, made.writing(), "key")
    assert costs(jobs) == [n + 1 for n in range(1, 26)]
    assert receipt.counts == {"rows": 25}
    assert batches.confirm(again, None, made.reading(), "key") == Applied(receipt)
    batches.undo(again, receipt, made.writing(), "undo")
    assert costs(jobs) == list(range(1, 26))


@pytest.mark.parametrize("how", ["a crash", "the server gone"])
def test_wherever_it_breaks_off_what_stands_is_told_and_made_once(
    jobs: Database, made: Connections, how: str
) -> None:
    before = costs(jobs)
    for place in range(1, 5):
        planned = batches.plan(asked(batch=6), made.reading())
        key, world = (
            f"{how} {place}",
            BrokenOff(made, True, recorder=jobs.recorder, left=place, how=how),
        )
        with pytest.raises((ConnectionAbortedError, ActionFailed)) as caught:
            batches.apply(planned, world, key)
        jobs.recorder.refusing = False
        stands = min(6 * place, 25)
        assert costs(jobs) == [n + (n <= stands) for n in before]
        if isinstance(caught.value, ActionFailed):
            assert caught.value.category is Category.TRANSIENT
            assert caught.value.effect_possible
            assert f"after {stands} of 25 rows in {place} batches, which stay" in str(caught.value)
        receipt = batches.apply(planned, made.writing(), key)
        assert receipt.counts == {"rows": 25}
        assert costs(jobs) == [n + 1 for n in before]
        batches.undo(planned, receipt, made.writing(), f"undo {key}")
        assert costs(jobs) == before


@dataclass
class BrokenOff(OneWorld):
    """A world in which an attempt is broken off after so many batches: by a crash, or by its server."""

    recorder: Recorder | None = None
    left: int = 0
    how: str = ""

    def progress(self, done: int, total: int | None, text: str = "") -> None:
        del done, total, text
        self.left -= 1
        if self.left:
            return
        if self.how == "a crash":
            raise ConnectionAbortedError
        assert self.recorder is not None
        self.recorder.refusing = True
        self.recorder.cut()


def test_a_clean_up_that_is_planned_anew_finishes_the_rest(
    jobs: Database, made: Connections
) -> None:
    clean = CleanHistory()
    given = {"connection": "db", "table": "jobs", "key": ["day", "n"], "time_column": "day"}
    params = clean.Params.model_validate({**given, "older_than": 0.001, "batch": 4, "only": {}})
    jobs.run("UPDATE jobs SET day = date '2020-01-01' + n")
    planned = clean.plan(params, made.reading())
    with pytest.raises(ConnectionAbortedError):
        clean.apply(planned, Interrupted(made, True), "key")
    again = clean.plan(params, made.reading())
    assert again.counts == {"rows": 21}
    receipt = clean.apply(again, made.writing(), "key")
    assert (receipt.counts, costs(jobs)) == ({"rows": 25}, [])
    clean.undo(again, receipt, made.writing(), "undo")
    assert costs(jobs) == list(range(1, 26))


def test_no_more_rows_than_planned_are_changed(jobs: Database, made: Connections) -> None:
    planned = batches.plan(asked(where="n > 5"), made.reading())
    jobs.run("INSERT INTO jobs SELECT '2020-01-01', n, 'failed', 0 FROM generate_series(26, 60) n")
    receipt = batches.apply(planned, made.writing(), "key")
    assert receipt.counts == planned.counts == {"rows": 20}


def test_what_no_retry_mends_is_left_to_a_person_with_what_stands(
    jobs: Database, made: Connections
) -> None:
    jobs.run("UPDATE jobs SET cost = 89 WHERE n = 6")
    planned = batches.plan(asked(), made.reading())
    with pytest.raises(ActionFailed, match="after 4 of 25 rows in 1 batches, which stay") as caught:
        batches.apply(planned, made.writing(), "key")
    assert caught.value.category is Category.DATA
    assert caught.value.effect_possible
    assert isinstance(batches.confirm(planned, None, made.reading(), "key"), Wrong)
    jobs.run("UPDATE jobs SET cost = 6 WHERE n = 6")
    receipt = batches.apply(batches.plan(asked(), made.reading()), made.writing(), "key")
    assert receipt.counts == {"rows": 25}
    assert costs(jobs) == [n + 1 for n in range(1, 26)]


def test_limits_and_texts_that_cannot_be_meant(jobs: Database, made: Connections) -> None:
    with pytest.raises(ActionFailed, match="25 rows of jobs fit, over max_rows 20") as caught:
        batches.plan(asked(max_rows=20), made.reading())
    assert caught.value.category is Category.DATA
    for given in (
        {"where": "true) ; DELETE FROM jobs --"},
        {"where": "pg_terminate_backend(1)"},
        {"set": "cost = 1 RETURNING n"},
        {"where": "n = %(lacking)s"},
    ):
        with pytest.raises(Unplannable):
            batches.plan(asked(**given), made.reading())
    assert batches.plan(asked(where="n > 1000"), made.reading()).is_no_op
    assert costs(jobs) == list(range(1, 26))
