"""postgres.clean_history: old rows deleted in batches, the oldest first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pydantic import Field

from actions.postgres import byhand
from actions.postgres.batched import Batch, Batched, of_plan, part_of, rows_of
from actions.postgres.client import PostgresClient
from actions.postgres.execute import ExecuteParams
from actions.postgres.parsing import Table, parse
from actions.postgres.recipes import (
    EXECUTE,
    RowsParams,
    ago,
    column,
    conditions,
    execution,
    table,
)
from actions.postgres.values import to_parameters
from engine.contract import (
    ActionFailed,
    Category,
    Grant,
    Planned,
    Receipt,
    World,
)
from engine.contract.fields import Seconds
from engine.domain.canonical import JsonObject


class CleanParams(RowsParams):
    """Parameters of a clean-up."""

    time_column: str = Field(
        description="When the row was finished", examples=["finished_at"], min_length=1
    )
    older_than: Seconds = Field(
        description="How old rows must be, by the server's clock", gt=0, examples=["30d"]
    )
    batch: int = Field(
        1000, gt=0, le=50_000, description="Rows of one transaction", examples=[1000]
    )
    keep: bool = Field(
        True,
        description="Whether the deleted rows are kept, sealed, so that they can be brought back",
        examples=[True],
    )


class CleanHistory(Batched[CleanParams]):
    """Deletes old rows, each batch in a transaction with a token of its own, as many as were planned.

    After a crash the batches that were made are known, and the rest follows. Undo brings all back.
    """

    name = "postgres.clean_history"
    manual = byhand.clean_history
    summary = "Delete old rows in batches"
    Params = CleanParams
    risk = "high"

    def statement(self, params: CleanParams) -> ExecuteParams:
        names, values = _old(params)
        keys = ", ".join(map(column, params.key))
        sql = (
            f"DELETE FROM {table(params.table)} WHERE ({keys}) IN (SELECT {keys} "
            f"FROM {table(params.table)} WHERE {names} "
            f"ORDER BY {column(params.time_column)}, {keys} LIMIT %(batch)s)"
        )
        return execution(params, sql, {**values, "batch": params.batch})

    def grants(self, params: CleanParams) -> Sequence[Grant]:
        rights = super().grants(params)
        if params.keep:
            return rights
        kept = ("INSERT", "UPDATE")  # no rows are locked and kept, none are put back
        on = str(Table.parse(params.table))
        return tuple(
            one for one in rights if one.detail["on"] != on or one.detail["privilege"] not in kept
        )

    def plan(self, params: CleanParams, world: World) -> Planned:
        first = EXECUTE.plan(self.statement(params), world)
        count = _count(params, world)
        if count > params.max_rows:
            what = f"{count} rows of {first.target.path} are that old, over max_rows "
            what += f"{params.max_rows}; nothing was changed"
            raise ActionFailed(Category.DATA, what, effect_possible=False)
        batches = -(-count // params.batch)
        why = first.why_irreversible
        if first.reversible and not params.keep:
            why = "keep is false, so the deleted rows are not kept"
        return replace(
            first,
            action=self.name,
            counts={"rows": count},
            request={
                **first.request,
                "key": first.request["key"] if params.keep else [],
                "batch": params.batch,
            },
            summary=f"DELETE {first.target.path}: {count} rows in {batches} batches",
            reversible=why is None,
            why_irreversible=why,
            notes=(*first.notes, "the first batch was rehearsed, the rest counted"),
        )

    def next_batch(self, planned: Planned, made: Sequence[Receipt]) -> Batch | None:
        here = of_plan(planned, made)
        left = int(planned.counts["rows"]) - rows_of(here)
        if left <= 0 or (here and here[-1].counts["rows"] < here[-1].output["size"]):
            return None
        size = min(left, int(planned.request["batch"]))
        return part_of(planned, batch=size), {"size": size}


def _old(params: CleanParams) -> tuple[str, JsonObject]:
    names, values = conditions(params.only)
    names.append(f"{column(params.time_column)} < {ago('older_than')}")
    return " AND ".join(names), {**values, "older_than": float(params.older_than)}


def _count(params: CleanParams, world: World) -> int:
    names, values = _old(params)
    asked = parse(f"SELECT count(*) AS n FROM {table(params.table)} WHERE {names}", values)
    with world.client(params.connection, PostgresClient).reading(role="write") as work:
        return int(work.run(asked.text, to_parameters(asked.values))[0]["n"])
