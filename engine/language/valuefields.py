"""Types of fields that hold one value as an author writes it: durations, sizes, comparisons, expressions, times."""

from __future__ import annotations

from typing import Annotated

from pydantic import PlainValidator, WithJsonSchema

from engine.domain.clock import parse_time
from engine.language.comparisons import parse_comparison, parse_tolerance
from engine.language.durations import parse_duration
from engine.language.forms import bad, bad_type, has_template, read_by, schema_text
from engine.language.program import Comparison
from engine.language.quantities import parse_quantity

_EXPRESSION_HINT = "write a condition such as steps.check.value > 3"


def _number_hint(value: object, unit: str) -> str | None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return f"name the unit, for example {value}{unit}" if number else None


def _seconds(value: object) -> float:
    if not isinstance(value, str):
        bad_type(value, "a duration such as 90s, 15m, 4h or 2d", _number_hint(value, "s"))
    if has_template(value):
        bad(
            "this duration cannot be a template",
            "rules and configuration hold fixed durations: 15m",
        )
    return float(read_by(parse_duration, value))


def _duration(value: object) -> float | str:
    if isinstance(value, str) and has_template(value):
        return value
    return _seconds(value)


def _positive_seconds(value: object) -> float:
    found = _seconds(value)
    if found <= 0:
        bad("this must be more than no time", "write for example 30s")
    return found


def _positive_duration(value: object) -> float | str:
    if isinstance(value, str) and has_template(value):
        return value
    return _positive_seconds(value)


def _size(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if not isinstance(value, str):
        bad_type(value, "a size such as 64Ki, 4Mi or a number of bytes")
    quantity = read_by(parse_quantity, value)
    if quantity < 0 or quantity != int(quantity):
        bad(f"{value!r} is no whole number of bytes", "write for example 4Mi")
    return int(quantity)


def _amount(value: object) -> float | str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, str):
        bad_type(value, "a number, or a quantity such as 4Gi")
    read_by(parse_quantity, value)
    return value


def _comparison(value: object) -> Comparison:
    if not isinstance(value, str):
        hint = (
            f'write an operator and the number, for example "< {value}"'
            if isinstance(value, int | float) and not isinstance(value, bool)
            else None
        )
        bad_type(value, 'a comparison such as "< 0.01"', hint)
    if has_template(value):
        bad("a comparison cannot be a template", "put the template into the query's params instead")
    found = read_by(parse_comparison, value)
    assert isinstance(found, Comparison)
    return found


def _expression(value: object) -> str:
    if isinstance(value, bool):
        always = "leave it out" if value else "remove the step"
        bad(f"{str(value).lower()} is a constant", f"{always}, or {_EXPRESSION_HINT}")
    if not isinstance(value, str):
        bad_type(value, 'an expression such as "steps.check is succeeded"')
    if not value.strip():
        bad("the expression is empty", _EXPRESSION_HINT)
    return value


def _time(value: object) -> str:
    if not isinstance(value, str):
        bad_type(value, "a time such as 2026-11-23T03:15:00Z, or a template")
    if has_template(value):
        return value
    try:
        parse_time(value)
    except ValueError:
        bad(f"{value!r} is no time with a zone", "write for example 2026-11-23T03:15:00Z")
    return value


def _tolerance(value: object) -> str:
    read_by(parse_tolerance, value)  # type: ignore[arg-type]
    return str(value)


_SECONDS = r"^\s*[0-9].*[a-z]\s*$"
Seconds = Annotated[
    float, PlainValidator(_seconds), schema_text("a duration", ["90s", "15m", "4h", "2d"], _SECONDS)
]
Duration = Annotated[
    float | str,
    PlainValidator(_duration),
    schema_text(
        "a duration, or a template that yields seconds", ["90s", "15m", "{{ inputs.wait }}"]
    ),
]
PositiveSeconds = Annotated[
    float,
    PlainValidator(_positive_seconds),
    schema_text("a duration, more than 0s", ["30s", "15m"], _SECONDS),
]
PositiveDuration = Annotated[
    float | str,
    PlainValidator(_positive_duration),
    schema_text("a duration, or a template that yields seconds", ["30s", "{{ inputs.every }}"]),
]
Size = Annotated[
    int,
    PlainValidator(_size),
    WithJsonSchema({"type": ["integer", "string"], "description": "bytes: 1000000, 64Ki, 4Mi"}),
]
Amount = Annotated[
    float | str,
    PlainValidator(_amount),
    WithJsonSchema(
        {"type": ["number", "string"], "description": "a number, or a quantity: 10, 4Gi"}
    ),
]
ComparisonText = Annotated[
    Comparison,
    PlainValidator(_comparison),
    schema_text("an operator and a number", ["< 0.01", ">= 3"], r"^\s*(<=?|>=?|==|!=)"),
]
ExpressionText = Annotated[
    str,
    PlainValidator(_expression),
    schema_text(
        "an expression that yields true or false, bare or in {{ }}",
        ["steps.check.value > 3", "steps.scale is succeeded"],
    ),
]
TimeText = Annotated[
    str,
    PlainValidator(_time),
    schema_text(
        "a time with its zone, or a template that yields one",
        ["2026-11-23T03:15:00Z", "{{ steps.limit.resets_at }}"],
    ),
]
Tolerance = Annotated[
    str,
    PlainValidator(_tolerance),
    WithJsonSchema(
        {
            "type": ["string", "integer"],
            "description": "how many items may fail without failing the step",
            "examples": ["10%", 3],
        }
    ),
]
