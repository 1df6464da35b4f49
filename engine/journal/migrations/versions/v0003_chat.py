"""What is said to people and heard from them.

Revision ID: 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from engine.journal.migrations.versions.v0001_first_tables import ID, SEQ, index, may, need

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    _outbox()
    _lanes()
    op.create_table(
        "rooms",
        need("incident_id", ID),
        need("state", ID),
        need("version", sa.Integer()),
        need("body", sa.Text()),
        may("due", sa.BigInteger()),
        sa.PrimaryKeyConstraint("incident_id"),
    )
    index("rooms_live", "rooms", "incident_id", where="state <> 'closed'")
    op.create_table(
        "inbox",
        sa.Column("seq", SEQ, autoincrement=True, nullable=False),
        need("id", ID),
        need("kind", ID),
        need("body", sa.Text()),
        need("state", ID),
        may("owner", ID),
        may("owned_until", sa.BigInteger()),
        need("at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("seq"),
        sa.UniqueConstraint("id"),
    )
    index("inbox_open", "inbox", "seq", where="state <> 'done'")
    index("inbox_at", "inbox", "at")


def _outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("seq", SEQ, autoincrement=True, nullable=False),
        need("id", ID),
        need("lane", ID),
        need("kind", ID),
        may("name", ID),
        need("body", sa.Text()),
        need("state", ID),
        need("attempts", sa.Integer()),
        need("error", sa.Text()),
        need("at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("seq"),
        sa.UniqueConstraint("id"),
    )
    index("outbox_open", "outbox", "lane", "seq", where="state IN ('queued', 'sending')")
    index("outbox_closed", "outbox", "at", where="state NOT IN ('queued', 'sending')")


def _lanes() -> None:
    op.create_table(
        "lanes",
        need("lane", ID),
        may("channel", ID),
        may("next_at", sa.BigInteger()),
        may("owner", ID),
        may("owned_until", sa.BigInteger()),
        need("epoch", sa.Integer()),
        need("error", sa.Text()),
        sa.PrimaryKeyConstraint("lane"),
        sqlite_with_rowid=False,
    )
    index("lanes_due", "lanes", "next_at", where="next_at IS NOT NULL")
    op.create_table(
        "posts",
        need("lane", ID),
        need("name", ID),
        need("ref", ID),
        need("at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("lane", "name"),
        sqlite_with_rowid=False,
    )
