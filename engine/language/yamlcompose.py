"""YAML 1.2 core types through PyYAML's parser, with the place of every key and value.

PyYAML's own loader speaks YAML 1.1 (`on` is true, `10:30` is 630, the later of two keys wins, aliases
expand without bound). So only its parser is used here; values, keys, aliases and limits are our own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

from engine.language.diagnostics import Diagnostic, clipped
from engine.language.yamlnodes import Node, Source
from engine.language.yamlscalars import resolved
from engine.language.yamlwords import explained

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 64
MAX_NODES = 20_000  # aliases expanded

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the C parser where it is built in
_CONTROL = re.compile(r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_HALF = re.compile("[\ud800-\udfff]")


class _Stop(Exception):
    """The rest of the file cannot be read."""


def compose(data: bytes | str, name: str) -> tuple[Node | None, list[Diagnostic]]:
    """Read one YAML document.

    Args:
        data: the file's bytes, UTF-8 with or without a byte order mark.
        name: what messages call the file.

    Returns:
        The document's root (None where nothing of it can be used) and every mistake found.
    """
    roots, found = compose_all(data, name)
    if len(roots) > 1:
        found.append(second_document(roots[1]))
    return (roots[0] if roots else None), found


def compose_all(data: bytes | str, name: str) -> tuple[list[Node], list[Diagnostic]]:
    """Read the YAML documents of a file; arguments and mistakes as `compose`."""
    composer = _Composer(name)
    try:
        composer.read(data)
        return composer.documents(), composer.found
    except _Stop:
        return [], composer.found


def second_document(root: Node) -> Diagnostic:
    """Return what to say about a further document where a file may hold one only."""
    line, column = root.document
    return Diagnostic(
        root.source.name,
        line,
        column,
        "a second document begins here",
        "---",
        "one document a file",
        "put it in a file of its own",
    )


class _Composer:
    def __init__(self, name: str) -> None:
        self.source = Source(name, "")
        self.found: list[Diagnostic] = []
        self.anchors: dict[str, Node] = {}
        self.open: list[str] = []
        self.nodes = 0

    def report(
        self,
        line: int,
        column: int,
        message: str,
        found: str | None = None,
        expected: str | None = None,
        hint: str | None = None,
    ) -> None:
        self.found.append(
            Diagnostic(self.source.name, line, column, message, found, expected, hint)
        )

    # ---- text ---------------------------------------------------------------------------------

    def read(self, data: bytes | str) -> None:
        size = len(data) if isinstance(data, bytes) else len(data.encode(errors="replace"))
        if size > MAX_BYTES:
            hint = "split it into several files"
            self.report(1, 1, "the file is too large", f"{size} bytes", "at most 1 MiB", hint)
            raise _Stop
        text = self._decoded(data) if isinstance(data, bytes) else data
        self.source = Source(self.source.name, text.removeprefix("\ufeff"))
        bad = _CONTROL.search(self.source.text)
        if bad:
            line, column = self._place(bad.start())
            code = f"U+{ord(bad.group()):04X}"
            hint = 'write it as an escape in double quotes, for example "\\u0007"'
            self.report(
                line, column, "a control character cannot stand in a YAML file", code, None, hint
            )
            raise _Stop

    def _decoded(self, data: bytes) -> str:
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            good = data[: error.start].decode()
            self.source = Source(self.source.name, good)
            line, column = self._place(len(good))
            byte = f"the byte 0x{data[error.start]:02x}"
            hint = "save the file as UTF-8"
            if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
                hint = "the file is UTF-16: save it as UTF-8"
            self.report(line, column, "the file is not UTF-8", byte, "UTF-8 text", hint)
            raise _Stop from None

    def _place(self, index: int) -> tuple[int, int]:
        before = self.source.text[:index]
        return before.count("\n") + 1, index - (before.rfind("\n") + 1) + 1

    # ---- document -----------------------------------------------------------------------------

    def documents(self) -> list[Node]:
        events = yaml.parse(self.source.text, Loader=_Loader)
        try:
            return list(self._documents(events))
        except yaml.MarkedYAMLError as error:
            if not any(
                "{{" in one.message for one in self.found
            ):  # else it is what follows of that
                line, column, message, hint = explained(error, self.source.line)
                self.report(line, column, message, None, None, hint)
        except yaml.YAMLError as error:
            self.report(1, 1, f"this is no YAML: {error}")
        return []

    def _documents(self, events: Iterator[Any]) -> Iterator[Node]:
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                self.anchors = {}  # anchors hold within a document
                root = self._node(next(events), events, 0)
                mark: Any = event.start_mark
                root.document = (mark.line + 1, mark.column + 1)
                yield root

    def _node(self, event: Any, events: Iterator[Any], depth: int) -> Node:
        line, column = event.start_mark.line + 1, event.start_mark.column + 1
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, line, column)
        self._count(1, line, column)
        if depth > MAX_DEPTH:
            self.report(
                line, column, "values are nested too deeply", None, f"at most {MAX_DEPTH} levels"
            )
            raise _Stop
        sound = self._tag(event, line, column)
        node = Node(self.source, None, line, column, event.start_mark.index, event.end_mark.index)
        node.sound = sound
        if event.anchor:
            self.open.append(event.anchor)
        if isinstance(event, yaml.ScalarEvent):
            node.style = event.style or ""
            self._scalar(event, node)
        elif isinstance(event, yaml.SequenceStartEvent):
            self._list(events, node, depth)
        else:
            self._mapping(event, events, node, depth)
        if event.anchor:
            self.open.remove(event.anchor)
            self.anchors[event.anchor] = node
        return node

    def _count(self, more: int, line: int, column: int) -> None:
        self.nodes += more
        if self.nodes > MAX_NODES:
            message = "the file is too large once its aliases are expanded"
            hint = "write the values out, or split the file"
            self.report(line, column, message, None, f"at most {MAX_NODES} values", hint)
            raise _Stop

    def _alias(self, event: Any, line: int, column: int) -> Node:
        node = self.anchors.get(event.anchor)
        if node is None:
            if event.anchor in self.open:
                message = f"the alias *{event.anchor} stands inside what it stands for"
                hint = None
            else:
                message = f"there is no anchor &{event.anchor} before this alias"
                quoted = f'a text that begins with * must be quoted: "*{event.anchor}"'
                hint = quoted if not self.anchors else None
            self.report(line, column, message, f"*{event.anchor}", None, hint)
            return Node(self.source, None, line, column, sound=False)
        self._count(node.size, line, column)
        return node

    def _tag(self, event: Any, line: int, column: int) -> bool:
        tag = event.tag
        if tag is None or tag in ("!", "tag:yaml.org,2002:str"):
            return True
        shown = tag.replace("tag:yaml.org,2002:", "!!")
        hint = "leave the tag out; quotes make a text"
        self.report(line, column, f"the tag {clipped(shown)} is not allowed", None, None, hint)
        return False

    def _scalar(self, event: Any, node: Node) -> None:
        text: str = event.value
        plain = event.implicit[0] and event.style in (None, "") and event.tag is None
        if plain:
            node.style = ""
            try:
                node.value = resolved(text)
            except ValueError as error:
                hint = f"quote it where it is a text: {clipped(text[:40])}"
                self.report(node.line, node.column, str(error), None, None, hint)
                node.value, node.sound = text, False
            return
        node.value = text
        if not text.isascii() and _HALF.search(text):
            self.report(node.line, node.column, "the text holds half a character (a surrogate)")
            node.value, node.sound = "", False

    def _list(self, events: Iterator[Any], node: Node, depth: int) -> None:
        items: list[Node] = []
        for event in events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            items.append(self._node(event, events, depth + 1))
        node.items = items
        node.value = [item.value for item in items]
        node.size = 1 + sum(item.size for item in items)

    def _mapping(self, start: Any, events: Iterator[Any], node: Node, depth: int) -> None:
        items: dict[str, Node] = {}
        node.items = items
        for event in events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            key = self._node(event, events, depth + 1)
            value = self._node(next(events), events, depth + 1)
            if not self._key(start, node, key, items):
                continue
            items[key.value] = value
            node.keys[key.value] = key
        node.value = {name: item.value for name, item in items.items()}
        node.size = 1 + sum(1 + item.size for item in items.values())

    def _key(self, start: Any, node: Node, key: Node, items: dict[str, Node]) -> bool:
        """Tell whether the key can be used; report why not."""
        if not node.sound and not isinstance(key.value, str):
            return False  # the rest of an unquoted template, reported once
        if start.flow_style and isinstance(key.items, dict):
            at = key.line, key.column - 1
            hint = 'put the value in quotes: "{{ … }}"'
            self.report(*at, "YAML reads this {{ as a mapping, not as a template", None, None, hint)
            node.sound = False
            return False
        if not isinstance(key.value, str):
            if key.sound:
                shown = (key.source.text[key.start : key.end].strip() or "nothing")[:40]
                nested = key.items is not None
                what = "a list or mapping" if nested else shown
                quote = None if nested else f'quote it: "{shown}"'
                self.report(key.line, key.column, "a key must be a text", what, None, quote)
            return False
        if key.value == "<<" and not key.style:
            hint = "write the keys out; a playbook's defaults: can hold what its steps share"
            message = "merge keys (<<) are not part of YAML 1.2"
            self.report(key.line, key.column, message, None, None, hint)
            return False
        if key.value in items:
            first = node.keys[key.value]
            message = f"the key {clipped(key.value)} stands here a second time"
            hint = f"it stands first at line {first.line}, column {first.column}; keep one"
            self.report(key.line, key.column, message, None, None, hint)
            return False
        return True
