"""Types of fields that hold a list: of matchers, labels, failure categories, words."""

from __future__ import annotations

from typing import Annotated

from pydantic import PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from engine.domain.errors import Category
from engine.language.diagnostics import clipped, described, suggestion
from engine.language.forms import bad, bad_item, bad_item_text, bad_type, has_template
from engine.language.matcherreading import parse_matchers
from engine.language.matchers import Matcher
from engine.language.problems import BadText


def _matchers(value: object) -> tuple[Matcher, ...]:
    if not isinstance(value, list):
        hint = "write them as a list: ['alertname=\"ETLFailed\"']"
        bad_type(value, "a list of matchers", hint)
    found: list[Matcher] = []
    for index, text in enumerate(value):
        if not isinstance(text, str):
            bad_item(index, described(text), 'a matcher such as alertname="ETLFailed"')
        if has_template(text):
            bad_item_text(index, BadText("a matcher cannot be a template", hint="use a condition"))
        try:
            found.extend(parse_matchers(text))
        except BadText as error:
            bad_item_text(index, error)
    if not found:
        bad("the list of matchers is empty", "it would match every alert; name at least alertname")
    return tuple(found)


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
            bad_item(index, described(item), "a label name")
        if item in seen:
            bad_item_text(
                index, BadText(f"the label {item!r} stands here twice", hint="remove one")
            )
        seen.append(item)
    return tuple(seen)


def _words(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        bad_type(value, "a list", f"write a list: [{value}]" if isinstance(value, str) else None)
    if not value:
        bad("the list is empty", "name at least one")
    for index, item in enumerate(value):
        if not isinstance(item, str) or not item:
            bad_item(index, described(item), "a text")
    return tuple(value)


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
