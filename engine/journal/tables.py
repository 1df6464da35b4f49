"""The tables. The migrations build exactly these; a test compares the two.

Times are microseconds since the epoch, flags 0 or 1, JSON is text (its bytes are hashed). Tables that
people list newest first have `seq`, which says what came first even where a clock was set back.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    text,
)

metadata = MetaData()

# Identifiers compare byte by byte on both databases, so that ranges and orders agree.
Id = Text().with_variant(Text(collation="C"), "postgresql")
Seq = BigInteger().with_variant(Integer, "sqlite")


def _seq() -> Column[int]:
    return Column("seq", Seq, primary_key=True, autoincrement=True)


def _id() -> Column[str]:
    return Column("id", Id, nullable=False, unique=True)


def _key(name: str) -> Column[str]:
    return Column(name, Id, primary_key=True)


def _text(name: str) -> Column[str]:
    return Column(name, Text, nullable=False)


def _name(name: str) -> Column[str]:
    return Column(name, Id, nullable=False)


def _maybe(name: str) -> Column[str | None]:
    return Column(name, Id, nullable=True)


def _time(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False)


def _maybe_time(name: str) -> Column[int | None]:
    return Column(name, BigInteger, nullable=True)


def _flag(name: str) -> Column[int]:
    return Column(name, SmallInteger, nullable=False)


def _number(name: str) -> Column[int]:
    return Column(name, Integer, nullable=False)


def _partial(name: str, *columns: object, where: str, unique: bool = False) -> Index:
    """An index of some rows. Its condition for PostgreSQL stands in the migration only: naming it here
    would import that dialect into every process."""
    items: Any = columns
    return Index(name, *items, unique=unique, sqlite_where=text(where), info={"where": where})


def _clustered(name: str, *columns: object) -> Table:
    """A table kept in the order of its key (SQLite: without row numbers), one page touched a write."""
    items: Any = columns
    return Table(name, metadata, *items, sqlite_with_rowid=False)


# ---------------------------------------------------------------- alerts and what was decided

alerts = Table(
    "alerts",
    metadata,
    _seq(),
    _id(),
    _name("fingerprint"),
    _name("status"),
    _time("starts_at"),
    _maybe_time("ends_at"),
    _name("name"),
    _text("labels"),
    _text("annotations"),
    _text("generator_url"),
    _name("receiver"),
    _text("group_key"),
    _text("group_labels"),
    _time("received_at"),
    _time("last_at"),
    _flag("decided"),
    _number("deliveries"),
    Index("alerts_identity", "fingerprint", "starts_at", "status", unique=True),
    Index("alerts_name", "name", "last_at"),
    _partial("alerts_undecided", "seq", where="decided = 0"),
)

deliveries = Table(
    "deliveries",
    metadata,
    _seq(),
    _id(),
    _time("received_at"),
    _name("receiver"),
    _text("group_key"),
    _number("truncated"),
    _number("over_limit"),
    _text("unreadable"),
)

decisions = Table(
    "decisions",
    metadata,
    _seq(),
    _id(),
    _maybe("alert_id"),
    _name("rule"),
    _name("verdict"),
    _text("reason"),
    _time("at"),
    _maybe("run_id"),
    _maybe("incident_id"),
    Index("decisions_alert", "alert_id"),
    Index("decisions_rule", "rule", "seq"),
    _partial("decisions_run", "run_id", where="run_id IS NOT NULL"),
    _partial("decisions_incident", "incident_id", where="incident_id IS NOT NULL"),
)

postponed = _clustered(
    "postponed",
    _key("alert_id"),
    _key("rule"),
    _time("due"),
    _maybe("busy_group"),
    Index("postponed_due", "due"),
    _partial("postponed_group", "busy_group", where="busy_group IS NOT NULL"),
)

window_members = _clustered(
    "window_members",
    _key("rule"),
    _key("key"),
    _key("member"),
    _time("at"),
    Index("window_members_at", "rule", "key", "at"),
)

throttles = _clustered("throttles", _key("rule"), _key("key"), _time("at"))

schedule_fires = _clustered(
    "schedule_fires", _key("schedule"), Column("at", BigInteger, primary_key=True)
)

# ---------------------------------------------------------------- episodes and incidents

episodes = Table(
    "episodes",
    metadata,
    _seq(),
    _id(),
    _name("rule"),
    _name("key"),
    _time("opened_at"),
    _maybe_time("closed_at"),
    _maybe("run_id"),
    _maybe("incident_id"),
    _partial("episodes_open", "rule", "key", where="closed_at IS NULL", unique=True),
    _partial("episodes_run", "run_id", where="run_id IS NOT NULL"),
    _partial("episodes_incident", "incident_id", where="closed_at IS NULL"),
)

episode_alerts = _clustered(
    "episode_alerts",
    _key("episode_id"),
    _key("fingerprint"),
    Column("starts_at", BigInteger, primary_key=True),
    _flag("resolved"),
    Index("episode_alerts_alert", "fingerprint", "starts_at"),
)

incidents = Table(
    "incidents",
    metadata,
    _seq(),
    _id(),
    _text("title"),
    _name("rule"),
    _name("state"),
    _name("severity"),
    _time("opened_at"),
    _maybe_time("resolved_at"),
    _text("body"),
    _partial("incidents_open", "seq", where="state NOT IN ('resolved', 'closed')"),
)

incident_alerts = _clustered("incident_alerts", _key("incident_id"), _key("alert_id"))

# ---------------------------------------------------------------- runs and their owners

runs = Table(
    "runs",
    metadata,
    _seq(),
    _id(),
    _name("playbook"),
    _name("program"),
    _maybe("rule"),
    _maybe("incident_id"),
    _name("state"),
    _name("mode"),
    Column("priority", SmallInteger, nullable=False),
    _text("inputs"),
    _text("trigger"),
    _text("requester"),
    _time("created_at"),
    _maybe_time("ended_at"),
    _number("epoch"),
    _maybe("owner"),
    _flag("ready"),
    _text("reason"),
    _maybe("concurrency_group"),
    _maybe("parent"),
    # What may be claimed: its cost depends on neither ended nor parked runs.
    _partial("runs_ready", text("priority DESC"), text("seq"), where="ready = 1 AND owner IS NULL"),
    _partial("runs_owned", "owner", where="owner IS NOT NULL"),
    _partial("runs_active_group", "concurrency_group", where="ended_at IS NULL"),
    _partial("runs_incident", "incident_id", where="incident_id IS NOT NULL"),
    Index("runs_state", "state", "seq"),
    Index("runs_playbook", "playbook", "seq"),
)

workers = Table(
    "workers",
    metadata,
    _key("id"),
    _time("started_at"),
    _time("lease_until"),
    _flag("dead"),
    _flag("present"),  # its process also holds a lock that the system frees when it dies
)

timers = _clustered("timers", _key("run_id"), _key("name"), _time("at"), Index("timers_at", "at"))

# ---------------------------------------------------------------- the journal

chains = _clustered(
    "chains",
    _key("chain"),
    _number("n"),
    Column("hash", LargeBinary, nullable=False),
    _number("sealed"),  # up to which entry a seal covers it
    _partial("chains_unsealed", "chain", where="n > sealed"),
)

entries = _clustered(
    "entries",
    _key("chain"),
    Column("n", Integer, primary_key=True),
    _time("at"),
    _name("kind"),
    _text("body"),
    Column("hash", LargeBinary, nullable=False),
)

seals = Table(
    "seals",
    metadata,
    Column("n", Integer, primary_key=True, autoincrement=False),
    _time("at"),
    _name("key_id"),
    _text("heads"),  # [[chain, n, hash], …] of the chains that changed since the seal before
    Column("mac", LargeBinary, nullable=False),
)

# ---------------------------------------------------------------- gates, brakes, locks, budgets

gates = Table(
    "gates",
    metadata,
    _seq(),
    _id(),
    _name("run_id"),
    _name("address"),
    _name("role"),
    _number("approvals"),
    _name("fingerprint"),
    _name("state"),
    _time("opened_at"),
    _maybe_time("expires_at"),
    _text("body"),
    _maybe_time("closed_at"),
    Index("gates_run", "run_id"),
    _partial("gates_open", "seq", where="state = 'open'"),
)

votes = _clustered(
    "votes",
    Column("gate_id", Id, ForeignKey("gates.id"), primary_key=True),
    _key("actor"),
    _name("via"),
    _name("decision"),
    _text("comment"),
    _time("at"),
)

# Who closed a gate, and why: what a person reads who comes too late.
closings = _clustered(
    "closings",
    Column("gate_id", Id, ForeignKey("gates.id"), primary_key=True),
    _text("by"),
    _text("reason"),
)

pages = Table(
    "pages",
    metadata,
    _seq(),
    _id(),
    _name("subject"),
    _name("level"),
    _text("reason"),
    _maybe("run_id"),
    _maybe("incident_id"),
    _time("raised_at"),
    _time("next_at"),
    _number("told"),
    _maybe_time("acked_at"),
    _name("acked_by"),
    _text("note"),
    _partial("pages_open", "subject", where="acked_at IS NULL", unique=True),
    _partial("pages_due", "next_at", where="acked_at IS NULL"),
    _partial("pages_incident", "incident_id", where="incident_id IS NOT NULL"),
    _partial("pages_run", "run_id", where="run_id IS NOT NULL"),
)

delegations = Table(
    "delegations",
    metadata,
    _seq(),
    _id(),
    _name("role"),
    _name("giver"),
    _name("taker"),
    _text("reason"),
    _time("at"),
    _time("until"),
    _maybe_time("revoked_at"),
    _name("revoked_by"),
    Index("delegations_taker", "taker", "until"),
)

brakes = Table(
    "brakes",
    metadata,
    _key("name"),
    _flag("engaged"),
    _text("by"),
    _text("reason"),
    _time("at"),
    _text("body"),
)

locks = _clustered(
    "locks",
    _key("connection"),
    _key("path"),
    _name("run_id"),
    Index("locks_run", "run_id"),
)

lock_waits = _clustered(
    "lock_waits",
    _key("connection"),
    _key("path"),
    _key("run_id"),
    Index("lock_waits_run", "run_id"),
)

reservations = _clustered(
    "reservations",
    _key("scope"),
    _key("unit"),
    _key("key"),
    Column("amount", BigInteger, nullable=False),
    _name("run_id"),
    _time("at"),
    Index("reservations_at", "scope", "unit", "at"),
)

# ---------------------------------------------------------------- larger texts, and tokens

programs = Table("programs", metadata, _key("digest"), _text("body"))

plans = Table(
    "plans",
    metadata,
    _key("run_id"),
    _key("fingerprint"),
    _number("n"),
    _text("body"),
)

images = Table(
    "images",
    metadata,
    _key("run_id"),
    _key("key"),
    _time("at"),
    _name("digest"),
    _name("key_id"),
    Column("sealed", LargeBinary, nullable=True),  # null once pruned; the digest stays
    _partial("images_at", "at", where="sealed IS NOT NULL"),
)

tokens = Table(
    "tokens",
    metadata,
    _key("hashed"),
    _name("name"),
    _text("roles"),
    _time("created_at"),
    _maybe_time("expires_at"),
    _maybe_time("revoked_at"),
    Index("tokens_name", "name"),
)
