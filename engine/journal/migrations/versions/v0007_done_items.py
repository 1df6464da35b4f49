"""Items of batches that were done, by their content.

Revision ID: 0007
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from engine.journal.migrations.versions.v0001_first_tables import ID, index, need

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_table(
        "done_items",
        need("content", ID),
        need("run_id", ID),
        need("address", ID),
        need("at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("content"),
        sqlite_with_rowid=False,
    )
    index("done_items_run", "done_items", "run_id")
    index("done_items_at", "done_items", "at")
