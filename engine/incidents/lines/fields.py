"""What lines are made of: the fields of an entry's body, said shortly, and phrases that many share."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

_MOST = 160  # characters of any one value


class Told(dict[str, Any]):
    """An entry's body whose missing fields read as "?"."""

    def __missing__(self, key: str) -> str:
        return "?"

    def text(self, key: str) -> str:
        return short(self[key])

    def because(self, key: str = "reason") -> str:
        """`: reason`, or nothing where none is given."""
        return f": {short(self[key])}" if self.get(key) else ""

    def maybe(self, key: str, form: str) -> str:
        """`form` with the field in it, or nothing where it is empty."""
        return form.format(short(self[key])) if self.get(key) not in (None, "", [], {}, 0) else ""


def short(value: Any) -> str:
    """Return any value as text of a bounded length."""
    if isinstance(value, str):
        text = value
    elif isinstance(value, bool) or value is None:
        text = {True: "yes", False: "no", None: "nothing"}[value]
    elif isinstance(value, Mapping) and set(value) == {"connection", "path"}:
        text = f"{value['connection']}:{value['path']}"
    elif isinstance(value, Mapping) and set(value) == {"$unknown"}:
        text = f"({value['$unknown']})"
    elif isinstance(value, list | tuple):
        text = ", ".join(short(item) for item in value)
    elif isinstance(value, float):
        text = f"{value:g}"
    else:
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text if len(text) <= _MOST else text[: _MOST - 1] + "…"


def state(what: str) -> Callable[[Told], str]:
    """A line for whatever went from a state to another."""
    return lambda b: f"{what} went from {b.text('from')} to {b.text('to')}{b.because()}"


def glass(b: Told) -> str:
    """A gate that one person passed alone: told alike in the run's chain and the incident's."""
    return (
        f"BREAK-GLASS: {b.text('actor')} (by {b.text('via')}) approved gate {b.text('gate')} alone"
        f"{b.because()}"
    )


Teller = Callable[[Told], str]  # a kind of entry as one line of English
