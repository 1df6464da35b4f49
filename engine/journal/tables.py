"""The tables. The migrations build exactly these; a test compares the two.

Times are microseconds since the epoch, flags 0 or 1, JSON is text (its bytes are hashed). Tables that
people list newest first have `seq`, which says what came first even where a clock was set back.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    text,
)

from engine.journal.columns import (
    Id,
    clustered,
    flag,
    identity,
    key,
    maybe,
    maybe_moment,
    metadata,
    moment,
    name,
    number,
    partial,
    sequence,
    words,
)

# ---------------------------------------------------------------- alerts and what was decided

alerts = Table(
    "alerts",
    metadata,
    sequence(),
    identity(),
    name("fingerprint"),
    name("status"),
    moment("starts_at"),
    maybe_moment("ends_at"),
    name("name"),
    words("labels"),
    words("annotations"),
    words("generator_url"),
    name("receiver"),
    words("group_key"),
    words("group_labels"),
    moment("received_at"),
    moment("last_at"),
    flag("decided"),
    number("deliveries"),
    Index("alerts_identity", "fingerprint", "starts_at", "status", unique=True),
    Index("alerts_name", "name", "last_at"),
    partial("alerts_undecided", "seq", where="decided = 0"),
)

deliveries = Table(
    "deliveries",
    metadata,
    sequence(),
    identity(),
    moment("received_at"),
    name("receiver"),
    words("group_key"),
    number("truncated"),
    number("over_limit"),
    words("unreadable"),
)

decisions = Table(
    "decisions",
    metadata,
    sequence(),
    identity(),
    maybe("alert_id"),
    name("rule"),
    name("verdict"),
    words("reason"),
    moment("at"),
    maybe("run_id"),
    maybe("incident_id"),
    Index("decisions_alert", "alert_id"),
    Index("decisions_rule", "rule", "seq"),
    partial("decisions_run", "run_id", where="run_id IS NOT NULL"),
    partial("decisions_incident", "incident_id", where="incident_id IS NOT NULL"),
)

postponed = clustered(
    "postponed",
    key("alert_id"),
    key("rule"),
    moment("due"),
    maybe("busy_group"),
    Index("postponed_due", "due"),
    partial("postponed_group", "busy_group", where="busy_group IS NOT NULL"),
)

window_members = clustered(
    "window_members",
    key("rule"),
    key("key"),
    key("member"),
    moment("at"),
    Index("window_members_at", "rule", "key", "at"),
)

throttles = clustered("throttles", key("rule"), key("key"), moment("at"))

schedule_fires = clustered(
    "schedule_fires", key("schedule"), Column("at", BigInteger, primary_key=True)
)

# ---------------------------------------------------------------- episodes and incidents

episodes = Table(
    "episodes",
    metadata,
    sequence(),
    identity(),
    name("rule"),
    name("key"),
    moment("opened_at"),
    maybe_moment("closed_at"),
    maybe("run_id"),
    maybe("incident_id"),
    partial("episodes_open", "rule", "key", where="closed_at IS NULL", unique=True),
    partial("episodes_run", "run_id", where="run_id IS NOT NULL"),
    partial("episodes_incident", "incident_id", where="closed_at IS NULL"),
)

episode_alerts = clustered(
    "episode_alerts",
    key("episode_id"),
    key("fingerprint"),
    Column("starts_at", BigInteger, primary_key=True),
    flag("resolved"),
    Index("episode_alerts_alert", "fingerprint", "starts_at"),
)

incidents = Table(
    "incidents",
    metadata,
    sequence(),
    identity(),
    words("title"),
    name("rule"),
    name("state"),
    name("severity"),
    moment("opened_at"),
    maybe_moment("resolved_at"),
    words("body"),
    partial("incidents_open", "seq", where="state NOT IN ('resolved', 'closed')"),
)

incident_alerts = clustered("incident_alerts", key("incident_id"), key("alert_id"))

# ---------------------------------------------------------------- runs and their owners

runs = Table(
    "runs",
    metadata,
    sequence(),
    identity(),
    name("playbook"),
    name("program"),
    maybe("rule"),
    maybe("incident_id"),
    name("state"),
    name("mode"),
    Column("priority", SmallInteger, nullable=False),
    words("inputs"),
    words("trigger"),
    words("requester"),
    moment("created_at"),
    maybe_moment("ended_at"),
    number("epoch"),
    maybe("owner"),
    flag("ready"),
    words("reason"),
    maybe("concurrency_group"),
    maybe("parent"),
    # What may be claimed: its cost depends on neither ended nor parked runs.
    partial("runs_ready", text("priority DESC"), text("seq"), where="ready = 1 AND owner IS NULL"),
    partial("runs_owned", "owner", where="owner IS NOT NULL"),
    partial("runs_active_group", "concurrency_group", where="ended_at IS NULL"),
    partial("runs_incident", "incident_id", where="incident_id IS NOT NULL"),
    Index("runs_state", "state", "seq"),
    Index("runs_playbook", "playbook", "seq"),
)

workers = Table(
    "workers",
    metadata,
    key("id"),
    moment("started_at"),
    moment("lease_until"),
    flag("dead"),
    flag("present"),  # its process also holds a lock that the system frees when it dies
)

timers = clustered("timers", key("run_id"), key("name"), moment("at"), Index("timers_at", "at"))

# ---------------------------------------------------------------- the journal

chains = clustered(
    "chains",
    key("chain"),
    number("n"),
    Column("hash", LargeBinary, nullable=False),
    number("sealed"),  # up to which entry a seal covers it
    partial("chains_unsealed", "chain", where="n > sealed"),
)

entries = clustered(
    "entries",
    key("chain"),
    Column("n", Integer, primary_key=True),
    moment("at"),
    name("kind"),
    words("body"),
    Column("hash", LargeBinary, nullable=False),
)

seals = Table(
    "seals",
    metadata,
    Column("n", Integer, primary_key=True, autoincrement=False),
    moment("at"),
    name("key_id"),
    words("heads"),  # [[chain, n, hash], …] of the chains that changed since the seal before
    Column("mac", LargeBinary, nullable=False),
)

# ---------------------------------------------------------------- gates, brakes, locks, budgets

gates = Table(
    "gates",
    metadata,
    sequence(),
    identity(),
    name("run_id"),
    name("address"),
    name("role"),
    number("approvals"),
    name("fingerprint"),
    name("state"),
    moment("opened_at"),
    maybe_moment("expires_at"),
    words("body"),
    maybe_moment("closed_at"),
    Index("gates_run", "run_id"),
    partial("gates_open", "seq", where="state = 'open'"),
)

votes = clustered(
    "votes",
    Column("gate_id", Id, ForeignKey("gates.id"), primary_key=True),
    key("actor"),
    name("via"),
    name("decision"),
    words("comment"),
    moment("at"),
)

# Who closed a gate, and why: what a person reads who comes too late.
closings = clustered(
    "closings",
    Column("gate_id", Id, ForeignKey("gates.id"), primary_key=True),
    words("by"),
    words("reason"),
)

pages = Table(
    "pages",
    metadata,
    sequence(),
    identity(),
    name("subject"),
    name("level"),
    words("reason"),
    maybe("run_id"),
    maybe("incident_id"),
    moment("raised_at"),
    moment("next_at"),
    number("told"),
    maybe_moment("acked_at"),
    name("acked_by"),
    words("note"),
    partial("pages_open", "subject", where="acked_at IS NULL", unique=True),
    partial("pages_due", "next_at", where="acked_at IS NULL"),
    partial("pages_incident", "incident_id", where="incident_id IS NOT NULL"),
    partial("pages_run", "run_id", where="run_id IS NOT NULL"),
)

delegations = Table(
    "delegations",
    metadata,
    sequence(),
    identity(),
    name("role"),
    name("giver"),
    name("taker"),
    words("reason"),
    moment("at"),
    moment("until"),
    maybe_moment("revoked_at"),
    name("revoked_by"),
    Index("delegations_taker", "taker", "until"),
)

brakes = Table(
    "brakes",
    metadata,
    key("name"),
    flag("engaged"),
    words("by"),
    words("reason"),
    moment("at"),
    words("body"),
)

locks = clustered(
    "locks",
    key("connection"),
    key("path"),
    name("run_id"),
    Index("locks_run", "run_id"),
)

lock_waits = clustered(
    "lock_waits",
    key("connection"),
    key("path"),
    key("run_id"),
    Index("lock_waits_run", "run_id"),
)

reservations = clustered(
    "reservations",
    key("scope"),
    key("unit"),
    key("key"),
    Column("amount", BigInteger, nullable=False),
    name("run_id"),
    moment("at"),
    Index("reservations_at", "scope", "unit", "at"),
)

# ---------------------------------------------------------------- larger texts, and tokens

programs = Table("programs", metadata, key("digest"), words("body"))

plans = Table(
    "plans",
    metadata,
    key("run_id"),
    key("fingerprint"),
    number("n"),
    words("body"),
)

images = Table(
    "images",
    metadata,
    key("run_id"),
    key("key"),
    moment("at"),
    name("digest"),
    name("key_id"),
    Column("sealed", LargeBinary, nullable=True),  # null once pruned; the digest stays
    partial("images_at", "at", where="sealed IS NOT NULL"),
)

tokens = Table(
    "tokens",
    metadata,
    key("hashed"),
    name("name"),
    words("roles"),
    moment("created_at"),
    maybe_moment("expires_at"),
    maybe_moment("revoked_at"),
    Index("tokens_name", "name"),
)
