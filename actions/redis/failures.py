"""What Redis's and its driver's errors mean for the retry policy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.contract import ActionFailed, Category
from engine.contract.redact import Redactor

if TYPE_CHECKING:
    import redis

_IN_SCRIPT = "The user executing the script can't"
_WORDS = (  # the first word of an error, by Redis's convention, or how the message begins
    (
        ("NOPERM", "No permissions", "this user has no permissions", _IN_SCRIPT),
        Category.CONFIGURATION,
    ),
    (
        ("NOAUTH", "WRONGPASS", "invalid username", "Authentication required"),
        Category.CONFIGURATION,
    ),
    (("LOADING", "CLUSTERDOWN", "MASTERDOWN", "TRYAGAIN", "BUSY"), Category.TRANSIENT),
    (("OOM", "max number of clients", "MISCONF"), Category.RESOURCE),
    (("READONLY",), Category.CONFIGURATION),
    (("WRONGTYPE",), Category.PERMANENT),
)


def failed(
    error: redis.RedisError, connection: str, redactor: Redactor, *, wrote: bool
) -> ActionFailed:
    """Turn a driver's error into a classified failure, secrets masked.

    Args:
        wrote: whether the command changes something: then a lost answer leaves it open.
    """
    import redis

    text = " ".join(str(error).split())
    category, possible = _classified(error, text)
    if isinstance(error, redis.exceptions.NoPermissionError) or text.startswith(_IN_SCRIPT):
        text += "; grant the right (stanch grants prints the ACL), or narrow the playbook"
    message = redactor.text(f"redis connection {connection!r}: {text}")
    return ActionFailed(category, message, effect_possible=wrote and possible)


def _classified(error: redis.RedisError, text: str) -> tuple[Category, bool]:
    """Return the category, and whether the command may have been carried out all the same."""
    import redis

    known = next((category for words, category in _WORDS if text.startswith(words)), None)
    if isinstance(error, redis.exceptions.NoPermissionError | redis.AuthenticationError):
        return Category.CONFIGURATION, False
    if isinstance(error, redis.TimeoutError | redis.ConnectionError):
        refused = "refused" in text or "connecting to" in text
        return known or Category.TRANSIENT, not refused
    return known or Category.PERMANENT, False
