"""The tables of what is said to people and heard from them; part of `columns.metadata`."""

from __future__ import annotations

from sqlalchemy import Index, Table

from engine.journal.columns import (
    clustered,
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

# What is to be said, in the order of `seq` within a lane (a channel).
outbox = Table(
    "outbox",
    metadata,
    sequence(),
    identity(),  # the idempotency key
    name("lane"),
    name("kind"),
    maybe("name"),  # of the message that is posted or edited, within its lane
    words("body"),
    name("state"),  # queued | sending | done | failed | superseded
    number("attempts"),
    words("error"),
    moment("at"),
    partial("outbox_open", "lane", "seq", where="state IN ('queued', 'sending')"),
    partial("outbox_closed", "at", where="state NOT IN ('queued', 'sending')"),
)

# One channel each; who delivers into it now, and when it may be delivered to again.
lanes = clustered(
    "lanes",
    key("lane"),
    maybe("channel"),  # as the chat knows it; null until it is made
    maybe_moment("next_at"),  # null: nothing waits
    maybe("owner"),
    maybe_moment("owned_until"),
    number("epoch"),
    words("error"),  # why it stands still
    partial("lanes_due", "next_at", where="next_at IS NOT NULL"),
)

# Messages that were posted, so that they can be edited, answered to and pinned.
posts = clustered("posts", key("lane"), key("name"), name("ref"), moment("at"))

# How far each incident's chains have been told.
rooms = Table(
    "rooms",
    metadata,
    key("incident_id"),
    name("state"),  # open | closing | closed
    number("version"),
    words("body"),
    maybe_moment("due"),  # the next update by cadence, or the time to archive
    partial("rooms_live", "incident_id", where="state <> 'closed'"),
)

# What people sent: stored before it is acknowledged, worked on after.
inbox = Table(
    "inbox",
    metadata,
    sequence(),
    identity(),  # names the request, so that one that comes again is known
    name("kind"),
    words("body"),
    name("state"),  # received | working | done
    maybe("owner"),
    maybe_moment("owned_until"),
    moment("at"),
    partial("inbox_open", "seq", where="state <> 'done'"),
    Index("inbox_at", "at"),
)
