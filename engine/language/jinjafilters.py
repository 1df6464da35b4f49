"""Jinja's own filters, those that are pure, within the limits of an expression."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

from jinja2.filters import FILTERS as JINJA_FILTERS
from jinja2.runtime import Undefined
from jinja2.utils import pass_context

from engine.language.data import refuse_absent, size_of
from engine.language.scope import Scope, TemplateError, bounded, kind_of

Filter = Callable[..., Any]
_SCALAR = (str, int, float, Decimal, type(None))
_MAX_ARGUMENT = 10_000  # widths, sizes and places
_PURE = (
    *(
        "abs",
        "batch",
        "capitalize",
        "center",
        "count",
        "dictsort",
        "filesizeformat",
        "first",
        "indent",
    ),
    *("items", "last", "length", "list", "lower", "map", "max", "min", "reject", "rejectattr"),
    *("reverse", "select", "selectattr", "slice", "sort", "title", "trim", "truncate", "unique"),
    *("upper", "urlencode", "wordcount", "wordwrap"),
)
_PASSES_ON = frozenset({"map", "select", "reject", "selectattr", "rejectattr"})


def guarded(name: str, function: Filter) -> Filter:
    """Refuse absent values, charge for what goes in and comes out, and make lists of generators."""
    forgiving = name in ("default", "d")

    @pass_context
    def wrapped(scope: Scope, value: Any, *args: Any, **kwargs: Any) -> Any:
        if not forgiving:
            refuse_absent((value, *args, *kwargs.values()))
        scope.spend(size_of(value) + 1)
        result = function(scope, value, *args, **kwargs)
        if not isinstance(
            result, str | int | float | list | tuple | Mapping | Undefined
        ) and hasattr(result, "__next__"):
            result = _collected(scope, result)
        scope.spend(size_of(result))
        return result

    return wrapped


def _collected(scope: Scope, items: Iterable[Any]) -> list[Any]:
    found = []
    for item in items:
        scope.spend(1)
        found.append(item)
    return found


def _jinja(name: str) -> Filter:
    function = JINJA_FILTERS[name]
    takes = getattr(function, "jinja_pass_arg", None)
    takes_name = takes.name if takes is not None else ""

    def called(scope: Scope, value: Any, *args: Any, **kwargs: Any) -> Any:
        _check_arguments(name, value, args, kwargs)
        if takes_name == "context":
            return function(scope, value, *args, **kwargs)
        if takes_name == "environment":
            return function(scope.environment, value, *args, **kwargs)
        if takes_name == "eval_context":
            return function(_EVAL, value, *args, **kwargs)
        return function(value, *args, **kwargs)

    return called


class _NoEscape:
    """What Jinja's filters ask of an evaluation context: texts here are never HTML."""

    autoescape = False
    volatile = False
    environment = SimpleNamespace(is_async=False)


_EVAL = _NoEscape()


def _check_arguments(name: str, value: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    named = kwargs.values()
    for given in named if name in _PASSES_ON else (*args, *named):
        if not isinstance(given, _SCALAR):
            raise TemplateError(f"{name} takes texts and numbers, not {kind_of(given)}")
    for given in (*args, *named):
        if isinstance(given, int) and abs(given) > _MAX_ARGUMENT and name not in _PASSES_ON:
            raise TemplateError(f"{name} takes numbers up to {_MAX_ARGUMENT}, not {given}")
    if name == "indent" and isinstance(value, str):
        width = next((len(g) if isinstance(g, str) else g for g in (*args, *named)), 4)
        bounded(len(value) + (value.count("\n") + 1) * int(width or 0))


PURE: dict[str, Filter] = {name: guarded(name, _jinja(name)) for name in _PURE}
