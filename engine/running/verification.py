"""Queries that judge: `verify` after a change, and the comparisons that waits use."""

from __future__ import annotations

from datetime import timedelta

from engine.domain.clock import format_time, parse_time
from engine.domain.errors import ActionFailed
from engine.language.comparisons import holds as satisfied
from engine.language.program import Query, Verify
from engine.language.templates import render
from engine.planning.inputs import seconds
from engine.planning.moves import Place
from engine.planning.scope import scope_of
from engine.running.outcome import Parked
from engine.running.services import Services
from engine.running.session import Session


def sample(
    services: Services, session: Session, query: Query, place: Place
) -> tuple[float | None, str]:
    """Ask a query. Returns its value (None: empty or failed) and a text for people."""
    scope = scope_of(place, session.progress, session.facts)
    try:
        params = render(query.params, scope)
        connection = str(render(query.connection, scope))
        value = services.connections.query(connection, query.query, params)
    except ActionFailed as error:
        return None, f"the query failed: {error}"
    return value, "no data" if value is None else f"{value:g}"


def verify_step(
    services: Services, session: Session, address: str, verify: Verify, place: Place
) -> Parked | str | None:
    """Take one sample of a step's `verify`. Returns when to look again, why it failed, or None when it holds."""
    scope = scope_of(place, session.progress, session.facts)
    state = session.progress.steps[address]
    now = services.clock.now()
    within, every = seconds(verify.within, scope), seconds(verify.every, scope)
    began = state.data.get("verify_from")
    start = parse_time(began) if began else now
    last = state.data.get("sampled_at")
    if last is not None and now < parse_time(last) + timedelta(seconds=every):
        return Parked(parse_time(last) + timedelta(seconds=every), "verifying")
    session.flush()
    value, text = sample(services, session, verify.query, place)
    holds = satisfied(verify.becomes, value)
    wanted = f"{verify.becomes.op} {verify.becomes.value:g}"
    session.note(
        "step.verify",
        address=address,
        value=value,
        satisfied=holds,
        text=text,
        wanted=wanted,
        verify_from=format_time(start),
    )
    if holds:
        return None
    if now >= start + timedelta(seconds=within):
        return f"it did not help: the verification query gives {text}, wanted {wanted} within {within:g} s"
    return Parked(
        min(now + timedelta(seconds=every), start + timedelta(seconds=within)), "verifying"
    )
