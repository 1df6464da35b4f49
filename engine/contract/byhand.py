"""How a person does by hand what an action does: for the night when Stanch is down (`stanch runbook`).

Parameters come as the playbook has them, with templates that are not known written as `<steps.rate.value>`.
Secrets are never resolved: commands name the variable or the file that holds them. Everything else is quoted
for a POSIX shell, so that no value of an alert or a playbook can become a command of its own.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from engine.contract.world import SecretRef
from engine.domain.canonical import Json

Given = Mapping[str, Any]


class Shell(str):
    """Words that are shell already, such as `"$TOKEN"`: taken as they are."""

    __slots__ = ()


@dataclass(frozen=True)
class Hand:
    """Commands for a person.

    Attributes:
        do: one command or comment (`# …`) a line, in order; what is to be noted first stands first.
        undo: how to take it back; empty: it cannot be, or nothing is to be taken back.
    """

    do: Sequence[str]
    undo: Sequence[str] = ()


@dataclass(frozen=True)
class ByHand:
    """What the commands are made for.

    Attributes:
        settings: the settings of the configured connections, by name.
    """

    settings: Mapping[str, Any] = field(default_factory=dict)

    def of(self, given: Given) -> Any:
        """Return the settings of the action's connection; None where they are not known."""
        return self.settings.get(str(given.get("connection", "")))


def command(*words: Any) -> str:
    """Return one command line. None is left out, lists are taken apart, values are quoted."""
    parts: list[str] = []
    for word in words:
        if word is None:
            continue
        if isinstance(word, list | tuple):
            parts.append(command(*word))
        else:
            parts.append(word if isinstance(word, Shell) else shlex.quote(text(word)))
    return " ".join(part for part in parts if part)


def text(value: Json) -> str:
    """Return a value as a command's word: text as it is, everything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def option(name: str, value: Any) -> list[str]:
    """Return `[name, value]`, or nothing where there is no value."""
    return [] if value is None or value == "" else [name, text(value)]


def secret(reference: SecretRef | None, otherwise: str = "SECRET") -> Shell:
    """Return the shell word that stands for a secret: its variable, or what its file holds."""
    if reference is None:
        return Shell(f'"${otherwise}"')
    if reference.env:
        return Shell(f'"${{{reference.env}}}"')
    return Shell(f'"$(cat {shlex.quote(str(reference.file))})"')


def mapping(value: Json) -> Mapping[str, Any]:
    """Return a mapping as it is; nothing where a placeholder stands in its place."""
    return value if isinstance(value, Mapping) else {}


def note(words: str) -> str:
    """Return a comment line; line breaks in it stay comments."""
    return "# " + " ".join(words.split())
