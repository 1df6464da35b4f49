"""One expression: parsed once, judged without running it, compiled when it first runs.

Jinja's own lexer, parser and code generator do the work. Token positions take the place of line numbers,
so that every mistake knows its character. `steps.ID` becomes a name of its own, resolved to the step's
output, or to its view under a state test; thus an output is plain data wherever it stands.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from jinja2 import nodes
from jinja2.exceptions import TemplateSyntaxError
from jinja2.lexer import TokenStream
from jinja2.parser import Parser

from engine.language import filters
from engine.language.judge import MAX_DEPTH, Judge, Use
from engine.language.predicates import TESTS
from engine.language.problems import BadText
from engine.language.sandbox import Sandbox
from engine.language.scope import Absent, KnownAfterApply, Scope, TemplateError

T = TypeVar("T")

MAX_EXPRESSION = 10_000  # characters
_OPENING, _CLOSING = frozenset("([{"), frozenset(")]}")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_KNOWN_ESCAPES = frozenset("\\'\"abfnrtvxuUN01234567\n")


@dataclass(eq=False)
class Expression:
    """A parsed expression. `run` may be called from several threads."""

    text: str
    uses: tuple[Use, ...]
    secrets: tuple[str, ...]
    constant: bool
    steps: Mapping[str, tuple[bool, str]]
    _node: nodes.Expr
    _function: Any = field(default=None)

    def run(self, names: Mapping[str, Any], finish: Callable[[Any, Scope], T]) -> T:
        """Evaluate, and return what `finish` makes of the raw result within the same allowance.

        Raises:
            KnownAfterApply: it needs a value that is not known yet.
            TemplateError: whatever else goes wrong; it names the expression and the cause.
        """
        try:
            function = self._function or self._compiled()
            scope = Scope(ENVIRONMENT, names, self.steps)
            for _ in function(scope):
                pass
            return finish(scope.vars["result"], scope)
        except Exception as error:  # a value may raise anything from inside a filter
            if self.secrets:  # the cause may quote the secret
                raise self.failed(error) from None
            raise self.failed(error) from error

    def prepare(self) -> bool:
        """Compile it ahead of its first run; return whether it was not compiled yet."""
        if self._function is not None:
            return False
        self._compiled()
        return True

    def failed(self, error: Exception) -> TemplateError:
        """Return the error with the expression in its message; values stay out where a secret is used."""
        if isinstance(error, KnownAfterApply):
            return error
        where = f"{{{{ {self.text.strip()} }}}}"
        if self.secrets:
            return TemplateError(f"{where}: failed (details are hidden, it uses a secret)")
        if isinstance(error, BadText):
            return TemplateError(f"{where}: {error.message}", hint=error.hint)
        return TemplateError(f"{where}: {_in_words(error)}")

    def _compiled(self) -> Any:
        body = [nodes.Assign(nodes.Name("result", "store"), self._node, lineno=1)]
        try:
            template = ENVIRONMENT.from_string(nodes.Template(body, lineno=1))
        except (RecursionError, SyntaxError, MemoryError, OverflowError) as error:
            raise TemplateError(
                f"{{{{ {self.text.strip()} }}}}: it is too deeply nested"
            ) from error
        self._function = template.root_render_func
        return self._function


def _in_words(error: Exception) -> str:
    if isinstance(error, ZeroDivisionError):
        return "division by zero"
    if isinstance(error, OverflowError):
        return "the number is too large"
    if isinstance(error, RecursionError | MemoryError):
        return "it is too deeply nested or too large"
    return f"{type(error).__name__}: {error}" if not str(error) else str(error)


def _environment() -> Sandbox:
    # Not optimised: an optimiser would run parts of an expression while compiling, outside any limit.
    environment = Sandbox(undefined=Absent, optimized=False, autoescape=False, cache_size=0)
    environment.globals.clear()
    environment.filters = dict(filters.FILTERS)
    environment.tests = dict(TESTS)
    environment.filters["_concat"] = filters.FILTERS["join"]
    return environment


ENVIRONMENT = _environment()


@functools.lru_cache(maxsize=8192)
def parse_expression(text: str) -> Expression:
    """Parse and judge a bare expression.

    Raises:
        TemplateError: it cannot be compiled; `offset` is the character inside `text`.
    """
    if len(text) > MAX_EXPRESSION:
        raise TemplateError(f"the expression is over {MAX_EXPRESSION} characters long", offset=0)
    if not text.strip():
        raise TemplateError("the expression is empty", offset=0)
    try:
        node = _parse(text)
        judge = Judge(text)
        judged = judge.visit(node, 0)
    except RecursionError as error:
        raise TemplateError("the expression is too deeply nested", offset=0) from error
    assert isinstance(judged, nodes.Expr)
    judged.set_environment(ENVIRONMENT)
    return Expression(
        text=text,
        uses=tuple(judge.uses),
        secrets=tuple(judge.secrets),
        constant=not judge.uses and not judge.secrets,
        steps=judge.steps,
        _node=judged,
    )


def _parse(text: str) -> nodes.Expr:
    consumed = nested = 0

    def positioned() -> Iterator[tuple[int, str, str]]:
        nonlocal consumed, nested
        try:
            for _, kind, value in ENVIRONMENT.lexer.tokeniter(source, None, state="variable"):
                start = consumed
                consumed += len(value)
                # Counted here: brackets leave no node, and the parser's own recursion is the interpreter's.
                nested += (value in _OPENING) - (value in _CLOSING) if kind == "operator" else 0
                if nested > MAX_DEPTH:
                    raise TemplateError("the expression is too deeply nested", offset=0)
                yield start, kind, _ESCAPE.sub(_kept, value) if kind == "string" else value
        except TemplateSyntaxError as error:  # its line number would be taken for a place
            raise _lexical_error(error.message or "", text, consumed) from error

    source = text.replace("\r", " ") + " "  # Jinja's lexer would drop a last line feed
    try:
        parser = Parser(ENVIRONMENT, "", state="variable")
        parser.stream = TokenStream(ENVIRONMENT.lexer.wrap(positioned()), None, None)
        node = parser.parse_expression()
        if not parser.stream.eos:
            token = parser.stream.current
            raise TemplateError(
                f"{token.value!r} is not expected here",
                offset=token.lineno,
                hint=_stray_hint(str(token.value)),
            )
    except TemplateSyntaxError as error:
        raise _syntax_error(error, text) from error
    except ValueError as error:
        raise TemplateError(f"a number cannot be read: {error}", offset=consumed) from error
    return node


def _kept(match: re.Match[str]) -> str:
    """Double the backslash of `\\d` and its like, which Python keeps but warns of."""
    return match.group() if match.group(1) in _KNOWN_ESCAPES else f"\\{match.group()}"


def _stray_hint(value: str) -> str | None:
    return {
        "=": "write == to compare",
        "&": "write and",
        "|": "a filter's name follows |",
        "!": "write not",
        "%}": "statements ({% %}) are not part of values",
    }.get(value)


def _lexical_error(message: str, text: str, offset: int) -> TemplateError:
    found = text[offset : offset + 1]
    if message.startswith("unexpected char"):
        if found in ("'", '"'):
            return TemplateError("a text's closing quote is missing", offset=offset)
        hint = {"&": "write and", "!": "write not", "?": "write a if condition else b"}.get(found)
        return TemplateError(f"unexpected character {found!r}", offset=offset, hint=hint)
    return TemplateError(message.rstrip("."), offset=offset)


def _syntax_error(error: TemplateSyntaxError, text: str) -> TemplateError:
    message = error.message or "it cannot be read"
    if "end of template" in message or "expected token 'end" in message:
        return TemplateError("the expression ends too early", offset=len(text))
    return TemplateError(message.rstrip("."), offset=min(error.lineno, len(text)))
