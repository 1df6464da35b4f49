"""A YAML file's values, each with the place where it stands."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any


@dataclass(eq=False, slots=True)
class Source:
    """One file's text. `name` is how messages call it."""

    name: str
    text: str
    _lines: list[str] = field(default_factory=list)

    def line(self, number: int) -> str:
        """Return the text of line `number` (from 1), "" beyond the end."""
        if not self._lines:
            self._lines = self.text.splitlines() or [""]
        return self._lines[number - 1] if 0 < number <= len(self._lines) else ""


@dataclass(eq=False, slots=True)
class Node:
    """A value with its place.

    Attributes:
        value: plain data (dict, list, str, int, float, bool, None), shared where aliases share it.
        line, column: from 1.
        items: the nodes of a mapping's values by key, or of a list.
        keys: the nodes of a mapping's keys.
    """

    source: Source
    value: Any
    line: int
    column: int
    start: int = 0
    end: int = 0
    style: str = ""
    items: dict[str, Node] | list[Node] | None = None
    keys: dict[str, Node] = field(default_factory=dict)
    size: int = 1
    sound: bool = True  # False where the value could not be read and something stands in for it
    document: tuple[int, int] = (1, 1)  # of a root: where its document begins

    def get(self, part: str | int) -> Node | None:
        """Return the child with that key or index, or None."""
        if isinstance(self.items, dict):
            return self.items.get(part) if isinstance(part, str) else None
        if isinstance(self.items, list) and isinstance(part, int) and 0 <= part < len(self.items):
            return self.items[part]
        return None

    def at(self, *path: str | int) -> Node:
        """Return the deepest node that exists along `path`."""
        node = self
        for part in path:
            child = node.get(part)
            if child is None:
                return node
            node = child
        return node

    def key(self, name: str) -> Node:
        """Return the key's own node, or this node where there is no such key."""
        return self.keys.get(name, self)

    def entries(self) -> Iterator[tuple[str, Node]]:
        """Yield a mapping's keys and values; nothing for other nodes."""
        if isinstance(self.items, dict):
            yield from self.items.items()

    def elements(self) -> list[Node]:
        """Return a list's nodes; none for other nodes."""
        return self.items if isinstance(self.items, list) else []

    def place(self, offset: int | None = None) -> tuple[int, int]:
        """Return line and column of the character at `offset` of a text, where the file shows it plainly."""
        if not offset or not isinstance(self.value, str) or offset > len(self.value):
            return self.line, self.column
        raw = self.source.text[self.start : self.end]
        if self.style == "|":
            return self._place_in_block(offset)
        quote = len(self.style)
        if raw[quote : len(raw) - quote] == self.value and "\n" not in self.value:
            return self.line, self.column + quote + offset
        return self.line, self.column

    def _place_in_block(self, offset: int) -> tuple[int, int]:
        before = self.value[:offset]
        row, column = before.count("\n"), len(before) - (before.rfind("\n") + 1)
        wanted = self.value.split("\n")[row]
        number = self.line + 1 + row
        written = self.source.line(number)
        if wanted and written.endswith(wanted) and not written[: -len(wanted)].strip():
            return number, len(written) - len(wanted) + column + 1
        return self.line, self.column
