"""What every form of YAML is made of: the mapping that refuses unknown fields, and how a field refuses a value.

A refusal keeps the place inside a text or a list (`bad_text` errors carry `offset`, `hint` and `index`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NoReturn

from pydantic import BaseModel, ConfigDict, WithJsonSchema
from pydantic_core import PydanticCustomError

from engine.language.diagnostics import described
from engine.language.problems import BadText


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


def read_by(read: Callable[[str], Any], text: str) -> Any:
    """Return what `read` makes of a text, from inside a validator; what it refuses is refused with its place."""
    try:
        return read(text)
    except BadText as error:
        bad(error.message, error.hint, error.offset)


def bad_item(index: int, message: str, expected: str) -> NoReturn:
    """Refuse the item of a list that is of the wrong kind, from inside a validator."""
    context = {"message": message, "expected": expected, "hint": None, "index": index}
    raise PydanticCustomError("bad_type", "{message}", context)


def bad_item_text(index: int, error: BadText) -> NoReturn:
    """Refuse the item of a list whose text cannot be read, from inside a validator."""
    context = {"message": error.message, "hint": error.hint, "offset": error.offset, "index": index}
    raise PydanticCustomError("bad_text", "{message}", context)


def schema_text(description: str, examples: Iterable[str], pattern: str | None = None) -> Any:
    """Return the JSON Schema mark of a field that is written as text."""
    schema: dict[str, Any] = {"type": "string", "description": description}
    schema["examples"] = list(examples)
    if pattern:
        schema["pattern"] = pattern
    return WithJsonSchema(schema)
