"""YAML 1.2 core types, places of everything, limits."""

from __future__ import annotations

import math

import pytest

from engine.language.yamlcompose import MAX_BYTES, compose
from engine.language.yamlnodes import Node


def read(text: str | bytes) -> Node:
    node, found = compose(text, "f.yaml")
    assert not found, found
    assert node is not None
    return node


def mistakes(text: str | bytes) -> list[tuple[int, int, str]]:
    _, found = compose(text, "f.yaml")
    return [(one.line, one.column, one.message) for one in found]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on", "on"),
        ("no", "no"),
        ("yes", "yes"),
        ("y", "y"),
        ("True", True),
        ("FALSE", False),
        ("tRue", "tRue"),
        ("10:30", "10:30"),
        ("1:2:3", "1:2:3"),
        ("0777", 777),
        ("0o17", 15),
        ("0O17", "0O17"),
        ("0x1F", 31),
        ("0b11", "0b11"),
        ("1_000", "1_000"),
        ("+12", 12),
        ("-0", 0),
        ("1.5", 1.5),
        (".5", 0.5),
        ("1.", 1.0),
        ("1e3", 1000.0),
        ("1e", "1e"),
        (".inf", math.inf),
        ("-.INF", -math.inf),
        ("2025-11-18", "2025-11-18"),
        ("2025-11-18T03:20:00Z", "2025-11-18T03:20:00Z"),
        ("~", None),
        ("null", None),
        ("", None),
        ("'null'", "null"),
        ('"12"', "12"),
        ("!!str 12", "12"),
        ("=", "="),
    ],
)
def test_plain_scalars_have_the_types_of_yaml_1_2(text: str, value: object) -> None:
    found = read(f"a: {text}").value["a"]
    assert found == value
    assert type(found) is type(value)


def test_nan_is_a_float() -> None:
    assert math.isnan(read("a: .nan").value["a"])


def test_every_key_and_value_has_its_place() -> None:
    node = read("a:\n  - b: 1\n    c: [x, {d: 'e'}]\n")
    first = node.at("a", 0)
    assert (first.keys["c"].line, first.keys["c"].column) == (3, 5)
    inner = node.at("a", 0, "c", 1, "d")
    assert (inner.value, inner.line, inner.column) == ("e", 3, 16)


@pytest.mark.parametrize(
    ("text", "offset", "place"),
    [
        ("a: hello {{ x", 6, (1, 10)),
        ('a: "hello {{ x"', 6, (1, 11)),
        ("a: 'hello {{ x'", 6, (1, 11)),
        (
            "a: 'it''s {{ x'",
            5,
            (1, 4),
        ),  # written otherwise than it reads: the start is what is known
        ("a: |\n  one\n   two {{ x\n", 9, (3, 8)),
        ("a: >\n  one\n  two\n", 5, (1, 4)),
    ],
)
def test_a_place_inside_a_text(text: str, offset: int, place: tuple[int, int]) -> None:
    assert read(text).at("a").place(offset) == place


def test_a_byte_order_mark_is_passed_over() -> None:
    assert read(b"\xef\xbb\xbfa: 1").value == {"a": 1}


def test_aliases_share_what_they_stand_for() -> None:
    assert read("a: &x [1, 2]\nb: *x").value == {"a": [1, 2], "b": [1, 2]}


def test_an_alias_bomb_is_refused_quickly() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 30)]
    assert "aliases" in mistakes("\n".join(lines))[-1][2]


def test_depth_and_size_are_bounded() -> None:
    assert mistakes("[" * 500 + "]" * 500)[0][2] == "values are nested too deeply"
    assert mistakes(b"a: " + b"x" * MAX_BYTES)[0][2] == "the file is too large"


def test_all_double_keys_are_reported_in_one_go() -> None:
    found = mistakes("a: 1\nb: {c: 1, c: 2}\na: 3\n")
    assert [one[:2] for one in found] == [(2, 11), (3, 1)]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("a: b\n\tc: d", (2, 1)),
        ("x: 1\na: 'never closed\n", (2, 4)),
        ("a: b: c", (1, 5)),
        ("a: @b", (1, 4)),
        ("a: *b", (1, 4)),
        ("a: !x b", (1, 4)),
        ("1: b", (1, 1)),
        ("a: {{ x }}", (1, 4)),
        ("---\na: 1\n---\nb: 1", (3, 1)),
        ("a: \x07", (1, 4)),
        (b"a: \xff", (1, 4)),
        ("a: 1e999", (1, 4)),
        ("a: 99999999999999999999", (1, 4)),
    ],
)
def test_mistakes_stand_where_they_are(text: str | bytes, place: tuple[int, int]) -> None:
    assert mistakes(text)[0][:2] == place
