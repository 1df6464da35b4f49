"""Journals what the walk alone decided: skipped, begun, closed, failed without an attempt."""

from __future__ import annotations

from collections.abc import Sequence

from engine.domain.canonical import Json, JsonObject
from engine.planning.moves import Close, Fail, Move, Opaque, Open, Skip
from engine.running.duplicates import Items
from engine.running.session import Session


def book(session: Session, moves: Sequence[Move]) -> bool:
    """Journal the moves that need nothing done. True: something was noted, walk again."""
    booked = False
    for move in moves:
        match move:
            case Skip(address, _, reason):
                session.note("step.skipped", address=address, reason=reason)
            case Fail(address, _, category, message):
                step_outcome(session, address, ok=False, category=category.value, message=message)
            case Open(address, _, _, data):
                # Taken before the batch is open: after a crash in between it is asked for again.
                left = _taken(session, address, data) if data.get("once") else {}
                session.note("step.started", address=address, **data)
                if left:
                    session.note("items.done", step=address, done=left)
            case Close(address, _, ok, output, category, message, failure):
                name = category.value if category else None
                step_outcome(
                    session,
                    address,
                    ok=ok,
                    output=output,
                    category=name,
                    message=message,
                    failure=failure,
                )
            case Opaque(address, _, _, reason):
                # While running everything is known; reaching this is a template's mistake.
                message = f"not known: {reason}"
                step_outcome(session, address, ok=False, category="permanent", message=message)
            case _:
                continue
        booked = True
    return booked


def _taken(session: Session, address: str, batch: JsonObject) -> JsonObject:
    """Take up the items that no other run did or is at; return why the others are left out, by their keys."""
    playbook, run = session.program.playbook, session.row.id
    return session.store.write(Items(playbook, run, address, batch["once"], batch["items"]).take)


def step_outcome(
    session: Session,
    address: str,
    *,
    ok: bool,
    output: Json = None,
    category: str | None = None,
    message: str = "",
    failure: JsonObject | None = None,
) -> None:
    """Journal a step's end; `failure` is the failure inside a container that ended it."""
    inner = {"failure": failure} if failure else {}
    session.note(
        "step.outcome",
        address=address,
        state="succeeded" if ok else "failed",
        output=output,
        category=category,
        message=message,
        **inner,
    )
