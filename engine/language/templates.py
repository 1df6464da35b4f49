"""`{{ expr }}` in strict, sandboxed Jinja2 (LANGUAGE "YAML and templates"). Alert text is data, never a template.

A text that is exactly one `{{ }}` keeps the type of its expression; anything mixed is a text, in which
maps, lists, booleans and null stand as JSON writes them. Nothing is guessed back from text.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jinja2.runtime import Undefined

from engine.domain.canonical import Json
from engine.language.data import failure, plain, text_of
from engine.language.expressions import Expression, parse_expression
from engine.language.judge import Use
from engine.language.scope import MAX_TEXT, KnownAfterApply, Scope, TemplateError, kind_of
from engine.language.templatescan import each_expression, is_template, scan, template_texts

_ATOMS = frozenset({str, int, float, bool, type(None)})


@dataclass(frozen=True)
class References:
    """What a template names, found without evaluating it.

    Attributes:
        steps: ids that follow `steps.` (state tests such as `steps.x is failed` included).
        roots: the top-level names (`inputs`, `steps`, `item`, `alert`, …; `secret` where it is called).
        uses: every place with its whole static path; offsets count inside the text they stand in.
        secrets: the names given to `secret(…)`.
    """

    steps: frozenset[str]
    roots: frozenset[str]
    uses: tuple[Use, ...] = ()
    secrets: frozenset[str] = frozenset()


# ---- compiled templates ---------------------------------------------------------------------------


@dataclass(frozen=True)
class _Template:
    parts: tuple[str | Expression, ...]
    uses: tuple[Use, ...]

    def render(self, scope: Mapping[str, Any]) -> Json:
        if len(self.parts) == 1 and isinstance(self.parts[0], Expression):
            return _value(self.parts[0], scope)
        try:
            made = "".join(
                part if isinstance(part, str) else part.run(scope, text_of) for part in self.parts
            )
        except KnownAfterApply as later:
            return later.unknown
        if len(made) > MAX_TEXT:
            raise TemplateError(f"the text is {len(made)} characters long, more than {MAX_TEXT}")
        return made


def _value(expression: Expression, names: Mapping[str, Any]) -> Json:
    try:
        return expression.run(names, _data)
    except KnownAfterApply as later:
        return later.unknown


def _data(result: Any, scope: Scope) -> Json:
    return result if type(result) in _ATOMS else plain(result, scope)


def _boolean(result: Any, scope: Scope) -> bool:
    del scope
    if isinstance(result, bool):
        return result
    if isinstance(result, Undefined):
        raise failure(result)
    hint = "write a comparison, for example steps.count > 0"
    raise TemplateError(f"it gives {kind_of(result)}, not true or false", hint=hint)


@functools.lru_cache(maxsize=8192)
def _template(text: str) -> _Template | None:
    """Compile a text; None where it holds no template."""
    parts: list[str | Expression] = []
    uses: list[Use] = []
    position = 0
    for start, end, inner in each_expression(text):
        if start > position:
            parts.append(text[position:start])
        expression = _parsed(inner, start + 2)
        uses += [_moved(use, start + 2) for use in expression.uses]
        parts.append(expression)
        position = end
    if not parts:
        return None
    if position < len(text):
        parts.append(text[position:])
    return _Template(tuple(parts), tuple(uses))


def _parsed(text: str, offset: int) -> Expression:
    try:
        return parse_expression(text)
    except TemplateError as error:
        raise TemplateError(
            error.message, offset=offset + (error.offset or 0), hint=error.hint
        ) from error


def _moved(use: Use, by: int) -> Use:
    return Use(use.path, use.offset + by, use.guarded, use.test)


def _bare(text: str) -> tuple[Expression, int]:
    """Return a condition's expression, written bare or as exactly one `{{ }}`, and where it starts."""
    stripped = text.strip()
    lead = len(text) - len(text.lstrip())
    if stripped.startswith("{{"):
        found = scan(stripped)
        if len(found) == 1 and found[0][:2] == (0, len(stripped)):
            return _parsed(found[0][2], lead + 2), lead + 2
        hint = "write the whole condition as one expression"
        raise TemplateError("a condition is more than one {{ }}", offset=lead, hint=hint)
    return _parsed(text, 0), 0


def compile_ahead(value: Json, *, condition: bool = False) -> int:
    """Compile the templates inside `value` before they are first evaluated; return how many were not yet.

    Args:
        condition: `value` is a bare expression (`when`, `until`).

    Raises:
        TemplateError: one cannot be compiled.
    """
    if condition and isinstance(value, str):
        return int(_bare(value)[0].prepare())
    made = 0
    for text in template_texts(value):
        template = _template(text)
        for part in template.parts if template is not None else ():
            made += isinstance(part, Expression) and part.prepare()
    return made


# ---- the interface --------------------------------------------------------------------------------


def references(value: Json) -> References:
    """Return what all templates inside `value` (a string or a tree of JSON) name.

    Raises:
        TemplateError: a template cannot be compiled; `offset` counts inside its own string.
    """
    uses: list[Use] = []
    secrets: set[str] = set()
    for text in template_texts(value):
        template = _template(text)
        if template is not None:
            uses += template.uses
            for part in template.parts:
                if isinstance(part, Expression):
                    secrets.update(part.secrets)
    return _references(uses, secrets)


def expression_references(expression: str) -> References:
    """Return what a bare expression (`when`, `until`) names.

    Raises:
        TemplateError: it cannot be compiled.
    """
    parsed, offset = _bare(expression)
    return _references([_moved(use, offset) for use in parsed.uses], set(parsed.secrets))


def _references(uses: list[Use], secrets: set[str]) -> References:
    steps = frozenset(use.path[1] for use in uses if use.path[0] == "steps")
    roots = frozenset(use.path[0] for use in uses)
    return References(steps, roots, tuple(uses), frozenset(secrets))


def render(value: Json, scope: Mapping[str, Any]) -> Json:
    """Return `value` with every template in it evaluated: a lone `{{ }}` keeps its type, mixed text is text.

    A text that needs a value known only after apply is replaced by that `Unknown`.

    Raises:
        TemplateError: an undefined name, a skipped step's output, a filter's refusal, a limit.
    """
    if isinstance(value, str):
        if "{" not in value or not is_template(value):
            return value
        template = _template(value)
        return value if template is None else template.render(scope)
    if isinstance(value, Mapping):
        return {key: render(item, scope) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [render(item, scope) for item in value]
    return value


def evaluate(expression: str, scope: Mapping[str, Any]) -> bool:
    """Evaluate a bare expression to a real boolean.

    Raises:
        KnownAfterApply: it needs a value that is known only after an earlier effect.
        TemplateError: as `render`, and when the result is not a boolean.
    """
    return _bare(expression)[0].run(scope, _boolean)


def is_constant(expression: str) -> bool:
    """Tell whether an expression names nothing, so that it always gives the same.

    Raises:
        TemplateError: it cannot be compiled.
    """
    return _bare(expression)[0].constant
