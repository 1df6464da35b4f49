"""Keys set inside YAML text: what is meant comes out, and nothing else of the text moves."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from actions.kubernetes.yamltext import CannotMerge, merged_text

TEXT = """\
# tuned by hand
workers: 4   # per node
retry:
    # keep below the provider's own
    attempts: 3
    backoff: "2s"

names: [a, b]
list:
- one
- two
script: |
  line one

  line two
"""


def test_only_the_named_values_move() -> None:
    result = merged_text(TEXT, {"workers": 2, "retry": {"attempts": 5}, "names": ["c"]})
    assert result == TEXT.replace("workers: 4", "workers: 2").replace(
        "attempts: 3", "attempts: 5"
    ).replace("[a, b]", '["c"]')


def test_new_keys_stand_with_their_siblings() -> None:
    result = merged_text(TEXT, {"retry": {"jitter": True}, "region": "eu: 1", "deep": {"a": [1]}})
    assert '    backoff: "2s"\n    jitter: true\n\nnames' in result
    assert result.startswith(TEXT.partition('    backoff: "2s"')[0])
    assert yaml.safe_load(result) == yaml.safe_load(TEXT) | {
        "retry": {"attempts": 3, "backoff": "2s", "jitter": True},
        "region": "eu: 1",
        "deep": {"a": [1]},
    }


@pytest.mark.parametrize(
    ("text", "changes", "result"),
    [
        ("a: 1", {"b": 2}, "a: 1\nb: 2"),
        ("a: 1\n", {"b": 2}, "a: 1\nb: 2\n"),
        ("a: 1 # why\n", {"b": "x"}, "a: 1 # why\nb: x\n"),
        ("a:\nb: 2\n", {"a": 3}, "a: 3\nb: 2\n"),
        ("a: {}\n", {"a": {"b": 1}}, 'a: {"b": 1}\n'),
        ("a:\n- 1\n- 2\nb: 2\n", {"a": [3]}, "a:\n [3]\nb: 2\n"),
        ("{}\n", {"a": 1}, '{"a": 1}\n'),
        ('{"a": 1, "b": {"c": "x"}}', {"b": {"c": "y", "d": None}}, None),
        ("", {"a": 1}, "a: 1\n"),
        ("# only a comment\n", {"a": 1}, "# only a comment\na: 1\n"),
        ("a: yes please\n", {"a": "no"}, "a: 'no'\n"),
    ],
)
def test_layouts(text: str, changes: dict[str, Any], result: str | None) -> None:
    found = merged_text(text, changes)
    if result is None:
        assert json.loads(found) == {"a": 1, "b": {"c": "y", "d": None}}
    else:
        assert found == result


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("- a\n- b\n", "no mapping"),
        ("a: [1\n", "no YAML"),
        ("a: 1\n---\nb: 2\n", "one document"),
        ("a: &x 1\nb: *x\n", "anchors"),
        ("8080: web\n", "in place"),
    ],
)
def test_what_cannot_be_edited_is_refused(text: str, why: str) -> None:
    with pytest.raises(CannotMerge, match=why):
        merged_text(text, {"8080": "other"})


_KEYS = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=6)
_LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=12)
_VALUES = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=3),
    max_leaves=8,
)
_MAPS = st.dictionaries(_KEYS, _VALUES, max_size=4)


@given(_MAPS, _MAPS, st.sampled_from([None, False, True]))
def test_it_says_what_is_meant_or_is_refused(
    values: dict[str, Any], changes: dict[str, Any], flow: bool | None
) -> None:
    text = yaml.safe_dump(values, default_flow_style=flow, allow_unicode=True)
    try:
        result = merged_text(text, changes)
    except CannotMerge:
        return
    values = yaml.safe_load(text)  # PyYAML writes some control characters as others
    found = yaml.safe_load(result) or {}
    for name, value in values.items():
        if name not in changes:
            assert found[name] == value
    for name, value in changes.items():
        if not (isinstance(value, dict) and isinstance(values.get(name), dict)):
            assert found[name] == value
