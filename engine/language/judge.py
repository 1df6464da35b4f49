"""Judges an expression's syntax tree without running it: what it names, and what it may not do."""

from __future__ import annotations

import math
from dataclasses import dataclass

from jinja2 import nodes

from engine.language import filters
from engine.language.predicates import TESTS
from engine.language.problems import did_you_mean
from engine.language.sandbox import METHODS
from engine.language.scope import FUNCTIONS, SCOPED_FUNCTIONS, STATE_TESTS, TemplateError

MAX_DEPTH = 60
_STEPS_HINT = "name the step: steps.ID or steps['ID']"
_CHANGERS = frozenset({"append", "extend", "insert", "pop", "remove", "setdefault", "update"})


@dataclass(frozen=True)
class Use:
    """One place where an expression names something.

    Attributes:
        path: the static part of the way: `("steps", "pods", "items")`.
        offset: of the name's first character inside the text.
        guarded: `default` or `is defined` follows directly, so that it may be absent.
        test: the state test that asks about it (`steps.x is failed`), or None.
    """

    path: tuple[str, ...]
    offset: int
    guarded: bool = False
    test: str | None = None


class Judge:
    """Walks the tree once: refuses what is not allowed, gathers what is named, and rewrites."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.uses: list[Use] = []
        self.secrets: list[str] = []
        self.steps: dict[str, tuple[bool, str]] = {}

    def visit(self, node: nodes.Node, depth: int, guarded: bool = False) -> nodes.Node:
        if depth > MAX_DEPTH:
            raise TemplateError("the expression is too deeply nested", offset=node.lineno)
        depth += 1
        match node:
            case nodes.Name() | nodes.Getattr() | nodes.Getitem():
                return self._way(node, depth, guarded, None)
            case nodes.Call():
                return self._call(node, depth)
            case nodes.Filter():
                self._check_filter(node)
                assert node.node is not None
                guarded = node.name in ("default", "d")
                node.node = self._expression(node.node, depth, guarded)
                self._children(node, depth, skip="node")
                return node
            case nodes.Test():
                return self._test(node, depth)
            case nodes.CondExpr() if node.expr2 is None:
                raise TemplateError(
                    "an if has no else", offset=node.lineno, hint="write a if b else c"
                )
            case nodes.Const(value=float() as number) if not math.isfinite(number):
                raise TemplateError("the number is too large", offset=node.lineno)
            case nodes.Concat():
                items = nodes.List(node.nodes, lineno=node.lineno)
                self._children(items, depth)
                return nodes.Filter(items, "_concat", [], [], None, None, lineno=node.lineno)
        self._children(node, depth)
        return node

    def _expression(self, node: nodes.Node, depth: int, guarded: bool = False) -> nodes.Expr:
        visited = self.visit(node, depth, guarded)
        assert isinstance(visited, nodes.Expr)
        return visited

    def _children(self, node: nodes.Node, depth: int, skip: str = "") -> None:
        for name, value in node.iter_fields():
            if name == skip:
                continue
            if isinstance(value, nodes.Node):
                setattr(node, name, self.visit(value, depth))
            elif isinstance(value, list):
                parts = [self.visit(v, depth) if isinstance(v, nodes.Node) else v for v in value]
                setattr(node, name, parts)

    # -- names and ways --

    def _way(self, node: nodes.Expr, depth: int, guarded: bool, test: str | None) -> nodes.Expr:
        """Handle `a.b['c'][d]`: note its static beginning, and put a step's output in its place."""
        chain: list[nodes.Getattr | nodes.Getitem] = []
        base: nodes.Expr = node
        while isinstance(base, nodes.Getattr | nodes.Getitem):
            chain.append(base)
            base = base.node
            if len(chain) > MAX_DEPTH:
                raise TemplateError("the expression is too deeply nested", offset=base.lineno)
        chain.reverse()
        path = self._static(chain)
        for link in chain:
            if isinstance(link, nodes.Getitem) and not isinstance(link.arg, nodes.Const):
                link.arg = self._expression(link.arg, depth)
        if not isinstance(base, nodes.Name):
            chain[0].node = self._expression(base, depth)
            return node
        self._check_name(base)
        self.uses.append(Use((base.name, *path), base.lineno, guarded, test))
        if base.name != "steps":
            return node
        if not path:
            dynamic = bool(chain)
            message = "a step is chosen while running" if dynamic else "steps stands alone"
            raise TemplateError(message, offset=base.lineno, hint=_STEPS_HINT)
        stand_in = self._stand_in(path[0], test is not None, base.lineno)
        if len(chain) == 1:
            return stand_in
        chain[1].node = stand_in
        return node

    def _static(self, chain: list[nodes.Getattr | nodes.Getitem]) -> tuple[str, ...]:
        path: list[str] = []
        for link in chain:
            if isinstance(link, nodes.Getattr):
                path.append(link.attr)
            elif isinstance(link.arg, nodes.Const) and isinstance(link.arg.value, str):
                path.append(link.arg.value)
            else:
                break
        return tuple(path)

    def _stand_in(self, step: str, view: bool, offset: int) -> nodes.Name:
        name = f"_{'view' if view else 'output'}_{len(self.steps)}"
        for known, value in self.steps.items():
            if value == (view, step):
                name = known
        self.steps[name] = (view, step)
        return nodes.Name(name, "load", lineno=offset)

    def _check_name(self, node: nodes.Name) -> None:
        if node.name.startswith("_"):
            raise TemplateError(f"there is no name {node.name}", offset=node.lineno)
        if node.name in FUNCTIONS | SCOPED_FUNCTIONS:
            hint = f"call it: {node.name}(…)"
            raise TemplateError(f"{node.name} is a function", offset=node.lineno, hint=hint)

    # -- calls, filters, tests --

    def _call(self, node: nodes.Call, depth: int) -> nodes.Node:
        if node.dyn_args is not None or node.dyn_kwargs is not None:
            raise TemplateError("* and ** are not allowed in a call", offset=node.lineno)
        callee = node.node
        if isinstance(callee, nodes.Name):
            self._check_function(callee, node)
        elif isinstance(callee, nodes.Getattr):
            if callee.attr not in METHODS:
                raise self._no_method(callee)
            callee.node = self._expression(callee.node, depth)
        else:
            raise TemplateError("this cannot be called", offset=node.lineno)
        self._children(node, depth, skip="node")
        return node

    def _check_function(self, callee: nodes.Name, node: nodes.Call) -> None:
        if callee.name not in FUNCTIONS | SCOPED_FUNCTIONS:
            known = FUNCTIONS | SCOPED_FUNCTIONS
            hint = did_you_mean(callee.name, known)
            if callee.name in filters.FILTERS:
                hint = f"{callee.name} is a filter: write value | {callee.name}"
            raise TemplateError(
                f"there is no function {callee.name}", offset=callee.lineno, hint=hint
            )
        if callee.name == "secret":
            argument = node.args[0] if len(node.args) == 1 and not node.kwargs else None
            if not isinstance(argument, nodes.Const) or not isinstance(argument.value, str):
                hint = "write secret('name')"
                raise TemplateError("secret takes one text", offset=callee.lineno, hint=hint)
            self.secrets.append(argument.value)
            self.uses.append(Use(("secret",), callee.lineno))

    def _no_method(self, callee: nodes.Getattr) -> TemplateError:
        hint = did_you_mean(callee.attr, METHODS)
        if callee.attr in _CHANGERS:
            hint = "values cannot be changed"
        elif callee.attr == "format":
            hint = "use the filter: '%s' | format(value)"
        elif callee.attr in filters.FILTERS:
            hint = f"{callee.attr} is a filter: write value | {callee.attr}"
        return TemplateError(f"there is no method {callee.attr}", offset=callee.lineno, hint=hint)

    def _check_filter(self, node: nodes.Filter) -> None:
        if node.name not in filters.FILTERS:
            hint = filters.REPLACED_FILTERS.get(node.name)
            hint = hint or did_you_mean(node.name, filters.FILTERS)
            offset = self._after(node.lineno, node.name)
            raise TemplateError(f"there is no filter {node.name}", offset=offset, hint=hint)
        named = {"map": 0, "select": 0, "reject": 0, "selectattr": 1, "rejectattr": 1}
        at = named.get(node.name)
        if at is None or len(node.args) <= at:
            return
        chosen = node.args[at]
        known = filters.FILTERS if node.name == "map" else TESTS
        if isinstance(chosen, nodes.Const) and chosen.value not in known:
            what = "filter" if node.name == "map" else "test"
            hint = did_you_mean(str(chosen.value), known)
            if what == "filter":
                hint = filters.REPLACED_FILTERS.get(str(chosen.value)) or hint
            message = f"there is no {what} {chosen.value}"
            raise TemplateError(message, offset=chosen.lineno, hint=hint)

    def _test(self, node: nodes.Test, depth: int) -> nodes.Node:
        if node.name not in TESTS:
            offset = self._after(node.lineno, node.name)
            hint = did_you_mean(node.name, TESTS)
            raise TemplateError(f"there is no test {node.name}", offset=offset, hint=hint)
        if node.name in STATE_TESTS:
            subject = node.node
            step = isinstance(subject, nodes.Getattr | nodes.Getitem) and isinstance(
                subject.node, nodes.Name
            )
            if not (step and subject.node.name == "steps"):  # type: ignore[attr-defined]
                hint = f"write steps.ID is {node.name}"
                message = f"is {node.name} asks about a step"
                raise TemplateError(message, offset=node.lineno, hint=hint)
            node.node = self._way(subject, depth, True, node.name)
        else:
            guarded = node.name in ("defined", "undefined")
            node.node = self._expression(node.node, depth, guarded)
        self._children(node, depth, skip="node")
        return node

    def _after(self, offset: int, word: str) -> int:
        """Return where `word` stands at or after an offset."""
        found = self.text.find(word, max(0, offset))
        return found if found >= 0 else offset
