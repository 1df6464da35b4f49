"""What is wrong in a file, where, and what to do: made for a person who writes a playbook at 3 am."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from engine.domain.canonical import JsonObject
from engine.domain.errors import InvalidInput
from engine.language.problems import nearest
from engine.language.yamlnodes import Node

_MOST_NAMES = 12
_MOST_SHOWN = 70


@dataclass(frozen=True)
class Diagnostic:
    """One mistake (or warning) of one file.

    Attributes:
        line, column: from 1; column counts characters.
        message: one line, without the place.
        found: what stands there. expected: what may stand there. hint: what to do.
    """

    file: str
    line: int
    column: int
    message: str
    found: str | None = None
    expected: str | None = None
    hint: str | None = None
    severity: Literal["error", "warning"] = "error"

    @property
    def is_error(self) -> bool:
        return self.severity == "error"

    def __str__(self) -> str:
        head = f"{self.file}:{self.line}:{self.column}: {self.severity}: {self.message}"
        rest = (("found", self.found), ("expected", self.expected), ("hint", self.hint))
        return "\n".join([head, *(f"  {name + ':':<9} {text}" for name, text in rest if text)])

    def as_json(self) -> JsonObject:
        return {
            "file": self.file,
            "line": self.line,
            "column": self.column,
            "severity": self.severity,
            "message": self.message,
            "found": self.found,
            "expected": self.expected,
            "hint": self.hint,
        }


class Report:
    """Collects what is wrong, at the place of a node."""

    def __init__(self) -> None:
        self.diagnostics: list[Diagnostic] = []

    def error(
        self,
        node: Node,
        message: str,
        *,
        found: str | None = None,
        expected: str | None = None,
        hint: str | None = None,
        offset: int | None = None,
    ) -> None:
        """Add a mistake at `node`, or at the character `offset` of its text."""
        line, column = node.place(offset)
        name = node.source.name
        self.diagnostics.append(Diagnostic(name, line, column, message, found, expected, hint))

    def warning(self, node: Node, message: str, hint: str | None = None) -> None:
        """Add something that works, but hardly as meant."""
        line, column = node.place()
        one = Diagnostic(node.source.name, line, column, message, hint=hint, severity="warning")
        self.diagnostics.append(one)

    @property
    def failed(self) -> bool:
        return any(one.is_error for one in self.diagnostics)


def arranged(diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
    """Return them by file, line and column, each once."""
    return sorted(
        set(diagnostics),
        key=lambda one: (one.file, one.line, one.column, one.severity, one.message, one.hint or ""),
    )


def formatted(diagnostics: Sequence[Diagnostic]) -> str:
    """Return them as the text that `stanch check` prints, ended by a line that counts them."""
    if not diagnostics:
        return ""
    errors = sum(one.is_error for one in diagnostics)
    warnings = len(diagnostics) - errors
    parts = [_counted(errors, "mistake")] if errors else []
    parts += [_counted(warnings, "warning")] if warnings else []
    return "\n".join([*(str(one) for one in diagnostics), ", ".join(parts)]) + "\n"


def _counted(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def listed(names: Iterable[str], most: int = _MOST_NAMES) -> str:
    """Return names for a message: sorted, and at most `most` of them."""
    known = sorted(set(names))
    if not known:
        return "(there is none)"
    more = f", … ({len(known)} in all)" if len(known) > most else ""
    return ", ".join(known[:most]) + more


def suggestion(word: str, known: Iterable[str]) -> str | None:
    """Return `did you mean 'x'?` for the known name that `word` is nearest to, or None."""
    names = list(known)
    near = nearest(word, names)
    if near is None:
        # A pack's name left out or mistaken: the part after the last separator decides.
        tails = {name.rpartition("/")[2].rpartition(".")[2]: name for name in sorted(names)}
        tail = nearest(word.rpartition("/")[2].rpartition(".")[2], tails)
        near = tails[tail] if tail is not None else None
    return f"did you mean {near!r}?" if near is not None else None


def described(value: object) -> str:
    """Return a YAML value as it is named in a message: its type, and its text where that is short."""
    if value is None:
        return "nothing (null)"
    if isinstance(value, bool):
        return f"the boolean {str(value).lower()}"
    if isinstance(value, int | float):
        return f"the number {value}" if len(str(value)) <= _MOST_SHOWN else "a long number"
    if isinstance(value, str):
        return f"the text {clipped(value)}"
    if isinstance(value, list):
        return "an empty list" if not value else f"a list of {len(value)}"
    if isinstance(value, dict):
        return f"a mapping with {listed(value, 4)}" if value else "an empty mapping"
    return type(value).__name__


def clipped(text: str) -> str:
    """Return text quoted, on one line, cut where it is long."""
    return repr(text if len(text) <= _MOST_SHOWN else text[: _MOST_SHOWN - 1] + "…")


class InvalidProject(InvalidInput):
    """Files hold mistakes; nothing of them is used.

    Attributes:
        diagnostics: every mistake of every file, arranged.
    """

    def __init__(self, diagnostics: Sequence[Diagnostic]) -> None:
        self.diagnostics = list(diagnostics)
        super().__init__(formatted(self.diagnostics).rstrip("\n"))
