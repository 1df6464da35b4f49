"""Field types: what decodes, what is unknown, and what an empty value looks like on the wire.

`schema.json` is written by tools/kube_schema.py.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from engine.domain.canonical import JsonObject

QUANTITY = re.compile(r"([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)\Z")
QUANTITY_PROBLEM = (
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
)
_GO = {"string": "string", "int": "int32", "int64": "int64", "float": "float64", "bool": "bool"}
# Numbers and flags whose zero is left out on the wire; others are pointers, whose zero is shown.
_OMIT_ZERO = {
    "minReadySeconds",
    "paused",
    "hostNetwork",
    "hostPID",
    "hostIPC",
    "stdin",
    "stdinOnce",
    "tty",
    "readOnly",
    "hostPort",
}
# Texts that are shown even when they are empty.
_SHOW_EMPTY = {"reportingComponent", "reportingInstance", "serviceName", "storageClassName"}


@cache
def types() -> dict[str, dict[str, str]]:
    """Return the fields of every type, by the server's name of the type."""
    found: dict[str, dict[str, str]] = json.loads(
        (Path(__file__).parent / "schema.json").read_text()
    )
    return found


class DecodeError(Exception):
    """A value does not fit its field. `path` is the JSON path, `owner` the type that has the field."""

    def __init__(self, found: Any, owner: str, path: tuple[str, ...], wanted: str) -> None:
        super().__init__(f"{'.'.join(path)}: {_json_word(found)} is not {wanted}")
        self.found, self.owner, self.path, self.wanted = found, owner, path, wanted

    @property
    def as_json_decoder(self) -> str:
        """The words of Go's JSON decoder, which reads bodies, merge patches and JSON patches."""
        if self.wanted == "quantity":
            return QUANTITY_PROBLEM
        return (
            f"json: cannot unmarshal {_json_word(self.found)} into Go struct field "
            f"{self.owner}.{'.'.join(self.path)} of type {self.wanted}"
        )

    @property
    def as_converter(self) -> str:
        """The words of the converter that reads the result of a strategic merge patch."""
        if self.wanted == "quantity":
            return QUANTITY_PROBLEM
        if _json_word(self.found) == "number" and self.wanted == "string":
            return "cannot convert int64 to string"
        return f"unrecognized type: {self.wanted.split('[')[0] or 'slice'}"


def _json_word(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "string"
    return "object" if isinstance(value, dict) else "array"


def element(kind: str) -> str:
    """Return what a list or map type holds."""
    return kind[1:-1]


def check(value: Any, kind: str, owner: str = "", path: tuple[str, ...] = ()) -> None:
    """Raise where `value` does not decode as `kind`; null decodes as anything.

    Raises:
        DecodeError: at the first misfit, depth first in the order of the document.
    """
    if value is None or kind == "any":
        return
    if kind.startswith("["):
        if not isinstance(value, list):
            raise DecodeError(value, owner, path, f"[]{_go_name(element(kind))}")
        for item in value:
            check(item, element(kind), owner, path)
    elif kind.startswith("{"):
        if not isinstance(value, dict):
            raise DecodeError(value, owner, path, f"map[string]{_go_name(element(kind))}")
        for item in value.values():
            check(item, element(kind), owner, path)
    elif kind in types():
        if not isinstance(value, dict):
            raise DecodeError(value, owner, path, _go_name(kind))
        fields = types()[kind]
        for key, item in value.items():
            if key in fields:
                check(item, fields[key], kind, (*path, key))
    else:
        _check_scalar(value, kind, owner, path)


def _check_scalar(value: Any, kind: str, owner: str, path: tuple[str, ...]) -> None:
    if not _FITS[kind](value):
        wanted = "quantity" if kind == "quantity" else _GO.get(kind, "string")
        raise DecodeError(value, owner, path, wanted)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_whole(value: Any) -> bool:
    return _is_number(value) and bool(value == int(value))


_FITS: dict[str, Callable[[Any], bool]] = {
    "string": _is_text,
    "bytes": _is_text,
    "time": _is_text,
    "bool": lambda value: isinstance(value, bool),
    "int": _is_whole,
    "int64": _is_whole,
    "float": _is_number,
    "intstr": lambda value: _is_text(value) or _is_number(value),
    "quantity": lambda value: (
        _is_number(value) or (_is_text(value) and bool(QUANTITY.match(value)))
    ),
}


def _go_name(kind: str) -> str:
    return _GO.get(kind, kind if kind.startswith("[") else f"v1.{kind}")


def unknown(value: Any, kind: str, path: str = "") -> Iterator[str]:
    """Yield the paths of fields that the type does not have: `spec.template.spec.containers[0].x`."""
    if value is None:
        return
    if kind.startswith("[") and isinstance(value, list):
        for index, item in enumerate(value):
            yield from unknown(item, element(kind), f"{path}[{index}]")
    elif kind.startswith("{") and isinstance(value, dict):
        for key, item in value.items():
            yield from unknown(item, element(kind), f"{path}.{key}")
    elif kind in types() and isinstance(value, dict):
        fields = types()[kind]
        for key, item in value.items():
            inner = f"{path}.{key}" if path else key
            if key not in fields:
                yield inner
            else:
                yield from unknown(item, fields[key], inner)


def tidy(value: Any, kind: str, field: str = "") -> Any:
    """Return `value` as the server would write it: without unknown fields, nulls and empty lists and maps."""
    if isinstance(value, list) and kind.startswith("["):
        return [tidy(item, element(kind), field) for item in value]
    if isinstance(value, dict) and kind.startswith("{"):
        inner = element(kind)
        empty: Any = "" if inner == "string" else None
        items = {key: empty if item is None else item for key, item in value.items()}
        return {key: tidy(item, inner) for key, item in items.items() if item is not None}
    if isinstance(value, dict) and kind in types():
        return _tidy_struct(value, kind)
    if kind == "quantity" and isinstance(value, int | float):
        return str(value)
    return value


def _tidy_struct(value: JsonObject, kind: str) -> JsonObject:
    fields = types()[kind]
    out: JsonObject = {}
    for key, item in value.items():
        inner = fields.get(key)
        if inner is None or item is None:
            continue
        if item == "" and inner == "string" and key not in _SHOW_EMPTY:
            continue
        if item in ([], {}) and inner[0] in "[{":
            continue
        if key in _OMIT_ZERO and item in (0, False):
            continue
        out[key] = tidy(item, inner, key)
    return out
