"""Types of fields that YAML files share: durations, comparisons, expressions, matchers, names.

Each reads the text that an author wrote into the value that the engine uses, and says what is wrong with it
in a way that keeps the place inside the text (`bad_text` errors carry `offset` and `hint`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Annotated, Any, NoReturn

from pydantic import BaseModel, ConfigDict, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from engine.domain.clock import parse_time
from engine.domain.errors import Category
from engine.language.comparisons import parse_comparison, parse_tolerance
from engine.language.diagnostics import clipped, described, suggestion
from engine.language.durations import parse_duration
from engine.language.matcherreading import parse_matchers
from engine.language.matchers import Matcher
from engine.language.problems import BadText
from engine.language.program import Comparison
from engine.language.quantities import parse_quantity

TEMPLATE = r"\{\{.*\}\}"
_NAME = re.compile(r"[a-z][a-z0-9_]*\Z")
_PLAYBOOK = re.compile(r"[a-z0-9][a-z0-9_-]*(?:/[a-z0-9][a-z0-9_-]*)*\Z")
_RULE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./-]*\Z")
_ACTION = re.compile(r"\S+\Z")  # which names there are, the registry says
_EXPRESSION_HINT = "write a condition such as steps.check.value > 3"


class Form(BaseModel):
    """A mapping as it stands in YAML: unknown fields are errors, nothing is coerced from text."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, defer_build=True)


def has_template(text: str) -> bool:
    """Tell whether a text holds `{{`, so that its value is known only when it is rendered."""
    return "{{" in text


def bad(message: str, hint: str | None = None, offset: int | None = None) -> NoReturn:
    """Refuse a value from inside a validator, with what to do and where in the text."""
    raise PydanticCustomError(
        "bad_text", "{message}", {"message": message, "hint": hint, "offset": offset}
    )


def bad_type(value: object, expected: str, hint: str | None = None) -> NoReturn:
    """Refuse a value of the wrong kind from inside a validator."""
    raise PydanticCustomError(
        "bad_type", "{message}", {"message": described(value), "expected": expected, "hint": hint}
    )


def _via(read: Callable[[str], Any], text: str) -> Any:
    try:
        return read(text)
    except BadText as error:
        bad(error.message, error.hint, error.offset)


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
    return float(_via(parse_duration, value))


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
    quantity = _via(parse_quantity, value)
    if quantity < 0 or quantity != int(quantity):
        bad(f"{value!r} is no whole number of bytes", "write for example 4Mi")
    return int(quantity)


def _amount(value: object) -> float | str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, str):
        bad_type(value, "a number, or a quantity such as 4Gi")
    _via(parse_quantity, value)
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
    found = _via(parse_comparison, value)
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


def _matchers(value: object) -> tuple[Matcher, ...]:
    if not isinstance(value, list):
        hint = "write them as a list: ['alertname=\"ETLFailed\"']"
        bad_type(value, "a list of matchers", hint)
    found: list[Matcher] = []
    for index, text in enumerate(value):
        if not isinstance(text, str):
            _at(index, described(text), 'a matcher such as alertname="ETLFailed"')
        if has_template(text):
            _at_text(index, BadText("a matcher cannot be a template", hint="use a condition"))
        try:
            found.extend(parse_matchers(text))
        except BadText as error:
            _at_text(index, error)
    if not found:
        bad("the list of matchers is empty", "it would match every alert; name at least alertname")
    return tuple(found)


def _at(index: int, message: str, expected: str) -> NoReturn:
    context = {"message": message, "expected": expected, "hint": None, "index": index}
    raise PydanticCustomError("bad_type", "{message}", context)


def _at_text(index: int, error: BadText) -> NoReturn:
    context = {"message": error.message, "hint": error.hint, "offset": error.offset, "index": index}
    raise PydanticCustomError("bad_text", "{message}", context)


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
    _via(parse_tolerance, value)  # type: ignore[arg-type]
    return str(value)


def _named(pattern: re.Pattern[str], what: str, rule: str) -> Callable[[object], str]:
    def check(value: object) -> str:
        if not isinstance(value, str):
            hint = f'quote it: "{value}"' if isinstance(value, int | float) else None
            bad_type(value, f"{what} of {rule}", hint)
        if has_template(value):
            bad(f"{what} cannot be a template", "names are static so that they can be checked")
        if not pattern.match(value) or len(value) > 100:
            better = _mended(value)
            hint = f"write for example {better}" if pattern.match(better) else None
            bad(f"{clipped(value)} is not {what} of {rule}", hint)
        return value

    return check


def _mended(text: str) -> str:
    return re.sub(r"[^a-z0-9/_]+", "_", text.lower()).strip("_")[:60]


def _categories(value: object) -> tuple[str, ...]:
    known = [category.value for category in Category]
    expected = "a list of failure categories: " + ", ".join(known)
    if not isinstance(value, list):
        bad_type(value, expected, "write a list: [transient]" if isinstance(value, str) else None)
    for index, item in enumerate(value):
        if item not in known:
            context = {
                "message": f"there is no failure category {clipped(str(item))}",
                "hint": suggestion(item, known) if isinstance(item, str) else None,
                "offset": None,
                "index": index,
                "expected": ", ".join(known),
            }
            raise PydanticCustomError("bad_text", "{message}", context)
    return tuple(value)


def _labels(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        hint = f"write a list: [{value}]" if isinstance(value, str) else None
        bad_type(value, "a list of label names", hint)
    seen: list[str] = []
    for index, item in enumerate(value):
        if not isinstance(item, str) or not item:
            _at(index, described(item), "a label name")
        if item in seen:
            _at_text(index, BadText(f"the label {item!r} stands here twice", hint="remove one"))
        seen.append(item)
    return tuple(seen)


def _words(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        bad_type(value, "a list", f"write a list: [{value}]" if isinstance(value, str) else None)
    if not value:
        bad("the list is empty", "name at least one")
    for index, item in enumerate(value):
        if not isinstance(item, str) or not item:
            _at(index, described(item), "a text")
    return tuple(value)


def schema_text(description: str, examples: Iterable[str], pattern: str | None = None) -> Any:
    """Return the JSON Schema mark of a field that is written as text."""
    schema: dict[str, Any] = {"type": "string", "description": description}
    schema["examples"] = list(examples)
    if pattern:
        schema["pattern"] = pattern
    return WithJsonSchema(schema)


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
Matchers = Annotated[
    tuple[Matcher, ...],
    PlainValidator(_matchers),
    WithJsonSchema(
        {
            "type": "array",
            "minItems": 1,
            "items": {"type": "string"},
            "description": "Alertmanager's matchers; all of them must match",
            "examples": [['alertname="ETLFailed"', 'namespace=~"starforge.*"']],
        }
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
StepId = Annotated[
    str,
    PlainValidator(_named(_NAME, "an id", "small letters, digits and _")),
    schema_text("the step's id, unique in the file", ["scale_down"], _NAME.pattern[:-2] + "$"),
]
Word = Annotated[
    str,
    PlainValidator(_named(_NAME, "a name", "small letters, digits and _")),
    schema_text("a name", ["failure_spike"], _NAME.pattern[:-2] + "$"),
]
PlaybookName = Annotated[
    str,
    PlainValidator(_named(_PLAYBOOK, "a playbook's name", "the form pack/name, in small letters")),
    schema_text("a playbook's name", ["etl/failure-spike"]),
]
RuleName = Annotated[
    str,
    PlainValidator(_named(_RULE, "a rule's name", "letters, digits and - _ . /")),
    schema_text("the rule's name, unique over all files", ["etl-failure-spike"]),
]
ActionName = Annotated[
    str,
    PlainValidator(_named(_ACTION, "an action's name", "the form system.verb")),
    schema_text("an action", ["kubernetes.scale"]),
]
Categories = Annotated[
    tuple[str, ...],
    PlainValidator(_categories),
    WithJsonSchema(
        {
            "type": "array",
            "items": {"enum": [category.value for category in Category]},
            "description": "which failures are tried again",
        }
    ),
]
Labels = Annotated[
    tuple[str, ...],
    PlainValidator(_labels),
    WithJsonSchema(
        {"type": "array", "items": {"type": "string"}, "description": "names of labels"}
    ),
]
Words = Annotated[
    tuple[str, ...],
    PlainValidator(_words),
    WithJsonSchema({"type": "array", "items": {"type": "string"}}),
]
