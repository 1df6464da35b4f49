"""A message as data, whatever chat shows it: a title, sections, fields, buttons. Text is plain, never markup.

What comes from outside (alert text, comments) may stand in it as it is: who renders a message escapes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from engine.domain.canonical import JsonObject


@dataclass(frozen=True)
class Button:
    """Something that a person can press.

    Attributes:
        action: what it does, a word that the door for interactions knows.
        value: what it does it to; JSON text or an id.
        style: `primary`, `danger` or empty.
        url: where it leads, for a button that is only a link.
    """

    text: str
    action: str
    value: str = ""
    style: str = ""
    url: str = ""


@dataclass(frozen=True)
class Section:
    """A paragraph, with facts side by side or a preformatted text below it.

    Attributes:
        text: plain text. fields: (name, value) pairs. code: shown as it is, in fixed width.
    """

    text: str = ""
    fields: tuple[tuple[str, str], ...] = ()
    code: str = ""


@dataclass(frozen=True)
class Message:
    """What is said.

    Attributes:
        title: bold, first. sections: in their order. buttons: below them, none once they are dead.
        footer: small print. mentions: roles that are to be called, by their names.
    """

    title: str = ""
    sections: tuple[Section, ...] = ()
    buttons: tuple[Button, ...] = ()
    footer: str = ""
    mentions: tuple[str, ...] = ()

    def without_buttons(self) -> Message:
        return replace(self, buttons=())

    def as_json(self) -> JsonObject:
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Message:
        """The inverse of `as_json`."""
        sections = tuple(
            Section(one["text"], tuple((name, text) for name, text in one["fields"]), one["code"])
            for one in value["sections"]
        )
        return cls(
            title=value["title"],
            sections=sections,
            buttons=tuple(Button(**one) for one in value["buttons"]),
            footer=value["footer"],
            mentions=tuple(value["mentions"]),
        )


def say(text: str, **more: Any) -> Message:
    """Return a message of one paragraph."""
    return Message(sections=(Section(text),), **more)
