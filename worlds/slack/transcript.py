"""A channel as a person reads it, as text."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping
from typing import Any

from worlds.slack.channels import Channel

_INDENT = "    "


def transcript(channel: Channel) -> str:
    """Return the channel: its head, then its messages, threads below the message that they belong to."""
    lines = [
        f"#{channel.name}{' (archived)' if channel.archived else ''}",
        f"topic: {channel.topic}",
    ]
    lines += [f"bookmark: {one['title']} {one['link']}" for one in channel.bookmarks]
    lines.append(f"members: {', '.join(channel.members)}")
    for message in channel.messages:
        if message.get("thread_ts", message["ts"]) != message["ts"]:
            continue
        mark = " [pinned]" if message["ts"] in channel.pins else ""
        edited = " [edited]" if message.get("edited") else ""
        lines += ["", f"-----{mark}{edited}", shown(message)]
        for reply in channel.messages:
            if reply.get("thread_ts") == message["ts"]:
                lines.append(textwrap.indent(f"> {shown(reply)}", _INDENT))
    return "\n".join(lines) + "\n"


def shown(message: Mapping[str, Any]) -> str:
    """Return one message: its blocks, its files."""
    parts = [*_blocks(message.get("blocks") or ())] if message.get("blocks") else []
    if not parts and message.get("text"):
        parts.append(str(message["text"]))
    parts += [
        f"[file {one['name']}: {one['title']}, {len(one['content'])} "
        f"{'characters' if isinstance(one['content'], str) else 'bytes'}]"
        for one in message.get("files") or ()
    ]
    return "\n".join(parts)


def _blocks(blocks: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    for block in blocks:
        match block["type"]:
            case "header":
                yield f"== {block['text']['text']} =="
            case "section":
                if "text" in block:
                    yield str(block["text"]["text"])
                for field in block.get("fields", ()):
                    yield field["text"].replace("*\n", "*: ")
            case "actions":
                yield "  ".join(_button(element) for element in block["elements"])
            case "context":
                yield "".join(f"({element['text']})" for element in block["elements"])


def _button(element: Mapping[str, Any]) -> str:
    text = element["text"]["text"]
    return f"[{text} -> {element['url']}]" if element.get("url") else f"[{text}]"
