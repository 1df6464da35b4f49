"""Renders pages: templates with autoescaping, and the headers that keep a page from running anything."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from engine.domain.canonical import JsonObject
from engine.domain.clock import parse_time, spell
from engine.edges.cli.render.style import pairs, plain, when

FOLDER = Path(__file__).parent
POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
# A postmortem carries its own style and charts and nothing that acts.
DOCUMENT = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        {
            "when": when,
            "moment": _moment,
            "spell": spell,
            "pairs": pairs,
            "plan": _plan,
            "brakes": _brakes,
            "state": _state,
        }
    )
    return environment


def page(name: str, *, status: int = 200, **scope: Any) -> HTMLResponse:
    """Return a page."""
    text = _environment().get_template(f"{name}.html.j2").render(scope)
    return HTMLResponse(text, status_code=status, headers={"content-security-policy": POLICY})


def _plan(document: JsonObject) -> str:
    """A plan as the command line prints it: people approve the same text at every door."""
    from engine.edges.cli.render.plan import plan

    return plain(plan(document))


def _brakes(view: JsonObject) -> str:
    """All brakes, as the command line and Slack show them."""
    from engine.edges.cli.render.brakes import brakes

    return plain(brakes(view))


def _moment(text: str, now: datetime) -> str:
    """A time, and how far from now: nobody subtracts at three in the morning."""
    seconds = (now - parse_time(text)).total_seconds()
    far = spell(round(abs(seconds), -1) if abs(seconds) >= 60 else round(abs(seconds)))
    return f"{when(text)} UTC ({f'{far} ago' if seconds >= 0 else f'in {far}'})"


_TONES = {
    **dict.fromkeys(("open", "reopened", "failed", "needs_human", "rejected"), "bad"),
    **dict.fromkeys(("acknowledged", "mitigated", "held", "awaiting_approval", "undone"), "warn"),
    **dict.fromkeys(("verified", "resolved", "closed", "succeeded", "approved", "seen"), "good"),
}


def _state(state: str) -> str:
    """The class of a state's badge; the word itself always stands there too."""
    return _TONES.get(state, "plain")
