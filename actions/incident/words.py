"""How values stand in a report: nothing from outside becomes markup of ours."""

from __future__ import annotations

import re

_MARKS = re.compile(r"^(\s*)(#{1,6}\s|>|[-+*]\s|\d+[.)]\s|={3,}|-{3,}|`{3,}|~{3,})", re.MULTILINE)
NOT_TOLD = "_not told_"


def line(value: object) -> str:
    """Return a value as one line of Markdown, without markup of its own."""
    if isinstance(value, list | tuple):
        return ", ".join(line(one) for one in value) or NOT_TOLD
    text = " ".join(str(value).split()) if value is not None else ""
    return _safe(text) or NOT_TOLD


def paragraphs(text: str) -> str:
    """Return a text of several lines, its headings, rules, lists and fences shown as they were written."""
    return _MARKS.sub(lambda mark: f"{mark[1]}\\{mark[2]}", _safe(text.strip())) or NOT_TOLD


def _safe(text: str) -> str:
    kept = "".join(char for char in text if char.isprintable() or char in "\n\t")
    return kept.replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|")
