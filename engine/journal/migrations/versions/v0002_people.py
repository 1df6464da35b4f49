"""Pages, delegations, and who closed a gate and why.

Revision ID: 0002
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

ID = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
SEQ = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def need(name: str, type_: Any) -> sa.Column[Any]:
    return sa.Column(name, type_, nullable=False)


def may(name: str, type_: Any) -> sa.Column[Any]:
    return sa.Column(name, type_, nullable=True)


def index(name: str, table: str, *columns: str, unique: bool = False, where: str = "") -> None:
    condition = sa.text(where) if where else None
    op.create_index(
        name, table, columns, unique=unique, sqlite_where=condition, postgresql_where=condition
    )


def upgrade() -> None:
    op.create_table(
        "pages",
        sa.Column("seq", SEQ, autoincrement=True, nullable=False),
        need("id", ID),
        need("subject", ID),
        need("level", ID),
        need("reason", sa.Text()),
        may("run_id", ID),
        may("incident_id", ID),
        need("raised_at", sa.BigInteger()),
        need("next_at", sa.BigInteger()),
        need("told", sa.Integer()),
        may("acked_at", sa.BigInteger()),
        need("acked_by", ID),
        need("note", sa.Text()),
        sa.PrimaryKeyConstraint("seq"),
        sa.UniqueConstraint("id"),
    )
    index("pages_open", "pages", "subject", unique=True, where="acked_at IS NULL")
    index("pages_due", "pages", "next_at", where="acked_at IS NULL")
    index("pages_run", "pages", "run_id", where="run_id IS NOT NULL")
    op.create_table(
        "delegations",
        sa.Column("seq", SEQ, autoincrement=True, nullable=False),
        need("id", ID),
        need("role", ID),
        need("giver", ID),
        need("taker", ID),
        need("reason", sa.Text()),
        need("at", sa.BigInteger()),
        need("until", sa.BigInteger()),
        may("revoked_at", sa.BigInteger()),
        need("revoked_by", ID),
        sa.PrimaryKeyConstraint("seq"),
        sa.UniqueConstraint("id"),
    )
    index("delegations_taker", "delegations", "taker", "until")
    op.create_table(
        "closings",
        need("gate_id", ID),
        need("by", sa.Text()),
        need("reason", sa.Text()),
        sa.ForeignKeyConstraint(["gate_id"], ["gates.id"]),
        sa.PrimaryKeyConstraint("gate_id"),
        sqlite_with_rowid=False,
    )
