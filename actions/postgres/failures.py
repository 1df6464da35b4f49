"""What a PostgreSQL error means for the retry policy. Source: PostgreSQL, appendix A, error codes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from engine.contract import ActionFailed, Category
from engine.contract.redact import Redactor

if TYPE_CHECKING:
    import psycopg

_CODES = {
    "40001": Category.TRANSIENT,  # serialization failure
    "40P01": Category.TRANSIENT,  # deadlock
    "55P03": Category.TRANSIENT,  # lock not available
    "57014": Category.TRANSIENT,  # cancelled, by statement_timeout for one
    "57P01": Category.TRANSIENT,  # the server goes down
    "57P02": Category.TRANSIENT,
    "57P03": Category.TRANSIENT,  # the server comes up
    "42501": Category.CONFIGURATION,  # insufficient privilege
    "3D000": Category.CONFIGURATION,  # no such database
    "25006": Category.CONFIGURATION,  # a read-only server or role
    "P0001": Category.DATA,  # raised by a trigger or function
}
_CLASSES = {
    "08": Category.TRANSIENT,
    "53": Category.RESOURCE,  # disk full, out of memory, too many connections
    "58": Category.RESOURCE,  # system errors
    "28": Category.CONFIGURATION,  # authorization
    "22": Category.DATA,
    "23": Category.DATA,  # constraints
    "44": Category.DATA,
    "42": Category.PERMANENT,
    "3F": Category.PERMANENT,
    "0A": Category.PERMANENT,
    "21": Category.DATA,
}
# libpq gives no error code for a connection that never stood; its words are the server's.
_REFUSED = re.compile(
    r"authentication failed|no password supplied|no pg_hba\.conf entry|role .* does not exist"
    r"|database .* does not exist|not permitted to log in|permission denied for database"
    r"|invalid (?:connection option|URI|port|dsn)|could not translate host name|certificate"
    r"|SSL",
    re.IGNORECASE,
)
_QUOTED = re.compile(r'"[^"]*"')
_FULL = re.compile(r"too many (?:clients|connections)|remaining connection slots", re.IGNORECASE)


def classify(sqlstate: str | None, message: str) -> Category:
    """Return the category of an error by its SQLSTATE, or by its words where it carries none."""
    if sqlstate:
        return _CODES.get(sqlstate) or _CLASSES.get(sqlstate[:2], Category.UNCLASSIFIED)
    if _FULL.search(message):
        return Category.RESOURCE
    if _REFUSED.search(message):
        return Category.CONFIGURATION
    return Category.TRANSIENT


def failed(
    error: psycopg.Error,
    connection: str,
    redactor: Redactor,
    *,
    effect_possible: bool,
    personal: bool = False,
) -> ActionFailed:
    """Turn a driver's error into a classified failure, secrets masked.

    Args:
        effect_possible: whether a COMMIT may have reached the server.
        personal: the rows are of people: the server's detail, which quotes them, is left out, and so are the
            values that a message about wrong data (SQLSTATE class 22) quotes.
    """
    diagnostic = error.diag
    text = diagnostic.message_primary or " ".join(str(error).split())
    category = classify(error.sqlstate, text)
    if personal and (error.sqlstate or "").startswith("22"):
        text = _QUOTED.sub('"…"', text)
    if diagnostic.message_detail and not personal:
        text += f" ({diagnostic.message_detail})"
    if diagnostic.message_hint:
        text += f"; {diagnostic.message_hint}"
    if error.sqlstate == "55P03":
        text += "; another session holds the rows, the step may be tried again"
    if error.sqlstate == "42501":
        text += "; grant the right (stanch grants prints the statements), or narrow the playbook"
    if error.sqlstate == "25006":
        text += "; the connection leads to a standby or a read-only role"
    code = f" [{error.sqlstate}]" if error.sqlstate else ""
    message = redactor.text(f"postgres connection {connection!r}: {text}{code}")
    return ActionFailed(category, message, effect_possible=effect_possible)
