"""Keys set inside a YAML (or JSON) text, everything else of the text kept as it is. Pure functions.

The text is edited at the places where PyYAML found the values, and read again: what does not come out
as meant is refused, so no text is ever written that says something else.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class CannotMerge(ValueError):
    """The text cannot be edited; the message says why, without its content."""


@dataclass(frozen=True)
class _Edit:
    start: int
    end: int
    text: str


def merged_text(text: str, changes: Mapping[str, Any]) -> str:
    """Return `text` with `changes` merged into its mapping; mappings merge, all else is replaced.

    Raises:
        CannotMerge: it is no single YAML mapping, uses anchors, or cannot be edited in place.
    """
    root, values = _read(text)
    wanted = _merged(values, changes)
    if wanted == values:
        return text
    edits: list[_Edit] = []
    if root is None:
        head = f"{text.rstrip()}\n" if text.strip() else ""
        edits.append(_Edit(0, len(text), head + _dump(wanted)))
    elif not values:
        edits.append(_Edit(root.start_mark.index, root.end_mark.index, _written(wanted, flow=True)))
    else:
        _collect(root, changes, text, edits)
    result = text
    for edit in sorted(edits, key=lambda each: each.start, reverse=True):
        result = result[: edit.start] + edit.text + result[edit.end :]
    try:
        found = _read(result)[1]
    except CannotMerge:
        found = None
    if found != wanted:
        raise CannotMerge("its layout does not allow to edit it in place; replace it as a whole")
    return result


def _read(text: str) -> tuple[Any, dict[str, Any]]:
    try:
        if any(isinstance(token, yaml.AliasToken | yaml.AnchorToken) for token in yaml.scan(text)):
            raise CannotMerge("it uses anchors: a change would reach further than it says")
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        values = yaml.load(text, Loader=_Loader)  # noqa: S506  safe, and in C where that is built in
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        if isinstance(error, CannotMerge):
            raise
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 1})" if mark is not None else ""
        raise CannotMerge(f"it is no YAML of one document{where}") from None
    if root is None:
        return None, {}
    if not isinstance(root, yaml.MappingNode) or not isinstance(values, dict):
        raise CannotMerge("it is YAML, but no mapping of keys to values")
    return root, values


def _merged(values: dict[Any, Any], changes: Mapping[str, Any]) -> dict[Any, Any]:
    result = copy.copy(values)
    for name, change in changes.items():
        there = values.get(name)
        both = isinstance(change, Mapping) and isinstance(there, dict) and there
        result[name] = _merged(there or {}, change) if both else copy.deepcopy(change)
    return result


def _collect(
    node: yaml.MappingNode, changes: Mapping[str, Any], text: str, edits: list[_Edit]
) -> None:
    places = {key.value: (key, value) for key, value in node.value}
    added: dict[str, Any] = {}
    for name, change in changes.items():
        if name not in places:
            added[name] = change
            continue
        key, value = places[name]
        if isinstance(change, Mapping) and isinstance(value, yaml.MappingNode) and value.value:
            _collect(value, change, text, edits)
            continue
        end, fresh = _end(value), _written(change, flow=bool(node.flow_style))
        if value.start_mark.index == end and text[end - 1 : end] == ":":
            fresh = " " + fresh  # an empty value: `key:`
        elif not node.flow_style and value.start_mark.line > key.start_mark.line:
            # A list may stand at its key's own margin, what takes its place may not.
            fresh = " " * (key.start_mark.column + 1 - value.start_mark.column) + fresh
        edits.append(_Edit(value.start_mark.index, end, fresh))
    if not added:
        return
    last = node.value[-1][1]
    end = _end(last)
    if node.flow_style:
        more = "".join(
            f", {json.dumps(name)}: {_written(each, flow=True)}" for name, each in added.items()
        )
    else:
        # A comment behind the last value stays behind it.
        stop = text.find("\n", end)
        end = len(text) if stop < 0 or _is_block(last) else stop
        end = _end_of_block(last, text) if _is_block(last) else end
        indent = " " * node.value[0][0].start_mark.column
        more = "".join(
            f"\n{indent}{_written(name, flow=False)}: {_written(each, flow=False)}"
            for name, each in added.items()
        )
        if end == len(text) and text.endswith("\n"):
            more, end = more[1:] + "\n", len(text)
    edits.append(_Edit(end, end, more))


def _is_block(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.style in ("|", ">")


def _end_of_block(node: yaml.Node, text: str) -> int:
    end = int(node.end_mark.index)
    return end - 1 if text[end - 1 : end] == "\n" and end < len(text) else end


def _end(node: yaml.Node) -> int:
    """Return where a value's text ends: that of a block ends with its last leaf."""
    if isinstance(node, yaml.MappingNode) and node.value and not node.flow_style:
        return _end(node.value[-1][1])
    if isinstance(node, yaml.SequenceNode) and node.value and not node.flow_style:
        return _end(node.value[-1])
    return int(node.end_mark.index)


def _written(value: Any, *, flow: bool) -> str:
    """Return a value on one line, as JSON where it stands among JSON."""
    if flow or isinstance(value, list | Mapping):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, str) and "\n" in value:
        return json.dumps(value, ensure_ascii=False)
    text: str = yaml.safe_dump(value, allow_unicode=True, width=10**9)
    return text.removesuffix("\n").removesuffix("\n...")


def _dump(value: Any) -> str:
    text: str = yaml.safe_dump(value, allow_unicode=True, sort_keys=False)
    return text
