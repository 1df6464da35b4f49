"""What leaves an expression: fresh JSON data, or its text."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from jinja2.runtime import Undefined
from markupsafe import Markup

from engine.domain.clock import format_time
from engine.domain.plan import Unknown
from engine.language.scope import (
    Absent,
    KnownAfterApply,
    Scope,
    StepView,
    TemplateError,
    bounded,
    kind_of,
)


def plain(value: Any, scope: Scope) -> Any:
    """Return an expression's result as fresh JSON data, each part charged to the allowance.

    Exact numbers become ints where they are whole, else floats; a value known after apply stays Unknown.

    Raises:
        TemplateError: something in it is absent or no data (a method without its parentheses).
    """
    scope.spend(1)
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        scope.spend(len(value) >> 4)
        return str(value) if isinstance(value, Markup) else value
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise TemplateError("a map has a key that is no text", hint="put the key in quotes")
        return {key: plain(item, scope) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, scope) for item in value]
    if isinstance(value, Undefined):
        if isinstance(value, Absent) and value.unknown is not None:
            return value.unknown
        raise failure(value)
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, Unknown):
        return value
    if isinstance(value, datetime) and value.tzinfo is not None:
        return format_time(value)
    if isinstance(value, StepView):
        raise TemplateError(f"step {value.address} is no data", hint="write steps.ID")
    raise TemplateError(f"{kind_of(value)} is no data")


def text_of(value: Any, scope: Scope) -> str:
    """Return how a value stands inside text: texts as they are, the rest as JSON writes it."""
    if isinstance(value, str):
        return str(value)
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, Undefined):
        raise failure(value)
    return json_text(plain(value, scope), None)


def json_text(value: Any, indent: int | None) -> str:
    try:
        made = json.dumps(value, ensure_ascii=False, indent=indent, default=_later, allow_nan=False)
    except ValueError as error:
        raise TemplateError("JSON has neither NaN nor infinity") from error
    bounded(len(made))
    return made


def _later(value: Any) -> Any:
    if isinstance(value, Unknown):
        raise KnownAfterApply(value)
    raise TypeError(f"{kind_of(value)} is no data")


def failure(absent: Undefined) -> TemplateError:
    return absent.fail() if isinstance(absent, Absent) else TemplateError("a value is not defined")


def refuse_absent(values: Iterable[Any]) -> None:
    for value in values:
        if isinstance(value, Undefined):
            raise failure(value)


def size_of(value: Any) -> int:
    return len(value) if isinstance(value, str | list | tuple | dict) else 1
