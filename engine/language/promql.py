"""PromQL in rules and playbooks: `$name` parameters, no templates in the text.

Binding itself lies with the domain (`engine.domain.promql`), where the actions find it too; here are the
checks that need no values, with places inside the text.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from engine.domain.promql import PromqlError, check_names, placeholders
from engine.domain.promql import bind as _bind
from engine.language.problems import BadText, did_you_mean

__all__ = ["QueryError", "bind", "check_query", "parameters"]


class QueryError(BadText):
    """A query's text or its parameters are wrong."""


def parameters(query: str) -> frozenset[str]:
    """Return the `$names` of a query.

    Raises:
        QueryError: its quotes are wrong or it holds a template.
    """
    _refuse_templates(query)
    try:
        return placeholders(query)
    except PromqlError as error:
        raise QueryError(str(error), offset=error.offset) from error


def check_query(query: str, given: Collection[str]) -> None:
    """Check a query's text against the names of its `params`, before any value is known.

    Raises:
        QueryError: a template in the text, an unbound or unused parameter, a quote that is not closed.
    """
    wanted = parameters(query)
    try:
        check_names(query, given)
    except PromqlError as error:
        missing = sorted(wanted - set(given))
        hint = did_you_mean(missing[0], set(given) - wanted) if missing else None
        raise QueryError(str(error), offset=error.offset, hint=hint) from error


def bind(query: str, params: Mapping[str, Any]) -> str:
    """Return `query` with every `$name` replaced by its value, escaped for where it stands.

    Raises:
        QueryError: as `check_query`, and where a value cannot stand where its name stands.
    """
    _refuse_templates(query)
    try:
        return _bind(query, params)
    except PromqlError as error:
        raise QueryError(str(error), offset=error.offset) from error


def _refuse_templates(query: str) -> None:
    for opening in ("{{", "{%"):
        offset = query.find(opening)
        if offset >= 0:
            hint = "write $name in the query, and the template under params"
            raise QueryError("a query holds no templates", offset=offset, hint=hint)
