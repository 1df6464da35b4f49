"""The console as a chat: prints what people would read, for local use and rehearsals."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Collection

from engine.domain.message import Message, Section
from engine.edges.cli.render.style import clean
from engine.journal.parcels import Delivery, Settled

WIDTH = 100
_INDENT = "    "


class ConsoleChat:
    """Writes every delivery as text. `write` takes a block of lines."""

    name = "console"

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write

    def limit(self, delivery: Delivery) -> str:
        return delivery.parcel.kind

    def pace(self, limit: str) -> float:
        del limit
        return 0.0

    def groups_of(self, user: str) -> Collection[str]:
        del user
        return ()

    def deliver(self, delivery: Delivery) -> Settled:
        parcel, body = delivery.parcel, delivery.parcel.body
        channel = delivery.channel or parcel.lane
        self._write(f"#{channel.lstrip('#')} {shown(parcel.kind, parcel.name, body)}")
        if parcel.kind == "create":
            return Settled("done", channel=str(body["name"]))
        if parcel.kind == "post":
            return Settled("done", ref=parcel.key)
        return Settled("done")


def shown(kind: str, name: str | None, body: dict[str, object]) -> str:
    """Return a parcel as text."""
    given = body.get("message")
    head = f"{kind} {name}" if name else kind
    if isinstance(given, dict):
        thread = f" in the thread of {body['thread']}" if body.get("thread") else ""
        return f"{head}{thread}\n{textwrap.indent(text(Message.from_json(given)), _INDENT)}"
    if kind == "upload" and "artifact" in body:
        return f"{head} {body['filename']} ({body['artifact']})"
    if kind == "upload":
        return f"{head} {body['filename']}\n{textwrap.indent(str(body['text']), _INDENT)}"
    told = " ".join(f"{key}={value}" for key, value in sorted(body.items()) if value)
    return f"{head} {told}".rstrip()


def text(message: Message) -> str:
    """Return a message as plain text."""
    parts = [" ".join(f"@{role}" for role in message.mentions), message.title]
    for section in message.sections:
        parts += _section(section)
    if message.buttons:
        parts.append("  ".join(f"[{button.text}]" for button in message.buttons))
    parts.append(f"({message.footer})" if message.footer else "")
    return "\n".join(clean(line) for part in parts if part for line in part.split("\n"))


def _section(section: Section) -> list[str]:
    found = [section.text] if section.text else []
    found += [f"{name}: {value}" for name, value in section.fields]
    if section.code:
        found.append(textwrap.indent(section.code, "| "))
    return found
