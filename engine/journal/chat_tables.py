"""The tables of what is said to people and heard from them; part of `tables.metadata`."""

from __future__ import annotations

from sqlalchemy import Index, Table

from engine.journal.tables import (
    _clustered,
    _id,
    _key,
    _maybe,
    _maybe_time,
    _name,
    _number,
    _partial,
    _seq,
    _text,
    _time,
    metadata,
)

# What is to be said, in the order of `seq` within a lane (a channel).
outbox = Table(
    "outbox",
    metadata,
    _seq(),
    _id(),  # the idempotency key
    _name("lane"),
    _name("kind"),
    _maybe("name"),  # of the message that is posted or edited, within its lane
    _text("body"),
    _name("state"),  # queued | sending | done | failed | superseded
    _number("attempts"),
    _text("error"),
    _time("at"),
    _partial("outbox_open", "lane", "seq", where="state IN ('queued', 'sending')"),
    _partial("outbox_closed", "at", where="state NOT IN ('queued', 'sending')"),
)

# One channel each; who delivers into it now, and when it may be delivered to again.
lanes = _clustered(
    "lanes",
    _key("lane"),
    _maybe("channel"),  # as the chat knows it; null until it is made
    _maybe_time("next_at"),  # null: nothing waits
    _maybe("owner"),
    _maybe_time("owned_until"),
    _number("epoch"),
    _text("error"),  # why it stands still
    _partial("lanes_due", "next_at", where="next_at IS NOT NULL"),
)

# Messages that were posted, so that they can be edited, answered to and pinned.
posts = _clustered("posts", _key("lane"), _key("name"), _name("ref"), _time("at"))

# How far each incident's chains have been told.
rooms = Table(
    "rooms",
    metadata,
    _key("incident_id"),
    _name("state"),  # open | closing | closed
    _number("version"),
    _text("body"),
    _maybe_time("due"),  # the next update by cadence, or the time to archive
    _partial("rooms_live", "incident_id", where="state <> 'closed'"),
)

# What people sent: stored before it is acknowledged, worked on after.
inbox = Table(
    "inbox",
    metadata,
    _seq(),
    _id(),  # names the request, so that one that comes again is known
    _name("kind"),
    _text("body"),
    _name("state"),  # received | working | done
    _maybe("owner"),
    _maybe_time("owned_until"),
    _time("at"),
    _partial("inbox_open", "seq", where="state <> 'done'"),
    Index("inbox_at", "at"),
)
