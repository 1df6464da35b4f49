"""What an expression can see and do: names, steps, attributes, methods and operators, all within limits.

Data only: attributes are keys of mappings, then a short list of harmless methods; nothing of Python's
objects is reachable. Whatever an expression does is charged to one allowance, so no expression runs away.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any

from jinja2.runtime import Context, StrictUndefined, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import missing

from engine.domain.canonical import Json
from engine.domain.plan import Unknown
from engine.language.problems import BadText, did_you_mean

MAX_TEXT = 1 << 20  # characters of a text that an expression makes
MAX_RANGE = 10_000
MAX_EFFORT = 3_000_000  # characters made and items visited by one expression
MAX_BITS = 4096  # of a whole number
REGEX_SECONDS = 0.25  # for all regex_search of one expression

FUNCTIONS = frozenset({"range"})  # in scope everywhere
SCOPED_FUNCTIONS = frozenset(
    {"secret"}
)  # only where the caller gives them: `secret` only in `with`
STATE_TESTS = frozenset({"succeeded", "failed", "skipped", "changed", "undone", "unknown"})


class TemplateError(BadText):
    """A template could not be compiled or evaluated; the message shows the expression and the cause."""


class KnownAfterApply(TemplateError):
    """The expression needs a value that is known only after an earlier effect."""

    def __init__(self, unknown: Unknown) -> None:
        super().__init__(f"it depends on a value that is not known yet: {unknown.reason}")
        self.unknown = unknown


@dataclass(frozen=True)
class StepView:
    """What `steps.ID` stands for: its output for attribute and item access, its state for tests.

    `state` is one of succeeded, failed, skipped, undone, unknown; `changed` marks a change that changed
    something. Reading the output of a skipped or failed step raises TemplateError naming `address`,
    unless `default` is given. A lone `{{ steps.x }}` yields the output itself. An output that is or
    holds `Unknown` is known after apply.
    """

    address: str
    state: str
    output: Json = None
    changed: bool = False


class Absent(StrictUndefined):
    """A value that is not there. Any use but `default` and `is defined` raises the reason."""

    __slots__ = ("unknown", "why")

    def __init__(
        self,
        hint: str | None = None,
        obj: Any = missing,
        name: str | None = None,
        exc: Any = None,
        *,
        why: Callable[[], TemplateError] | None = None,
        unknown: Unknown | None = None,
    ) -> None:
        del exc
        self.unknown = unknown
        self.why = why or partial(_absence, hint, obj, name)
        super().__init__(hint="", exc=self._error)  # type: ignore[arg-type]  # called with a message, raised

    def _error(self, message: str) -> TemplateError:
        del message
        return KnownAfterApply(self.unknown) if self.unknown else self.why()

    def fail(self) -> TemplateError:
        """Return the error that using the value raises."""
        return self._error("")


def _absence(hint: str | None, obj: Any, name: object) -> TemplateError:
    if hint:
        return TemplateError(hint)
    if obj is missing:
        return TemplateError(f"{name} is not defined here")
    if isinstance(obj, Mapping):
        known = [key for key in obj if isinstance(key, str)]
        near = did_you_mean(name, known) if isinstance(name, str) else None
        has = ", ".join(known[:10]) + (", …" if len(known) > 10 else "") if known else "nothing"
        return TemplateError(f"there is no key {name!r}; there is {has}", hint=near)
    if isinstance(obj, list | tuple | str) and isinstance(name, int):
        return TemplateError(f"there is no item {name}; there are {len(obj)}")
    return TemplateError(f"{kind_of(obj)} has no {name!r}")


def kind_of(value: object) -> str:
    """Name a value's type in the words of YAML and JSON."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | float | Decimal):
        return "a number"
    if isinstance(value, str):
        return "a text"
    if isinstance(value, Mapping):
        return "a map"
    if isinstance(value, list | tuple | range):
        return "a list"
    return "a method without its ()" if callable(value) else f"a {type(value).__name__}"


class Scope(Context):
    """The names of one evaluation, and its allowance."""

    def __init__(
        self,
        environment: Sandbox,
        names: Mapping[str, Any],
        steps: Mapping[str, tuple[bool, str]],
    ) -> None:
        # Context.__init__ copies what an expression never needs; this is the hot path.
        self.environment = environment
        self.vars: dict[str, Any] = {}
        self.exported_vars: set[str] = set()
        self.names = names
        self.steps = steps
        self.effort = MAX_EFFORT
        self.regex_seconds = REGEX_SECONDS

    def resolve_or_missing(self, key: str) -> Any:
        names = self.names
        if key in self.steps:
            wants_view, step = self.steps[key]
            view = _step(names, step)
            return view if wants_view else output_of(view)
        if key in names:
            value = names[key]
            return Absent(unknown=value) if type(value) is Unknown else value
        return limited_range if key == "range" else missing

    def spend(self, amount: int) -> None:
        """Charge work: characters made or items visited.

        Raises:
            TemplateError: the allowance is used up.
        """
        self.effort -= amount
        if self.effort < 0:
            raise TemplateError("it takes too much work", hint="let an action or a query do it")


def _step(names: Mapping[str, Any], step: str) -> Any:
    steps = names.get("steps")
    if isinstance(steps, Mapping):
        try:
            return steps[step]
        except KeyError:
            pass
    return Absent(why=lambda: TemplateError(f"step {step} has not run, so it has no output"))


def output_of(view: Any) -> Any:
    """Return a step's output, or an Absent that tells why there is none."""
    if type(view) is not StepView:
        return view
    if type(view.output) is Unknown:
        return Absent(unknown=view.output)
    if view.state in ("failed", "skipped") or (view.state == "unknown" and view.output is None):
        return Absent(why=partial(_no_output, view))
    return view.output


def _no_output(view: StepView) -> TemplateError:
    happened = {"failed": "failed", "skipped": "was skipped"}.get(view.state)
    message = f"step {view.address} {happened or 'has an unknown outcome'}, so it has no output"
    return TemplateError(message, hint="ask its state first, or give | default(…)")


def limited_range(*bounds: int) -> list[int]:
    """`range` of at most 10,000 numbers, as a list."""
    found = range(*bounds)
    if len(found) > MAX_RANGE:
        raise TemplateError(f"range has {len(found)} numbers, more than {MAX_RANGE}")
    return list(found)


# ---- methods --------------------------------------------------------------------------------------


def _replace(text: str, old: str, new: str, count: int = -1) -> str:
    times = text.count(old) if count < 0 else min(count, text.count(old))
    bounded(len(text) + times * max(0, len(new) - len(old)))
    return text.replace(old, new, count)


def _join(separator: str, items: Iterable[str]) -> str:
    parts = list(items)
    bounded(sum(map(len, parts)) + len(separator) * len(parts))
    return separator.join(parts)


def bounded(length: int) -> None:
    """Refuse a text that would be longer than the limit, before it is made."""
    if length > MAX_TEXT:
        raise TemplateError(f"it would make a text of {length} characters, more than {MAX_TEXT}")


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
