"""Statements written once in SQLAlchemy Core, compiled once a dialect, run on the driver's own cursor.

Core's own execution costs more than the statements do; compiled text and a list of parameter names is
all that a hot path needs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from operator import itemgetter
from typing import Any

from sqlalchemy import BindParameter, ColumnElement, Table, bindparam, literal_column
from sqlalchemy.engine import Dialect
from sqlalchemy.sql.expression import Executable

from engine.journal.columns import metadata

_WORD = re.compile(r"\w+")

# Literals, where a partial index must be recognised or a plan must not depend on a parameter.
ZERO: ColumnElement[int] = literal_column("0")
ONE: ColumnElement[int] = literal_column("1")


def p(name: str) -> BindParameter[Any]:
    """A parameter given as keyword `name`; its inner name never clashes with a column's."""
    return bindparam(f"p_{name}")


class Statement:
    """A Core statement, or a function that builds one from the dialect's name where dialects differ."""

    __slots__ = ("_build", "_compiled")

    def __init__(self, build: Executable | Callable[[str], Executable]) -> None:
        self._build = build
        self._compiled: dict[Dialect, Compiled] = {}

    def compiled(self, dialect: Dialect) -> Compiled:
        """Return the statement in a dialect; compiled when first asked for."""
        found = self._compiled.get(dialect)
        if found is None:
            found = self._compiled[dialect] = compile_statement(self._core(dialect), dialect)
        return found

    def _core(self, dialect: Dialect) -> Executable:
        if isinstance(self._build, Executable):
            return self._build
        return self._build(dialect.name)


def compile_statement(core: Executable, dialect: Dialect) -> Compiled:
    compiled: Any = core.compile(  # type: ignore[attr-defined]
        dialect=dialect, compile_kwargs={"render_postcompile": True}
    )
    names = tuple(name.removeprefix("p_") for name in compiled.positiontup or ())
    # A value fixed in the statement may be None; only the named parameters are given later.
    fixed = {name: value for name, value in compiled.params.items() if not name.startswith("p_")}
    return Compiled(str(compiled), names, fixed)


class Compiled:
    """A statement's text and how its parameters are put in the order that the text wants.

    Attributes:
        tables: every table that its text names.
    """

    __slots__ = ("_fixed", "_pick", "sql", "tables")

    def __init__(self, sql: str, names: tuple[str, ...], fixed: Mapping[str, Any]) -> None:
        self.sql = sql
        self.tables = frozenset(_WORD.findall(sql)) & metadata.tables.keys()
        self._fixed = fixed
        self._pick: Callable[[Mapping[str, Any]], tuple[Any, ...]]
        if len(names) > 1:
            self._pick = itemgetter(*names)
        else:  # itemgetter of one name returns no tuple
            self._pick = lambda values: tuple(values[name] for name in names)

    def arguments(self, values: Mapping[str, Any]) -> tuple[Any, ...]:
        return self._pick({**self._fixed, **values} if self._fixed else values)


def insert(table: Table, *, skip: Iterable[str] = ()) -> Any:
    """An insert of every column but `seq` and `skip`, each a parameter named as the column."""
    return lambda dialect: _insert(dialect, table, skip)


def insert_new(table: Table, *keys: str) -> Any:
    """As `insert`; does nothing where a row with these keys is there already (row count 0)."""
    return lambda dialect: _insert(dialect, table).on_conflict_do_nothing(index_elements=keys)


def upsert(table: Table, keys: Iterable[str], changed: Iterable[str]) -> Any:
    """As `insert`; where the keys are there already, the `changed` columns take the new values."""

    def build(dialect: str) -> Any:
        core = _insert(dialect, table)
        return core.on_conflict_do_update(
            index_elements=list(keys), set_={name: core.excluded[name] for name in changed}
        )

    return build


def dialect_insert(dialect: str, table: Table) -> Any:
    """Return an insert that knows ON CONFLICT. A dialect costs time to import: only the one in use is."""
    if dialect == "sqlite":
        from sqlalchemy.dialects import sqlite

        return sqlite.insert(table)
    from sqlalchemy.dialects import postgresql

    return postgresql.insert(table)


def _insert(dialect: str, table: Table, skip: Iterable[str] = ()) -> Any:
    left_out = {"seq", *skip}
    values = {c.name: p(c.name) for c in table.columns if c.name not in left_out}
    return dialect_insert(dialect, table).values(values)
