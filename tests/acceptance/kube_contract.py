"""Comparing answers with recorded ones: what differs, once names that were generated are mapped."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z\Z")
# Fields whose values are generated: they are mapped from the cluster's own answers or only have to
# be of the same form. Everything else must be equal.
FREE = {
    "resourceVersion",
    "uid",
    "containerID",
    "podIP",
    "ip",
    "continue",
    "nodeName",
    "host",
    "reportingInstance",
}
# How many events there are, and how often one was repeated, hangs on the timing of controllers.
FREE_IN_EVENTS = {"count", "remainingItemCount"}
QUOTED = re.compile(r'"([a-z-]+-[a-z0-9]{8,10})"')


class Mapping:
    """Recorded generated texts and what stands for them here."""

    def __init__(self) -> None:
        self.known: dict[str, str] = {}

    def learn(self, recorded: Any, mine: Any) -> None:
        """Take names, uids and volume names from two answers that agree in structure."""
        if isinstance(recorded, dict) and isinstance(mine, dict):
            for key, value in recorded.items():
                other = mine.get(key)
                if key in ("name", "uid", "continue", "generateName") and isinstance(value, str):
                    if isinstance(other, str) and value != other:
                        self.known.setdefault(value, other)
                        if key == "generateName":
                            self.known.setdefault(value.rstrip("-."), other.rstrip("-."))
                elif key == "pod-template-hash" and other:
                    self.known.setdefault(value, other)
                elif key == "message" and other:
                    # A replica set can be named before it was ever listed.
                    for old, new in zip(QUOTED.findall(value), QUOTED.findall(other), strict=False):
                        self.known.setdefault(old, new)
                self.learn(value, other)
        elif isinstance(recorded, list) and isinstance(mine, list):
            for left, right in zip(recorded, mine, strict=False):
                self.learn(left, right)

    def apply(self, value: Any) -> Any:
        """Return a recorded value with the generated texts replaced."""
        if isinstance(value, dict):
            return {self.apply(key): self.apply(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.apply(item) for item in value]
        if isinstance(value, str):
            for old in sorted(self.known, key=len, reverse=True):
                if old in value:
                    value = value.replace(old, self.known[old])
        return value


def reach(value: Any, path: str) -> Any:
    """Return what stands at `status.conditions.0.type`, or None."""
    for part in path.split("."):
        if isinstance(value, list):
            value = value[int(part)] if int(part) < len(value) else None
        else:
            value = value.get(part) if isinstance(value, dict) else None
    return value


def settled(answer: Any, until: dict[str, Any]) -> bool:
    return all(reach(answer, path) == wanted for path, wanted in until.items())


def in_order(answer: Any) -> Any:
    """Return events in the order of their making: in a list they stand in that of random names."""
    if isinstance(answer, dict) and answer.get("kind") == "EventList":
        items = sorted(answer["items"], key=lambda item: int(item["metadata"]["resourceVersion"]))
        items = [
            {key: 1 if key in FREE_IN_EVENTS else value for key, value in item.items()}
            for item in items
        ]
        metadata = {**answer["metadata"], "remainingItemCount": 1}
        return {**answer, "items": items, "metadata": metadata}
    return answer


def differences(recorded: Any, mine: Any, path: str = "") -> Iterator[str]:
    """Yield where two answers differ, free fields and managedFields left out."""
    if isinstance(recorded, dict) and isinstance(mine, dict):
        for key in sorted(set(recorded) | set(mine)):
            if key == "managedFields":
                continue
            where = f"{path}.{key}" if path else key
            if key not in mine:
                yield f"{where}: missing, recorded {recorded[key]!r}"
            elif key not in recorded:
                yield f"{where}: {mine[key]!r} is not in the recorded answer"
            elif key in FREE:
                if type(recorded[key]) is not type(mine[key]):
                    yield f"{where}: {mine[key]!r} is of another type"
            else:
                yield from differences(recorded[key], mine[key], where)
    elif isinstance(recorded, list) and isinstance(mine, list):
        if len(recorded) != len(mine):
            yield f"{path}: {len(mine)} items, recorded {len(recorded)}"
        for index, (left, right) in enumerate(zip(recorded, mine, strict=False)):
            yield from differences(left, right, f"{path}[{index}]")
    elif isinstance(recorded, str) and isinstance(mine, str):
        yield from _texts(recorded, mine, path)
    elif recorded != mine or type(recorded) is not type(mine):
        yield f"{path}: {mine!r}, recorded {recorded!r}"


def _texts(recorded: str, mine: str, path: str) -> Iterator[str]:
    if recorded == mine or (TIME.match(recorded) and TIME.match(mine)):
        return
    shown = _shown_object(recorded), _shown_object(mine)
    if shown[0] and shown[1]:
        # A refusal shows the whole patched object: compare it as an object.
        (before, left, after), (my_before, right, my_after) = shown[0], shown[1]
        if (before, after) != (my_before, my_after):
            yield f"{path}: {my_before}…{my_after}, recorded {before}…{after}"
        yield from differences(left, right, f"{path}(object)")
        return
    yield f"{path}: {mine!r}, recorded {recorded!r}"


def _shown_object(text: str) -> tuple[str, Any, str] | None:
    start = text.find('"{')
    if start < 0:
        return None
    inner, end = json.JSONDecoder().raw_decode(text[start:])
    return text[:start], json.loads(inner), text[start + end :]
