"""Web sessions.

Revision ID: 0005
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from engine.journal.migrations.versions.v0001_first_tables import ID, index, need

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "web_sessions",
        need("hashed", ID),
        need("token", ID),
        need("created_at", sa.BigInteger()),
        need("expires_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("hashed"),
    )
    index("web_sessions_expiry", "web_sessions", "expires_at")
