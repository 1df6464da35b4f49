"""What the tables are made of: columns and indexes that mean the same on SQLite and PostgreSQL."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    Table,
    Text,
    text,
)

metadata = MetaData()

# Identifiers compare byte by byte on both databases, so that ranges and orders agree.
Id = Text().with_variant(Text(collation="C"), "postgresql")
Seq = BigInteger().with_variant(Integer, "sqlite")


def sequence() -> Column[int]:
    return Column("seq", Seq, primary_key=True, autoincrement=True)


def identity() -> Column[str]:
    return Column("id", Id, nullable=False, unique=True)


def key(name: str) -> Column[str]:
    return Column(name, Id, primary_key=True)


def words(name: str) -> Column[str]:
    return Column(name, Text, nullable=False)


def name(name: str) -> Column[str]:
    return Column(name, Id, nullable=False)


def maybe(name: str) -> Column[str | None]:
    return Column(name, Id, nullable=True)


def moment(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False)


def maybe_moment(name: str) -> Column[int | None]:
    return Column(name, BigInteger, nullable=True)


def flag(name: str) -> Column[int]:
    return Column(name, SmallInteger, nullable=False)


def number(name: str) -> Column[int]:
    return Column(name, Integer, nullable=False)


def partial(name: str, *columns: object, where: str, unique: bool = False) -> Index:
    """An index of some rows. Its condition for PostgreSQL stands in the migration only: naming it here
    would import that dialect into every process."""
    items: Any = columns
    return Index(name, *items, unique=unique, sqlite_where=text(where), info={"where": where})


def clustered(name: str, *columns: object) -> Table:
    """A table kept in the order of its key (SQLite: without row numbers), one page touched a write."""
    items: Any = columns
    return Table(name, metadata, *items, sqlite_with_rowid=False)
