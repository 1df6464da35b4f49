"""How incidents are told: names, rhythm, who is called."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from engine.domain.canonical import JsonObject

HOUR = 3600.0


@dataclass(frozen=True)
class Telling:
    """Settings of the tellers.

    Attributes:
        channel: a channel's name; `{what}`, `{rule}`, `{severity}` and `{time}` are filled in.
        cadence: seconds between updates while open, by severity.
        invite: roles that are invited into every incident's channel.
        commander: the role that is called when nobody has taken an incident up.
        remind: seconds of silence until it is called.
        archive_after: seconds from closing to archiving.
        pages: base URL of the pages, without a slash at its end; None: there are no links.
        upload: whether artifacts are put into the channel, or only named there.
        personal: connections whose data is of people: their values are told to no channel.
        plan_text: renders a plan document as plain text.
    """

    channel: str = "incident-{what}-{time}"
    cadence: Mapping[str, float] = field(
        default_factory=lambda: {"P0": HOUR / 4, "P1": HOUR / 2, "P2": HOUR / 2}
    )
    invite: tuple[str, ...] = ()
    commander: str | None = None
    remind: float = HOUR / 4
    archive_after: float = 24 * HOUR
    pages: str | None = None
    upload: bool = True
    personal: frozenset[str] = frozenset()
    plan_text: Callable[[JsonObject], str] = lambda plan: str(plan.get("fingerprint", ""))

    def link(self, kind: str, id_: str) -> str:
        return f"{self.pages}/{kind}/{id_}" if self.pages else ""
