"""The manual as Markdown, and as plain text for a terminal or a printer."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from engine.domain.canonical import JsonObject

FORMATS = ("md", "text")


def written(manual: JsonObject, form: str) -> str:
    """Return the manual as text of one of `FORMATS`."""
    lines = list(_markdown(manual))
    return "\n".join(lines if form == "md" else _plain(lines)) + "\n"


def _markdown(manual: JsonObject) -> Iterator[str]:
    yield f"# {_safe(manual['playbook'])}: by hand"
    yield ""
    if manual["summary"]:
        yield f"{_safe(manual['summary'])}."
        yield ""
    yield f"Revision {manual['revision'][:12] or 'unknown'}. Words in <angle brackets> are yours to fill in;"
    yield "secrets stand as the variables or files that hold them. Note the time of every step."
    yield ""
    if manual["inputs"]:
        yield "| input | value | what it is |"
        yield "|---|---|---|"
        for item in manual["inputs"]:
            missing = "<required>" if item["required"] else ""
            value = missing if item["value"] is None else item["value"]
            yield f"| {_cell(item['name'])} | {_cell(value)} | {_cell(item['description'])} |"
        yield ""
    if manual["budget"]:
        limits = ", ".join(f"{number} {unit}" for unit, number in manual["budget"].items())
        yield f"Never touch more than {limits} in all; above that, ask first."
        yield ""
    for chapter in manual["chapters"]:
        yield from _chapter(chapter, "", 2)


def _chapter(chapter: JsonObject, number: str, level: int) -> Iterator[str]:
    if chapter["title"]:
        yield f"{'#' * min(level, 6)} {_safe(chapter['title'])}"
        yield ""
    if chapter["text"]:
        yield _safe(chapter["text"])
        yield ""
    for place, step in enumerate(chapter["steps"], 1):
        yield from _step(step, f"{number}{place}", level + 1)


def _step(step: JsonObject, number: str, level: int) -> Iterator[str]:
    yield f"{'#' * min(level, 6)} {number}. {_safe(step['title'])}"
    yield ""
    if step["when"]:
        yield f"Only when {_code(step['when'])}."
        yield ""
    if step["each"]:
        yield _safe(step["each"])
        yield ""
    for text in step["text"]:
        yield _safe(text)
        yield ""
    yield from _block(step["do"])
    if step["verify"]:
        yield _safe(step["verify"]["text"])
        yield ""
        yield from _block(step["verify"]["do"])
    if step["undo"]:
        yield "Way back:"
        yield ""
        yield from _block(step["undo"])
    for letter, chapter in zip("abcdefghijklmnopqrstuvwxyz", step["steps"], strict=False):
        several = len(step["steps"]) > 1
        yield from _chapter(chapter, f"{number}{letter}." if several else f"{number}.", level + 1)
    if step["do"] and step["kind"] == "action":
        yield _safe(step["on_failure"])
        yield ""


def _block(lines: Sequence[str]) -> Iterator[str]:
    if not lines:
        return
    fence = "```"
    while any(fence in line for line in lines):
        fence += "`"
    yield f"{fence}sh"
    yield from lines
    yield fence
    yield ""


def _plain(lines: Sequence[str]) -> Iterator[str]:
    """Markdown without its marks: headings underlined, commands indented."""
    fence = ""
    for line in lines:
        if fence:
            if line == fence:
                fence = ""
                continue
            yield from (f"    {one}" for one in line.split("\n"))
        elif line.startswith("```"):
            fence = line.removesuffix("sh")
        elif line.startswith("#"):
            title = _unescaped(line.lstrip("# "))
            yield title
            yield ("=" if line.startswith("# ") else "-") * len(title)
        elif line.startswith("| "):
            name, value, about = (cell.strip() for cell in line.strip("|").split(" | "))
            yield _unescaped(f"  {name} = {value}{f'  ({about})' if about else ''}")
        elif not line.startswith("|---"):
            yield _unescaped(line)


def _safe(text: object) -> str:
    """Text of a playbook inside Markdown: no markup, no HTML of its own, one line."""
    words = " ".join(str(text).split())
    for char in "\\`*_[]<>|#":
        words = words.replace(char, f"\\{char}")
    return words


def _cell(value: object) -> str:
    """A cell: text as it is, everything else as JSON; never empty, so that rows keep their shape."""
    return _safe(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)) or " "


def _code(text: str) -> str:
    words = " ".join(text.split())
    mark = "`"
    while mark in words:
        mark += "`"
    return f"{mark} {words} {mark}" if len(mark) > 1 else f"`{words}`"


def _unescaped(text: str) -> str:
    found, escaped = [], False
    for char in text:
        if char == "\\" and not escaped:
            escaped = True
            continue
        found.append(char)
        escaped = False
    return "".join(found)
