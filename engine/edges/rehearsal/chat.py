"""The chat of a rehearsal: what is handed over is kept as a transcript."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from engine.domain.canonical import JsonObject
from engine.domain.clock import Clock
from engine.domain.message import Message
from engine.domain.rehearsed import Message as Told

INCIDENT = "incident"  # where a message goes that names no channel


class Transcript:
    """Implements `engine.contract.ports.ChatPort` for every run of a rehearsal."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._told: dict[str, Told] = {}

    @property
    def messages(self) -> list[Told]:
        return list(self._told.values())

    def post(
        self, message: Message, key: str, *, channel: str | None = None, thread: str | None = None
    ) -> JsonObject:
        del thread
        return self._keep(key, channel, text_of(message))

    def update(
        self, of: str, message: Message, key: str, *, channel: str | None = None
    ) -> JsonObject:
        del of
        return self._keep(key, channel, text_of(message))

    def upload(
        self, name: str, text: str, key: str, *, comment: str = "", channel: str | None = None
    ) -> JsonObject:
        return self._keep(key, channel, f"{name}: {comment}\n{text}")

    def accepted(self, key: str, /) -> bool:
        return key in self._told

    def _keep(self, key: str, channel: str | None, text: str) -> JsonObject:
        told = Told(self._clock.now(), channel or INCIDENT, text)
        self._told.setdefault(key, told)
        return {"channel": told.to, "key": key}


def text_of(message: Message) -> str:
    """Return a message as plain text."""
    return "\n".join(_lines(message))


def _lines(message: Message) -> Iterator[Any]:
    if message.title:
        yield message.title
    for section in message.sections:
        if section.text:
            yield section.text
        yield from (f"{name}: {text}" for name, text in section.fields)
        if section.code:
            yield section.code
    if message.buttons:
        yield " ".join(f"[{button.text}]" for button in message.buttons)
    if message.footer:
        yield message.footer
    if message.mentions:
        yield " ".join(f"@{role}" for role in message.mentions)
