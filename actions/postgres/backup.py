"""postgres.backup: the rows of a table or a query, streamed into an artifact."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Self

from pydantic import Field, model_validator

from actions.artifacts.leaving import Leaving, LeavingParams, leaving, named, place, receipt_of
from actions.artifacts.reference import right
from actions.artifacts.store import ArtifactStore
from actions.postgres import byhand, catalogue
from actions.postgres.client import PostgresClient, Work
from actions.postgres.parsing import Statement, Table, parse, quoted
from actions.postgres.query import SQL
from actions.postgres.refusals import refuse_query
from actions.postgres.values import to_parameters
from engine.contract import (
    ActionFailed,
    Category,
    Grant,
    Planned,
    Receipt,
    Target,
    Unknown,
    Unplannable,
    World,
)
from engine.contract.fields import Seconds
from engine.domain.canonical import JsonObject

FORMAT = "stanch_backup"  # the field of the first line that says what the rest is
_AT_ONCE = 500  # rows that travel together


class BackupParams(LeavingParams):
    """Parameters of a backup. Give `table` or `sql`."""

    connection: str = Field(description="A postgres connection", examples=["starforge"])
    table: str | None = Field(
        None, description="The table, whole", examples=["public.queue_jobs"], min_length=1
    )
    sql: str | None = Field(
        None,
        description="One SELECT, whose rows are kept; values stand in it as %(name)s",
        examples=["SELECT * FROM public.queue_jobs WHERE state = %(state)s"],
        min_length=1,
        json_schema_extra=SQL,
    )
    params: dict[str, Any] = Field(
        default_factory=dict,
        description="Values of the %(name)s placeholders",
        examples=[{"state": "failed"}],
    )
    max_rows: int = Field(
        10_000_000, gt=0, description="Most rows kept; more is an error", examples=[100_000]
    )
    statement_timeout: Seconds | None = Field(
        None,
        description="Longest wait for the next rows; the connection's own where missing",
        examples=["60s"],
    )

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.table is None) == (self.sql is None):
            raise ValueError("give table or sql, one of them")
        return self


class PostgresBackup(Leaving[BackupParams]):
    """Streams rows into an artifact of JSON Lines, in one read-only transaction, of one moment.

    The first line names the columns; in the others each value is the text that PostgreSQL reads back.
    Output: `artifact` (its reference), `rows`, `columns`. Undo removes the artifact.
    """

    name = "postgres.backup"
    manual = byhand.backup
    summary = "Back up a table or a query into an artifact"
    Params = BackupParams

    def targets(self, params: BackupParams) -> Sequence[Target]:
        tables = [Target(params.connection, str(table)) for table in _statement(params).tables]
        return (*tables, place(params, "backup.jsonl"))

    def locks(self, params: BackupParams) -> Sequence[Target]:
        return (place(params, "backup.jsonl"),) if params.name else ()

    def grants(self, params: BackupParams) -> Sequence[Grant]:
        reads = (
            Grant(params.connection, "sql", {"privilege": "SELECT", "on": str(table)})
            for table in _statement(params).tables
        )
        return (*reads, right(place(params, "backup.jsonl")))

    def plan(self, params: BackupParams, world: World) -> Planned:
        statement = _statement(params)
        after, request = leaving(params, "backup.jsonl", world)
        client = world.client(params.connection, PostgresClient)
        counting = f"SELECT count(*) AS n FROM (SELECT 1 FROM ({statement.text}\n) AS q LIMIT $"
        values = [*to_parameters(statement.values), params.max_rows + 1]
        with client.reading(params.statement_timeout) as work:
            catalogue.refuse_unknown_functions(work, statement, client.settings)
            _columns(work, statement)
            counting += f"{len(values)}) AS c"
            rows = int(work.run(counting, values)[0]["n"])
            catalogue.refuse_beyond_allowed(work, client.settings, catalogue.touched(work), None)
        _hold_to(params.max_rows, rows)
        source = str(Table.parse(params.table)) if params.table else "a query"
        return Planned(
            action=self.name,
            target=place(params, "backup.jsonl"),
            before={},
            after={"source": source, "rows": Unknown("counted as they are read"), **after},
            counts={"artifacts": 1},
            request={
                **request,
                "connection": params.connection,
                "sql": _sql(params),
                "params": params.params,
                "source": source,
                "max_rows": params.max_rows,
                "statement_timeout": params.statement_timeout,
            },
            summary=f"back up {source}: {rows} rows now",
            notes=("the rows are read once and counted before, under statement_timeout",),
        )

    def apply(self, planned: Planned, world: World, key: str) -> Receipt:
        request = planned.request
        store = world.client(request["artifacts"], ArtifactStore)
        name = named(planned, key)
        done = store.of_key(name, key)
        if done is not None:
            return receipt_of(planned, done)
        statement = _parsed(request["sql"], request["params"])
        client = world.client(request["connection"], PostgresClient)
        with (
            store.drafting(name, key) as draft,
            client.reading(request["statement_timeout"]) as work,
        ):
            catalogue.refuse_unknown_functions(work, statement, client.settings)
            columns = _columns(work, statement)
            head = {FORMAT: 1, "source": request["source"], "columns": columns}
            draft.write(json.dumps(head, ensure_ascii=False).encode() + b"\n")
            picked = ", ".join(f"q.{quoted(one)}::text AS {quoted(one)}" for one in columns)
            lines = f"SELECT row_to_json(r)::text FROM (SELECT {picked} FROM ({statement.text}\n) AS q) AS r"
            rows = 0
            for page in work.stream(lines, to_parameters(statement.values), _AT_ONCE):
                if world.cancelled():
                    what = f"given up after {rows} rows; nothing was kept"
                    raise ActionFailed(Category.TRANSIENT, what, effect_possible=False)
                rows += len(page)
                _hold_to(request["max_rows"], rows)
                draft.write("".join(f"{line}\n" for (line,) in page).encode())
                world.progress(rows, None, "rows")
            catalogue.refuse_beyond_allowed(work, client.settings, catalogue.touched(work), None)
            kept = draft.keep({"rows": rows, "columns": columns})
        return receipt_of(planned, kept)


def _sql(params: BackupParams) -> str:
    if params.table is None:
        return str(params.sql)
    return f"SELECT * FROM {Table.parse(params.table).quoted}"


def _statement(params: BackupParams) -> Statement:
    return _parsed(_sql(params), params.params)


def _parsed(sql: str, params: JsonObject) -> Statement:
    try:
        statement = parse(sql, params)
        refuse_query(statement)
    except Unplannable as error:
        what = f"sql refused: {error}"
        raise ActionFailed(Category.PERMANENT, what, effect_possible=False) from None
    return statement


def _columns(work: Work, statement: Statement) -> list[str]:
    """Return the names of the query's columns.

    Raises:
        ActionFailed: (permanent) two have one name, so that a backup could not tell them apart.
    """
    names = work.names(
        f"SELECT * FROM ({statement.text}\n) AS q LIMIT 0", to_parameters(statement.values)
    )
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        what = f"sql gives two columns the name {twice[0]!r}; name them apart with AS"
        raise ActionFailed(Category.PERMANENT, what, effect_possible=False)
    return names


def _hold_to(limit: int, rows: int) -> None:
    if rows > limit:
        what = f"there are more than max_rows {limit} rows; nothing was kept"
        raise ActionFailed(Category.DATA, what, effect_possible=False)
