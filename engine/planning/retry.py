"""Policy decides what follows a failed attempt; the action has only classified it (DESIGN 6)."""

from __future__ import annotations

import random
from dataclasses import dataclass

from engine.domain.errors import Category
from engine.language.program import Retry


@dataclass(frozen=True)
class Again:
    """Try again after `delay` seconds."""

    delay: float
    reason: str


@dataclass(frozen=True)
class GiveUp:
    reason: str


@dataclass(frozen=True)
class _Default:
    attempts: int
    backoff: str
    delay: float


MAX_DELAY = 3600.0
_DEFAULTS: dict[Category, _Default] = {
    Category.TRANSIENT: _Default(3, "none", 0.2),
    Category.RESOURCE: _Default(4, "linear", 30.0),
    Category.RATE_LIMIT: _Default(6, "exponential", 5.0),
}
_HOPELESS: dict[Category, str] = {
    Category.CONFIGURATION: "a person must mend the configuration",
    Category.DATA: "a person must look at the data",
    Category.PERMANENT: "trying again would not help",
    Category.UNCLASSIFIED: "the failure is not classified; a person must look",
}


def decide(
    category: Category,
    attempt: int,
    override: Retry | None,
    *,
    delay: float | None = None,
    retry_after: float | None = None,
    jitter: float | None = None,
) -> Again | GiveUp:
    """Say what follows a failed attempt.

    Args:
        attempt: how many attempts were made, the failed one included; from 1.
        override: the step's own `retry`; it holds for the categories it names (none: all retryable).
        delay: the override's delay in seconds, resolved.
        retry_after: what the other side asked for, in seconds; never undercut.
        jitter: between 0 and 1; random when None.
    """
    default = _DEFAULTS.get(category)
    rule = default
    if override is not None and (category.value in override.on or (not override.on and default)):
        rule = _Default(override.attempts, override.backoff, delay if delay is not None else 1.0)
    if rule is None:
        return GiveUp(_HOPELESS.get(category, "no retry for this category"))
    if attempt >= rule.attempts:
        return GiveUp(f"{attempt} of {rule.attempts} attempts failed")
    share = random.random() if jitter is None else jitter  # noqa: S311  spreads retries, no secret
    wait = {
        "none": rule.delay * share,
        "linear": rule.delay * attempt,
        "exponential": rule.delay * 2 ** (attempt - 1) * (1 + 0.25 * share),
    }[rule.backoff]
    wait = min(wait, MAX_DELAY)
    if retry_after is not None:
        wait = max(wait, retry_after)
    return Again(wait, f"{category.value}: attempt {attempt} of {rule.attempts}")
