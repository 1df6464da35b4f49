"""What an expression can see: names, steps and their outputs, and the allowance that all its work is charged to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any

from jinja2 import Environment
from jinja2.runtime import Context, StrictUndefined
from jinja2.utils import missing

from engine.domain.canonical import Json
from engine.domain.plan import Unknown
from engine.language.problems import BadText, did_you_mean

MAX_TEXT = 1 << 20  # characters of a text that an expression makes
MAX_RANGE = 10_000
MAX_EFFORT = 3_000_000  # characters made and items visited by one expression
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
        environment: Environment,
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


def bounded(length: int) -> None:
    """Refuse a text that would be longer than the limit, before it is made."""
    if length > MAX_TEXT:
        raise TemplateError(f"it would make a text of {length} characters, more than {MAX_TEXT}")
