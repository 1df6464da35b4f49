"""postgres.execute_batches: a large UPDATE or DELETE, by ranges of its key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pydantic import Field

from actions.postgres import byhand, catalogue
from actions.postgres.batched import Batch, Batched, of_plan, part_of, rows_of
from actions.postgres.client import PostgresClient
from actions.postgres.execute import ExecuteParams, replay
from actions.postgres.parsing import parse
from actions.postgres.recipes import EXECUTE, RowsParams, column, conditions, table
from actions.postgres.refusals import refuse_query
from actions.postgres.values import to_parameters
from engine.contract import ActionFailed, Category, Planned, Receipt, World
from engine.contract.fields import Seconds
from engine.domain.canonical import JsonObject

_MOST = 10_000  # batches of one step


class BatchesParams(RowsParams):
    """Parameters of a change in batches."""

    set: str | None = Field(
        None,
        description="The assignments of an UPDATE; rows are deleted where missing. Values stand in it as "
        "%(name)s and are bound from params",
        examples=["state = 'pending', attempts = attempts + 1"],
        min_length=1,
    )
    where: str = Field(
        description="Which rows: an SQL condition; values stand in it as %(name)s",
        examples=["state = 'failed' AND updated_at < %(before)s"],
        min_length=1,
    )
    params: dict[str, Any] = Field(
        default_factory=dict,
        description="Values of the %(name)s placeholders",
        examples=[{"before": "2026-11-23T00:00:00Z"}],
    )
    batch: int = Field(
        1000, gt=0, le=50_000, description="Rows of one transaction", examples=[1000]
    )
    keep: bool = Field(
        True,
        description="Whether the rows before are kept, sealed, so that they can be brought back",
        examples=[True],
    )
    statement_timeout: Seconds | None = Field(
        None,
        description="Longest run of one batch; the connection's own where missing",
        examples=["30s"],
    )


class ExecuteBatches(Batched[BatchesParams]):
    """One UPDATE or DELETE over many rows, in the order of their key, each batch a transaction of its own.

    The plan cuts the rows that fit into ranges of the key. A row that was changed is never visited again,
    whether it still fits or not. Undo brings all back.
    """

    name = "postgres.execute_batches"
    manual = byhand.execute_batches
    summary = "Change many rows in batches, with progress"
    Params = BatchesParams
    risk = "high"

    def statement(self, params: BatchesParams) -> ExecuteParams:
        return _statement(params, [""] * len(params.key), 1, after=None)

    def plan(self, params: BatchesParams, world: World) -> Planned:
        count, ends = _ranges(params, world)
        if count > params.max_rows:
            what = f"{count} rows of {params.table} fit, over max_rows {params.max_rows}; "
            raise ActionFailed(Category.DATA, f"{what}nothing was changed", effect_possible=False)
        first = ends[0] if ends else [None] * len(params.key)
        planned = EXECUTE.plan(_statement(params, first, min(count, params.batch), None), world)
        later = _statement(params, first, 1, after=first)
        why = planned.why_irreversible
        if planned.reversible and not params.keep:
            why = "keep is false, so the rows before are not kept"
        notes = ["the first batch was rehearsed, the rest counted"] if len(ends) > 1 else []
        return replace(
            planned,
            action=self.name,
            counts={"rows": count},
            request={
                **planned.request,
                "key": planned.request["key"] if params.keep else [],
                "later": later.sql,
                "ends": ends,
                "batch": params.batch,
            },
            summary=f"{'UPDATE' if params.set else 'DELETE'} {planned.target.path}: {count} rows in "
            f"{len(ends)} batches",
            reversible=why is None,
            why_irreversible=why,
            notes=(*planned.notes, *notes),
        )

    def next_batch(self, planned: Planned, made: Sequence[Receipt]) -> Batch | None:
        here, request = of_plan(planned, made), planned.request
        left = int(planned.counts["rows"]) - rows_of(here)
        place = len(here)
        if left <= 0 or place == len(request["ends"]):
            return None
        end = request["ends"][place]
        values = {**_bound("upto", end), "left": min(left, request["batch"])}
        notes = {"upto": end}
        if not made:
            return part_of(planned, **values), notes
        # Whatever plan it was of: the rows up to the last batch's end have had their turn.
        part = part_of(planned, **values, **_bound("after", made[-1].output["upto"]))
        return replace(part, request={**part.request, "sql": request["later"]}), notes


def _statement(
    params: BatchesParams, upto: Sequence[str | None], left: int, after: Sequence[Any] | None
) -> ExecuteParams:
    name, keys = table(params.table), ", ".join(map(column, params.key))
    where, values = _where(params)
    where.append(f"ROW({keys}) <= ROW({_named('upto', params)})")
    if after is not None:
        where.append(f"ROW({keys}) > ROW({_named('after', params)})")
        values |= _bound("after", after)
    picked = f"SELECT {keys} FROM {name} WHERE {' AND '.join(where)} ORDER BY {keys} LIMIT %(left)s"
    verb = f"UPDATE {name} SET {params.set}\n" if params.set else f"DELETE FROM {name}"
    return ExecuteParams(
        connection=params.connection,
        sql=f"{verb} WHERE ({keys}) IN ({picked})",
        params={**values, **_bound("upto", upto), "left": left},
        key=params.key,
        max_rows=params.max_rows,
        statement_timeout=params.statement_timeout,
    )


def _where(params: BatchesParams) -> tuple[list[str], JsonObject]:
    # On a line of its own: the author's text may end in a comment.
    names, values = conditions(params.only)
    return [*names, f"(\n{params.where}\n)"], {**values, **params.params}


def _named(name: str, params: BatchesParams) -> str:
    return ", ".join(f"%({name}_{place})s" for place in range(len(params.key)))


def _bound(name: str, values: Sequence[Any]) -> JsonObject:
    return {f"{name}_{place}": value for place, value in enumerate(values)}


def _ranges(params: BatchesParams, world: World) -> tuple[int, list[list[str | None]]]:
    """Count the rows that fit and return the last key of each batch, as PostgreSQL writes it."""
    keys = ", ".join(map(column, params.key))
    names = [f"stanch_key_{place}" for place in range(len(params.key))]
    texts = ", ".join(
        f"{column(key)}::text AS {name}" for key, name in zip(params.key, names, strict=True)
    )
    where, values = _where(params)
    used = {name: value for name, value in values.items() if _in_where(name, params)}
    sql = (
        f"SELECT * FROM (SELECT {texts}, row_number() OVER (ORDER BY {keys}) AS stanch_place, "
        f"count(*) OVER () AS stanch_rows FROM {table(params.table)} WHERE {' AND '.join(where)}) AS f "
        "WHERE stanch_place = stanch_rows OR stanch_place %% %(stanch_batch)s = 0 "
        "ORDER BY stanch_place LIMIT %(stanch_most)s"
    )
    asked = parse(sql, {**used, "stanch_batch": params.batch, "stanch_most": _MOST + 1})
    refuse_query(asked)
    client = world.client(params.connection, PostgresClient)
    with client.rehearsing(params.statement_timeout) as work:
        catalogue.refuse_unknown_functions(work, asked, client.settings)
        replay(work, world, params.connection)
        rows = work.run(asked.text, to_parameters(asked.values))
    if len(rows) > _MOST:
        what = f"over {_MOST} batches of {params.batch} rows; raise `batch`"
        raise ActionFailed(Category.DATA, what, effect_possible=False)
    count = int(rows[0]["stanch_rows"]) if rows else 0
    return count, [[row[name] for name in names] for row in rows]


def _in_where(name: str, params: BatchesParams) -> bool:
    return name.startswith("only") or f"%({name})s" in params.where
