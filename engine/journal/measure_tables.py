"""The tables of what was measured and what was done of runs and steps; part of `columns.metadata`."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Table

from engine.journal.columns import (
    clustered,
    key,
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

done_items = clustered(
    "done_items",
    key("content"),
    name("run_id"),
    name("address"),
    moment("at"),
    Index("done_items_run", "run_id"),
    Index("done_items_at", "at"),
)
