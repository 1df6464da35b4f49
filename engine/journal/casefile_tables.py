"""The tables of what stands beside an incident; part of `columns.metadata`."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, LargeBinary, Table

from engine.journal.columns import (
    clustered,
    identity,
    key,
    maybe,
    maybe_moment,
    metadata,
    moment,
    name,
    number,
    partial,
    sequence,
    words,
)

calls = clustered(
    "calls",
    key("id"),
    name("subject"),
    maybe("run_id"),
    maybe("incident_id"),
    name("level"),
    name("chain"),
    words("reason"),
    name("state"),
    number("rung"),
    number("round"),
    maybe_moment("next_at"),
    moment("opened_at"),
    maybe_moment("closed_at"),
    words("body"),
    partial("calls_open", "opened_at", where="closed_at IS NULL"),
    partial("calls_due", "next_at", where="next_at IS NOT NULL"),
)

call_sends = clustered(
    "call_sends",
    key("call_id"),
    Column("n", BigInteger, primary_key=True, autoincrement=False),
    name("event"),
    words("contact"),
    words("way"),
    name("state"),
    moment("at"),
    number("tries"),
    maybe_moment("next_at"),
    words("error"),
    partial("call_sends_due", "next_at", where="next_at IS NOT NULL"),
)

artifacts = Table(
    "artifacts",
    metadata,
    sequence(),
    identity(),
    name("subject"),
    words("name"),
    words("content_type"),
    Column("bytes", BigInteger, nullable=False),
    name("sha256"),
    words("reference"),
    words("by"),
    moment("at"),
    Column(
        "content", LargeBinary, nullable=True
    ),  # null where it lies elsewhere, or once forgotten
    partial("artifacts_at", "at", where="content IS NOT NULL"),
    Index("artifacts_subject", "subject", "name", "sha256", unique=True),
)

step_acts = clustered("step_acts", key("key"), name("subject"), words("result"))

postmortems = clustered(
    "postmortems",
    key("incident_id"),
    name("state"),
    maybe_moment("due_at"),
    maybe_moment("next_at"),
    number("reminded"),
    number("version"),
    words("sections"),
    words("by"),
    moment("at"),
    partial("postmortems_due", "next_at", where="next_at IS NOT NULL"),
)

web_sessions = Table(
    "web_sessions",
    metadata,
    key("hashed"),
    name("token"),
    moment("created_at"),
    moment("expires_at"),
    Index("web_sessions_expiry", "expires_at"),
)
