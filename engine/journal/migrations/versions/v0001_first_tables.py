"""The first tables of the journal.

Revision ID: 0001
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from engine.journal.migrations.append_only import refuse_changes

revision = "0001"
down_revision = None

ID = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
SEQ = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def need(name: str, type_: Any) -> sa.Column[Any]:
    return sa.Column(name, type_, nullable=False)


def may(name: str, type_: Any) -> sa.Column[Any]:
    return sa.Column(name, type_, nullable=True)


def index(name: str, table: str, *columns: str, unique: bool = False, where: str = "") -> None:
    parts = [sa.text(column) if " " in column else column for column in columns]
    condition = sa.text(where) if where else None
    op.create_index(
        name,
        table,
        parts,
        unique=unique,
        sqlite_where=condition,
        postgresql_where=condition,
    )


def upgrade() -> None:
    make_alerts_to_entries()
    make_episodes_to_programs()
    make_reservations_to_workers()
    refuse_changes()


def make_alerts_to_entries() -> None:
    op.create_table(
        "alerts",
        sa.Column("seq", SEQ, autoincrement=True, nullable=False),
        need("id", ID),
        need("fingerprint", ID),
        need("status", ID),
        need("starts_at", sa.BigInteger()),
        may("ends_at", sa.BigInteger()),
        need("name", ID),
        need("labels", sa.Text()),
        need("annotations", sa.Text()),
        need("generator_url", sa.Text()),
        need("receiver", ID),
        need("group_key", sa.Text()),
        need("group_labels", sa.Text()),
        need("received_at", sa.BigInteger()),
        need("last_at", sa.BigInteger()),
        need("decided", sa.SmallInteger()),
        need("deliveries", sa.Integer()),
        sa.PrimaryKeyConstraint("seq"),
        sa.UniqueConstraint("id"),
    )
    index("alerts_identity", "alerts", "fingerprint", "starts_at", "status", unique=True)
    index("alerts_name", "alerts", "name", "last_at")
    index("alerts_undecided", "alerts", "seq", where="decided = 0")
    op.create_table(
        "brakes",
        need("name", ID),
        need("engaged", sa.SmallInteger()),
        need("by", sa.Text()),
        need("reason", sa.Text()),
        need("at", sa.BigInteger()),
        need("body", sa.Text()),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "chains",
        need("chain", ID),
        need("n", sa.Integer()),
        need("hash", sa.LargeBinary()),
        need("sealed", sa.Integer()),
        sa.PrimaryKeyConstraint("chain"),
        sqlite_with_rowid=False,
    )
    index("chains_unsealed", "chains", "chain", where="n > sealed")
    op.create_table(
        "decisions",
        sa.Column("seq", SEQ, autoincrement=True, nullable=False),
        need("id", ID),
        may("alert_id", ID),
        need("rule", ID),
        need("verdict", ID),
        need("reason", sa.Text()),
        need("at", sa.BigInteger()),
        may("run_id", ID),
        may("incident_id", ID),
        sa.PrimaryKeyConstraint("seq"),
        sa.UniqueConstraint("id"),
    )
    index("decisions_alert", "decisions", "alert_id")
    index("decisions_incident", "decisions", "incident_id", where="incident_id IS NOT NULL")
    index("decisions_rule", "decisions", "rule", "seq")
    index("decisions_run", "decisions", "run_id", where="run_id IS NOT NULL")
    op.create_table(
        "deliveries",
        sa.Column("seq", SEQ, autoincrement=True, nullable=False),
        need("id", ID),
        need("received_at", sa.BigInteger()),
        need("receiver", ID),
        need("group_key", sa.Text()),
        need("truncated", sa.Integer()),
        need("over_limit", sa.Integer()),
        need("unreadable", sa.Text()),
        sa.PrimaryKeyConstraint("seq"),
        sa.UniqueConstraint("id"),
    )
    op.create_table(
        "entries",
        need("chain", ID),
        need("n", sa.Integer()),
        need("at", sa.BigInteger()),
        need("kind", ID),
        need("body", sa.Text()),
        need("hash", sa.LargeBinary()),
        sa.PrimaryKeyConstraint("chain", "n"),
        sqlite_with_rowid=False,
    )


def make_episodes_to_programs() -> None:
    op.create_table(
        "episode_alerts",
        need("episode_id", ID),
        need("fingerprint", ID),
        need("starts_at", sa.BigInteger()),
        need("resolved", sa.SmallInteger()),
        sa.PrimaryKeyConstraint("episode_id", "fingerprint", "starts_at"),
        sqlite_with_rowid=False,
    )
    index("episode_alerts_alert", "episode_alerts", "fingerprint", "starts_at")
    op.create_table(
        "episodes",
        sa.Column("seq", SEQ, autoincrement=True, nullable=False),
        need("id", ID),
        need("rule", ID),
        need("key", ID),
        need("opened_at", sa.BigInteger()),
        may("closed_at", sa.BigInteger()),
        may("run_id", ID),
        may("incident_id", ID),
        sa.PrimaryKeyConstraint("seq"),
        sa.UniqueConstraint("id"),
    )
    index("episodes_incident", "episodes", "incident_id", where="closed_at IS NULL")
    index("episodes_open", "episodes", "rule", "key", unique=True, where="closed_at IS NULL")
    index("episodes_run", "episodes", "run_id", where="run_id IS NOT NULL")
    op.create_table(
        "gates",
        sa.Column("seq", SEQ, autoincrement=True, nullable=False),
        need("id", ID),
        need("run_id", ID),
        need("address", ID),
        need("role", ID),
        need("approvals", sa.Integer()),
        need("fingerprint", ID),
        need("state", ID),
        need("opened_at", sa.BigInteger()),
        may("expires_at", sa.BigInteger()),
        need("body", sa.Text()),
        may("closed_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("seq"),
        sa.UniqueConstraint("id"),
    )
    index("gates_open", "gates", "seq", where="state = 'open'")
    index("gates_run", "gates", "run_id")
    op.create_table(
        "images",
        need("run_id", ID),
        need("key", ID),
        need("at", sa.BigInteger()),
        need("digest", ID),
        need("key_id", ID),
        may("sealed", sa.LargeBinary()),
        sa.PrimaryKeyConstraint("run_id", "key"),
    )
    index("images_at", "images", "at", where="sealed IS NOT NULL")
    op.create_table(
        "incident_alerts",
        need("incident_id", ID),
        need("alert_id", ID),
        sa.PrimaryKeyConstraint("incident_id", "alert_id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "incidents",
        sa.Column("seq", SEQ, autoincrement=True, nullable=False),
        need("id", ID),
        need("title", sa.Text()),
        need("rule", ID),
        need("state", ID),
        need("severity", ID),
        need("opened_at", sa.BigInteger()),
        may("resolved_at", sa.BigInteger()),
        need("body", sa.Text()),
        sa.PrimaryKeyConstraint("seq"),
        sa.UniqueConstraint("id"),
    )
    index("incidents_open", "incidents", "seq", where="state NOT IN ('resolved', 'closed')")
    op.create_table(
        "lock_waits",
        need("connection", ID),
        need("path", ID),
        need("run_id", ID),
        sa.PrimaryKeyConstraint("connection", "path", "run_id"),
        sqlite_with_rowid=False,
    )
    index("lock_waits_run", "lock_waits", "run_id")
    op.create_table(
        "locks",
        need("connection", ID),
        need("path", ID),
        need("run_id", ID),
        sa.PrimaryKeyConstraint("connection", "path"),
        sqlite_with_rowid=False,
    )
    index("locks_run", "locks", "run_id")
    op.create_table(
        "plans",
        need("run_id", ID),
        need("fingerprint", ID),
        need("n", sa.Integer()),
        need("body", sa.Text()),
        sa.PrimaryKeyConstraint("run_id", "fingerprint"),
    )
    op.create_table(
        "postponed",
        need("alert_id", ID),
        need("rule", ID),
        need("due", sa.BigInteger()),
        may("busy_group", ID),
        sa.PrimaryKeyConstraint("alert_id", "rule"),
        sqlite_with_rowid=False,
    )
    index("postponed_due", "postponed", "due")
    index("postponed_group", "postponed", "busy_group", where="busy_group IS NOT NULL")
    op.create_table(
        "programs", need("digest", ID), need("body", sa.Text()), sa.PrimaryKeyConstraint("digest")
    )


def make_reservations_to_workers() -> None:
    op.create_table(
        "reservations",
        need("scope", ID),
        need("unit", ID),
        need("key", ID),
        need("amount", sa.BigInteger()),
        need("run_id", ID),
        need("at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("scope", "unit", "key"),
        sqlite_with_rowid=False,
    )
    index("reservations_at", "reservations", "scope", "unit", "at")
    op.create_table(
        "runs",
        sa.Column("seq", SEQ, autoincrement=True, nullable=False),
        need("id", ID),
        need("playbook", ID),
        need("program", ID),
        may("rule", ID),
        may("incident_id", ID),
        need("state", ID),
        need("mode", ID),
        need("priority", sa.SmallInteger()),
        need("inputs", sa.Text()),
        need("trigger", sa.Text()),
        need("requester", sa.Text()),
        need("created_at", sa.BigInteger()),
        may("ended_at", sa.BigInteger()),
        need("epoch", sa.Integer()),
        may("owner", ID),
        need("ready", sa.SmallInteger()),
        need("reason", sa.Text()),
        may("concurrency_group", ID),
        may("parent", ID),
        sa.PrimaryKeyConstraint("seq"),
        sa.UniqueConstraint("id"),
    )
    index("runs_active_group", "runs", "concurrency_group", where="ended_at IS NULL")
    index("runs_incident", "runs", "incident_id", where="incident_id IS NOT NULL")
    index("runs_owned", "runs", "owner", where="owner IS NOT NULL")
    index("runs_playbook", "runs", "playbook", "seq")
    index("runs_ready", "runs", "priority DESC", "seq", where="ready = 1 AND owner IS NULL")
    index("runs_state", "runs", "state", "seq")
    op.create_table(
        "schedule_fires",
        need("schedule", ID),
        need("at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("schedule", "at"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "seals",
        sa.Column("n", sa.Integer(), autoincrement=False, nullable=False),
        need("at", sa.BigInteger()),
        need("key_id", ID),
        need("heads", sa.Text()),
        need("mac", sa.LargeBinary()),
        sa.PrimaryKeyConstraint("n"),
    )
    op.create_table(
        "throttles",
        need("rule", ID),
        need("key", ID),
        need("at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("rule", "key"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "timers",
        need("run_id", ID),
        need("name", ID),
        need("at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("run_id", "name"),
        sqlite_with_rowid=False,
    )
    index("timers_at", "timers", "at")
    op.create_table(
        "tokens",
        need("hashed", ID),
        need("name", ID),
        need("roles", sa.Text()),
        need("created_at", sa.BigInteger()),
        may("expires_at", sa.BigInteger()),
        may("revoked_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("hashed"),
    )
    index("tokens_name", "tokens", "name")
    op.create_table(
        "window_members",
        need("rule", ID),
        need("key", ID),
        need("member", ID),
        need("at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("rule", "key", "member"),
        sqlite_with_rowid=False,
    )
    index("window_members_at", "window_members", "rule", "key", "at")
    op.create_table(
        "workers",
        need("id", ID),
        need("started_at", sa.BigInteger()),
        need("lease_until", sa.BigInteger()),
        need("dead", sa.SmallInteger()),
        need("present", sa.SmallInteger()),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "votes",
        need("gate_id", ID),
        need("actor", ID),
        need("via", ID),
        need("decision", ID),
        need("comment", sa.Text()),
        need("at", sa.BigInteger()),
        sa.ForeignKeyConstraint(
            ["gate_id"],
            ["gates.id"],
        ),
        sa.PrimaryKeyConstraint("gate_id", "actor"),
        sqlite_with_rowid=False,
    )
