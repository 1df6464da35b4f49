"""What an HTTP status means for the retry policy (DESIGN 6), shared by every action that speaks HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from engine.domain.errors import Category

_CATEGORIES = {
    401: Category.CONFIGURATION,
    403: Category.CONFIGURATION,
    407: Category.CONFIGURATION,
    408: Category.TRANSIENT,
    409: Category.DATA,
    412: Category.DATA,
    413: Category.DATA,
    422: Category.DATA,
    425: Category.TRANSIENT,
    429: Category.RATE_LIMIT,
    501: Category.PERMANENT,
    507: Category.RESOURCE,
}


def category_of(status: int, text: str = "") -> Category:
    """Return the category of a failed answer; `text` tells a 403 for the rate from one for the rights."""
    if status == 403 and "rate limit" in text.lower():
        return Category.RATE_LIMIT
    if status in _CATEGORIES:
        return _CATEGORIES[status]
    if status >= 500:
        return Category.TRANSIENT
    return Category.PERMANENT


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return the seconds that `Retry-After` asks for, given as seconds or as an HTTP date, or None."""
    text = next((value for name, value in headers.items() if name.lower() == "retry-after"), None)
    if text is None:
        return None
    if text.strip().isdigit():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now).total_seconds())
