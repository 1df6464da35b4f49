"""Calls, artifacts, postmortems, and what steps did to Stanch itself.

Revision ID: 0004
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from engine.journal.migrations.versions.v0001_first_tables import ID, SEQ, index, may, need

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    _calls()
    _artifacts()
    op.create_table(
        "step_acts",
        need("key", ID),
        need("subject", ID),
        need("result", sa.Text()),
        sa.PrimaryKeyConstraint("key"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "postmortems",
        need("incident_id", ID),
        need("state", ID),
        may("due_at", sa.BigInteger()),
        may("next_at", sa.BigInteger()),
        need("reminded", sa.Integer()),
        need("version", sa.Integer()),
        need("sections", sa.Text()),
        need("by", sa.Text()),
        need("at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("incident_id"),
        sqlite_with_rowid=False,
    )
    index("postmortems_due", "postmortems", "next_at", where="next_at IS NOT NULL")


def _calls() -> None:
    index("pages_incident", "pages", "incident_id", where="incident_id IS NOT NULL")
    op.create_table(
        "calls",
        need("id", ID),
        need("subject", ID),
        may("run_id", ID),
        may("incident_id", ID),
        need("level", ID),
        need("chain", ID),
        need("reason", sa.Text()),
        need("state", ID),
        need("rung", sa.Integer()),
        need("round", sa.Integer()),
        may("next_at", sa.BigInteger()),
        need("opened_at", sa.BigInteger()),
        may("closed_at", sa.BigInteger()),
        need("body", sa.Text()),
        sa.PrimaryKeyConstraint("id"),
        sqlite_with_rowid=False,
    )
    index("calls_open", "calls", "opened_at", where="closed_at IS NULL")
    index("calls_due", "calls", "next_at", where="next_at IS NOT NULL")
    op.create_table(
        "call_sends",
        need("call_id", ID),
        need("n", sa.BigInteger()),
        need("event", ID),
        need("contact", sa.Text()),
        need("way", sa.Text()),
        need("state", ID),
        need("at", sa.BigInteger()),
        need("tries", sa.Integer()),
        may("next_at", sa.BigInteger()),
        need("error", sa.Text()),
        sa.PrimaryKeyConstraint("call_id", "n"),
        sqlite_with_rowid=False,
    )
    index("call_sends_due", "call_sends", "next_at", where="next_at IS NOT NULL")


def _artifacts() -> None:
    op.create_table(
        "artifacts",
        sa.Column("seq", SEQ, primary_key=True, autoincrement=True),
        need("id", ID),
        need("subject", ID),
        need("name", sa.Text()),
        need("content_type", sa.Text()),
        need("bytes", sa.BigInteger()),
        need("sha256", ID),
        need("reference", sa.Text()),
        need("by", sa.Text()),
        need("at", sa.BigInteger()),
        may("content", sa.LargeBinary()),
        sa.UniqueConstraint("id"),
    )
    index("artifacts_subject", "artifacts", "subject", "name", "sha256", unique=True)
