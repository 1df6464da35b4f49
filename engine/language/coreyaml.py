"""YAML text inside values (a ConfigMap's field, an HTTP body): YAML 1.2 core types, no tags, no aliases."""

from __future__ import annotations

import re
from collections.abc import Hashable
from typing import Any

import yaml

from engine.domain.canonical import Json
from engine.language.problems import BadText

MAX_TEXT = 1 << 20
_TAG = "tag:yaml.org,2002:"
_CORE = [
    ("null", re.compile(r"(?:~|null|Null|NULL|)\Z"), ["~", "n", "N", ""]),
    ("bool", re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z"), list("tTfF")),
    ("int", re.compile(r"(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)\Z"), list("-+0123456789")),
    (
        "float",
        re.compile(
            r"(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
            r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))\Z"
        ),
        list("-+.0123456789"),
    ),
]


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[Any, Any] = {}

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases (*name) are not allowed here")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        del deep  # texts are small; building all at once finds every double key
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise yaml.YAMLError(f"the key {key!r} is not a text")
            if key in seen:
                raise yaml.YAMLError(f"the key {key!r} stands twice")
            seen.add(key)
        return super().construct_mapping(node, deep=True)


class _Dumper(yaml.SafeDumper):
    # The older types stay, so that `on` and dates are quoted for readers of YAML 1.1 too.
    yaml_implicit_resolvers: dict[Any, Any] = {
        first: list(rules) for first, rules in yaml.SafeDumper.yaml_implicit_resolvers.items()
    }

    def ignore_aliases(self, data: Any) -> bool:
        del data
        return True


def _number(loader: yaml.SafeLoader, node: yaml.Node) -> int | float:
    del loader
    assert isinstance(node, yaml.ScalarNode)
    text = node.value
    if text[:2] in ("0o", "0x"):
        return int(text, 0)
    if node.tag == f"{_TAG}int":
        return int(text)
    return float(text.replace(".inf", "inf").replace(".nan", "nan"))


for _name, _pattern, _first in _CORE:
    _Loader.add_implicit_resolver(f"{_TAG}{_name}", _pattern, _first)
    _Dumper.add_implicit_resolver(f"{_TAG}{_name}", _pattern, _first)
_Loader.add_constructor(f"{_TAG}int", _number)
_Loader.add_constructor(f"{_TAG}float", _number)


def read_yaml(text: str) -> Json:
    """Read one YAML document into JSON data.

    Raises:
        BadText: it is no YAML, uses tags or aliases, has a key twice, or is over a mebibyte.
    """
    if len(text) > MAX_TEXT:
        raise BadText("the YAML text is over 1 MiB")
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506  a SafeLoader with fewer types
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        problem = getattr(error, "problem", None) or str(error) or "it is nested too deeply"
        raise BadText(f"the text is no YAML: {problem}") from error


def write_yaml(value: Json) -> str:
    """Write JSON data as a YAML document in block style, keys in their own order."""
    made = _dumped(value, True)
    # PyYAML writes these line separators as they are and reads them back as spaces.
    return _dumped(value, False) if any(mark in made for mark in "\x85\u2028\u2029") else made


def _dumped(value: Json, allow_unicode: bool) -> str:
    return str(
        yaml.dump(
            value,
            Dumper=_Dumper,
            sort_keys=False,
            allow_unicode=allow_unicode,
            default_flow_style=False,
        )
    )
