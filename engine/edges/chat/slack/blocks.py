"""Messages as Slack's Block Kit, within its limits. Text from outside is escaped: it cannot call, link or format.

Limits: 50 blocks a message; header 150 characters; section 3,000, 10 fields of 2,000; 25 buttons with 75
characters and values of 2,000. Source: docs.slack.dev, "Blocks".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from engine.domain.message import Button, Message, Section

BLOCKS = 50
SECTION = 3000
FIELDS = 10
FIELD = 2000
HEADER = 150
BUTTONS = 25
BUTTON = 75
VALUE = 2000
TEXT = 3500  # of the fallback that notifications show

Mention = Callable[[str], str]
Block = dict[str, Any]


def nobody(_role: str) -> str:
    return ""


def escape(text: str) -> str:
    """Make text mean only itself (docs.slack.dev, "Formatting text")."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def fallback(message: Message, mention: Mention = nobody) -> str:
    """Return the text of notifications and of clients without blocks."""
    parts = [called(message, mention), escape(message.title)]
    for section in message.sections:
        parts.append(escape(section.text))
        parts += [f"{escape(name)}: {escape(value)}" for name, value in section.fields]
    text = "\n".join(part for part in parts if part) or escape(message.footer) or "…"
    return cut(text, TEXT)


def called(message: Message, mention: Mention) -> str:
    return " ".join(filter(None, map(mention, message.mentions)))


def blocks(message: Message, mention: Mention = nobody) -> list[Block]:
    """Return a message's blocks."""
    found: list[Block] = []
    if message.title:
        found.append({"type": "header", "text": _plain(message.title, HEADER)})
    call = called(message, mention)
    if call:
        found.append({"type": "section", "text": {"type": "mrkdwn", "text": cut(call, SECTION)}})
    for section in message.sections:
        found += _section(section)
    tail: list[Block] = []
    if message.buttons:
        tail.append(
            {"type": "actions", "elements": [_button(b) for b in message.buttons[:BUTTONS]]}
        )
    if message.footer:
        small = {"type": "mrkdwn", "text": cut(escape(message.footer), SECTION), "verbatim": True}
        tail.append({"type": "context", "elements": [small]})
    room = BLOCKS - len(tail)
    if len(found) > room:
        more = _text(f"… {len(found) - room + 1} parts more are not shown here")
        found = [*found[: room - 1], more]
    return found + tail


def _section(section: Section) -> list[Block]:
    found: list[Block] = []
    found += [_text(part) for part in split(escape(section.text), SECTION) if part.strip()]
    for start in range(0, len(section.fields), FIELDS):
        fields = [
            {
                "type": "mrkdwn",
                "text": cut(f"*{escape(name)}*\n{escape(value) or '-'}", FIELD),
                "verbatim": True,
            }
            for name, value in section.fields[start : start + FIELDS]
        ]
        found.append({"type": "section", "fields": fields})
    if section.code:
        quoted = escape(section.code).replace("```", "`\u200b`\u200b`")
        found += [_text(f"```\n{part}\n```") for part in split(quoted, SECTION - 8)]
    return found


def _text(text: str) -> Block:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text, "verbatim": True}}


def _plain(text: str, most: int) -> Block:
    return {"type": "plain_text", "text": cut(text.replace("\n", " "), most), "emoji": True}


def _button(button: Button) -> Block:
    made: Block = {
        "type": "button",
        "action_id": button.action,
        "text": _plain(button.text, BUTTON),
    }
    if button.url:
        return {**made, "url": button.url}
    made["value"] = button.value[:VALUE]
    if button.style:
        made["style"] = button.style
    return made


def cut(text: str, most: int) -> str:
    """Return at most `most` characters, never the half of an escaped one."""
    return text if len(text) <= most else _start(text, most - 1) + "…"


def _start(text: str, most: int) -> str:
    """The longest beginning of at most `most` characters that halves no escaped one."""
    kept = text[:most]
    start = kept.rfind("&", max(0, len(kept) - 5))
    return kept[:start] if start >= 0 and ";" not in kept[start:] else kept


def split(text: str, most: int) -> Sequence[str]:
    """Cut text into parts of at most `most` characters, between lines where it can."""
    parts: list[str] = []
    part = ""
    for line in text.split("\n"):
        rest = line
        while len(rest) > most:
            head = _start(rest, most)
            parts += [part] if part else []
            part = ""
            parts.append(head)
            rest = rest[len(head) :]
        if part and len(part) + 1 + len(rest) > most:
            parts.append(part)
            part = rest
        else:
            part = f"{part}\n{rest}" if part else rest
    return [*parts, part] if part else parts
