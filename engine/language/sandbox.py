"""Jinja's sandbox, narrowed to data: the attributes, methods and operators that an expression may use.

Attributes are keys of mappings, then a short list of harmless methods; nothing of Python's objects is reachable.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from functools import partial
from typing import Any

from jinja2.runtime import Context, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import missing

from engine.domain.plan import Unknown
from engine.language.scope import Absent, Scope, TemplateError, bounded, kind_of

MAX_BITS = 4096  # of a whole number

# ---- methods --------------------------------------------------------------------------------------


def _replace(text: str, old: str, new: str, count: int = -1) -> str:
    times = text.count(old) if count < 0 else min(count, text.count(old))
    bounded(len(text) + times * max(0, len(new) - len(old)))
    return text.replace(old, new, count)


def _join(separator: str, items: Iterable[str]) -> str:
    parts = list(items)
    bounded(sum(map(len, parts)) + len(separator) * len(parts))
    return separator.join(parts)


_STR = frozenset(
    (
        *("capitalize", "casefold", "count", "endswith", "find", "index", "isalnum", "isalpha"),
        *("isdecimal", "isdigit", "islower", "isnumeric", "isspace", "istitle", "isupper", "lower"),
        *("lstrip", "partition", "removeprefix", "removesuffix", "rfind", "rindex", "rpartition"),
        *(
            "rsplit",
            "rstrip",
            "split",
            "splitlines",
            "startswith",
            "strip",
            "swapcase",
            "title",
            "upper",
        ),
    )
)
_BOUNDED: dict[str, Callable[..., str]] = {"replace": _replace, "join": _join}
_MAP = frozenset({"get", "items", "keys", "values"})
_LIST = frozenset({"count", "index"})
METHODS = _STR | frozenset(_BOUNDED) | _MAP | _LIST


def _method(obj: Any, name: str) -> Any:
    if isinstance(obj, str):
        if name in _BOUNDED:
            return partial(_BOUNDED[name], str(obj))
        return getattr(obj, name) if name in _STR else missing
    if isinstance(obj, Mapping):
        return getattr(obj, name) if name in _MAP else missing
    if isinstance(obj, list | tuple):
        return getattr(obj, name) if name in _LIST else missing
    return missing


# ---- operators ------------------------------------------------------------------------------------

_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
    "**": operator.pow,
}
_PLAIN = frozenset({int, float})
_WIDE = re.compile(r"%[^a-zA-Z%]*(?:\*|[0-9]{4})")


def formatted(template: str, values: Any) -> str:
    """`template % values` with scalars only and no width over 999."""
    if _WIDE.search(template):
        raise TemplateError("a format's width is at most 999 and never *")
    items = values.values() if isinstance(values, Mapping) else values
    items = list(items) if isinstance(values, Mapping | tuple | list) else [values]
    if not all(item is None or isinstance(item, str | int | float | Decimal) for item in items):
        raise TemplateError("a format takes texts and numbers", hint="use | json for the rest")
    widest = max((len(str(item)) for item in items), default=0)
    bounded(len(template) + template.count("%") * (widest + 999))
    given = values if isinstance(values, Mapping) else tuple(items)
    return template % given


class Sandbox(ImmutableSandboxedEnvironment):
    """Jinja's sandbox, narrowed to data."""

    intercepted_binops = frozenset(_OPERATORS)

    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, Mapping):
            if attribute in obj:
                value = obj[attribute]
                return Absent(unknown=value) if type(value) is Unknown else value
        elif isinstance(obj, Undefined):
            return obj
        found = _method(obj, attribute)
        return Absent(obj=obj, name=attribute) if found is missing else found

    def getitem(self, obj: Any, argument: Any) -> Any:
        if isinstance(obj, Undefined):
            return obj
        if isinstance(argument, Undefined):
            raise _failure(argument)
        if isinstance(obj, Mapping):
            found = obj.get(argument, missing)
        elif isinstance(obj, list | tuple | str) and isinstance(argument, int):
            found = obj[argument] if -len(obj) <= argument < len(obj) else missing
        else:
            found = missing
        if type(found) is Unknown:
            return Absent(unknown=found)
        return Absent(obj=obj, name=argument) if found is missing else found

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N805
        if isinstance(__obj, Undefined):
            raise _failure(__obj)
        for given in (*args, *kwargs.values()):
            if isinstance(given, Undefined):
                raise _failure(given)
        if not callable(__obj):
            hint = "a key has the method's name" if isinstance(__obj, list | Mapping) else None
            raise TemplateError(f"{kind_of(__obj)} cannot be called", hint=hint)
        result = __obj(*args, **kwargs)
        if not isinstance(result, str | int | float | list | tuple | type(None) | Mapping):
            result = list(result)  # the views that items(), keys() and values() are
        assert isinstance(__context, Scope)
        __context.spend(len(result) if isinstance(result, str | list | tuple) else 1)
        return result

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        if operator != "**" and type(left) is float and type(right) in _PLAIN:
            return _OPERATORS[operator](left, right)
        for side in (left, right):
            if isinstance(side, Undefined):
                raise _failure(side)
        if operator == "%" and isinstance(left, str):
            return formatted(left, right)
        if operator == "*":
            _check_product(left, right)
        if operator == "**":
            _check_power(left, right)
        if isinstance(left, Decimal) and isinstance(right, float):
            right = Decimal(repr(right))
        elif isinstance(right, Decimal) and isinstance(left, float):
            left = Decimal(repr(left))
        result = _OPERATORS[operator](left, right)
        if isinstance(result, int):
            if result.bit_length() > MAX_BITS:
                raise TemplateError("the number is too large")
        elif isinstance(result, str | list | tuple):
            assert isinstance(context, Scope)
            context.spend(len(result))
        return result


def _failure(absent: Undefined) -> TemplateError:
    return absent.fail() if isinstance(absent, Absent) else TemplateError("a value is not defined")


def _check_product(left: Any, right: Any) -> None:
    for one, other in ((left, right), (right, left)):
        if isinstance(one, str) and isinstance(other, int):
            bounded(len(one) * other)
        if isinstance(one, list | tuple):
            raise TemplateError("a list cannot be multiplied")


def _check_power(base: Any, exponent: Any) -> None:
    if isinstance(base, int) and isinstance(exponent, int):
        if base.bit_length() * abs(exponent) > MAX_BITS:
            raise TemplateError("the power is too large")
    elif isinstance(base, Decimal) or isinstance(exponent, Decimal):
        raise TemplateError("a quantity has no power")
