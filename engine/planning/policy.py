"""Who may decide at a gate (DESIGN 8). Pure: every refusal comes with its reason."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from engine.domain.errors import Refused
from engine.domain.people import Actor


def check_vote(
    actor: Actor,
    *,
    role: str,
    state: str,
    expires_at: datetime | None,
    excluded: Collection[str],
    now: datetime,
    fingerprint: str,
    seen: str | None,
) -> None:
    """Let a vote through, or say why not.

    Args:
        excluded: names that may not decide: the run's requester and the playbook's author.
        fingerprint: of the plan that the gate shows now.
        seen: the fingerprint that the person looked at, whole or its beginning; None: not said.

    Raises:
        Refused: the gate is closed or over, the role is missing, the person is excluded, or the plan
            is another one than the person saw.
    """
    if state != "open":
        raise Refused(f"the gate is closed: {state}")
    if expires_at is not None and now >= expires_at:
        raise Refused(f"the gate's time was over at {expires_at:%Y-%m-%d %H:%M:%S} UTC")
    if not actor.has(role):
        raise Refused(f"{actor.name} lacks the role {role}", missing_role=role)
    if actor.name in excluded:
        raise Refused(
            f"{actor.name} asked for this run or wrote its playbook; another person must decide"
        )
    if seen is not None and (len(seen) < 6 or not fingerprint.startswith(seen)):
        raise Refused(
            f"the plan has changed: you saw {seen[:12]}, it is {fingerprint[:12]} now; look again, then decide"
        )
