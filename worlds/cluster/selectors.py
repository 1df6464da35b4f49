"""Label and field selectors, in the query's text form and in the objects' own form."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from engine.domain.canonical import JsonObject
from worlds.cluster.status import bad_request

Matches = Callable[[JsonObject], bool]
_TOKEN = re.compile(r"\s*(==|!=|=|!|,|\(|\)|<|>|[^\s=!,()<>]+)")
_SYMBOLS = {"=", "==", "!=", "!", ",", "(", ")", "<", ">"}

# Which fields each kind can be selected by, and where they stand; every kind has the first two.
_COMMON = {"metadata.name", "metadata.namespace"}
_FIELDS: dict[str, set[str]] = {
    "Pod": {
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "spec.hostNetwork",
        "status.phase",
        "status.podIP",
        "status.podIPs",
        "status.nominatedNodeName",
    },
    "Event": {
        "involvedObject.kind",
        "involvedObject.namespace",
        "involvedObject.name",
        "involvedObject.uid",
        "involvedObject.apiVersion",
        "involvedObject.resourceVersion",
        "involvedObject.fieldPath",
        "reason",
        "reportingComponent",
        "source",
        "type",
    },
    "Job": {"status.successful"},
    "Namespace": {"status.phase"},
    "Node": {"spec.unschedulable"},
    "ReplicaSet": {"status.replicas"},
    "Secret": {"type"},
    "Service": {"spec.clusterIP", "spec.type"},
}


class _Reader:
    def __init__(self, text: str) -> None:
        self.tokens: list[str] = []
        position = 0
        while text[position:].strip():
            match = _TOKEN.match(text, position)
            assert match is not None
            self.tokens.append(match[1])
            position = match.end()

    def peek(self) -> str:
        return self.tokens[0] if self.tokens else ""

    def take(self) -> str:
        return self.tokens.pop(0) if self.tokens else ""


def _found(token: str, expected: str) -> str:
    return f"unable to parse requirement: found '{token}', expected: {expected}"


def label_selector(text: str) -> Callable[[Mapping[str, str]], bool]:
    """Read `a=b,c in (d,e),!f` into a predicate over labels.

    Raises:
        ApiError: 400, worded as the server's parser words it.
    """
    reader = _Reader(text)
    tests: list[Callable[[Mapping[str, str]], bool]] = []
    while reader.tokens:
        tests.append(_requirement(reader))
        end = reader.take()
        if end not in ("", ","):
            raise bad_request(_found(end, "',' or 'end of string'"))
        if end == "," and not reader.tokens:
            raise bad_request(_found("", "identifier after ','"))
    return lambda labels: all(test(labels) for test in tests)


def _requirement(reader: _Reader) -> Callable[[Mapping[str, str]], bool]:
    key = reader.take()
    if key == "!":
        absent = reader.take()
        return lambda labels: absent not in labels
    if key in _SYMBOLS:
        raise bad_request(_found(key, "!, identifier, or 'end of string'"))
    operator = reader.peek()
    if operator in ("", ","):
        return lambda labels: key in labels
    reader.take()
    if operator in ("in", "notin"):
        values = _values(reader)
        if operator == "in":
            return lambda labels: labels.get(key) in values
        return lambda labels: labels.get(key) not in values
    if operator in ("=", "==", "!="):
        value = reader.peek()
        if value in ("", ","):
            value = ""
        elif value in _SYMBOLS:
            raise bad_request(_found(value, "identifier"))
        else:
            reader.take()
        if operator == "!=":
            return lambda labels: labels.get(key) != value
        return lambda labels: labels.get(key) == value
    if operator in ("<", ">"):
        bound = reader.take()
        return lambda labels: _compares(labels.get(key), operator, bound)
    raise bad_request(_found(operator, "in, notin, =, ==, !=, gt, lt"))


def _values(reader: _Reader) -> set[str]:
    opening = reader.take()
    if opening != "(":
        raise bad_request(_found(opening, "'('"))
    values: set[str] = set()
    while True:
        part = reader.take()
        if part == ")":
            return values
        if not part:
            raise bad_request(_found("", "',', or ')'"))
        if part != ",":
            values.add(part)


def _compares(label: str | None, operator: str, bound: str) -> bool:
    try:
        left, right = int(label or ""), int(bound)
    except ValueError:
        return False
    return left > right if operator == ">" else left < right


def object_selector(selector: JsonObject | None) -> Callable[[Mapping[str, str]], bool]:
    """Read an object's own selector (`matchLabels`, `matchExpressions`); None selects nothing."""
    if selector is None:
        return lambda _: False
    wanted: dict[str, str] = selector.get("matchLabels") or {}
    expressions: list[JsonObject] = selector.get("matchExpressions") or []

    def matches(labels: Mapping[str, str]) -> bool:
        return all(labels.get(key) == value for key, value in wanted.items()) and all(
            _expression(expression, labels) for expression in expressions
        )

    return matches


def _expression(expression: JsonObject, labels: Mapping[str, str]) -> bool:
    key, operator = expression["key"], expression["operator"]
    values = expression.get("values") or []
    if operator == "In":
        return bool(labels.get(key) in values)
    if operator == "NotIn":
        return bool(labels.get(key) not in values)
    return (key in labels) is (operator == "Exists")


def selector_text(selector: JsonObject | None) -> str:
    """Write an object's selector as the scale subresource shows it: `app=x,tier in (a,b)`."""
    selector = selector or {}
    parts = [f"{key}={value}" for key, value in sorted((selector.get("matchLabels") or {}).items())]
    for expression in selector.get("matchExpressions") or []:
        key, operator = expression["key"], expression["operator"]
        listed = f"({','.join(sorted(expression.get('values') or []))})"
        words = {"In": f"{key} in {listed}", "NotIn": f"{key} notin {listed}", "Exists": key}
        parts.append(words.get(operator, f"!{key}"))
    return ",".join(parts)


def field_selector(text: str, kind: str) -> Matches:
    """Read `status.phase=Running,metadata.name!=x` into a predicate over objects of `kind`.

    Raises:
        ApiError: 400: no such form, or the kind cannot be selected by that field.
    """
    tests: list[tuple[str, str, bool]] = []
    for part in filter(None, text.split(",")):
        match = re.fullmatch(r"([^=!]+)(==|=|!=)(.*)", part)
        if not match:
            raise bad_request(f"invalid selector: '{text}'; can't understand '{part}'")
        field, operator, value = match.groups()
        if field not in _COMMON | _FIELDS.get(kind, set()):
            raise bad_request(f"field label not supported: {field}")
        tests.append((field, value, operator != "!="))
    return lambda item: all(
        (_field(item, field) == value) == equal for field, value, equal in tests
    )


def _field(item: JsonObject, field: str) -> str:
    if field == "status.successful":
        return str((item.get("status") or {}).get("succeeded") or 0)
    value: Any = item
    for part in field.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)
