"""amtool, for a person."""

from __future__ import annotations

from actions.byhand import UNKNOWN
from engine.contract.byhand import ByHand, Given, Hand, command, text


def _amtool(given: Given, at: ByHand, *words: object) -> str:
    settings = at.of(given)
    url = settings.url if settings is not None else UNKNOWN
    return command("amtool", f"--alertmanager.url={url}", "silence", *words)


def silence(_: object, given: Given, at: ByHand) -> Hand:
    matchers = given.get("matchers")
    words = matchers if isinstance(matchers, list) else ["<matchers>"]
    duration = given.get("duration", "1h")
    lasts = f"{duration:g}s" if isinstance(duration, int | float) else duration
    why = f"--comment={given.get('comment', 'by hand')}"
    line = _amtool(given, at, "add", f"--duration={lasts}", why, *map(text, words))
    return Hand([line], [_amtool(given, at, "expire", "<the id that add printed>")])


def expire(_: object, given: Given, at: ByHand) -> Hand:
    return Hand([_amtool(given, at, "expire", given.get("id", "<id>"))])
