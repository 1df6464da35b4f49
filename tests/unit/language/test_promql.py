"""Parameters of PromQL: names checked without values, label values escaped, nothing else let in."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from engine.language.promql import QueryError, bind, check_query, parameters


def test_a_bare_label_value_is_quoted() -> None:
    query = 'max(x{reason="OOMKilled",namespace=$ns, pod=~$pods}) > $t and y[$w] offset $o'
    params = {"ns": 'a"b\\', "pods": ["a.", "b"], "t": 0.5, "w": 90, "o": "5m"}
    assert bind(query, params) == (
        'max(x{reason="OOMKilled",namespace="a\\"b\\\\", pod=~"a\\\\.|b"}) > 0.5 and y[90s] offset 5m'
    )
    assert parameters(query) == {"ns", "pods", "t", "w", "o"}


def test_a_bare_name_elsewhere_is_no_text() -> None:
    for query in ("x > $v", "x == $v", "$v", "sum by ($v) (x)", "x{$v=1}"):
        with pytest.raises(QueryError, match="expected a number or a duration"):
            bind(query, {"v": "namespace"})
    assert bind("x == $v", {"v": 3}) == "x == 3"
    assert bind("x{a=$v}", {"v": 3}) == 'x{a="3"}'


@pytest.mark.parametrize(
    ("query", "given", "message", "offset"),
    [
        ('x{a="$ns"}', [], "params has no value for $ns; given: none", 5),
        ('x{a="$nss"}', ["ns"], "did you mean ns?", 5),
        ("x{a=$b}", ["b", "c"], "params.c is not used: the query has no $c", None),
        ('x{a="b}', [], 'its closing " is missing', 4),
        ("x > $", [], "a $ outside quotes must name a parameter", 4),
        ('x{a="{{ inputs.ns }}"}', [], "a query holds no templates; write $name", 5),
        ("x {% if y %}", [], "a query holds no templates", 2),
    ],
)
def test_names_are_checked_without_values(
    query: str, given: list[str], message: str, offset: int | None
) -> None:
    with pytest.raises(QueryError) as caught:
        check_query(query, given)
    assert message in str(caught.value)
    assert caught.value.offset == offset
    with pytest.raises(QueryError):
        bind(query, dict.fromkeys(given, 1))


def test_a_dollar_in_a_regex_is_left_alone() -> None:
    query = 'label_replace(x{a=~"foo$"}, "b", "$1", "c", "(.*)")'
    check_query(query, [])
    assert bind(query, {}) == query


@pytest.mark.parametrize("value", [None, True, {}, [], float("nan"), object()])
def test_values_that_stand_nowhere(value: Any) -> None:
    with pytest.raises(QueryError):
        bind("x{a=$v}", {"v": value}) if not isinstance(value, float) else bind(
            "x > $v", {"v": value}
        )


@given(
    st.text(max_size=20), st.sampled_from(['x{a="-$v-"}', "x{a='$v'}", "x{a=$v}", 'x{a=~"$v.*"}'])
)
def test_a_value_never_leaves_its_string(value: str, query: str) -> None:
    try:
        bound = bind(query, {"v": value})
    except QueryError:
        return
    # Read the string back as Prometheus' lexer would: the first bare quote of its kind closes it.
    quote = "'" if "'" in query else '"'
    inside = bound[bound.index(quote) + 1 :]
    position = 0
    while inside[position] != quote:
        assert inside[position] != "\n"
        position += 2 if inside[position] == "\\" else 1
    assert inside[position + 1 :] == "}"


@pytest.mark.real
def test_bound_queries_are_read_by_prometheus(tmp_path: Path) -> None:
    """promtool reads what hostile values become, with one selector each and nothing more."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is missing: apt-get install prometheus")
    values = [
        '"} or vector(1) #',
        "'",
        "\\",
        "a\nb",
        "$x",
        "{{ 1 }}",
        "\x00\x7f",
        "é🙂",
        "a|b.*",
        "`",
    ]
    queries = ["x{a=$v}", 'x{a="$v"}', "x{a='$v'}", "x{a=~$v}", 'x{a!~"p$v"}']
    bound = [bind(query, {"v": value}) for query in queries for value in values]
    bound += [bind("rate(x[$w]) > $t", {"w": w, "t": -1.5e-7}) for w in (90, 0.25, "1h30m")]
    rules = [{"record": f"r{n}", "expr": expr} for n, expr in enumerate(bound)]
    path = tmp_path / "rules.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "g", "rules": rules}]}))
    done = subprocess.run(
        [promtool, "check", "rules", str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
