"""Artifacts by their age, so that old contents are found.

Revision ID: 0008
"""

from __future__ import annotations

from engine.journal.migrations.versions.v0001_first_tables import index

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    index("artifacts_at", "artifacts", "at", where="content IS NOT NULL")
