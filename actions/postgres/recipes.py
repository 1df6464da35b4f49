"""Queue repairs as building blocks: names of tables and columns are quoted, values are bound."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from pydantic import Field

from actions.postgres import byhand
from actions.postgres.execute import ExecuteParams, PostgresExecute
from actions.postgres.parsing import Table, quoted
from engine.contract import (
    ActionParams,
    Change,
    Confirmation,
    Grant,
    Planned,
    Protection,
    Receipt,
    Target,
    World,
)
from engine.contract.fields import Seconds
from engine.domain.canonical import Json, JsonObject

EXECUTE = PostgresExecute()


class TableParams(ActionParams):
    """What every building block is told of the table."""

    connection: str = Field(description="A postgres connection", examples=["starforge"])
    table: str = Field(
        description="The table, with its schema; public where missing",
        examples=["public.queue_jobs"],
        pattern=r"^[^.]{1,63}(\.[^.]{1,63})?$",
    )
    only: dict[str, str | int | bool | None] = Field(
        default_factory=dict,
        description="Only rows whose columns have these values",
        examples=[{"kind": "backfill"}],
    )


class RowsParams(TableParams):
    """What every change of rows has besides."""

    key: list[str] = Field(
        description="Columns that name one row", examples=[["id"]], min_length=1, max_length=16
    )
    max_rows: int = Field(
        10_000,
        gt=0,
        le=1_000_000,
        description="Most rows it may touch; more is an error",
        examples=[500],
    )


class ReleaseParams(RowsParams):
    """Parameters of a release."""

    state_column: str = Field("status", description="The column of the state", examples=["status"])
    time_column: str = Field(
        description="When the row was last seen to move", examples=["updated_at"], min_length=1
    )
    processing: str | int = Field(
        "processing", description="The state of rows that are worked on", examples=["processing"]
    )
    pending: str | int = Field(
        "pending", description="The state that waits for a worker", examples=["pending"]
    )
    older_than: Seconds = Field(
        description="How long nothing moved, by the server's clock", gt=0, examples=["2h"]
    )
    clear: list[str] = Field(
        default_factory=list,
        description="Columns that are emptied, such as the worker that held the row",
        examples=[["worker_id", "claimed_at"]],
    )


class ResetParams(RowsParams):
    """Parameters of a reset."""

    state_column: str = Field("status", description="The column of the state", examples=["status"])
    failed: str | int = Field("failed", description="The state of failed rows", examples=["failed"])
    pending: str | int = Field(
        "pending", description="The state that waits for a worker", examples=["pending"]
    )
    attempts_column: str | None = Field(
        None,
        description="The count of attempts, set to 0 unless `keep_attempts`",
        examples=["retry_count"],
    )
    keep_attempts: bool = Field(
        False,
        description="Whether the count of attempts stays, so that rows that fail again and again stop",
        examples=[True],
    )
    below: int | None = Field(
        None, gt=0, description="Only rows with fewer attempts than this", examples=[3]
    )
    clear: list[str] = Field(
        default_factory=list, description="Columns that are emptied", examples=[["error_message"]]
    )
    limit: int = Field(
        1000,
        gt=0,
        le=100_000,
        description="How many rows are reset, lowest key first",
        examples=[100],
    )


R = TypeVar("R", bound=RowsParams)


class Recipe(Change[R]):
    """A change that is one statement of `postgres.execute`, with all that it promises."""

    protection = Protection.TOKEN
    risk = "medium"

    @abstractmethod
    def statement(self, params: R) -> ExecuteParams:
        """Return what `postgres.execute` is to do."""

    def targets(self, params: R) -> Sequence[Target]:
        return EXECUTE.targets(self.statement(params))

    def locks(self, params: R) -> Sequence[Target]:
        return EXECUTE.locks(self.statement(params))

    def grants(self, params: R) -> Sequence[Grant]:
        return EXECUTE.grants(self.statement(params))

    def plan(self, params: R, world: World) -> Planned:
        return replace(EXECUTE.plan(self.statement(params), world), action=self.name)

    def apply(self, planned: Planned, world: World, key: str) -> Receipt:
        return EXECUTE.apply(planned, world, key)

    def confirm(
        self, planned: Planned, receipt: Receipt | None, world: World, key: str
    ) -> Confirmation:
        return EXECUTE.confirm(planned, receipt, world, key)

    def undo(self, planned: Planned, receipt: Receipt, world: World, key: str) -> Receipt:
        return EXECUTE.undo(planned, receipt, world, key)

    def conflicts(self, planned: Planned, receipt: Receipt, world: World) -> Sequence[str]:
        return EXECUTE.conflicts(planned, receipt, world)


class ReleaseOrphans(Recipe[ReleaseParams]):
    """Gives rows that stay in processing back to the queue. Undo by key."""

    name = "postgres.release_orphans"
    manual = byhand.release_orphans
    summary = "Give rows stuck in processing back to the queue"
    Params = ReleaseParams

    def statement(self, params: ReleaseParams) -> ExecuteParams:
        names, values = conditions(params.only)
        names += [
            f"{column(params.state_column)} = %(processing)s",
            f"{column(params.time_column)} < {ago('older_than')}",
        ]
        sets = [f"{column(params.state_column)} = %(pending)s", *_emptied(params.clear)]
        values |= {
            "processing": params.processing,
            "pending": params.pending,
            "older_than": float(params.older_than),
        }
        sql = f"UPDATE {table(params.table)} SET {', '.join(sets)} WHERE {' AND '.join(names)}"
        return execution(params, sql, values)


class ResetFailed(Recipe[ResetParams]):
    """Lets failed rows be tried again, a limited number. Undo by key."""

    name = "postgres.reset_failed"
    manual = byhand.reset_failed
    summary = "Let failed rows be tried again"
    Params = ResetParams

    def statement(self, params: ResetParams) -> ExecuteParams:
        names, values = conditions(params.only)
        names.append(f"{column(params.state_column)} = %(failed)s")
        sets = [f"{column(params.state_column)} = %(pending)s", *_emptied(params.clear)]
        values |= {"failed": params.failed, "pending": params.pending, "limit": params.limit}
        if params.attempts_column:
            if not params.keep_attempts:
                sets.append(f"{column(params.attempts_column)} = 0")
            if params.below is not None:
                names.append(f"{column(params.attempts_column)} < %(below)s")
                values["below"] = params.below
        keys = ", ".join(map(column, params.key))
        sql = (
            f"UPDATE {table(params.table)} SET {', '.join(sets)} WHERE ({keys}) IN (SELECT {keys} "
            f"FROM {table(params.table)} WHERE {' AND '.join(names)} ORDER BY {keys} LIMIT %(limit)s)"
        )
        return execution(params, sql, values)


def column(name: str) -> str:
    """Return a column's quoted name for SQL that has parameters, where % is a sign."""
    return quoted(name).replace("%", "%%")


def table(name: str) -> str:
    """Return a table's quoted name for SQL that has parameters."""
    return Table.parse(name).quoted.replace("%", "%%")


def ago(name: str) -> str:
    """Return the moment that lies the parameter's seconds before the server's now."""
    return f"now() - %({name})s * interval '1 second'"


def conditions(only: Mapping[str, Json]) -> tuple[list[str], JsonObject]:
    """Return the conditions of `only` and the values bound in them."""
    names, values = [], {}
    for number, (name, value) in enumerate(only.items()):
        if value is None:
            names.append(f"{column(name)} IS NULL")
        else:
            names.append(f"{column(name)} = %(only{number})s")
            values[f"only{number}"] = value
    return names, values


def execution(params: RowsParams, sql: str, values: Mapping[str, Any]) -> ExecuteParams:
    """Return the statement as `postgres.execute` takes it."""
    return ExecuteParams(
        connection=params.connection,
        sql=sql,
        params=dict(values),
        table=str(Table.parse(params.table)),
        key=params.key,
        max_rows=params.max_rows,
    )


def _emptied(columns: Sequence[str]) -> list[str]:
    return [f"{column(name)} = NULL" for name in columns]
