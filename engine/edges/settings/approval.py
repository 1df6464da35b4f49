"""`approval:`: the gate that `mode: approve` puts before the first change, escalation and break-glass."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from engine.language.diagnostics import Report, listed, suggestion
from engine.language.forms import Form
from engine.language.valuefields import PositiveSeconds
from engine.language.yamlnodes import Node


class ApprovalConfig(Form):
    """The gate that `mode: approve` puts before a run's first change, and what holds for all gates."""

    role: str = Field("sre", description="Who may approve", min_length=1)
    approvals: int = Field(1, ge=1, le=20, description="How many people must approve")
    within: PositiveSeconds = Field(4 * 3600.0, description="How long it stays open; 4h")
    on_timeout: Literal["abort", "escalate"] = Field(
        "abort", description="What follows when nobody decides; never an approval"
    )
    escalation: list[str] = Field(
        [], description="Roles in the order in which they are asked", examples=[["sre", "lead"]]
    )
    break_glass: str | None = Field(
        None,
        description="The role that may approve alone in an emergency, with a reason, told loudly",
        min_length=1,
    )


def check_approval(root: Node, report: Report) -> None:
    """The roles that approval names must be there, and escalation names each once."""
    roles = root.get("roles")
    approval = root.get("approval")
    if approval is None or not isinstance(approval.value, dict):
        return
    order = approval.get("escalation")
    places = order.elements() if order is not None and isinstance(order.value, list) else ()
    seen: set[str] = set()
    for place in places:
        if isinstance(place.value, str) and place.value in seen:
            report.error(
                place,
                f"escalation: {place.value!r} stands here twice",
                hint="name each role once, in the order in which they are asked",
            )
        seen.add(str(place.value))
    if roles is None or not isinstance(roles.value, dict):
        return
    known = {*roles.keys, "admin"}
    for place in [*places, *(one for one in (approval.get("break_glass"),) if one is not None)]:
        if isinstance(place.value, str) and place.value not in known:
            report.error(
                place,
                f"there is no role {place.value!r}",
                expected=listed(known),
                hint=suggestion(place.value, known) or "name it under roles:",
            )
