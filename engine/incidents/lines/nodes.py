"""Lines of a node's own chain: decisions outside incidents, brakes, deliveries, schedules, lent roles."""

from __future__ import annotations

from collections.abc import Mapping

from engine.incidents.lines.fields import Teller, Told, short


def _brake(b: Told) -> str:
    verb = "engaged" if b.get("engaged", True) else "released"
    return f"brake {b.text('name')} {verb}{b.maybe('by', ' by {}')}{b.because()}"


def _decisions(b: Told) -> str:
    made = b.get("decisions")
    made = made if isinstance(made, list) else []
    told = "; ".join(
        f"{one.get('verdict', '?')} ({one.get('rule') or 'no rule'}): {short(one.get('reason'))}"
        for one in made[:2]
        if isinstance(one, Mapping)
    )
    noun = "decision" if len(made) == 1 else "decisions"
    return f"{len(made)} {noun} outside incidents: {told}{' …' if len(made) > 2 else ''}"


LINES: dict[str, Teller] = {
    "role.lent": lambda b: (
        f"{b.text('from')} lent the role {b.text('role')} to {b.text('to')} until "
        f"{b.text('until')}{b.because()}"
    ),
    "role.taken_back": lambda b: (
        f"{b.text('by')} ended that {b.text('to')} holds the role {b.text('role')} of "
        f"{b.text('from')}"
    ),
    "brake.set": _brake,
    "delivery.problem": lambda b: (
        f"a delivery{b.maybe('receiver', ' for {}')} was not whole: "
        + (
            ", ".join(
                part
                for part in (
                    b.maybe("truncated", "{} alerts left out by the sender"),
                    b.maybe("over_limit", "{} over our limit"),
                    b.maybe("unreadable", "unreadable: {}"),
                )
                if part
            )
            or "see the delivery"
        )
    ),
    "schedule.fired": lambda b: (
        f"schedule of rule {b.text('rule')} {'missed' if b.get('skipped') else 'fired'} "
        f"for {b.text('at')}"
        + (f" ({b['missed']} earlier ones were missed)" if b.get("missed") else "")
    ),
    "decisions.made": _decisions,
    "server.started": lambda b: f"server started{b.maybe('node', ' on node {}')}",
}
