"""What a rehearsal writes of a database: its tables, statements before, and what happens in it later."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from worlds.rehearsal.specs import After, Spec


class TableSpec(Spec):
    """A table: rows of its own or of a file, and types where the values do not tell them."""

    rows: list[dict[str, Any]] = Field(
        [], description="Rows; {ago: 5m} and {in: 5m} are times by the rehearsal's clock"
    )
    file: str | None = Field(None, description="A CSV file beside the rehearsal, instead of rows")
    columns: dict[str, str] = Field({}, description="Types of columns, as SQL writes them")
    key: list[str] | None = Field(
        None, description="Its primary key; id where there is such a column"
    )


class LaterSpec(Spec):
    """What others do in the database while the run is under way."""

    after: After = Field(description="When: so long after a step was done")
    sql: str = Field(description="One statement, or the name of a .sql file beside the rehearsal")


class DatabaseSpec(Spec):
    """A database."""

    tables: dict[str, list[dict[str, Any]] | str | TableSpec] = Field(
        {}, description="Tables by name: rows, a CSV file, or a mapping with columns and key"
    )
    sql: list[str] = Field(
        [],
        description="Statements that are run before, or names of .sql files beside the rehearsal",
    )

    later: list[LaterSpec] = Field(
        [], description="What workers and others do while the run is under way, each once"
    )

    def holds(self, target: str) -> bool | None:
        if self.sql:
            return None
        return target in {name if "." in name else f"public.{name}" for name in self.tables}
