"""What was measured of runs and steps.

Revision ID: 0006
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from engine.journal.migrations.versions.v0001_first_tables import ID, SEQ, index, may, need

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "measures",
        sa.Column("seq", SEQ, primary_key=True, autoincrement=True),
        need("at", sa.BigInteger()),
        need("event", ID),
        need("run_id", ID),
        need("address", ID),
        need("stage", ID),
        may("state", ID),
        may("category", ID),
        may("started_at", sa.BigInteger()),
        need("attempts", sa.Integer()),
        need("cpu", sa.BigInteger()),
        may("memory", sa.BigInteger()),
        need("message", sa.Text()),
    )
    index("measures_at", "measures", "at", "seq")
