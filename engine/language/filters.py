"""The filters and tests of expressions: Stanch's own, and Jinja's pure ones within limits."""

from __future__ import annotations

import json
import re
import time
import unicodedata
from decimal import Decimal
from typing import Any

from jinja2.filters import FILTERS as JINJA_FILTERS
from jinja2.runtime import Undefined

from engine.language.comparisons import parse_number
from engine.language.coreyaml import read_yaml, write_yaml
from engine.language.data import failure, json_text, plain, text_of
from engine.language.durations import seconds
from engine.language.jinjafilters import PURE, Filter, guarded
from engine.language.problems import shown
from engine.language.quantities import format_quantity as quantity_text
from engine.language.quantities import quantity
from engine.language.sandbox import formatted
from engine.language.scope import MAX_TEXT, Absent, Scope, TemplateError, bounded, kind_of

_MAX_PATTERN = 1_000


def _number(scope: Scope, value: Any) -> int | float:
    """The number that a text is. Strict: spaces, units, separators and empty text are errors."""
    if isinstance(value, str):
        return parse_number(value)
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise TemplateError(f"{kind_of(value)} is no number")
    number = plain(value, scope)
    assert isinstance(number, int | float)
    return number


def _duration(scope: Scope, value: Any) -> float:
    """The seconds of a duration such as `15m`; a number is seconds already."""
    del scope
    return seconds(value)


def _quantity(scope: Scope, value: Any) -> Decimal:
    """The exact number of a Kubernetes quantity such as `512Mi`, to compare and to reckon with."""
    del scope
    return quantity(value)


def _as_quantity(scope: Scope, value: Any, style: str = "binary") -> str:
    """A number as Kubernetes writes it: `2Gi`; style `decimal` for CPU and counts: `1500m`."""
    del scope
    if style not in ("binary", "decimal"):
        raise TemplateError(f"the style {shown(str(style))} is neither binary nor decimal")
    return quantity_text(quantity(value), "binary" if style == "binary" else "decimal")


def _json(scope: Scope, value: Any, indent: int | None = None) -> Any:
    """Reads a text as JSON; writes anything else as JSON text."""
    if not isinstance(value, str):
        return _to_json(scope, value, indent)
    bounded(len(value))
    try:
        return json.loads(value, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise TemplateError(f"the text is no JSON: {error}") from error


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not part of JSON")


def _to_json(scope: Scope, value: Any, indent: int | None = None) -> str:
    """Writes a value as JSON text, a text with its quotes."""
    if indent is not None and not (type(indent) is int and 0 <= indent <= 8):
        raise TemplateError("indent is a number from 0 to 8")
    return json_text(plain(value, scope), indent)


def _yaml(scope: Scope, value: Any) -> Any:
    """Reads a text as YAML 1.2; writes anything else as YAML text."""
    if isinstance(value, str):
        return read_yaml(value)
    data = plain(value, scope)
    json_text(data, None)  # refuses what is not known yet
    made = write_yaml(data)
    bounded(len(made))
    return made


def _regex_search(
    scope: Scope, value: Any, pattern: str, group: int | str = 0, ignorecase: bool = False
) -> str | None:
    """The first match of a regular expression anywhere in a text, or one of its groups; null where none is."""
    import regex

    if not isinstance(value, str) or not isinstance(pattern, str):
        raise TemplateError(f"regex_search takes texts, not {kind_of(value)}")
    if len(pattern) > _MAX_PATTERN:
        raise TemplateError(f"the pattern is over {_MAX_PATTERN} characters long")
    started = time.monotonic()
    try:
        compiled = regex.compile(pattern, regex.IGNORECASE if ignorecase else 0)
        found = compiled.search(value, timeout=max(scope.regex_seconds, 0.001), concurrent=True)
        result = None if found is None else found.group(group)
    except regex.error as error:
        raise TemplateError(f"{shown(pattern)} is no regular expression: {error}") from error
    except IndexError as error:
        raise TemplateError(f"{shown(pattern)} has no group {group!r}") from error
    except TimeoutError as error:
        raise TemplateError(f"searching {shown(pattern)} takes too long") from error
    scope.regex_seconds -= time.monotonic() - started
    return None if result is None else str(result)


def _slug(scope: Scope, value: Any, length: int = 63) -> str:
    """Lower-case letters, digits and single dashes, for names of channels and objects."""
    del scope
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        raise TemplateError(f"{kind_of(value)} makes no slug")
    if type(length) is not int or not 1 <= length <= 253:
        raise TemplateError("a slug's length is from 1 to 253")
    folded = unicodedata.normalize("NFKD", str(value)[:MAX_TEXT]).encode("ascii", "ignore").decode()
    made = re.sub(r"[^a-z0-9]+", "-", folded.lower()).strip("-")[:length].rstrip("-")
    if not made:
        raise TemplateError(f"{shown(str(value))} has no letter or digit to make a slug of")
    return made


def _outputs(scope: Scope, value: Any) -> list[Any]:
    """The outputs of a foreach's succeeded items, in their order."""
    del scope
    if not isinstance(value, list | tuple):
        raise TemplateError(f"outputs takes the output of a foreach, not {kind_of(value)}")
    try:
        return [item["output"] for item in value if item["state"] == "succeeded"]
    except (TypeError, KeyError) as error:
        raise TemplateError("outputs takes the output of a foreach step") from error


def _default(scope: Scope, value: Any, default: Any = "", boolean: bool = False) -> Any:
    """The value, or `default` where it is not there (with `boolean`, also where it is empty or false)."""
    del scope
    if isinstance(value, Absent) and value.unknown is not None:
        return value
    if isinstance(value, Undefined) or (boolean and not value):
        return default
    return value


def _string(scope: Scope, value: Any) -> str:
    return text_of(value, scope)


def _join(scope: Scope, value: Any, d: str = "", attribute: str | int | None = None) -> str:
    items = value
    if attribute is not None:
        items = FILTERS["map"](scope, value, attribute=attribute)
    parts = [text_of(item, scope) for item in items]
    bounded(sum(map(len, parts)) + len(d) * len(parts))
    return d.join(parts)


def _replace(scope: Scope, value: Any, old: Any, new: Any, count: int | None = None) -> str:
    text, sought, put = (text_of(item, scope) for item in (value, old, new))
    if not sought:
        raise TemplateError("replace needs a text to look for")
    times = text.count(sought)
    bounded(len(text) + times * max(0, len(put) - len(sought)))
    return text.replace(sought, put, -1 if count is None else count)


def _format(scope: Scope, value: Any, *args: Any, **kwargs: Any) -> str:
    del scope
    if args and kwargs:
        raise TemplateError("format takes values in order or by name, not both")
    return formatted(value, kwargs or args)


def _round(scope: Scope, value: Any, precision: int = 0, method: str = "common") -> int | float:
    """Rounded to `precision` places; a whole number where that is 0 (`common`, `ceil`, `floor`)."""
    number = plain(_number(scope, value), scope)
    rounded = JINJA_FILTERS["round"](number, precision, method)
    return int(rounded) if precision == 0 else float(rounded)


def _groupby(scope: Scope, value: Any, *args: Any, **kwargs: Any) -> list[dict[str, Any]]:
    groups = JINJA_FILTERS["groupby"](scope.environment, value, *args, **kwargs)
    return [{"grouper": group.grouper, "list": group.list} for group in groups]


def _sum(scope: Scope, value: Any, attribute: Any = None, start: Any = 0) -> Any:
    items = value if attribute is None else FILTERS["map"](scope, value, attribute=attribute)
    total = start
    for item in (start, *items):
        if isinstance(item, Undefined):
            raise failure(item)
        if isinstance(item, bool) or not isinstance(item, int | float | Decimal):
            raise TemplateError(f"sum adds numbers, not {kind_of(item)}")
    for item in items:
        total = scope.environment.call_binop(scope, "+", total, item)  # type: ignore[attr-defined]
    return total


def concat(scope: Scope, values: Any) -> str:
    """The `~` operator."""
    return _join(scope, values)


_OWN: dict[str, Filter] = {
    "as_quantity": _as_quantity,
    "d": _default,
    "default": _default,
    "duration": _duration,
    "format": _format,
    "groupby": _groupby,
    "join": _join,
    "json": _json,
    "number": _number,
    "outputs": _outputs,
    "quantity": _quantity,
    "regex_search": _regex_search,
    "replace": _replace,
    "round": _round,
    "slug": _slug,
    "string": _string,
    "sum": _sum,
    "tojson": _to_json,
    "yaml": _yaml,
}
FILTERS: dict[str, Filter] = PURE | {
    name: guarded(name, function) for name, function in _OWN.items()
}

# Names that people bring from elsewhere, with what to write here.
REPLACED_FILTERS = {
    "int": "use number, which is strict; round gives a whole number",
    "float": "use number, which is strict",
    "from_json": "use json",
    "to_json": "use json, or tojson for a text",
    "from_yaml": "use yaml",
    "to_yaml": "use yaml",
    "bool": "write a comparison",
    "random": "a playbook must give the same plan twice",
    "attr": "write value.name or value['name']",
    "combine": "write the map out",
    "regex_replace": "use replace, or let an action do it",
    "regex_findall": "use regex_search, or let an action do it",
    "ternary": "write a if condition else b",
}
