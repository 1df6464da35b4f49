"""The tables of what stands beside an incident; part of `tables.metadata`."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, LargeBinary, Table

from engine.journal.tables import (
    _clustered,
    _id,
    _key,
    _maybe,
    _maybe_time,
    _name,
    _number,
    _partial,
    _seq,
    _text,
    _time,
    metadata,
)

calls = _clustered(
    "calls",
    _key("id"),
    _name("subject"),
    _maybe("run_id"),
    _maybe("incident_id"),
    _name("level"),
    _name("chain"),
    _text("reason"),
    _name("state"),
    _number("rung"),
    _number("round"),
    _maybe_time("next_at"),
    _time("opened_at"),
    _maybe_time("closed_at"),
    _text("body"),
    _partial("calls_open", "opened_at", where="closed_at IS NULL"),
    _partial("calls_due", "next_at", where="next_at IS NOT NULL"),
)

call_sends = _clustered(
    "call_sends",
    _key("call_id"),
    Column("n", BigInteger, primary_key=True, autoincrement=False),
    _name("event"),
    _text("contact"),
    _text("way"),
    _name("state"),
    _time("at"),
    _number("tries"),
    _maybe_time("next_at"),
    _text("error"),
    _partial("call_sends_due", "next_at", where="next_at IS NOT NULL"),
)

artifacts = Table(
    "artifacts",
    metadata,
    _seq(),
    _id(),
    _name("subject"),
    _text("name"),
    _text("content_type"),
    Column("bytes", BigInteger, nullable=False),
    _name("sha256"),
    _text("reference"),
    _text("by"),
    _time("at"),
    Column("content", LargeBinary, nullable=True),
    Index("artifacts_subject", "subject", "name", "sha256", unique=True),
)

step_acts = _clustered("step_acts", _key("key"), _name("subject"), _text("result"))

postmortems = _clustered(
    "postmortems",
    _key("incident_id"),
    _name("state"),
    _maybe_time("due_at"),
    _maybe_time("next_at"),
    _number("reminded"),
    _number("version"),
    _text("sections"),
    _text("by"),
    _time("at"),
    _partial("postmortems_due", "next_at", where="next_at IS NOT NULL"),
)

web_sessions = Table(
    "web_sessions",
    metadata,
    _key("hashed"),
    _name("token"),
    _time("created_at"),
    _time("expires_at"),
    Index("web_sessions_expiry", "expires_at"),
)
