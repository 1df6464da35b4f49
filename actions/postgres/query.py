"""postgres.query: one SELECT in a read-only transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import Field
from pydantic.config import JsonDict

from actions.postgres import byhand
from actions.postgres.catalogue import refuse_beyond_allowed, refuse_unknown_functions, touched
from actions.postgres.client import PostgresClient
from actions.postgres.parsing import Statement, parse
from actions.postgres.refusals import refuse_query
from actions.postgres.values import to_json, to_parameters
from engine.contract import (
    ActionFailed,
    ActionParams,
    Category,
    Grant,
    Read,
    Target,
    Unplannable,
    World,
)
from engine.contract.fields import Bytes, Seconds
from engine.domain.canonical import Json, canonical_json

SQL: JsonDict = {"x-language": "sql"}


class QueryParams(ActionParams):
    """Parameters of a query."""

    connection: str = Field(description="A postgres connection", examples=["starforge"])
    sql: str = Field(
        description="One SELECT; values stand in it as %(name)s and are bound from params. Tables "
        "without a schema are those of public",
        examples=["SELECT id, state FROM public.queue_jobs WHERE state = %(state)s ORDER BY id"],
        min_length=1,
        json_schema_extra=SQL,
    )
    params: dict[str, Any] = Field(
        default_factory=dict,
        description="Values of the %(name)s placeholders; objects are sent as jsonb",
        examples=[{"state": "paused"}],
    )
    max_rows: int = Field(
        1000, gt=0, le=100_000, description="Most rows taken; more is an error", examples=[1000]
    )
    max_bytes: Bytes = Field(
        2**20, gt=0, description="Largest output, as JSON; more is an error", examples=["1Mi"]
    )
    statement_timeout: Seconds | None = Field(
        None, description="Longest run; the connection's own where missing", examples=["10s"]
    )


class PostgresQuery(Read[QueryParams]):
    """One SELECT. Output: `rows` (objects by column), `row` (the first, or null), `count`."""

    name = "postgres.query"
    manual = byhand.query
    summary = "Read rows with one SELECT"
    Params = QueryParams

    def targets(self, params: QueryParams) -> Sequence[Target]:
        statement = _statement(params)
        return tuple(Target(params.connection, str(table)) for table in statement.tables)

    def grants(self, params: QueryParams) -> Sequence[Grant]:
        return tuple(
            Grant(params.connection, "sql", {"privilege": "SELECT", "on": str(table)})
            for table in _statement(params).tables
        )

    def read(self, params: QueryParams, world: World) -> Json:
        statement = _statement(params)
        client = world.client(params.connection, PostgresClient)
        with client.reading(params.statement_timeout) as work:
            try:
                refuse_unknown_functions(work, statement, client.settings)
            except Unplannable as error:
                raise _refused(error) from None
            values = to_parameters(statement.values)
            rows = work.fetch(statement.text, values, params.max_rows + 1)
            refuse_beyond_allowed(work, client.settings, touched(work), None)
        if len(rows) > params.max_rows:
            raise _too_much(f"more than max_rows {params.max_rows} rows")
        output = [{name: to_json(value) for name, value in row.items()} for row in rows]
        size = len(canonical_json(output).encode())
        if size > params.max_bytes:
            raise _too_much(f"{size} bytes of JSON, over max_bytes {params.max_bytes}")
        return {"rows": output, "row": output[0] if output else None, "count": len(output)}


def _statement(params: QueryParams) -> Statement:
    """Parse and judge the text.

    Raises:
        ActionFailed: (permanent) it is no plain SELECT.
    """
    try:
        statement = parse(params.sql, params.params)
        refuse_query(statement)
    except Unplannable as error:
        raise _refused(error) from None
    return statement


def _refused(error: Unplannable) -> ActionFailed:
    return ActionFailed(Category.PERMANENT, f"sql refused: {error}", effect_possible=False)


def _too_much(what: str) -> ActionFailed:
    message = f"the query gives {what}; narrow it or raise the limit"
    return ActionFailed(Category.DATA, message, effect_possible=False)
