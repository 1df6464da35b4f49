"""postgres.health and postgres.queue_health: how the server and a queue table are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import Field

from actions.postgres import byhand
from actions.postgres.client import PostgresClient, Work
from actions.postgres.query import PostgresQuery, QueryParams
from actions.postgres.recipes import TableParams, ago, column, conditions, table
from engine.contract import ActionParams, Grant, Read, Target, World
from engine.contract.fields import Seconds
from engine.domain.canonical import Json, JsonObject

_QUERY = PostgresQuery()
_ACTIVITY = "pg_catalog.pg_stat_activity"


class HealthParams(ActionParams):
    """Parameters of a look at the server."""

    connection: str = Field(description="A postgres connection", examples=["starforge"])
    long_transaction: Seconds = Field(
        300.0, gt=0, description="From this age on a transaction is listed", examples=["5m"]
    )
    max_sessions: int = Field(
        20, gt=0, le=500, description="Most sessions in each list", examples=[20]
    )


class QueueParams(TableParams):
    """Parameters of a look at a queue table."""

    state_column: str = Field("status", description="The column of the state", examples=["status"])
    time_column: str = Field(
        description="What a row's age counts from", examples=["updated_at"], min_length=1
    )
    pending: list[str] = Field(
        ["pending"], description="States that wait for a worker", examples=[["pending", "queued"]]
    )
    processing: list[str] = Field(
        ["processing"], description="States that are worked on", examples=[["processing"]]
    )
    failed: list[str] = Field(["failed"], description="States of failure", examples=[["failed"]])
    stuck_after: Seconds = Field(
        3600.0, gt=0, description="Rows in work older than this are stuck", examples=["1h"]
    )


class PostgresHealth(Read[HealthParams]):
    """The server as its own statistics have it.

    Output: `latency` in seconds, `connections` (`used`, `limit`, `share`, `by_state`, `waiting` for locks),
    `blocked` sessions with who blocks them, `long_transactions`, and `recovery` (it is a standby). Sessions
    are `{pid, user, application, state, seconds}`; statements are left out, since they hold data. Without
    pg_monitor (or pg_read_all_stats) other roles' states are not visible and count as `hidden`.
    """

    name = "postgres.health"
    manual = byhand.health
    summary = "Look at latency, connections, locks and long transactions"
    Params = HealthParams

    def targets(self, params: HealthParams) -> Sequence[Target]:
        return (Target(params.connection, _ACTIVITY),)

    def grants(self, params: HealthParams) -> Sequence[Grant]:
        return (Grant(params.connection, "sql", {"privilege": "MEMBER", "on": "pg_monitor"}),)

    def read(self, params: HealthParams, world: World) -> Json:
        client = world.client(params.connection, PostgresClient)
        with client.reading() as work:
            start = world.clock.monotonic()
            work.run("SELECT 1 AS one")
            latency = world.clock.monotonic() - start
            return {
                "latency": round(latency, 6),
                "connections": _connections(work),
                "blocked": _blocked(work, params.max_sessions),
                "long_transactions": _long(work, params.long_transaction, params.max_sessions),
                "recovery": work.run("SELECT pg_is_in_recovery() AS r")[0]["r"],
            }


class QueueHealth(Read[QueueParams]):
    """A queue table by state.

    Output: `states` (each with `rows`, `oldest` in seconds), `pending`, `processing`, `failed` and `total`
    rows, `stuck` (in work for longer than `stuck_after`), `oldest_pending` in seconds or None, and
    `failed_share` of all rows, None where there are none.
    """

    name = "postgres.queue_health"
    manual = byhand.queue_health
    summary = "Look at a queue table: states, ages, stuck and failed rows"
    Params = QueueParams

    def targets(self, params: QueueParams) -> Sequence[Target]:
        return _QUERY.targets(_question(params))

    def grants(self, params: QueueParams) -> Sequence[Grant]:
        return _QUERY.grants(_question(params))

    def read(self, params: QueueParams, world: World) -> Json:
        answer: Any = _QUERY.read(_question(params), world)
        states = {str(row["state"]): row for row in answer["rows"]}
        total = sum(row["rows"] for row in states.values())

        def rows(names: Sequence[str], field: str = "rows") -> int:
            return sum(states[name][field] for name in names if name in states)

        ages = [states[name]["oldest"] for name in params.pending if name in states]
        return {
            "states": {
                name: {"rows": row["rows"], "oldest": row["oldest"]} for name, row in states.items()
            },
            "pending": rows(params.pending),
            "processing": rows(params.processing),
            "failed": rows(params.failed),
            "total": total,
            "stuck": rows(params.processing, "stuck"),
            "oldest_pending": max((age for age in ages if age is not None), default=None),
            "failed_share": rows(params.failed) / total if total else None,
        }


def _question(params: QueueParams) -> QueryParams:
    names, values = conditions(params.only)
    time = column(params.time_column)
    where = f"WHERE {' AND '.join(names)}" if names else ""
    return QueryParams(
        connection=params.connection,
        sql=(
            f"SELECT {column(params.state_column)}::text AS state, count(*) AS rows, "
            f"EXTRACT(EPOCH FROM now() - min({time}))::float8 AS oldest, "
            f"count(*) FILTER (WHERE {time} < {ago('stuck_after')}) AS stuck "
            f"FROM {table(params.table)} {where} GROUP BY 1 ORDER BY 1"
        ),
        params={**values, "stuck_after": float(params.stuck_after)},
    )


def _connections(work: Work) -> JsonObject:
    rows = work.run(
        """
        SELECT coalesce(state, 'hidden') AS state, count(*)::int AS used,
               count(*) FILTER (WHERE wait_event_type = 'Lock')::int AS waiting
          FROM pg_stat_activity WHERE backend_type = 'client backend' OR backend_type IS NULL
         GROUP BY 1 ORDER BY 1
        """
    )
    limit = int(work.run("SELECT current_setting('max_connections')::int AS n")[0]["n"])
    used = sum(row["used"] for row in rows)
    return {
        "used": used,
        "limit": limit,
        "share": round(used / limit, 4),
        "by_state": {row["state"]: row["used"] for row in rows},
        "waiting": sum(row["waiting"] for row in rows),
    }


def _blocked(work: Work, few: int) -> list[JsonObject]:
    return work.run(
        """
        SELECT pid, usename::text AS user, application_name AS application, state,
               EXTRACT(EPOCH FROM clock_timestamp() - state_change)::float8 AS seconds,
               pg_blocking_pids(pid) AS by
          FROM pg_stat_activity
         WHERE wait_event_type = 'Lock' AND cardinality(pg_blocking_pids(pid)) > 0
         ORDER BY state_change LIMIT $1::int
        """,
        [few],
    )


def _long(work: Work, age: float, few: int) -> list[JsonObject]:
    return work.run(
        """
        SELECT pid, usename::text AS user, application_name AS application, state,
               EXTRACT(EPOCH FROM clock_timestamp() - xact_start)::float8 AS seconds
          FROM pg_stat_activity
         WHERE xact_start < clock_timestamp() - $1::float8 * interval '1 second'
           AND pid <> pg_backend_pid()
         ORDER BY xact_start LIMIT $2::int
        """,
        [age, few],
    )
