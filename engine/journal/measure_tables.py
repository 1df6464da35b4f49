"""The table of what was measured of runs and steps; part of `columns.metadata`."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Table

from engine.journal.columns import (
    maybe,
    maybe_moment,
    metadata,
    moment,
    name,
    number,
    sequence,
    words,
)

measures = Table(
    "measures",
    metadata,
    sequence(),
    moment("at"),
    name("event"),
    name("run_id"),
    name("address"),
    name("stage"),
    maybe("state"),
    maybe("category"),
    maybe_moment("started_at"),
    number("attempts"),
    moment("cpu"),
    Column("memory", BigInteger, nullable=True),
    words("message"),
    Index("measures_at", "at", "seq"),
)
