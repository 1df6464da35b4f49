"""The tests of expressions (`is …`): a step's state, and Jinja's pure ones, strict about what is absent."""

from __future__ import annotations

from typing import Any, cast

from jinja2.runtime import Undefined
from jinja2.tests import TESTS as JINJA_TESTS
from jinja2.utils import pass_context

from engine.language.data import failure, refuse_absent, size_of
from engine.language.jinjafilters import Filter
from engine.language.scope import STATE_TESTS, Absent, Scope, StepView, TemplateError

_TESTS_LEFT_OUT = frozenset({"callable", "escaped", "filter", "test", "defined", "undefined", "in"})


def _state_test(state: str) -> Filter:
    def asks(view: Any) -> bool:
        if isinstance(view, Undefined):
            raise failure(view)
        if not isinstance(view, StepView):
            raise TemplateError(f"is {state} asks about a step", hint=f"write steps.ID is {state}")
        return view.changed if state == "changed" else view.state == state

    return asks


def _strict_test(function: Filter) -> Filter:
    takes = getattr(function, "jinja_pass_arg", None)

    @pass_context
    def asks(scope: Scope, value: Any, *args: Any) -> bool:
        refuse_absent((value, *args))
        scope.spend(1)
        return bool(function(scope.environment, value, *args) if takes else function(value, *args))

    return asks


def _defined(value: Any) -> bool:
    if isinstance(value, Absent) and value.unknown is not None:
        raise failure(value)
    return not isinstance(value, Undefined)


@pass_context
def _in(scope: Scope, value: Any, container: Any) -> bool:
    refuse_absent((value, container))
    scope.spend(size_of(container))
    return value in container


TESTS: dict[str, Filter] = {
    name: _strict_test(cast(Filter, function))
    for name, function in JINJA_TESTS.items()
    if name not in _TESTS_LEFT_OUT
}
TESTS |= {"defined": _defined, "undefined": lambda value: not _defined(value), "in": _in}
TESTS |= {state: _state_test(state) for state in STATE_TESTS}
